//! Which spans are windows: hits of the streaming detector on each metric, of a model on the
//! metrics that it sees, or of the detector that was asked for, joined.

use super::choose;
use super::judge::Judge;
use super::model::ByModel;
use super::registered::Registered;
use super::roles::{self, InRole};
use super::slopes;
use super::streaming::{SETTLE_S, Streaming};
use crate::usual::Usual;
use crate::words::length;
use crate::{Config, Error, Result};
use osd_detect::Shape;
use osd_detect::detector::Entry;
use osd_detect::grid::Grid;
use osd_detect::registry;
use osd_detect::whole::both_ways::Beginning;
use osd_detect::windows::{self, Group, Hit};
use osd_findings::{DetectorSummary, Series};
use osd_recording::{Kind, Recording};
use osd_signals::metric::{METRICS, Metric, MetricId, Source};
use osd_signals::{Table, grid};
use std::collections::BTreeMap;

/// Longest interval that shows a burst as the detector was made to see it: half a second is its shorter scale.
const SHARP_S: f64 = 0.5;
/// Windows closer than this are one: what comes back within a second and a half is one story to a person.
const JOIN_S: f64 = 1.5;
/// A change that lasts longer than this is a window of its own, beside others that lie in it.
const LASTING_S: f64 = 45.0;
/// Share of the false alarms that may be of what only some threads show. Small: what opens a window there is far above noise, and what the metrics
/// show is not to be found less for it.
const BY_ROLE: f64 = 0.05;
/// What only some threads show is looked at from this length on: a host that is busy keeps a thread from what it does for half a second.
const ROLE_S: f64 = 1.0;
/// Nothing that begins this late is a window: the last half second is the target being shut down, or too little to judge.
const CLOSING_S: f64 = 0.5;

/// A command that ends does so for this long: it does less and less, and gives back what it had.
const ENDING_S: f64 = 1.5;
/// What is no stronger, that late, is part of that.
const WEAK: f64 = 3.0;

/// Whether a window that late is the command's end.
fn is_ending(group: &Group) -> bool {
    group.hits.iter().any(|hit| !hit.rising) || group.hits.iter().all(|hit| hit.severity < WEAK)
}

/// A weak fall in the last so many seconds, up to the end.
const END_OF_LOAD_S: f64 = 5.0;

/// Whether the load may just have ended: rates fall until the end, shortly before it and by no more than that shows.
fn is_end_of_load(group: &Group, grid: Grid, closing: usize) -> bool {
    let falls = group.hits.iter().all(|hit| !hit.rising && hit.severity < WEAK);
    falls && group.end >= closing && grid.len - group.start <= grid.bins(END_OF_LOAD_S)
}

/// How long calls have to be slow at least, if that is all there is.
const SLOW_S: f64 = 0.5;

/// Whether all there is to it is that a call took long, and for no longer than one call may: a disk or a peer that is slow once is no incident. Of
/// fourteen such windows in 107 minutes of the workload all lasted 0.2 s, single flushes of 50 to 480 ms.
fn is_one_call(group: &Group, grid: Grid) -> bool {
    let is_latency = |hit: &Hit| matches!(MetricId::at(hit.metric).metric().source, Source::Latency(_));
    group.hits.iter().all(is_latency) && grid.seconds(group.end - group.start) < SLOW_S
}

/// The windows, and how they were found.
pub(crate) struct Found {
    pub(crate) groups: Vec<Group>,
    /// By the number of the group: whose it is, where only some threads show it.
    pub(crate) roles: BTreeMap<usize, InRole>,
    pub(crate) summary: DetectorSummary,
    /// The score of a model or of a detector that was asked for, where one judged.
    pub(crate) series: Vec<Series>,
}

/// Windows of `table`, which was read from `recording`.
pub(crate) fn find(recording: &Recording, table: &Table, usual: &[Usual<'_>], config: &Config) -> Result<Found> {
    let grid = table.grid;
    // The bins of a recording that is shorter than half of its interval are shorter too.
    let step_s = (grid::interval_ns(recording) as f64 / 1e9).max(grid.seconds(1));
    if grid.len > 1 {
        choose::check(recording, step_s)?;
    }
    let choice =
        (config.model.is_none() && config.detector.is_none()).then(|| choose::choose(table, step_s, !usual.is_empty()));
    let entry = config.detector.or_else(|| choice.as_ref().and_then(|choice| choice.entry));
    let judge = judge(recording, table, step_s, entry, config)?;
    let seen = |id: MetricId| judge.as_ref().is_some_and(|j| j.sees(id));
    let watched = || table.present().filter(|(m, _)| m.opens_windows);
    let allowed = config.false_alarms_per_hour;
    let n_event_rows = recording.kind_rows(Kind::Syscall);
    // Who was asked for judges alone.
    let by_role = if judge.is_none() && n_event_rows > 0 { BY_ROLE * allowed } else { 0.0 };
    let rate = judge.as_ref().map_or(allowed - by_role, |j| j.left_of(allowed));
    // Where a judge sees all of them they only describe, at the rates that they would have without it.
    let n_unseen = watched().filter(|(m, _)| !seen(m.id)).count();
    let n_watched = if n_unseen > 0 { n_unseen } else { watched().count().max(1) };
    let streaming = Streaming::new(grid, step_s);
    let opens = |h: &Hit| MetricId::at(h.metric).metric().opens_windows && !seen(MetricId::at(h.metric));
    let learning_s = streaming.warm_up_s();
    let known_s: f64 = usual.iter().map(Usual::seconds).sum();
    if !usual.is_empty() && known_s < learning_s {
        return Err(Error::BaselineShort { found_s: known_s, wanted_s: learning_s });
    }
    let begins = beginning(recording, table, config, learning_s);
    let mut hits = streaming.hits(table, usual, begins, rate / n_watched as f64);
    slopes::drop_what_climbs(&mut hits, table);
    let (mut opening, mut describing): (Vec<Hit>, Vec<Hit>) = hits.into_iter().partition(opens);
    if let Some(judge) = &judge {
        opening.extend(judge.hits(grid, &mut describing));
    }
    let mut groups = join(opening, grid.bins(JOIN_S), grid.bins(LASTING_S).max(24));
    let closing = grid.len.saturating_sub(grid.bins(CLOSING_S));
    let ending = grid.len.saturating_sub(grid.bins(ENDING_S));
    let is_command = !recording.metadata().target.command.is_empty();
    let counts = |g: &Group| {
        let ends = is_command && g.start >= ending && is_ending(g);
        g.start < closing && !ends && !is_end_of_load(g, grid, closing) && !is_one_call(g, grid)
    };
    groups.retain(counts);
    for group in &mut groups {
        tighten(group, grid);
        // A call counts when it returns: what a short burst did may return just after it.
        if group.end - group.start < grid.bins(1.0) && group.end < grid.len {
            group.end += 1;
        }
        let near = describing.iter().filter(|h| h.start < group.end && h.end > group.start);
        group.hits.extend(near.cloned());
    }
    let mut roles = BTreeMap::new();
    if by_role > 0.0 {
        let range = config.range.as_ref();
        let gap = grid.bins(JOIN_S);
        let found = roles::find(recording, table, range, &streaming, (begins, by_role), &mut groups, gap)?;
        let found = found.into_iter().filter(|(g, _)| counts(g) && grid.seconds(g.end - g.start) >= ROLE_S);
        let mut all: Vec<(Group, Option<InRole>)> = groups.into_iter().map(|group| (group, None)).collect();
        all.extend(found.map(|(group, role)| (group, Some(role))));
        all.sort_by_key(|(group, _)| (group.start, group.end));
        roles = all.iter().enumerate().filter_map(|(i, (_, role))| Some((i, role.clone()?))).collect();
        groups = all.into_iter().map(|(group, _)| group).collect();
    }
    // Both ways all of it is judged but what is never judged, where there is more than is learnt from.
    let judged_whole = !usual.is_empty() || grid.seconds(grid.len) > 1.5 * learning_s;
    let all_but_first_s = if judged_whole { SETTLE_S.max(step_s) } else { learning_s };
    let warm_up_s = judge.as_ref().map_or(all_but_first_s, |j| j.warm_up_s().unwrap_or(learning_s));
    let summary = DetectorSummary {
        name: judge.as_ref().map_or_else(|| "robust streaming".into(), |j| j.name()),
        reading: judge.as_ref().map_or(if usual.is_empty() { "whole" } else { "baselines" }, |j| j.reading()).into(),
        baselines: usual.iter().map(|u| u.recording.path().display().to_string()).collect(),
        chosen_because: choice.map(|choice| choice.why),
        false_alarms_per_hour: allowed,
        warm_up_s,
        metrics: watched().map(|(m, _)| m.name.to_owned()).collect(),
        notes: judge.as_ref().and_then(|j| j.notes(grid)).unwrap_or_else(|| {
            let mut notes = notes(table, step_s, learning_s, usual);
            if groups.is_empty() && judged_whole && usual.is_empty() {
                notes.push(FILLED.to_owned());
            }
            notes
        }),
    };
    let series = judge.map(|j| Vec::from(j.series(grid))).unwrap_or_default();
    Ok(Found { groups, roles, summary, series })
}

/// Said where nothing was found.
const FILLED: &str = "what goes on from the first moment to the last is taken for usual: whether an incident fills the recording \
                      cannot be known from it; --baseline names recordings of the same target while it was well";

/// How the recording begins: with the target itself, while it is at work, or before that.
fn beginning(recording: &Recording, table: &Table, config: &Config, learning_s: f64) -> Beginning {
    let grid = table.grid;
    let first = grid.bins(SETTLE_S).max(1).min(grid.len)..grid.bins(learning_s).min(grid.len);
    let known = [MetricId::Syscalls, MetricId::Cpu].into_iter().filter_map(|id| table.metric(id)).next();
    let at_work = known.and_then(|v| v.get(first)).unwrap_or_default().iter().filter(|v| v.is_some_and(|v| v > 0.0));
    // Half of the bins of half of the time: what begins to work in between was at rest.
    if 4 * at_work.count() < 3 * grid.bins(learning_s - SETTLE_S) {
        return Beginning::AtRest;
    }
    let born = !recording.metadata().target.command.is_empty() && config.range.is_none();
    if born { Beginning::Birth } else { Beginning::AtWork }
}

/// Windows of `hits`. What goes on for long (a climb, a run that is missed) is a window of its own, beside those that lie in it, unless one
/// of these is at least half as long, and so is about the same.
fn join(hits: Vec<Hit>, gap: usize, lasting: usize) -> Vec<Group> {
    let lasts = |hit: &Hit| matches!(hit.shape, Shape::Climb | Shape::Missed { .. }) || hit.end - hit.start > lasting;
    let (long, short): (Vec<Hit>, Vec<Hit>) = hits.into_iter().partition(lasts);
    let mut groups = windows::merge(short, gap);
    for slow in windows::merge(long, gap) {
        let common = |g: &Group| g.end.min(slow.end).saturating_sub(g.start.max(slow.start));
        let sudden = slow.hits.iter().any(|h| matches!(h.shape, Shape::Shift | Shape::Silence));
        // What comes with its beginning or its end is part of it.
        let at_edge = |g: &Group| {
            let near = |a: usize, b: usize| a.abs_diff(b) <= gap;
            sudden && (near(g.start, slow.start) || near(g.end, slow.end) || near(g.start, slow.end))
        };
        let same: Vec<Group> =
            groups.extract_if(.., |g| 2 * common(g) >= slow.end - slow.start || at_edge(g)).collect();
        let hits = slow.hits.into_iter().chain(same.into_iter().flat_map(|g| g.hits)).collect();
        // All of them are one: they overlap by half.
        groups.extend(windows::merge(hits, usize::MAX / 2));
    }
    groups.sort_by_key(|g| (g.start, g.end));
    groups
}

/// Who judges instead of the streaming detector, if somebody was asked for.
fn judge(
    recording: &Recording,
    table: &Table,
    step_s: f64,
    entry: Option<&'static Entry>,
    config: &Config,
) -> Result<Option<Box<dyn Judge>>> {
    Ok(match (&config.model, entry) {
        (Some(model), _) => Some(Box::new(ByModel::new(model, recording, config)?)),
        (None, Some(entry)) if entry.name != registry::DEFAULT => {
            Some(Box::new(Registered::new(entry, table, step_s, config.false_alarms_per_hour)?))
        }
        _ => None,
    })
}

/// What could not be judged, and what would have to be so that it can.
fn notes(table: &Table, interval_s: f64, warm_up_s: f64, usual: &[Usual<'_>]) -> Vec<String> {
    let grid = table.grid;
    let length_s = grid.seconds(grid.len);
    let mut notes = vec![];
    if table.present().all(|(_, values)| values.iter().all(Option::is_none)) {
        notes.push("the recording holds no samples: it ended before its first interval did".to_owned());
    }
    for usual in usual {
        let lacks = |m: &&Metric| m.opens_windows && table.metric(m.id).is_some() && usual.values(m).is_none();
        let lacking: Vec<&str> = METRICS.iter().filter(lacks).map(|m| m.name).collect();
        if !lacking.is_empty() {
            let path = usual.recording.path().display();
            notes.push(format!("the baseline {path} has no {}, which the recording has", lacking.join(", ")));
        }
    }
    if usual.is_empty() && length_s < warm_up_s * 1.5 {
        let (length, learning) = (length(length_s, 1), length(warm_up_s, 0));
        let mut note = format!("the recording lasts {length}: the first {learning} are learnt from and cannot alarm");
        if length_s <= warm_up_s {
            note += &format!(", so nothing in it was judged; record for longer than {learning}");
            if interval_s > SHARP_S {
                note += ", or with a shorter --interval";
            }
        }
        notes.push(note);
    }
    if interval_s > SHARP_S {
        let interval = length(interval_s, 1);
        notes.push(format!(
            "a sample every {interval}: what is shorter shows only as far as it moves the mean over {interval}"
        ));
    }
    notes
}

/// The strongest metrics set the edges; a weak one that trails along does not widen the window.
fn tighten(group: &mut Group, grid: Grid) {
    let Some(strongest) = group.hits.first().map(|h| h.severity) else { return };
    let strong = group.hits.iter().filter(|h| h.severity >= (0.25 * strongest).min(3.0));
    let (start, end) = strong.fold((usize::MAX, 0), |(s, e), h| (s.min(h.start), e.max(h.end)));
    group.start = start.min(grid.len - 1);
    group.end = end.clamp(group.start + 1, grid.len);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(start: usize, end: usize, shape: Shape) -> Hit {
        Hit { metric: 0, start, end, severity: 2.0, tail: 0.1, rising: true, shape }
    }

    #[test]
    fn one_slow_call_is_no_window_and_slow_calls_are() {
        let grid = Grid { start_ns: 0, step_ns: 100_000_000, len: 900 };
        let group = |metric: MetricId, end: usize| {
            let hits = vec![Hit { metric: metric as usize, ..hit(100, end, Shape::Shift) }];
            Group { start: 100, end, hits }
        };
        assert!(is_one_call(&group(MetricId::LatencySync, 102), grid));
        assert!(!is_one_call(&group(MetricId::LatencySync, 105), grid));
        assert!(!is_one_call(&group(MetricId::Syscalls, 102), grid));
        let mut both = group(MetricId::LatencySync, 102);
        both.hits.extend(group(MetricId::Write, 102).hits);
        assert!(!is_one_call(&both, grid));
    }

    #[test]
    fn a_climb_is_beside_the_bursts_that_lie_in_it_and_one_with_a_growth_as_long() {
        let edges =
            |hits: Vec<Hit>| join(hits, 15, 450).iter().map(|g| (g.start, g.end, g.hits.len())).collect::<Vec<_>>();
        let bursts = vec![hit(200, 600, Shape::Climb), hit(250, 260, Shape::Shift), hit(500, 520, Shape::Silence)];
        assert_eq!(edges(bursts), [(200, 600, 1), (250, 260, 1), (500, 520, 1)]);
        let growth = vec![hit(200, 600, Shape::Climb), hit(205, 590, Shape::Shift), hit(700, 710, Shape::Shift)];
        assert_eq!(edges(growth), [(200, 600, 2), (700, 710, 1)]);
        let missed = vec![hit(100, 300, Shape::Missed { every: 50 }), hit(110, 290, Shape::Missed { every: 50 })];
        assert_eq!(edges(missed), [(100, 300, 2)]);
    }
}
