//! `osd trigger`: asks a flight recorder for its last minutes.

use crate::failure::{Failure, Result};
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "EXAMPLES:
  osd trigger run.parquet    what `osd record --last 10m -o run.parquet` remembers, and what follows, goes to run.parquet";

/// Ask a flight recorder (`osd record --last`) to write its last minutes.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The file that the recorder was told to write.
    #[arg(value_name = "FILE")]
    output: PathBuf,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let none = || {
        Failure::new(format!("no flight recorder writes {}", args.output.display()))
            .hint("name the FILE of a running `osd record --last TIME -o FILE`")
    };
    let pid = osd_record::flight_recorder(&args.output).ok_or_else(none)?;
    let pid = libc::pid_t::try_from(pid).map_err(|_| none())?;
    // SAFETY: plain call. The recorder holds the lock that was just seen, so the number is its own.
    if unsafe { libc::kill(pid, libc::SIGUSR1) } != 0 {
        let why = std::io::Error::last_os_error();
        return Err(Failure::new(format!("cannot signal the recorder {pid}: {why}")).hint("run as its user"));
    }
    Ok(ExitCode::SUCCESS)
}
