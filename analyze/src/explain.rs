//! The way from a recording to findings: series, detection, windows, then what came with each window.

use crate::evidence::{self, Bin, Events};
use crate::metrics::{self, METRICS};
use crate::series::{self, Table};
use crate::shifts::Context;
use crate::{Result, answers, detection, judged, marks};
use osd_findings::{FINDINGS_VERSION, Findings, Heatmap, HeatmapRow, LossSpan, RecordingSummary, Series};
use osd_model::Model;
use osd_recording::{Kind, Recording};
use std::ops::Range;

/// What decides the findings.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// False windows allowed per hour, over all metrics together.
    pub false_alarms_per_hour: f64,
    /// Look only at this time, UTC ns.
    pub range: Option<Range<i64>>,
    /// A model of normal recordings, which then judges the metrics that it sees.
    pub model: Option<Model>,
}

impl Default for Config {
    fn default() -> Self {
        Self { false_alarms_per_hour: 1.0, range: None, model: None }
    }
}

/// Time beside a window that is neither it nor the baseline; at least one interval.
const MARGIN_S: f64 = 1.0;

/// Finds and explains what was unusual in `recording`.
///
/// # Errors
/// If the recording cannot be read or holds no samples in the time that `config` asks for.
pub fn analyze(recording: &Recording, config: &Config) -> Result<Findings> {
    let range = config.range.as_ref();
    let mut table = series::read(recording, range)?;
    let n_event_rows: u64 =
        recording.row_groups().iter().filter(|g| g.kind == Some(Kind::Syscall)).map(|g| g.rows).sum();
    if n_event_rows > 0 {
        answers::keep_failures(recording, &mut table, range)?;
    }
    let scored = config.model.as_ref().map(|model| judged::score(model, recording, config)).transpose()?;
    let interval_s = series::interval_ns(recording) as f64 / 1e9;
    let detection = detection::detect(&table, interval_s, config, scored.as_ref());
    let grid = table.grid;
    let mut bins = vec![Bin::Baseline; grid.len];
    bins[..grid.bins(detection::SETTLE_S).max(1).min(grid.len)].fill(Bin::Neither);
    let margin = grid.bins(MARGIN_S).max(1);
    for g in &detection.groups {
        bins[g.start.saturating_sub(margin)..(g.end + margin).min(grid.len)].fill(Bin::Neither);
    }
    for (i, g) in detection.groups.iter().enumerate() {
        bins[g.start..g.end.min(grid.len)].fill(Bin::Window(i));
    }
    let mut findings = Findings {
        findings_version: FINDINGS_VERSION,
        detector: detection.summary.clone(),
        series: published_series(&table),
        heatmap: heatmap(&table),
        ..Findings::default()
    };
    let mut n_events = n_event_rows;
    if !detection.groups.is_empty() {
        let events =
            if n_event_rows > 0 { evidence::events(recording, &table, &bins, range)? } else { Events::default() };
        let latency = evidence::latency(recording, grid, &bins, range)?;
        if n_event_rows > 0 {
            n_events = events.total;
        }
        let context = Context { recording, table: &table, bins: &bins, events: &events, latency: &latency, config };
        for (i, group) in detection.groups.iter().enumerate() {
            findings.windows.push(context.window(i, group)?);
        }
    }
    if let Some(scored) = &scored {
        findings.series.extend(judged::series(scored, table.grid));
    }
    if n_event_rows == 0 && table.n_syscalls > 0 {
        findings.detector.notes.push(
            "no event rows in this recording: threads, error numbers, paths and sequences are not known, counts are exact"
                .into(),
        );
    }
    (findings.losses, findings.labels) = marks::read(recording, range)?;
    marks::cover(&mut findings.losses, &table);
    findings.recording = summary(recording, &table, range, n_events, &findings.losses);
    Ok(findings)
}

fn published_series(table: &Table) -> Vec<Series> {
    let grid = table.grid;
    let ts_ns: Vec<i64> = (0..grid.len).map(|b| grid.time(b)).collect();
    let mut all = vec![];
    for (place, values) in table.metrics.iter().enumerate() {
        // A report can count on the headline being there; a metric that never moved from zero is noise elsewhere.
        let headline = place <= metrics::SYSCALLS;
        let values = match values {
            Some(v) => v.clone(),
            None if headline => vec![None; grid.len],
            None => continue,
        };
        if !headline && values.iter().flatten().all(|v| *v == 0.0) {
            continue;
        }
        let m = &METRICS[place];
        let (metric, title, unit) = (m.name.into(), m.title.into(), m.unit.into());
        all.push(Series { metric, title, unit, ts_ns: ts_ns.clone(), values });
    }
    all
}

fn heatmap(table: &Table) -> Heatmap {
    const COLUMNS: usize = 240;
    const ROWS: usize = 12;
    let grid = table.grid;
    let width = grid.len.div_ceil(COLUMNS).max(1);
    let cuts: Vec<usize> = (0..grid.len).step_by(width).chain([grid.len]).collect();
    let rate = |call: &series::CallSeries| HeatmapRow {
        syscall: call.name.clone(),
        per_s: cuts
            .windows(2)
            .map(|c| call.count[c[0]..c[1]].iter().sum::<f64>() / grid.seconds(c[1] - c[0]))
            .collect(),
    };
    Heatmap {
        edges_ns: cuts.iter().map(|c| grid.time(*c)).collect(),
        rows: table.calls.iter().filter(|c| c.total > 0).take(ROWS).map(rate).collect(),
    }
}

fn summary(
    recording: &Recording,
    table: &Table,
    range: Option<&Range<i64>>,
    n_syscall_events: u64,
    losses: &[LossSpan],
) -> RecordingSummary {
    let m = recording.metadata();
    let target = if m.target.command.is_empty() {
        let name = |pid: &u32| {
            // Of those that had this PID one after another, the first: it was there when the recording began.
            let had = table.processes.values().filter(|l| l.pid == *pid && !l.comm.is_empty());
            let life = had.min_by_key(|l| l.met_ns);
            life.map_or_else(|| format!("pid {pid}"), |l| format!("{} (pid {pid})", l.comm))
        };
        m.target.pids.iter().map(name).collect::<Vec<_>>().join(", ")
    } else {
        m.target.command.join(" ")
    };
    let lost_rows: u64 = losses.iter().filter(|l| l.stream == "syscall").fold(0, |sum, l| sum.saturating_add(l.count));
    RecordingSummary {
        path: recording.path().display().to_string(),
        recording_id: m.recording_id.clone(),
        hostname: m.host.hostname.clone(),
        kernel: m.host.kernel.clone(),
        target,
        started_ns: range.map_or(m.started_ns, |r| r.start.max(m.started_ns)),
        ended_ns: range.map_or(m.ended_ns, |r| r.end.min(m.ended_ns)),
        interval_ns: m.interval_ns,
        n_syscalls: table.n_syscalls,
        n_syscall_events,
        n_lost: if range.is_some() { lost_rows } else { m.lost("syscall").max(lost_rows) },
        n_processes: table.processes.len().max(table.cpu_of.len()) as u64,
        blind_spots: m.blind_spots.clone(),
    }
}
