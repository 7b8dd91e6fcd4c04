//! Which spans are windows: hits of the streaming detector on each metric, of a model on the
//! metrics that it sees, or of the detector that was asked for, joined.

use super::judge::Judge;
use super::model::ByModel;
use super::registered::Registered;
use super::slopes;
use super::streaming::Streaming;
use crate::words::length;
use crate::{Config, Result};
use osd_detect::Shape;
use osd_detect::grid::Grid;
use osd_detect::registry;
use osd_detect::windows::{self, Group, Hit};
use osd_findings::{DetectorSummary, Series};
use osd_recording::Recording;
use osd_signals::metric::MetricId;
use osd_signals::{Table, grid};

/// Longest interval that shows a burst as the detector was made to see it: half a second is its shorter scale.
const SHARP_S: f64 = 0.5;
/// Windows closer than this are one: what comes back within a second and a half is one story to a person.
const JOIN_S: f64 = 1.5;
/// Nothing that begins this late is a window: the last half second is the target being shut down, or too little to judge.
const CLOSING_S: f64 = 0.5;

/// The windows, and how they were found.
pub(crate) struct Found {
    pub(crate) groups: Vec<Group>,
    pub(crate) summary: DetectorSummary,
    /// The score of a model or of a detector that was asked for, where one judged.
    pub(crate) series: Vec<Series>,
}

/// Windows of `table`, which was read from `recording`.
pub(crate) fn find(recording: &Recording, table: &Table, config: &Config) -> Result<Found> {
    let grid = table.grid;
    // The bins of a recording that is shorter than half of its interval are shorter too.
    let step_s = (grid::interval_ns(recording) as f64 / 1e9).max(grid.seconds(1));
    let judge = judge(recording, table, step_s, config)?;
    let seen = |id: MetricId| judge.as_ref().is_some_and(|j| j.sees(id));
    let watched = || table.present().filter(|(m, _)| m.opens_windows);
    let allowed = config.false_alarms_per_hour;
    let rate = judge.as_ref().map_or(allowed, |j| j.left_of(allowed));
    // Where a judge sees all of them they only describe, at the rates that they would have without it.
    let n_unseen = watched().filter(|(m, _)| !seen(m.id)).count();
    let n_watched = if n_unseen > 0 { n_unseen } else { watched().count().max(1) };
    let streaming = Streaming::new(grid, step_s);
    let opens = |h: &Hit| MetricId::at(h.metric).metric().opens_windows && !seen(MetricId::at(h.metric));
    let mut hits = streaming.hits(table, rate / n_watched as f64);
    slopes::drop_what_climbs(&mut hits, table);
    let (mut opening, mut describing): (Vec<Hit>, Vec<Hit>) = hits.into_iter().partition(opens);
    if let Some(judge) = &judge {
        opening.extend(judge.hits(grid, &mut describing));
    }
    let mut groups = join(opening, grid.bins(JOIN_S));
    let closing = grid.len.saturating_sub(grid.bins(CLOSING_S));
    groups.retain(|g| g.start < closing);
    for group in &mut groups {
        tighten(group, grid);
        // A call counts when it returns: what a short burst did may return just after it.
        if group.end - group.start < grid.bins(1.0) && group.end < grid.len {
            group.end += 1;
        }
        let near = describing.iter().filter(|h| h.start < group.end && h.end > group.start);
        group.hits.extend(near.cloned());
    }
    let warm_up_s = judge.as_ref().and_then(|j| j.warm_up_s()).unwrap_or_else(|| streaming.warm_up_s());
    let summary = DetectorSummary {
        name: judge.as_ref().map_or_else(|| "robust streaming".into(), |j| j.name()),
        false_alarms_per_hour: allowed,
        warm_up_s,
        metrics: watched().map(|(m, _)| m.name.to_owned()).collect(),
        notes: judge.as_ref().and_then(|j| j.notes(grid)).unwrap_or_else(|| notes(table, step_s, warm_up_s)),
    };
    let series = judge.map(|j| Vec::from(j.series(grid))).unwrap_or_default();
    Ok(Found { groups, summary, series })
}

/// Windows of `hits`. What goes on for long (a climb, a run that is missed) is a window of its own, beside those that lie in it, unless one
/// of these is at least half as long, and so is about the same.
fn join(hits: Vec<Hit>, gap: usize) -> Vec<Group> {
    let lasts = |hit: &Hit| matches!(hit.shape, Shape::Climb | Shape::Missed { .. });
    let (long, short): (Vec<Hit>, Vec<Hit>) = hits.into_iter().partition(lasts);
    let mut groups = windows::merge(short, gap);
    for slow in windows::merge(long, gap) {
        let common = |g: &Group| g.end.min(slow.end).saturating_sub(g.start.max(slow.start));
        let same: Vec<Group> = groups.extract_if(.., |g| 2 * common(g) >= slow.end - slow.start).collect();
        let hits = slow.hits.into_iter().chain(same.into_iter().flat_map(|g| g.hits)).collect();
        // All of them are one: they overlap by half.
        groups.extend(windows::merge(hits, usize::MAX / 2));
    }
    groups.sort_by_key(|g| (g.start, g.end));
    groups
}

/// Who judges instead of the streaming detector, if somebody was asked for.
fn judge(recording: &Recording, table: &Table, step_s: f64, config: &Config) -> Result<Option<Box<dyn Judge>>> {
    Ok(match (&config.model, config.detector) {
        (Some(model), _) => Some(Box::new(ByModel::new(model, recording, config)?)),
        (None, Some(entry)) if entry.name != registry::DEFAULT => {
            Some(Box::new(Registered::new(entry, table, step_s, config.false_alarms_per_hour)?))
        }
        _ => None,
    })
}

/// What could not be judged, and what would have to be so that it can.
fn notes(table: &Table, interval_s: f64, warm_up_s: f64) -> Vec<String> {
    let grid = table.grid;
    let length_s = grid.seconds(grid.len);
    let mut notes = vec![];
    if table.present().all(|(_, values)| values.iter().all(Option::is_none)) {
        notes.push("the recording holds no samples: it ended before its first interval did".to_owned());
    }
    if length_s < warm_up_s * 1.5 {
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
    fn a_climb_is_beside_the_bursts_that_lie_in_it_and_one_with_a_growth_as_long() {
        let edges = |hits: Vec<Hit>| join(hits, 15).iter().map(|g| (g.start, g.end, g.hits.len())).collect::<Vec<_>>();
        let bursts = vec![hit(200, 600, Shape::Climb), hit(250, 260, Shape::Shift), hit(500, 520, Shape::Silence)];
        assert_eq!(edges(bursts), [(200, 600, 1), (250, 260, 1), (500, 520, 1)]);
        let growth = vec![hit(200, 600, Shape::Climb), hit(205, 590, Shape::Shift), hit(700, 710, Shape::Shift)];
        assert_eq!(edges(growth), [(200, 600, 2), (700, 710, 1)]);
        let missed = vec![hit(100, 300, Shape::Missed { every: 50 }), hit(110, 290, Shape::Missed { every: 50 })];
        assert_eq!(edges(missed), [(100, 300, 2)]);
    }
}
