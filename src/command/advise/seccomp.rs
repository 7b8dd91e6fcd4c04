//! `osd advise seccomp`: the calls that a program makes, as a filter.

use super::reasons::{say_reasons, warn};
use crate::failure::{Failure, Result};
use crate::format::plural;
use crate::inputs;
use crate::output::{Output, say};
use osd_advise::{Action, Calls, Config, Difference, Phase, Profile, Runtime, Seen};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Make a seccomp profile: the system calls that the program makes, and no others.
///
/// It rests on counts, which are whole whatever the recordings lost of single calls. Where calls may be missing, it is refused.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Recordings, folders or patterns: of whole runs of one program, as different as its work is.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How to write it.
    #[arg(long, value_enum, default_value = "oci")]
    format: Format,
    /// What becomes of other calls.
    #[arg(long, value_enum, default_value = "errno", value_name = "ACTION")]
    otherwise: Otherwise,
    /// Who sets the filter: some of its own calls come under it. `runc` for containers, `none` for systemd.
    #[arg(long, value_enum, value_name = "WHO")]
    runtime: Option<Who>,
    /// Leave out what the program calls only while it starts, for a filter that is set when it is up.
    #[arg(long)]
    steady: bool,
    /// How long it takes to start.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = crate::format::parse_duration)]
    startup: u64,
    /// Add to this profile what it lacks. Nothing of it is taken away.
    #[arg(long, value_name = "PROFILE", conflicts_with = "compare")]
    merge: Option<PathBuf>,
    /// Show how the profile differs from this one instead of writing it. Exit status: 1 if it does.
    #[arg(long, value_name = "PROFILE")]
    compare: Option<PathBuf>,
    /// Go on where calls may be missing. Each reason is said.
    #[arg(long)]
    partial: bool,
    /// Write to this file instead of stdout.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the output file if it exists.
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "EXAMPLES:
  osd advise seccomp runs/*.parquet -o web.json         podman run --security-opt seccomp=web.json
  osd advise seccomp runs/*.parquet --format table      each call: in how many runs, how often, when
  osd advise seccomp runs/*.parquet --format systemd    SystemCallFilter= for a unit
  osd advise seccomp new.parquet --merge web.json -o wider.json
  osd advise seccomp new.parquet --compare web.json     what the profile lacks, and what is not used";

/// Output formats.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// `linux.seccomp` of the OCI runtime specification, for runc, podman, Docker and Kubernetes.
    #[value(alias = "json")]
    Oci,
    /// Lines for a unit.
    Systemd,
    /// For people: each call, in how many runs, how often and when.
    #[value(alias = "text")]
    Table,
}

/// See [`Action`].
#[derive(Clone, Copy, clap::ValueEnum)]
enum Otherwise {
    /// They fail with EPERM.
    Errno,
    /// They kill the process.
    Kill,
    /// They are made, and logged.
    Log,
}

/// See [`Runtime`].
#[derive(Clone, Copy, clap::ValueEnum)]
enum Who {
    /// Of podman, containerd and CRI-O.
    Runc,
    /// Nobody whose calls come under it.
    None,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let recordings = inputs::recordings(&args.files)?;
    let config = Config { startup: Duration::from_nanos(args.startup), steady: args.steady, partial: args.partial };
    let calls = osd_advise::calls(&recordings, &config).inspect_err(say_reasons)?;
    let otherwise = match args.otherwise {
        Otherwise::Errno => Action::Errno,
        Otherwise::Kill => Action::Kill,
        Otherwise::Log => Action::Log,
    };
    let runtime = match (args.runtime, args.format) {
        (Some(Who::Runc), _) | (None, Format::Oci) => Runtime::Runc,
        _ => Runtime::None,
    };
    let names = || calls.seen.iter().map(|s| s.name.as_str()).chain(runtime.calls().map(|name| -> &str { name }));
    let profile = Profile::allowing(names(), calls.arch, otherwise);
    if let Some(path) = &args.compare {
        let known = Profile::read(path)?;
        tell(&calls, runtime);
        return compared(&known.difference(&profile), args);
    }
    let mut out = open(args)?;
    match args.format {
        Format::Table => table(&calls).iter().try_for_each(|line| out.line(line))?,
        Format::Systemd => out.data(&osd_advise::systemd(names(), otherwise))?,
        Format::Oci => {
            let profile = match &args.merge {
                Some(path) => profile.added_to(Profile::read(path)?),
                None => profile,
            };
            out.json(&profile.json())?;
        }
    }
    out.finish()?;
    tell(&calls, runtime);
    Ok(ExitCode::SUCCESS)
}

fn open(args: &Args) -> Result<Output> {
    if args.merge.is_some() && args.format != Format::Oci {
        return Err(Failure::new("--merge makes a profile of a profile").hint("leave out --format"));
    }
    match &args.output {
        Some(path) => Output::file(path, args.force),
        None => Ok(Output::stdout()),
    }
}

/// What it rests on, on stderr.
fn tell(calls: &Calls, runtime: Runtime) {
    let seen: Vec<&Seen> = calls.seen.iter().filter(|s| s.phase != Phase::End).collect();
    let start = seen.iter().filter(|s| s.phase == Phase::Start).count();
    let every = seen.iter().filter(|s| s.runs == calls.runs).count();
    let beside = runtime.calls().filter(|name| calls.seen.iter().all(|s| s.name != *name)).count();
    say(format_args!(
        "{} in {}: {every} in every run, {start} only while it starts; {beside} more for the runtime",
        plural(seen.len(), "system call"),
        plural(calls.runs, "run"),
    ));
    warn(&calls.gaps);
    for note in &calls.notes {
        say(format_args!("note: {note}"));
    }
}

/// A line a call.
fn table(calls: &Calls) -> Vec<String> {
    let width = calls.seen.iter().map(|s| s.name.len()).max().unwrap_or(4).max(4);
    let mut out = vec![format!("{:width$}  {:>8}  {:>12}  {:>12}  when", "call", "runs", "calls", "errors")];
    out.extend(calls.seen.iter().map(|s| {
        let when = match s.phase {
            Phase::End => "ends a thread: it never returns, and is allowed always".to_owned(),
            Phase::Start => format!("{:.1} to {:.1} s, only while it starts", s.first_s, s.last_s),
            Phase::Always => format!("{:.1} to {:.1} s", s.first_s, s.last_s),
        };
        let runs = if s.phase == Phase::End { String::new() } else { format!("{} of {}", s.runs, calls.runs) };
        format!("{:width$}  {runs:>8}  {:>12}  {:>12}  {when}", s.name, s.count, s.errors)
    }));
    out
}

fn compared(difference: &Difference, args: &Args) -> Result<ExitCode> {
    let mut out = open(args)?;
    if difference.is_empty() {
        out.line("the profile allows what the recordings show, and nothing else")?;
    }
    for name in &difference.added {
        out.line(format_args!("+ {name}"))?;
    }
    for name in &difference.removed {
        out.line(format_args!("- {name}"))?;
    }
    for what in &difference.elsewhere {
        out.line(format_args!("~ {what}"))?;
    }
    out.finish()?;
    Ok(ExitCode::from(u8::from(!difference.is_empty())))
}
