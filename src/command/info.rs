//! `osd info`: what a recording holds, what it lost and what it cost. Reads the footer, and the
//! names of containers, rows of flows.

mod flows;

use crate::failure::Result;
use crate::format::{self, count, plural};
use crate::inputs;
use crate::output::Output;
use osd_recording::{Budget, Columns, Kind, Metadata, Query, Recording};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "EXAMPLES:
  osd info run.parquet                  for people
  osd info runs/                        every recording in a folder
  osd info run.parquet --format json    the footer's metadata, for scripts";

/// Show what a recording holds, what it lost and what it cost.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The recordings, folders of them, or patterns.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// How to print. `json` is one object a line.
    #[arg(long, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    #[value(alias = "table")]
    Text,
    Json,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    // All are opened before the first is printed: a bad one among them leaves no half an answer.
    let recordings = inputs::recordings(&args.files)?;
    let mut out = Output::stdout();
    for (i, recording) in recordings.iter().enumerate() {
        match args.format {
            Format::Json => out.json(&serde_json::json!(recording.metadata()).to_string())?,
            Format::Text => {
                if i > 0 {
                    out.line("")?;
                }
                describe(recording).iter().try_for_each(|line| out.line(line))?;
            }
        }
    }
    out.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// What it is, in lines.
fn describe(recording: &Recording) -> Vec<String> {
    let m = recording.metadata();
    let mut out = Vec::new();
    let mut line = |name: &str, value: String| out.push(format!("{name:<11} {value}"));
    line("recording", format!("{} ({})", recording.path().display(), format::bytes(recording.bytes())));
    line("id", format!("{}, format {}, osd {}", m.recording_id, m.format_version, m.osd_version));
    let host = &m.host;
    line(
        "host",
        format!(
            "{}, Linux {}, {}, {}, {}",
            host.hostname,
            host.kernel,
            host.arch,
            plural(host.n_cpus, "CPU"),
            format::bytes(host.memory_bytes)
        ),
    );
    line("target", target(m));
    let length = m.ended_ns.saturating_sub(m.started_ns).unsigned_abs();
    line(
        "time",
        format!("{} to {} ({})", format::time(m.started_ns), format::time(m.ended_ns), format::duration(length)),
    );
    let latency = if m.no_latency { ", without latencies" } else { "" };
    line("interval", format!("{}, syscalls: {}{latency}", format::duration(m.interval_ns), m.syscalls));
    for kind in Kind::ALL {
        let rows = m.rows.get(kind.name()).copied().unwrap_or(0);
        if rows == 0 {
            continue;
        }
        let bytes = recording.kind_bytes(kind);
        let each = bytes as f64 / rows as f64;
        line(kind.name(), format!("{}, {}, {each:.1} bytes a row", plural(count(rows), "row"), format::bytes(bytes)));
    }
    containers(recording).into_iter().for_each(|text| line("container", text));
    if let Some(stacks) = &m.stacks {
        let share = format::percent(stacks.complete as f64 / stacks.taken.max(1) as f64);
        let whole = format!("{share} of them complete");
        let size = format::bytes(stacks.stack_bytes.into());
        line("stacks", format!("{} taken at {} Hz, {whole}; {size} of each looked at", count(stacks.taken), stacks.hz));
    }
    flows::describe(recording).into_iter().for_each(|(name, value)| line(name, value));
    if m.losses.is_empty() {
        line("lost", "nothing".into());
    }
    for loss in &m.losses {
        line("lost", format!("{} {}: {}", format::count(loss.count), loss.stream, loss.reason));
    }
    let cost = &m.self_cost;
    let share = cost.cpu_ns as f64 / length.max(1) as f64 * 100.0;
    line(
        "cost",
        format!(
            "{} of CPU ({share:.1} % of one), {} of memory at most",
            format::duration(cost.cpu_ns),
            format::bytes(cost.peak_rss_bytes)
        ),
    );
    cost.budget.iter().flat_map(budget).for_each(|text| line("budget", text));
    for family in &m.families {
        line("probes", format!("{} by {}: {}", family.name, family.attach, family.probes.join(", ")));
    }
    // Three clocks read a few times: anything above their uncertainty is real.
    if m.clock.suspended_ns() > 1_000_000 {
        line("suspended", format::duration(m.clock.suspended_ns().unsigned_abs()));
    }
    if let Some(point) = m.clock.0.first() {
        line(
            "clocks",
            format!(
                "read {}, within {}; the wall clock moved by {} against them",
                plural(m.clock.0.len(), "time"),
                format::duration(point.uncertainty_ns.unsigned_abs()),
                format::duration(m.clock.realtime_drift_ns().unsigned_abs()),
            ),
        );
    }
    for spot in &m.blind_spots {
        line("blind spot", spot.clone());
    }
    if recording.is_unfinished() {
        let how = "`osd recover` closes it if its recorder has died";
        line("note", format!("unfinished: this is what its recorder has written so far; {how}"));
    } else if !m.complete {
        line("note", "recovered after its recorder died: up to a second before that is missing".into());
    }
    out
}

/// How a budget was kept, in sentences.
pub(crate) fn budget(b: &Budget) -> Vec<String> {
    let mut out = vec![format!(
        "recording took {} of the host's processor time (at most {} wanted) and slowed what it recorded by {}",
        format::percent(b.overhead),
        format::percent(b.max_overhead),
        format::percent(b.slow_down),
    )];
    let shed = b.level_ns.iter().enumerate().skip(1).filter(|(_, ns)| **ns > 0);
    let shed: Vec<_> = shed.map(|(level, ns)| format!("level {level} for {}", format::duration(*ns))).collect();
    if !shed.is_empty() {
        out.push(format!("shed to keep to it: {}", shed.join(", ")));
    }
    if let Some(floor) = b.floor {
        out.push(format!(
            "not kept to for {}, with all shed that may be: this load costs {} even so",
            format::duration(b.unmet_ns),
            format::percent(floor),
        ));
    }
    out
}

/// The containers that recorded processes were in, a line each.
fn containers(recording: &Recording) -> Vec<String> {
    const LISTED: usize = 20;
    let mut all: BTreeMap<u64, String> = BTreeMap::new();
    if recording.metadata().rows.get(Kind::Container.name()).copied().unwrap_or(0) > 0 {
        for batch in recording.read(&Query::kind(Kind::Container)).into_iter().flatten().flatten() {
            let columns = Columns::of(&batch, recording.path());
            for row in 0..batch.num_rows() {
                let text = |name: &str| columns.text(name).ok()?.at(row).map(str::to_owned);
                let group = columns.u64("cgroup_id").ok().and_then(|c| c.at(row));
                let (Some(group), Some(id)) = (group, text("container_id")) else { continue };
                let short = || id.chars().take(12).collect::<String>();
                let name = text("container_name").unwrap_or_else(short);
                let image = text("image").map_or_else(String::new, |image| format!(" ({image})"));
                let pod = [text("namespace"), text("pod")].into_iter().flatten().collect::<Vec<_>>().join("/");
                let pod = if pod.is_empty() { pod } else { format!(", pod {pod}") };
                let runtime = text("runtime").map_or_else(String::new, |runtime| format!(", {runtime}"));
                all.insert(group, format!("{name}{image}{pod}{runtime}"));
            }
        }
    }
    let more = all.len().saturating_sub(LISTED);
    let mut lines: Vec<String> = all.into_values().take(LISTED).collect();
    if more > 0 {
        lines.push(format!("and {more} more: osd sql FILE 'SELECT * FROM containers'"));
    }
    lines
}

fn target(m: &Metadata) -> String {
    let t = &m.target;
    let pids = || format!("PID {}", t.pids.iter().map(u32::to_string).collect::<Vec<_>>().join(", "));
    let named = match (t.command.as_slice(), t.pids.as_slice()) {
        ([], []) => None,
        ([], _) => Some(pids()),
        (command, _) => Some(format!("command {}", command.join(" "))),
    };
    let selected = (!t.selection.is_empty()).then(|| t.selection.join(", "));
    let mut text = named.into_iter().chain(selected).collect::<Vec<_>>().join(" and ");
    if t.follow {
        text.push_str(" and children");
    }
    if let Some(code) = t.exit_code {
        text.push_str(&format!(" (ended with status {code})"));
    }
    text
}
