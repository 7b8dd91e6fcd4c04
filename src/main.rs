//! The command line: parse, call, print. The only code of osd that prints (`output.rs`), exits,
//! asks about terminals or reads the environment.
//!
//! stdout carries data only; progress, warnings and timing go to stderr. Exit status: 0 done, 1 the answer is "found" or
//! "differs", 2 error or misuse.

mod cli;
mod command;
mod failure;
mod format;
mod inputs;
#[cfg(any(feature = "record", feature = "train", feature = "replay"))]
mod interrupt;
mod output;
#[cfg(any(feature = "export", feature = "eval"))]
mod progress;
#[cfg(any(feature = "analyze", feature = "export", feature = "replay"))]
mod times;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Rust ignores SIGPIPE; a data tool in a pipe should end quietly when the reader has enough.
    // SAFETY: setting a signal to its default disposition before any thread exists.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    mind_file_size_limit();
    match cli::run(std::env::args_os()) {
        Ok(code) => code,
        Err(failure) => {
            failure.lines().for_each(output::say);
            ExitCode::from(2)
        }
    }
}

/// A file-size limit (`ulimit -f`) becomes an error of the write, reported like any other, and does not kill. By a handler, which a command that
/// is recorded does not inherit; who ignores the signal goes on ignoring it.
fn mind_file_size_limit() {
    extern "C" fn on_nothing(_: libc::c_int) {}
    // SAFETY: the handler does nothing, and no thread exists yet.
    unsafe {
        let before = libc::signal(libc::SIGXFSZ, on_nothing as extern "C" fn(libc::c_int) as libc::sighandler_t);
        if before == libc::SIG_IGN {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        }
    }
}
