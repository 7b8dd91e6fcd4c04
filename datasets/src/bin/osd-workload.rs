//! `osd-workload`: a labelled live workload. See `osd-workload --help`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program prints; the library it calls does not")]

use std::io;
use std::process::ExitCode;

use clap::Parser;
use osd_datasets::args::{Args, Task, list_faults};
use osd_datasets::{sink, workload};

/// Error or misuse, as of `osd`.
const FAILED: u8 = 2;

fn main() -> ExitCode {
    let task = match Args::parse().task() {
        Ok(task) => task,
        Err(error) => return fail(&error),
    };
    let result = match task {
        Task::ListFaults => {
            print!("{}", list_faults());
            Ok(())
        }
        Task::Sink => sink::run(io::stdout(), io::stdin()).map_err(|error| error.to_string()),
        Task::Peer => sink::run_peer(io::stdout(), io::stdin()).map_err(|error| error.to_string()),
        Task::Run(config) => run(&config),
    };
    result.map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS)
}

fn run(config: &workload::Config) -> Result<(), String> {
    let summary = workload::run(config, |ready| eprintln!("{ready}")).map_err(|error| error.to_string())?;
    let ended = summary.signal.map(|signal| format!(", ended by signal {signal}")).unwrap_or_default();
    eprintln!(
        "served {} requests in {:.1} s ({} failed), {} faults{ended}",
        summary.n_requests,
        summary.elapsed.as_secs_f64(),
        summary.n_failures,
        summary.n_faults,
    );
    Ok(())
}

fn fail(error: &str) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(FAILED)
}
