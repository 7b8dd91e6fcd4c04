//! `osd import`: a recording made of what another tool wrote.

use crate::failure::Result;
use crate::format;
use crate::output::say;
use crate::progress::Progress;
use osd_export::import::{self, Options};
use osd_recording::Kind;
use osd_recording::names::Arch;
use std::path::PathBuf;
use std::process::ExitCode;

/// Make a recording of a capture by strace or perf.
///
/// It has every call with its time, length, result, descriptor and (of strace) path, the processes and their lives, and
/// tallies by interval; `osd info`, `osd sql`, `osd analyze` and `osd export` work on it. What a capture does not have, such
/// as CPU time and memory, is null and named as a blind spot.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The capture: a file of `strace -f -ttt -T -o FILE`, to which options like -y and -s may have been given, or what
    /// `perf script` wrote of `raw_syscalls`.
    file: PathBuf,
    /// Write the recording to this file.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Length of an interval.
    #[arg(short, long, value_name = "TIME", default_value = "100ms", value_parser = format::parse_duration)]
    interval: u64,
    /// Architecture of the host that was traced, which says what numbers calls have.
    #[arg(long, value_name = "ARCH", value_enum)]
    arch: Option<ArchArg>,
    /// Replace FILE if it exists. Only a regular file is replaced; a link is followed.
    #[arg(long)]
    force: bool,
    /// Write nothing but errors to stderr.
    #[arg(short, long)]
    quiet: bool,
}

const EXAMPLES: &str = "EXAMPLES:
  osd import trace.txt -o run.parquet
  strace -f -ttt -T -o trace.txt ./server; osd import trace.txt -o run.parquet && osd analyze run.parquet
  osd import old.txt -o old.parquet && osd sql old.parquet \"SELECT path, count(*) FROM syscalls WHERE errno = 2 GROUP BY 1\"
  osd import trace.txt -o run.parquet && osd export run.parquet --to perfetto -o run.pftrace
  perf record -k mono -e 'raw_syscalls:*,sched:sched_process_*' -p 1234 -- sleep 10
  perf script --header --ns -F comm,pid,tid,time,event,trace >perf.txt; osd import perf.txt -o run.parquet";

#[derive(Clone, Copy, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum ArchArg {
    #[value(name = "x86_64")]
    X86_64,
    Aarch64,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let arch = match args.arch {
        Some(ArchArg::X86_64) => Arch::X86_64,
        Some(ArchArg::Aarch64) => Arch::Aarch64,
        None => Arch::native().unwrap_or(Arch::X86_64),
    };
    let options = Options {
        output: args.output.clone(),
        force: args.force,
        interval_ns: args.interval,
        arch,
        command_line: std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect(),
        osd_version: env!("CARGO_PKG_VERSION").into(),
    };
    let mut progress = Progress::new("importing", args.quiet);
    let imported = import::import(&args.file, &options, |done, all| progress.at(done, all));
    progress.over();
    let imported = imported?;
    if args.quiet {
        return Ok(ExitCode::SUCCESS);
    }
    let rows = |kind: Kind| imported.closed.metadata.rows.get(kind.name()).copied().unwrap_or(0);
    let calls = format::plural(format::count(rows(Kind::Syscall)), "system call");
    let lines = format::plural(format::count(imported.lines), "line");
    say(format_args!("imported {calls} from {lines} to {}", imported.closed.path.display()));
    if let Some(first) = imported.first_not_understood {
        let n = format::plural(format::count(imported.not_understood), "line");
        say(format_args!("warning: {n} not understood, line {first} first"));
    }
    if imported.not_returned > 0 {
        let n = format::plural(format::count(imported.not_returned), "call");
        say(format_args!("note: {n} had not returned when their thread or the capture ended, and have no row"));
    }
    Ok(ExitCode::SUCCESS)
}
