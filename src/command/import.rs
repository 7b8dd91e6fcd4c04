//! `osd import`: a recording made of what another tool wrote.

use crate::failure::Result;
use crate::format;
use crate::output::say;
use crate::progress::Progress;
use osd_export::import::{self, Column, Options, Table, TimeUnit};
use osd_recording::Kind;
use osd_recording::names::Arch;
use std::path::PathBuf;
use std::process::ExitCode;

/// Make a recording of a capture by strace, perf or sysdig, or of a table of metrics (CSV).
///
/// Of a capture it has every call with its time, length, result, descriptor and (of strace and sysdig) path, the processes and
/// their lives, and tallies by interval; of a table a sample a row. `osd info`, `osd sql`, `osd analyze`, `osd train`, `osd replay` and
/// `osd export` work on it. What the source does not have is null and named as a blind spot.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A capture: a file of `strace -f -ttt -T -o FILE`, to which options like -y and -s may have been given, what `perf
    /// script` wrote of `raw_syscalls`, or what `sysdig -j` wrote. Or a table with a header and a column of times, such as `osd export
    /// --series` writes.
    file: PathBuf,
    /// Write the recording to this file.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Length of an interval. By default 100ms, and what the rows of a table are apart.
    #[arg(short, long, value_name = "TIME", value_parser = format::parse_duration)]
    interval: Option<u64>,
    /// Table: the column of times, and what its numbers count (s, ms, us, ns) if that cannot be told by how large they are.
    #[arg(long, value_name = "NAME[:UNIT]")]
    time: Option<String>,
    /// Table: what a column is, a metric or a column of samples, pid or comm. UNIT is cores, %, ns to s; B to GiB; or 1. After it,
    /// /s is a rate, /row counted in the row, /total counted since some beginning.
    #[arg(long, value_name = "NAME=METRIC[:UNIT]", value_parser = Column::parse)]
    column: Vec<Column>,
    /// Table: whether a time is where its row starts (as `osd export` writes) or ends (as sar and pidstat do). By default it starts there, unless
    /// there are counters that only grow.
    #[arg(long, value_name = "WHERE", value_enum)]
    rows: Option<RowsArg>,
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
  sysdig -r old.scap -j -p '%evt.rawtime %evt.type %evt.dir %evt.args %thread.tid %proc.pid %proc.name' >old.json; osd import old.json -o old.parquet
  osd import series.csv -o run.parquet && osd analyze run.parquet
  osd import sar.csv -o run.parquet --time when --column 'busy=cpu:%' --column 'mem used=rss:MiB' --rows end
  perf script --header --ns -F comm,pid,tid,time,event,trace >perf.txt; osd import perf.txt -o run.parquet";

#[derive(Clone, Copy, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum ArchArg {
    #[value(name = "x86_64")]
    X86_64,
    Aarch64,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum RowsArg {
    Start,
    End,
}

/// `NAME` or `NAME:UNIT`; a name may have colons of its own.
fn time(text: &str) -> (String, Option<TimeUnit>) {
    match text.rsplit_once(':').map(|(name, unit)| (name, TimeUnit::named(unit))) {
        Some((name, Some(unit))) => (name.to_owned(), Some(unit)),
        _ => (text.to_owned(), None),
    }
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
    let table = Table {
        time: args.time.as_deref().map(time),
        columns: args.column.clone(),
        times_are_ends: args.rows.map(|rows| rows == RowsArg::End),
    };
    let mut progress = Progress::new("importing", args.quiet);
    let imported = import::import(&args.file, &table, &options, |done, all| progress.at(done, all));
    progress.over();
    let imported = imported?;
    if args.quiet {
        return Ok(ExitCode::SUCCESS);
    }
    let rows = |kind: Kind| imported.closed.metadata.rows.get(kind.name()).copied().unwrap_or(0);
    // Of a table there are no calls.
    let what = match imported.notes.is_empty() {
        true => format::plural(format::count(rows(Kind::Syscall)), "system call"),
        false => format::plural(format::count(rows(Kind::Sample)), "sample"),
    };
    let lines = format::plural(format::count(imported.lines), "line");
    say(format_args!("imported {what} from {lines} to {}", imported.closed.path.display()));
    imported.notes.iter().for_each(|note| say(format_args!("note: {note}")));
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
