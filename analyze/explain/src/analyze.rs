//! The way from a recording to findings: a table, windows in it, then what came with each window.

use crate::compare::Context;
use crate::evidence::{Bin, Events, Latency, Stacks};
use crate::usual::Usual;
use crate::{Config, Result, find, group, recurring, second_look, window};
use osd_findings::{FINDINGS_VERSION, Findings, Heatmap, HeatmapRow, LabelSpan, LossSpan, RecordingSummary, Series};
use osd_recording::{Kind, Recording};
use osd_signals::calls::CallSeries;
use osd_signals::{Table, failures, losses};
use std::cell::OnceCell;
use std::ops::Range;

/// Time beside a window that is neither it nor the baseline; at least one interval.
const MARGIN_S: f64 = 1.0;

/// Finds and explains what was unusual in `recording`.
///
/// # Errors
/// If the recording cannot be read or holds no samples in the time that `config` asks for.
pub fn analyze(recording: &Recording, config: &Config) -> Result<Findings> {
    analyze_against(recording, &[], config)
}

/// The same, beside what is usual in `baselines`; without any, beside what is usual in the recording itself.
///
/// # Errors
/// The same, and if a baseline is no match for the recording.
pub fn analyze_against(recording: &Recording, baselines: &[Recording], config: &Config) -> Result<Findings> {
    let range = config.range.as_ref();
    let mut table = Table::read(recording, range)?;
    let n_event_rows = recording.kind_rows(Kind::Syscall);
    if n_event_rows > 0 {
        failures::keep_failures(recording, &mut table, range)?;
    }
    let usual = Usual::read(recording, &table, baselines)?;
    let found = find::find(recording, &table, &usual, config)?;
    let grid = table.grid;
    let baseline = if usual.is_empty() { Bin::Baseline } else { Bin::Neither };
    let mut bins = vec![baseline; grid.len];
    bins[..grid.bins(find::SETTLE_S).max(1).min(grid.len)].fill(Bin::Neither);
    let margin = grid.bins(MARGIN_S).max(1);
    for g in &found.groups {
        bins[g.start.saturating_sub(margin)..(g.end + margin).min(grid.len)].fill(Bin::Neither);
    }
    // A window that lies in a longer one takes its bins.
    let mut by_length: Vec<_> = found.groups.iter().enumerate().collect();
    by_length.sort_by_key(|(i, g)| (std::cmp::Reverse(g.end - g.start), *i));
    for (i, g) in by_length {
        bins[g.start..g.end.min(grid.len)].fill(Bin::Window(i));
    }
    let mut findings = Findings {
        findings_version: FINDINGS_VERSION,
        detector: found.summary,
        series: published_series(&table),
        heatmap: heatmap(&table),
        ..Findings::default()
    };
    let mut n_events = n_event_rows;
    if !found.groups.is_empty() {
        let events = if n_event_rows > 0 { Events::read(recording, grid, &bins, range)? } else { Events::default() };
        let latency = Latency::read(recording, grid, &bins, range)?;
        let stacks = Stacks::read(recording, grid, &bins, range)?;
        if n_event_rows > 0 {
            n_events = events.total;
        }
        let context = Context {
            recording,
            table: &table,
            bins: &bins,
            events: &events,
            latency: &latency,
            stacks: &stacks,
            range,
            files: OnceCell::new(),
            usual: &usual,
        };
        for (i, group) in found.groups.iter().enumerate() {
            findings.windows.push(window::explain(&context, config, i, group, found.roles.get(&i))?);
        }
    }
    second_look::look(&table, &bins, &usual, &found.groups, &mut findings.windows);
    recurring::fold(&mut findings.windows);
    findings.groups = group::group(&mut findings.windows, config.group_by);
    findings.series.extend(found.series);
    for role in found.roles.into_values() {
        // Of one role there may be several windows.
        if findings.series.iter().all(|s| s.metric != role.series.metric) {
            findings.series.push(role.series);
        }
    }
    if n_event_rows == 0 && table.n_syscalls > 0 {
        findings.detector.notes.push(
            "no event rows in this recording: threads, error numbers, paths and sequences are not known, counts are exact"
                .into(),
        );
    }
    (findings.losses, findings.labels) = losses_and_labels(recording, &table, range)?;
    findings.recording = summary(recording, &table, range, n_events, &findings.losses);
    Ok(findings)
}

fn losses_and_labels(
    recording: &Recording,
    table: &Table,
    range: Option<&Range<i64>>,
) -> Result<(Vec<LossSpan>, Vec<LabelSpan>)> {
    let (losses, labels) = losses::read(recording, range)?;
    let coverage = losses::coverage(&losses, table);
    let losses = losses.into_iter().zip(coverage).map(|(l, coverage)| LossSpan {
        ts_ns: l.ts_ns,
        dur_ns: l.dur_ns,
        stream: l.stream,
        reason: l.reason,
        count: l.count,
        coverage,
    });
    let labels = labels.into_iter().map(|l| LabelSpan { ts_ns: l.ts_ns, dur_ns: l.dur_ns, name: l.name, note: l.note });
    Ok((losses.collect(), labels.collect()))
}

fn published_series(table: &Table) -> Vec<Series> {
    let grid = table.grid;
    let ts_ns: Vec<i64> = (0..grid.len).map(|b| grid.time(b)).collect();
    let mut all = vec![];
    for (metric, values) in table.metrics.iter() {
        // A report can count on the headline being there; a metric that never moved from zero is noise elsewhere.
        let headline = metric.id.is_headline();
        let values = match values {
            Some(v) => v.clone(),
            None if headline => vec![None; grid.len],
            None => continue,
        };
        if !headline && values.iter().flatten().all(|v| *v == 0.0) {
            continue;
        }
        let (name, title, unit) = (metric.name.into(), metric.title.into(), metric.unit.into());
        all.push(Series { metric: name, title, unit, ts_ns: ts_ns.clone(), values });
    }
    all
}

fn heatmap(table: &Table) -> Heatmap {
    const COLUMNS: usize = 240;
    const ROWS: usize = 12;
    let grid = table.grid;
    let width = grid.len.div_ceil(COLUMNS).max(1);
    let cuts: Vec<usize> = (0..grid.len).step_by(width).chain([grid.len]).collect();
    let rate = |call: &CallSeries| HeatmapRow {
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
        m.target.pids.iter().map(name).chain(m.target.selection.iter().cloned()).collect::<Vec<_>>().join(", ")
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
