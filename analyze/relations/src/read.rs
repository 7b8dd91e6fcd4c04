//! From recordings to a history: each metric over steps of one length.
//!
//! Recordings of one member are stretches of their own. Where there are several members (hosts, services), their metrics stand beside each
//! other on one clock, as `member.metric`.

use crate::history::{History, Named, Stretch};
use crate::{Error, Result};
use osd_findings::SideRecording;
use osd_recording::Recording;
use osd_signals::metric::{METRICS, MetricId, Source};
use osd_signals::{Table, failures};
use std::ops::Range;

/// What is recorded of one host or service.
#[derive(Debug)]
pub struct Member {
    /// What it is called; empty if there is only one.
    pub name: String,
    /// Its recordings.
    pub recordings: Vec<Recording>,
}

/// A step at least, unless somebody says otherwise.
const STEP_NS: i64 = 1_000_000_000;
/// The start and the end of a recording that lasts for ten times as long are not looked at: programs start and end differently from how
/// they run.
const EDGE_NS: i64 = 1_000_000_000;

/// Some metrics of one recording over steps.
struct Part {
    member: usize,
    /// Steps since 1970.
    steps: Range<i64>,
    /// By metric of [`METRICS`]; none where the recording does not have it.
    values: Vec<Option<Vec<f64>>>,
}

/// Reads what is in `members`, by steps of `step_ns`, or of a second, or of the longest interval that there is. Metrics that follow what the
/// rest of the host does (waiting for a processor, page faults, context switches) are read if `all` are.
///
/// # Errors
/// If a recording cannot be read, or [`Error::Coarse`] if its intervals are longer than the step.
pub fn read(members: &[Member], step_ns: Option<i64>, all: bool) -> Result<(History, Vec<SideRecording>)> {
    let recordings = || members.iter().flat_map(|m| &m.recordings);
    let longest = recordings().map(osd_signals::grid::interval_ns).max().unwrap_or(STEP_NS);
    let step_ns = step_ns.unwrap_or(STEP_NS.max(longest));
    for recording in recordings() {
        let interval = osd_signals::grid::interval_ns(recording);
        if interval > step_ns {
            return Err(Error::Coarse {
                path: recording.path().to_owned(),
                interval_s: interval as f64 / 1e9,
                step_s: step_ns as f64 / 1e9,
            });
        }
    }
    let (mut parts, mut about) = (vec![], vec![]);
    for (member, recording) in members.iter().enumerate().flat_map(|(i, m)| m.recordings.iter().map(move |r| (i, r))) {
        let part = part(member, recording, step_ns)?;
        about.push(side(recording, &part, step_ns));
        parts.push(part);
    }
    Ok((history(members, parts, step_ns, all), about))
}

fn side(recording: &Recording, part: &Part, step_ns: i64) -> SideRecording {
    let m = recording.metadata();
    SideRecording {
        path: recording.path().display().to_string(),
        recording_id: m.recording_id.clone(),
        hostname: m.host.hostname.clone(),
        target: m.target.command.join(" "),
        started_ns: m.started_ns,
        seconds: (part.steps.end - part.steps.start) as f64 * step_ns as f64 / 1e9,
    }
}

fn part(member: usize, recording: &Recording, step_ns: i64) -> Result<Part> {
    let mut table = Table::read(recording, None)?;
    failures::keep_failures(recording, &mut table, None)?;
    let grid = table.grid;
    let (start, end) = (grid.start_ns, grid.time(grid.len));
    let edge = if end - start >= 10 * EDGE_NS { EDGE_NS } else { 0 };
    let (start, end) = (start + edge, end - edge);
    // A bin belongs to the step that its middle is in.
    let middle = |bin: usize| grid.time(bin).saturating_add(grid.step_ns / 2);
    let step = |bin: usize| middle(bin).div_euclid(step_ns);
    let bins: Vec<usize> = (0..grid.len).filter(|bin| (start..end).contains(&middle(*bin))).collect();
    let (Some(first), Some(last)) = (bins.first(), bins.last()) else {
        return Ok(Part { member, steps: 0..0, values: vec![None; METRICS.len()] });
    };
    let steps = step(*first)..step(*last) + 1;
    let len = usize::try_from(steps.end - steps.start).unwrap_or(0);
    // A step of which less than half is known is not.
    let least = (step_ns as f64 / grid.step_ns as f64 / 2.0).max(1.0);
    let by_step = |value: &dyn Fn(usize) -> Option<f64>| {
        let mut sums = vec![(0.0, 0.0); len];
        for bin in &bins {
            if let (Some(sum), Some(value)) =
                (usize::try_from(step(*bin) - steps.start).ok().and_then(|s| sums.get_mut(s)), value(*bin))
            {
                *sum = (sum.0 + value, sum.1 + 1.0);
            }
        }
        sums.into_iter().map(|(sum, n)| if n >= least { sum / n } else { f64::NAN }).collect::<Vec<f64>>()
    };
    let covered = table.metric(MetricId::Cpu).cloned().unwrap_or_default();
    let values = METRICS.iter().map(|metric| match table.metric(metric.id) {
        Some(values) => Some(by_step(&|bin| values[bin])),
        // Calls that are never made are made no times, where calls are counted at all.
        None => {
            let is_count = matches!(metric.source, Source::Calls(_) | Source::Starts);
            let is_known = is_count && table.n_syscalls > 0 && !covered.is_empty();
            is_known.then(|| by_step(&|bin| covered[bin].map(|_| 0.0)))
        }
    });
    Ok(Part { member, values: values.collect(), steps })
}

fn history(members: &[Member], parts: Vec<Part>, step_ns: i64, all: bool) -> History {
    // Metrics that a recording of the member has.
    let has = |member: usize, m: usize| {
        (all || METRICS[m].opens_windows) && parts.iter().any(|p| p.member == member && p.values[m].is_some())
    };
    let columns: Vec<(usize, usize)> =
        (0..members.len()).flat_map(|i| (0..METRICS.len()).map(move |m| (i, m))).filter(|(i, m)| has(*i, *m)).collect();
    let name = |(member, metric): &(usize, usize)| {
        let (member, metric) = (&members[*member].name, &METRICS[*metric]);
        let dot = if member.is_empty() { "" } else { "." };
        Named { name: format!("{member}{dot}{}", metric.name), unit: metric.unit.to_owned() }
    };
    let mut spans: Vec<Range<i64>> = parts.iter().map(|p| p.steps.clone()).filter(|s| !s.is_empty()).collect();
    let together = members.len() > 1;
    if together {
        spans.sort_by_key(|s| s.start);
        spans.dedup_by(|next, last| {
            let joins = next.start <= last.end;
            if joins {
                last.end = last.end.max(next.end);
            }
            joins
        });
    }
    let stretch = |(i, span): (usize, &Range<i64>)| {
        let len = usize::try_from(span.end - span.start).unwrap_or(0);
        let mut values = vec![vec![f64::NAN; len]; columns.len()];
        let inside = parts.iter().filter(|p| !p.steps.is_empty()).enumerate();
        // Alone, each recording is its own stretch, also where two were made at one time.
        let inside = inside
            .filter(|(n, p)| if together { p.steps.start >= span.start && p.steps.end <= span.end } else { *n == i });
        for (_, part) in inside {
            let from = usize::try_from(part.steps.start - span.start).unwrap_or(0);
            for (column, (member, metric)) in values.iter_mut().zip(&columns) {
                let Some(own) = part.values[*metric].as_ref().filter(|_| part.member == *member) else { continue };
                for (to, value) in column[from..].iter_mut().zip(own).filter(|(_, v)| v.is_finite()) {
                    *to = *value;
                }
            }
        }
        Stretch { start_ns: span.start.saturating_mul(step_ns), values }
    };
    let stretches = spans.iter().enumerate().map(stretch).collect();
    History { step_ns, metrics: columns.iter().map(name).collect(), stretches }
}
