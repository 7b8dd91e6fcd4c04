//! `osd relations`: how metrics move together, learnt from recordings that are normal, and where a
//! pair of them does not any more.

mod args;
mod check;
mod fit;
mod members;

pub(crate) use args::Args;

use crate::failure::Result;
use args::Command;
use std::process::ExitCode;

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.command {
        Command::Fit(args) => fit::run(args),
        Command::Check(args) => check::run(args),
    }
}
