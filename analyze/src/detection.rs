//! Which spans are windows: hits of the streaming detector on each metric, or of a model on the metrics that it sees, joined.

use crate::explain::Config;
use crate::judged;
use crate::metrics::METRICS;
use crate::say;
use crate::series::Table;
use osd_detect::grid::Grid;
use osd_detect::stream::{self, Detector, Form};
use osd_detect::windows::{self, Group, Hit};
use osd_findings::DetectorSummary;
use osd_model::score::Scored;

/// Time at the start that is neither baseline nor window; at least one interval.
pub(crate) const SETTLE_S: f64 = 1.0;
/// The detector takes longer where intervals are long.
const WARM_UP_S: f64 = 8.0;
/// Longest interval that shows a burst as the detector was made to see it: half a second is its shorter scale.
const SHARP_S: f64 = 0.5;
/// Windows closer than this are one.
const JOIN_S: f64 = 1.5;
/// Nothing that begins this late is a window.
const CLOSING_S: f64 = 0.5;

/// The windows, and how they were found.
pub(crate) struct Detection {
    pub(crate) groups: Vec<Group>,
    pub(crate) summary: DetectorSummary,
}

/// Windows of `table`; by the model's scores, where there are any, for the metrics that the model sees.
///
/// `interval_s` is that of the recording: the bins of one that is shorter than half of it are shorter too.
pub(crate) fn detect(table: &Table, interval_s: f64, config: &Config, scored: Option<&Scored>) -> Detection {
    let grid = table.grid;
    let step_s = interval_s.max(grid.seconds(1));
    let watched = |place: usize| table.metrics[place].is_some() && METRICS[place].drives;
    let seen = |place: usize| scored.is_some_and(|s| judged::place(s, METRICS[place].name).is_some());
    let n_watched = (0..METRICS.len()).filter(|p| watched(*p) && !seen(*p)).count().max(1);
    let rate = judged::share(config, scored.is_some());
    let mut driving: Vec<Hit> = vec![];
    let mut describing: Vec<Hit> = vec![];
    let watching =
        stream::Config { interval_s: step_s, settle_s: SETTLE_S, warm_up_s: WARM_UP_S, ..stream::Config::default() };
    let warm_up_s = Detector::new(watching.clone()).warm_up() as f64 * step_s;
    for (place, values) in table.metrics.iter().enumerate() {
        let Some(values) = values else { continue };
        let metric = &METRICS[place];
        let mut detector = Detector::new(stream::Config {
            false_alarms_per_hour: rate / n_watched as f64,
            form: metric.form,
            floor: metric.floor,
            relative_floor: metric.relative_floor,
            fall: metric.fall,
            ..watching.clone()
        });
        let hits = if metric.drives && !seen(place) { &mut driving } else { &mut describing };
        hits.extend(hits_of(place, values, &mut detector, grid));
    }
    if let Some(scored) = scored {
        judged::join(scored, config, grid, &mut driving, &mut describing);
    }
    let mut groups = windows::merge(driving, grid.bins(JOIN_S));
    // The last half second is the target being shut down, or too little to judge.
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
    let summary = DetectorSummary {
        name: scored.map_or_else(|| "robust streaming".into(), judged::name),
        false_alarms_per_hour: config.false_alarms_per_hour,
        warm_up_s,
        metrics: (0..METRICS.len()).filter(|p| watched(*p)).map(|p| METRICS[p].name.to_owned()).collect(),
        notes: scored.map_or_else(|| notes(table, step_s, warm_up_s), |scored| judged::notes(scored, grid)),
    };
    Detection { groups, summary }
}

/// What could not be judged, and what would have to be so that it can.
fn notes(table: &Table, interval_s: f64, warm_up_s: f64) -> Vec<String> {
    let grid = table.grid;
    let length_s = grid.seconds(grid.len);
    let mut notes = vec![];
    if table.metrics.iter().flatten().all(|values| values.iter().all(Option::is_none)) {
        notes.push("the recording holds no samples: it ended before its first interval did".to_owned());
    }
    if length_s < warm_up_s * 1.5 {
        let (length, learning) = (say::length(length_s, 1), say::length(warm_up_s, 0));
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
        let interval = say::length(interval_s, 1);
        notes.push(format!(
            "a sample every {interval}: what is shorter shows only as far as it moves the mean over {interval}"
        ));
    }
    notes
}

/// Runs of alarms of one metric, with sharp edges.
fn hits_of(place: usize, values: &[Option<f64>], detector: &mut Detector, grid: Grid) -> Vec<Hit> {
    struct Run {
        hit: Hit,
        normal: f64,
        last: usize,
    }
    let pause = grid.bins(0.5).max(1);
    let mut runs: Vec<Run> = vec![];
    for (i, value) in values.iter().enumerate() {
        let v = detector.push(*value);
        if v.severity < 1.0 {
            continue;
        }
        match runs.last_mut() {
            Some(run) if i - run.last <= pause && run.hit.rising == v.rising => {
                run.last = i;
                run.hit.end = i + 1;
                run.hit.severity = run.hit.severity.max(v.severity);
                run.hit.tail = run.hit.tail.min(v.tail);
            }
            _ => {
                let start = (i + 1).saturating_sub(v.reach);
                let (severity, tail, rising) = (v.severity, v.tail, v.rising);
                let hit = Hit { metric: place, start, end: i + 1, severity, tail, rising };
                let per = if METRICS[place].form == Form::Level { v.reach as f64 } else { 1.0 };
                runs.push(Run { hit, normal: v.normal / per, last: i });
            }
        }
    }
    let steps: Vec<Option<f64>>;
    let watched: &[Option<f64>] = if METRICS[place].form == Form::Level {
        steps = std::iter::once(None).chain(values.windows(2).map(|w| Some(w[1]? - w[0]?))).collect();
        &steps
    } else {
        values
    };
    let slack = grid.bins(0.5).max(1);
    runs.into_iter()
        .map(|Run { mut hit, normal, .. }| {
            (hit.start, hit.end) = windows::sharpen(watched, normal, hit.rising, hit.start, hit.end, slack);
            hit
        })
        .collect()
}

/// The strongest metrics set the edges; a weak one that trails along does not widen the window.
fn tighten(group: &mut Group, grid: Grid) {
    let Some(strongest) = group.hits.first().map(|h| h.severity) else { return };
    let strong = group.hits.iter().filter(|h| h.severity >= (0.25 * strongest).min(3.0));
    let (start, end) = strong.fold((usize::MAX, 0), |(s, e), h| (s.min(h.start), e.max(h.end)));
    group.start = start.min(grid.len - 1);
    group.end = end.clamp(group.start + 1, grid.len);
}
