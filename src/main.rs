//! The command line: parse, call, print. The only code of osd that prints, exits, asks about terminals or reads the environment.
//!
//! stdout carries data only; progress, warnings and timing go to stderr. Exit status: 0 done, 1 the answer is "found" or
//! "differs", 2 error or misuse.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the crate that talks to people")]

mod command;
mod failure;
mod format;

use clap::Parser;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Rust ignores SIGPIPE and panics in `println!`; a data tool in a pipe should end quietly when the reader has enough.
    // SAFETY: setting a signal to its default disposition before any thread exists.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    let cli = command::Cli::parse();
    match cli.command.run() {
        Ok(code) => code,
        Err(failure) => {
            // A stderr that is gone, e.g. a closed terminal, is no reason to panic.
            let _ = write!(std::io::stderr(), "{failure}");
            ExitCode::from(2)
        }
    }
}
