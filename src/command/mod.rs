//! The subcommands, one file each. Help texts are the doc comments here and there.

#[cfg(feature = "analyze")]
mod analyze;
mod completions;
#[cfg(feature = "record")]
mod doctor;
#[cfg(feature = "eval")]
mod eval;
mod info;
mod man;
#[cfg(feature = "record")]
mod record;
mod recover;
#[cfg(feature = "model")]
mod score;
#[cfg(feature = "analyze")]
mod sql;
#[cfg(feature = "record")]
mod status;
#[cfg(feature = "record")]
mod trigger;

use crate::failure::Result;
use std::process::ExitCode;

/// Record what a process does, find what is wrong with it, and see why.
#[derive(clap::Parser)]
#[command(name = "osd", version, max_term_width = 100, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "EXAMPLES:
  osd record -p 1234 -o run.parquet               record a running process until Ctrl-C
  osd record -o run.parquet -- ./server --port 1  start a command and record all of it
  osd analyze run.parquet --report                find and explain what was unusual
  osd sql run.parquet \"SELECT kind, count(*) FROM recording GROUP BY kind\"
  osd doctor                                      what this host allows, and how to fix what it does not";

/// The subcommands.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Record processes with eBPF into a Parquet file.
    #[cfg(feature = "record")]
    Record(record::Args),
    /// Show what a recording holds, what it lost and what it cost.
    Info(info::Args),
    /// Close a recording whose recorder was killed.
    Recover(recover::Args),
    /// Query recordings with SQL; without a statement, interactively.
    #[cfg(feature = "analyze")]
    Sql(sql::Args),
    /// Find the anomalies of a recording and explain them.
    #[cfg(feature = "analyze")]
    Analyze(analyze::Args),
    /// Score a recording by a model of normal ones.
    #[cfg(feature = "model")]
    Score(score::Args),
    /// Ask a flight recorder (`osd record --last`) to write its last minutes.
    #[cfg(feature = "record")]
    Trigger(trigger::Args),
    /// Measure the detectors on public corpora with labelled anomalies.
    #[cfg(feature = "eval")]
    Eval(eval::Args),
    /// Check what this host allows to record, and how to fix what it does not.
    #[cfg(feature = "record")]
    Doctor(doctor::Args),
    /// Print the completion script of a shell.
    Completions(completions::Args),
    /// Print a manual page, or write all of them into a folder.
    Man(man::Args),
}

impl Command {
    /// Runs it. `Ok` carries 0 or 1, `Err` becomes 2.
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self {
            #[cfg(feature = "record")]
            Self::Record(args) => record::run(args),
            Self::Info(args) => info::run(args),
            Self::Recover(args) => recover::run(args),
            #[cfg(feature = "analyze")]
            Self::Sql(args) => sql::run(args),
            #[cfg(feature = "analyze")]
            Self::Analyze(args) => analyze::run(args),
            #[cfg(feature = "model")]
            Self::Score(args) => score::run(&args),
            #[cfg(feature = "eval")]
            Self::Eval(args) => eval::run(&args),
            #[cfg(feature = "record")]
            Self::Trigger(args) => trigger::run(args),
            #[cfg(feature = "record")]
            Self::Doctor(args) => doctor::run(args),
            Self::Completions(args) => completions::run(args),
            Self::Man(args) => man::run(args),
        }
    }
}
