//! `osd recover`: closes a recording whose recorder died.

use crate::failure::Result;
use crate::format;
use crate::output::say;
use osd_recording::{Kind, WriterOptions};
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "EXAMPLES:
  osd recover run.parquet    closes what was to become run.parquet: run.parquet.partial

Not needed for reading: the other commands read an unfinished recording as it is.";

/// Close a recording whose recorder was killed.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The recordings, named as in `osd record -o`.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Replace FILE if it exists.
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    for file in &args.files {
        // Dead flight recorders leave parts, other recorders one unfinished recording.
        let closed = match osd_recording::flight_folder(file).is_dir() {
            true => {
                let options = WriterOptions { force: args.force, ..WriterOptions::default() };
                osd_recording::recover_flight(file, options)?
            }
            false => osd_recording::recover(file, args.force)?,
        };
        let rows: Vec<String> = Kind::ALL
            .iter()
            .filter_map(|k| closed.metadata.rows.get(k.name()).filter(|n| **n > 0).map(|n| (k, n)))
            .map(|(k, n)| format!("{} {}", format::count(*n), k.name()))
            .collect();
        say(format_args!(
            "recovered {}: {} {}, {}",
            closed.path.display(),
            if rows.is_empty() { "no".to_owned() } else { rows.join(", ") },
            if matches!(rows.as_slice(), [only] if only.starts_with("1 ")) { "row" } else { "rows" },
            format::bytes(closed.bytes)
        ));
    }
    Ok(ExitCode::SUCCESS)
}
