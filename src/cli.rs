//! The command line as a whole: the subcommands, the top of `--help`, and what happens before one
//! of them runs.

#[cfg(feature = "replay")]
use crate::command::replay;
#[cfg(feature = "model")]
use crate::command::score;
#[cfg(feature = "sql")]
use crate::command::sql;
#[cfg(feature = "train")]
use crate::command::train;
#[cfg(feature = "analyze")]
use crate::command::{advise, analyze, cluster, diff, relations};
#[cfg(feature = "eval")]
use crate::command::{bench, eval};
use crate::command::{completions, info, man, recover};
#[cfg(feature = "record")]
use crate::command::{doctor, record, trigger};
#[cfg(feature = "export")]
use crate::command::{export, import};
use crate::failure::Result;
use crate::output::Output;
use clap::{CommandFactory, Parser};
use osd_recording::visible::visible;
use std::ffi::OsString;
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
  osd export run.parquet --to csv -o samples.csv  for other tools: tables, metrics, traces
  osd doctor                                      what this host allows, and how to fix what it does not";

/// The subcommands.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Record processes with eBPF into a Parquet file.
    #[cfg(feature = "record")]
    Record(Box<record::Args>),
    /// Show what a recording holds, what it lost and what it cost.
    Info(info::Args),
    /// Close a recording whose recorder was killed.
    Recover(recover::Args),
    /// Query recordings with SQL; without a statement, interactively.
    #[cfg(feature = "sql")]
    Sql(sql::Args),
    /// Write recordings as other tools read them.
    #[cfg(feature = "export")]
    Export(export::Args),
    /// Make a recording of a capture by strace, perf or sysdig, or of a table (CSV).
    #[cfg(feature = "export")]
    Import(import::Args),
    /// Find the anomalies of a recording and explain them.
    #[cfg(feature = "analyze")]
    Analyze(analyze::Args),
    /// Play recordings again, at the pace of then or faster.
    #[cfg(feature = "replay")]
    Replay(replay::Args),
    /// Put the anomalies of many recordings into groups.
    #[cfg(feature = "analyze")]
    Cluster(cluster::Args),
    /// Compare two recordings, or two sets of them.
    #[cfg(feature = "analyze")]
    Diff(diff::Args),
    /// Learn how metrics move together, and find where they do not any more.
    #[cfg(feature = "analyze")]
    Relations(relations::Args),
    /// Say what a program may be kept to, by what recordings of it show.
    #[cfg(feature = "analyze")]
    Advise(advise::Args),
    /// Score a recording by a model of normal ones.
    #[cfg(feature = "model")]
    Score(score::Args),
    /// Ask a flight recorder (`osd record --last`) to write its last minutes.
    #[cfg(feature = "record")]
    Trigger(trigger::Args),
    /// Learn what is normal from recordings, and write a model.
    #[cfg(feature = "train")]
    Train(train::Args),
    /// Measure the detectors on public corpora with labelled anomalies.
    #[cfg(feature = "eval")]
    Eval(eval::Args),
    /// Compare the detectors: how good each is, how long it takes and how much memory.
    #[cfg(feature = "eval")]
    Bench(bench::Args),
    /// Check what this host allows to record, and how to fix what it does not.
    #[cfg(feature = "record")]
    Doctor(doctor::Args),
    /// Print the completion script of a shell.
    Completions(completions::Args),
    /// Print a manual page, or write all of them into a folder.
    Man(man::Args),
}

/// Runs what `arguments`, the program's name first, ask for. `Ok` carries 0 or 1, or 2 where clap has said what is wrong; `Err` becomes 2.
pub(crate) fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<ExitCode> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    #[cfg(feature = "sql")]
    let arguments = match arguments.get(1).is_some_and(|command| command == "sql") {
        true => arguments.into_iter().map(sql::shield).collect(),
        false => arguments,
    };
    match Cli::try_parse_from(&arguments) {
        Ok(cli) => {
            if !cli.command.starts_another() {
                open_as_many_files_as_allowed();
            }
            cli.command.run()
        }
        Err(e) if !e.use_stderr() => {
            // `--help` and `--version` are answers like any other.
            Output::by_itself(|| e.print())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(e) => {
            // It quotes the arguments, and a name that the shell expanded is a text from outside.
            let shown = arguments.iter().map(|a| visible(&a.to_string_lossy()).into_owned());
            let e = Cli::try_parse_from(shown).err().filter(clap::Error::use_stderr).unwrap_or(e);
            let _ = e.print();
            Ok(ExitCode::from(2))
        }
    }
}

/// A thousand recordings are a thousand open files, which is the soft limit nearly everywhere; the hard one is far higher.
fn open_as_many_files_as_allowed() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: plain calls on a structure that outlives them. If one fails, the limit stays what it was.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

impl Command {
    /// Whether it starts a program of the user's, which inherits the limits of this process and must find its own.
    fn starts_another(&self) -> bool {
        #[cfg(feature = "record")]
        return matches!(self, Self::Record(_));
        #[cfg(not(feature = "record"))]
        false
    }

    /// Runs it. `Ok` carries 0 or 1, `Err` becomes 2.
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self {
            #[cfg(feature = "record")]
            Self::Record(args) => record::run(*args),
            Self::Info(args) => info::run(args),
            Self::Recover(args) => recover::run(args),
            #[cfg(feature = "sql")]
            Self::Sql(args) => sql::run(args),
            #[cfg(feature = "export")]
            Self::Export(args) => export::run(&args),
            #[cfg(feature = "export")]
            Self::Import(args) => import::run(&args),
            #[cfg(feature = "analyze")]
            Self::Analyze(args) => analyze::run(args),
            #[cfg(feature = "replay")]
            Self::Replay(args) => replay::run(args),
            #[cfg(feature = "analyze")]
            Self::Cluster(args) => cluster::run(&args),
            #[cfg(feature = "analyze")]
            Self::Diff(args) => diff::run(&args),
            #[cfg(feature = "analyze")]
            Self::Advise(args) => advise::run(&args),
            #[cfg(feature = "analyze")]
            Self::Relations(args) => relations::run(&args),
            #[cfg(feature = "model")]
            Self::Score(args) => score::run(&args),
            #[cfg(feature = "train")]
            Self::Train(args) => train::run(&args),
            #[cfg(feature = "eval")]
            Self::Eval(args) => eval::run(&args),
            #[cfg(feature = "eval")]
            Self::Bench(args) => bench::run(&args),
            #[cfg(feature = "record")]
            Self::Trigger(args) => trigger::run(args),
            #[cfg(feature = "record")]
            Self::Doctor(args) => doctor::run(args),
            Self::Completions(args) => completions::run(args, &mut Cli::command()),
            Self::Man(args) => man::run(args, Cli::command()),
        }
    }
}
