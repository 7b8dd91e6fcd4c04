//! `osd bench`: what is compared so that anybody can repeat it.

mod cost;
mod detectors;
mod metered;
mod row;
mod show;

use crate::failure::Result;
use std::process::ExitCode;

/// Compare the detectors on public corpora: how good each is, how long it takes and how much memory.
///
/// Quality is that of `osd eval`, to the last digit; time is that on processors, and memory what a detector needs beyond the series it reads.
/// Detectors of one metric are compared on NAB, those of many on the corpora by machine. docs/evaluation.md has the table.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to compare.
    #[arg(value_enum)]
    what: What,
    #[command(flatten)]
    detectors: detectors::Args,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum What {
    /// Every detector of the registry.
    Detectors,
}

const EXAMPLES: &str = "EXAMPLES:
  osd bench detectors --datasets ~/corpora          all of them: minutes
  osd bench detectors asd --only ensemble,pca       two of them on one corpus
  osd bench detectors --format json > bench.json    every number";

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match args.what {
        What::Detectors => detectors::run(&args.detectors),
    }
}
