//! `osd man`: manual pages, from the same definitions as `--help`.

use crate::failure::{Failure, Result};
use crate::output::Output;
use clap_mangen::Man;
use osd_recording::output::{self, OutputFile};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const EXAMPLES: &str = "EXAMPLES:
  osd man | man -l -                                   read the page of osd
  osd man --of record | man -l -                       read that of osd record
  sudo osd man --force /usr/local/share/man/man1       install them all: man osd-record";

/// Print a manual page, or write all of them into a folder.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Write osd.1, osd-record.1 and so on here.
    #[arg(value_name = "DIR", conflicts_with = "of")]
    dir: Option<PathBuf>,

    /// Print the page of this subcommand.
    #[arg(long, value_name = "COMMAND")]
    of: Option<String>,

    /// Replace pages that exist.
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: Args, osd: clap::Command) -> Result<ExitCode> {
    let mut osd = osd.disable_help_subcommand(true);
    osd.build();
    if let Some(dir) = &args.dir {
        output::folder(dir)?;
        let commands = osd.get_subcommands().filter(|c| !c.is_hide_set()).cloned();
        // A command of commands has a page for each.
        let commands = commands.flat_map(|c| c.get_subcommands().cloned().chain([c.clone()]).collect::<Vec<_>>());
        let pages: Vec<Man> = std::iter::once(osd.clone()).chain(commands).map(Man::new).collect();
        for page in pages {
            write(&dir.join(page.get_filename()), &page, args.force)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let page = match &args.of {
        None => osd,
        Some(name) => name
            .split_whitespace()
            .try_fold(&osd, |command, name| command.find_subcommand(name))
            .cloned()
            .ok_or_else(|| Failure::new(format!("osd has no subcommand `{name}`")).hint("osd --help lists them"))?,
    };
    let mut text = Vec::new();
    Man::new(page).render(&mut text).map_err(Failure::new)?;
    let mut out = Output::stdout();
    out.data(&String::from_utf8_lossy(&text))?;
    out.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, page: &Man, force: bool) -> Result<()> {
    let mut text = Vec::new();
    page.render(&mut text).map_err(|e| Failure::new(format!("cannot write the page: {e}")))?;
    let mut file = OutputFile::create(path, force).map_err(|e| match e {
        osd_recording::Error::Exists { .. } => Failure::from(e).hint("pass --force to replace pages that exist"),
        other => other.into(),
    })?;
    file.write_all(&text).map_err(|e| Failure::new(format!("cannot write to {}: {e}", path.display())))?;
    Ok(file.finish()?)
}
