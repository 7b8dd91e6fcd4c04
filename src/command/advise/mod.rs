//! `osd advise`: what a program may be kept to, by what recordings of it show.

mod capabilities;
mod reasons;
mod seccomp;

use crate::failure::Result;
use std::process::ExitCode;

/// Say what a program may be kept to, by what recordings of it show.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

const EXAMPLES: &str = "EXAMPLES:
  osd advise seccomp run*.parquet -o nginx.json         podman run --security-opt seccomp=nginx.json
  osd advise capabilities run*.parquet                  podman run --cap-drop=all --cap-add=...
  osd record -o run.parquet -- nginx -g 'daemon off;'   how they are made: whole runs, from start to end";

/// What is advised on.
#[derive(clap::Subcommand)]
enum What {
    /// Make a seccomp profile: the system calls that the program makes, and no others.
    Seccomp(seccomp::Args),
    /// Name the capabilities that the program needs.
    Capabilities(capabilities::Args),
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.what {
        What::Seccomp(args) => seccomp::run(args),
        What::Capabilities(args) => capabilities::run(args),
    }
}
