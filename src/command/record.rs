//! `osd record`: checks what was asked for and runs a recording session.

use super::status::{Form, Reporter};
use super::{families, live};
use crate::failure::{Failure, Result};
use crate::format;
use crate::interrupt;
use osd_record::{Access, Backend, Config, Control, Cut, Stacks, Syscalls, What};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const EXAMPLES: &str = "EXAMPLES:
  osd record -p 1234 -o run.parquet                      until Ctrl-C or the process ends
  osd record -p \"$(pidof nginx)\" --duration 5m -o run.parquet
  osd record -o run.parquet -- make -j4                  a command and all its children, from the first system call
  osd record --all --duration 1m -o host.parquet         the whole host, when nobody knows yet which process it is
  osd record --container web -o run.parquet              a container, by name or id; also --cgroup, --unit, --exe, --comm, --user
  osd record -p 1234 --syscalls tally -o run.parquet     exact counts and latencies, no event rows
  osd record -p 1234 --rotate 1G --keep 5 -o run.parquet   run.TIME.parquet, the newest five
  osd record -p 1234 --last 10m -o run.parquet           a flight recorder: writes the last ten minutes when the process
                                                         fails, on `osd trigger run.parquet`, or on Ctrl-C
  osd record -p 1234 --syscalls tally --no-latency -o run.parquet   exact counts alone, at the least cost
  osd record -p 1234 --max-overhead 1% -o run.parquet    to leave on: counts stay exact, execs, connections and opens listed
  osd record -p 1234 --detect -o run.parquet             says on stderr when something unusual begins and ends, and what
  osd record --wait-all -o run.parquet -- ./daemonize    until all that the command started has ended
  osd record --propagate-status -o run.parquet -- make test   exits as the command did
  osd record -p 1234 --serve 127.0.0.1:9435 -o run.parquet   with /metrics for Prometheus while it records
  osd record -p 1234 --only files --live -o run.parquet   what is done with which file, every second; counts of calls, no rows
  osd record -p 1234 --only flows -o run.parquet   who is talked to, and what with: counts of calls, no rows
  osd record -p 1234 --without files,network -o run.parquet   without these families
  osd record -p 1234 --status json -o run.parquet        for scripts: its state as one JSON object a line

The first Ctrl-C (or SIGTERM, or a closed terminal) closes the recording. The second one aborts. A signal that is
ignored when osd starts stays ignored, by osd and by CMD: a hang-up under nohup, or Ctrl-C where a script starts osd in
the background (end such an osd with SIGTERM).

osd needs CAP_BPF and CAP_PERFMON, and gives them up once everything is attached. Without them it records from /proc and
says what is missing. `osd doctor` says more.";

/// Record processes with eBPF into a Parquet file.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Record these processes and their children until they end. Several numbers are separated by commas or spaces.
    #[arg(short, long = "pid", value_name = "PID", value_parser = parse_pids)]
    pids: Vec<Pids>,

    #[command(flatten)]
    whom: super::whom::Args,

    /// Write the recording to this file. A device such as /dev/null is refused: to time a recorder, name a scratch file.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// Replace FILE if it exists. Only a regular file is replaced; a link is followed.
    #[arg(long)]
    force: bool,

    /// Length of an interval, 10ms to 1h. Each process has one sample an interval, and one tally for each call.
    #[arg(short, long, value_name = "TIME", default_value = "100ms", value_parser = format::parse_duration)]
    interval: u64,

    /// Stop after this long, or when everything recorded has ended; whom a rule such as --all chooses, never ends.
    #[arg(short, long, value_name = "TIME", value_parser = format::parse_duration)]
    duration: Option<u64>,

    /// Record until everything that the command started has ended, not only the command itself.
    #[arg(long, requires = "command")]
    wait_all: bool,

    /// Exit with the status of the command: its own, 128 + the signal that ended it, 127 if it was not found, 126 if it may not
    /// be run. `auto` does so if CI is set in the environment, where a failure must not be hidden.
    #[arg(long, value_name = "WHEN", default_value = "auto", num_args = 0..=1, default_missing_value = "always", require_equals = true)]
    propagate_status: PropagateArg,

    /// Record only the processes named, not their children.
    #[arg(long)]
    no_follow: bool,

    /// What to keep of system calls: a row for each call, exact counts only, or nothing.
    #[arg(long, value_name = "WHAT", default_value = "events")]
    syscalls: SyscallsArg,

    /// Do not measure how long calls take. One program runs for each call instead of two, at half the cost or less.
    #[arg(long)]
    no_latency: bool,

    #[command(flatten)]
    families: families::Args,

    /// While recording, print what is done with files on stdout, about once a second: PID, control group, reads, writes, bytes, name,
    /// file. As JSON (an object a line) or CSV: each row of each interval.
    #[arg(long, value_name = "FORM", num_args = 0..=1, default_missing_value = "table", require_equals = true)]
    live: Option<live::Form>,

    /// Size of the rings between kernel and recorder in MiB, all processors together, a power of two. Larger rings lose less
    /// when the recorder does not get a processor.
    #[arg(long, value_name = "MIB", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1024))]
    ring_mib: u32,

    /// End the recording when the file has this size.
    #[arg(long, value_name = "SIZE", value_parser = format::parse_size, conflicts_with_all = ["rotate", "last"])]
    max_size: Option<u64>,

    /// Let recording take at most this share of the host's processor time: its own, and what it adds to the recorded calls.
    /// To stay below it, osd keeps fewer calls as rows, the least telling first. It goes on counting all of them.
    #[arg(long, value_name = "PERCENT", value_parser = format::parse_percent)]
    max_overhead: Option<f64>,

    /// Begin a new file when this one has that size (100M) or age (10m). Files are named by their time.
    #[arg(long, value_name = "SIZE|TIME", value_parser = parse_rotation, conflicts_with = "last")]
    rotate: Option<Rotation>,

    /// Keep only the newest N files.
    #[arg(long, value_name = "N", requires = "rotate", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,

    /// Flight recorder: keep the last TIME, and write it when the target fails, on `osd trigger`, on SIGUSR1 or on Ctrl-C.
    #[arg(long, value_name = "TIME", value_parser = format::parse_duration)]
    last: Option<u64>,

    /// Write what follows a trigger for this long, too.
    #[arg(long, value_name = "TIME", requires = "last", default_value = "10s", value_parser = format::parse_duration)]
    after: u64,

    /// While recording, serve the counts at http://ADDRESS/metrics, for Prometheus and its like. A port alone is one of this host.
    #[cfg(feature = "export")]
    #[arg(long, value_name = "ADDRESS", value_parser = super::serve::parse_address)]
    serve: Option<std::net::SocketAddr>,

    /// Take stacks: what functions use the processor time, 49 times a second or HZ, and in what functions threads wait. Needs no frame
    /// pointers; functions are named while the processes run. `osd export --to folded` and `osd sql` (the table `stacks`) have them.
    #[arg(long, value_name = "HZ", num_args = 0..=1, default_missing_value = "49", require_equals = true, value_parser = clap::value_parser!(u32).range(1..=1000))]
    stacks: Option<u32>,

    /// How much of a program's stack is looked at, 1K to 64K. What is deeper is told as truncated.
    #[arg(long, value_name = "SIZE", requires = "stacks", default_value = "16K", value_parser = format::parse_size)]
    stack_size: u64,

    /// Ring of forks, execs and exits, KiB: for tests.
    #[arg(long, value_name = "KIB", default_value_t = 4096, hide = true, value_parser = clap::value_parser!(u32).range(4..=1_048_576))]
    life_ring_kib: u32,

    /// (process, call) pairs that can be counted at once: for tests.
    #[arg(long, value_name = "N", default_value_t = 65_536, hide = true, value_parser = clap::value_parser!(u32).range(1..))]
    tally_entries: u32,

    /// (process, socket) pairs that can be counted at once: for tests.
    #[arg(long, value_name = "N", default_value_t = 16_384, hide = true, value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    flow_entries: u32,

    /// Add these labels to the recording when it closes. Each line of FILE is a JSON object with name, start_ns, end_ns, note.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,

    /// File with the kernel's types (BTF), for a kernel that does not provide them.
    #[arg(long, value_name = "FILE")]
    btf: Option<PathBuf>,

    /// Where the data come from. `auto` takes BPF if this user may load programs, and else /proc, and says what is missing.
    #[arg(long, value_name = "SOURCE", default_value = "auto")]
    backend: BackendArg,

    /// Keep the privileges of this process while it records. By default osd gives them up once everything is attached.
    #[arg(long)]
    keep_privileges: bool,

    /// Instead of failing, leave out what this kernel does not let us attach, and say so.
    #[arg(long)]
    best_effort: bool,

    /// For tests: behave as if this kernel lacked a family of programs, btf, tp_btf or task_storage.
    #[arg(long, value_name = "WHAT", hide = true)]
    pretend_missing: Vec<String>,

    #[cfg(feature = "replay")]
    #[command(flatten)]
    alarms: super::alarms::Args,

    /// Show it on a screen while it is made: metrics, processes, calls, files and findings, live and as far back as it goes.
    #[cfg(feature = "replay")]
    #[arg(long, conflicts_with_all = ["command", "rotate", "last", "status"])]
    tui: bool,

    /// How to report the state of the recording on stderr: in words, or as one JSON object a line.
    #[arg(long, value_name = "FORM", default_value = "text")]
    status: Form,

    /// Write nothing but errors to stderr.
    #[arg(short, long)]
    quiet: bool,

    /// The command to run and record.
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Some processes, as one argument names them.
#[derive(Clone)]
struct Pids(Vec<u32>);

/// `pgrep -d,` puts commas between them, `pidof` spaces, `pgrep` line breaks.
fn parse_pids(text: &str) -> std::result::Result<Pids, String> {
    let words = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
    let pids = words.map(|word| match word.parse::<u32>() {
        Ok(pid) if pid > 0 => Ok(pid),
        _ => Err(format!("`{word}` is not a PID; `pgrep -d, NAME` finds them by name")),
    });
    match pids.collect::<std::result::Result<Vec<_>, _>>()? {
        none if none.is_empty() => Err("it names no process: did `pidof` or `pgrep` find none?".to_owned()),
        pids => Ok(Pids(pids)),
    }
}

/// When the status of the command becomes osd's.
#[derive(Clone, Copy, clap::ValueEnum)]
enum PropagateArg {
    Auto,
    Always,
    Never,
}

impl PropagateArg {
    fn wanted(self) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            // As CI systems set it: `true` or `1`.
            Self::Auto => std::env::var("CI").is_ok_and(|ci| !matches!(ci.as_str(), "" | "0" | "false")),
        }
    }
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum SyscallsArg {
    Events,
    Tally,
    Off,
}

/// When a new file begins.
#[derive(Clone, Copy)]
enum Rotation {
    Bytes(u64),
    Age(u64),
}

fn parse_rotation(text: &str) -> std::result::Result<Rotation, String> {
    // `10m` is ten minutes and `10M` ten megabytes, as everywhere.
    match (format::parse_duration(text), format::parse_size(text)) {
        _ if text.chars().all(|c| c.is_ascii_digit() || c == '.') => {
            Err("write a size such as 100M, or a time such as 10m".to_owned())
        }
        (Ok(ns), _) if ns < 1_000_000_000 => Err("a file lasts a second at least".to_owned()),
        (Ok(ns), _) => Ok(Rotation::Age(ns)),
        (_, Ok(bytes)) => Ok(Rotation::Bytes(bytes)),
        _ => Err("write a size such as 100M, or a time such as 10m".to_owned()),
    }
}

fn cut(args: &Args) -> Cut {
    if let Some(last) = args.last {
        return Cut::Flight { last: Duration::from_nanos(last), after: Duration::from_nanos(args.after) };
    }
    let keep = args.keep.map(|n| n as usize);
    match args.rotate {
        None => Cut::Not,
        Some(Rotation::Bytes(bytes)) => Cut::Every { bytes: Some(bytes), age: None, keep },
        Some(Rotation::Age(ns)) => Cut::Every { bytes: None, age: Some(Duration::from_nanos(ns)), keep },
    }
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum BackendArg {
    /// BPF if this user may load programs, else /proc.
    Auto,
    /// BPF or an error.
    Bpf,
    /// Never BPF: no system calls, no network bytes, no processes that live for less than an interval.
    Proc,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let cut = cut(&args);
    #[cfg(feature = "replay")]
    let alarms = &args.alarms;
    // Before osd has any disposition of its own.
    let ignored_signals = interrupt::ignored_signals();
    let propagate = args.propagate_status.wanted();
    // What can never be a recording is refused before this host is looked at.
    osd_recording::output::recording_place(&args.output, true)?;
    let select = args.whom.selection();
    let what = match (args.pids.is_empty(), args.command.is_empty()) {
        (true, true) if select.is_some() => What::Pids(Vec::new()),
        (false, true) => {
            let mut pids: Vec<u32> = args.pids.iter().cloned().flat_map(|p| p.0).collect();
            let mut seen = std::collections::HashSet::new();
            pids.retain(|pid| seen.insert(*pid));
            What::Pids(pids)
        }
        // Which may be empty: then the library says that there is nothing to record.
        (true, _) => What::Command(args.command.clone()),
        (false, false) => {
            return Err(
                Failure::new("both -p and a command").hint("record one or the other; two recordings can run at once")
            );
        }
    };
    let mut config = Config {
        what,
        select,
        output: args.output.clone(),
        force: args.force,
        follow: !args.no_follow,
        interval: Duration::from_nanos(args.interval),
        duration: args.duration.map(Duration::from_nanos),
        syscalls: match args.syscalls {
            SyscallsArg::Events => Syscalls::Events,
            SyscallsArg::Tally => Syscalls::Tally,
            SyscallsArg::Off => Syscalls::Off,
        },
        latency: !args.no_latency,
        files: true,
        keep_calls: true,
        without: Vec::new(),
        ring_bytes: args.ring_mib << 20,
        life_ring_bytes: args.life_ring_kib.next_power_of_two() << 10,
        tally_entries: args.tally_entries,
        stacks: args.stacks.map(|hz| Stacks { hz, bytes: u32::try_from(args.stack_size).unwrap_or(u32::MAX) }),
        flows: true,
        flow_entries: args.flow_entries,
        labels: args.labels.clone(),
        btf: args.btf.clone(),
        ignored_signals,
        wait_all: args.wait_all,
        cut,
        max_bytes: args.max_size,
        max_overhead: args.max_overhead,
        access: Access {
            backend: match args.backend {
                BackendArg::Auto => Backend::Auto,
                BackendArg::Bpf => Backend::Bpf,
                BackendArg::Proc => Backend::Proc,
            },
            keep_privileges: args.keep_privileges,
            best_effort: args.best_effort,
            pretend_missing: args.pretend_missing.clone(),
        },
        command_line: std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect(),
        osd_version: env!("CARGO_PKG_VERSION").into(),
    };
    args.families.apply(&mut config);
    config.check()?;
    if args.live.is_some() && !(config.files && config.syscalls == Syscalls::Events) {
        return Err(Failure::new("--live prints what is done with files, and they are not recorded")
            .hint("add `files` to --only, and leave out --no-files and --syscalls"));
    }
    #[cfg(feature = "replay")]
    if args.tui {
        super::replay::tui::check("leave it out, and run `osd replay --follow --tui FILE` in a terminal")?;
    }
    let mut reporter = Reporter::new(args.status, args.quiet);
    #[cfg(feature = "export")]
    let serving = args.serve.map(|address| serve(address, &reporter)).transpose()?;
    let plan = osd_record::preflight::plan(&config)?;
    if let Some(why) = &plan.instead_of_bpf {
        let less =
            "recording from /proc instead: no system calls, no network bytes, no processes shorter than an interval";
        reporter.warning(&[&why.to_string(), less], why.hint().as_deref());
    }
    plan.left_out.iter().for_each(|what| reporter.warning(&[what], None));
    #[cfg(feature = "replay")]
    let detecting = alarms.config(&[args.interval])?.map(|config| {
        let announcer = alarms.announcer(args.quiet || args.tui);
        Box::new(super::alarms::Watching::new(config, announcer)) as Box<dyn osd_record::Watch>
    });
    let control = Control::default();
    let stopped = control.clone();
    interrupt::stop_by(&config.ignored_signals, move || stopped.stop());
    let triggered = control.clone();
    interrupt::trigger_by(move || triggered.trigger());
    let mut watch: Vec<Box<dyn osd_record::Watch>> = Vec::new();
    if let Some(form) = args.live {
        let columns = terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0));
        watch.push(Box::new(live::Live::new(form, columns, control.clone())));
    }
    #[cfg(feature = "replay")]
    watch.extend(detecting);
    #[cfg(feature = "export")]
    let serving = serving.map(|(serving, seen)| {
        watch.push(seen);
        serving
    });
    #[cfg(feature = "replay")]
    let screen =
        args.tui.then(|| super::screen::Screen::start(&mut reporter, &config, alarms, control.clone())).transpose()?;
    let outcome = osd_record::record_watched(&config, &control, watch, |status| {
        #[cfg(feature = "export")]
        if let Some(serving) = &serving {
            serving.status(status);
        }
        reporter.status(status);
    });
    reporter.over();
    #[cfg(feature = "replay")]
    if let Some(Err(failure)) = screen.map(super::screen::Screen::end) {
        failure.lines().for_each(crate::output::say);
    }
    let outcome = match outcome {
        Err(error @ osd_record::Error::Command { .. }) if propagate => {
            let status = error.command_status();
            Failure::from(error).lines().for_each(crate::output::say);
            return Ok(ExitCode::from(status));
        }
        outcome => outcome?,
    };
    reporter.closed(&config, &outcome);
    if outcome.disk_full {
        return Err(Failure::new("the disk is full: recording ended early, and is closed and readable")
            .hint("free some space, or write to another disk"));
    }
    let status = outcome.exit_code.filter(|_| propagate).unwrap_or(0);
    Ok(ExitCode::from(u8::try_from(status).unwrap_or(u8::MAX)))
}

/// Listens, and says where.
#[cfg(feature = "export")]
fn serve(
    address: std::net::SocketAddr,
    reporter: &Reporter,
) -> Result<(super::serve::Serving, Box<dyn osd_record::Watch>)> {
    let (server, warning) = super::serve::bind(address)?;
    if let Some([warning, hint]) = warning {
        reporter.warning(&[&warning], Some(&hint));
    }
    reporter.serving(server.address());
    Ok(super::serve::Serving::start(server))
}
