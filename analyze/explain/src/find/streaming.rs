//! The streaming detector on each metric: runs of alarms, with sharp edges. It needs nothing but
//! the recording.

use osd_detect::Shape;
use osd_detect::grid::Grid;
use osd_detect::stream;
use osd_detect::watch::Watch;
use osd_detect::windows::{self, Hit};
use osd_signals::Table;
use osd_signals::metric::Metric;
use std::mem::discriminant;

/// Time at the start that is neither baseline nor window; at least one interval. A target that was just attached to, or
/// just began, does in its first second what it does never again.
pub(crate) const SETTLE_S: f64 = 1.0;
/// Time to learn from before anything can alarm; longer where intervals are long. At 100 ms these are 80 values, of which
/// a median and a spread can be had.
const WARM_UP_S: f64 = 8.0;
/// A pause in a run of alarms that does not end it.
const PAUSE_S: f64 = 0.5;

/// Alarms of one shape that are no further apart than a pause.
struct Run {
    hit: Hit,
    normal: f64,
    last: usize,
}

/// The streaming detector, for one recording.
pub(crate) struct Streaming {
    config: stream::Config,
    grid: Grid,
}

impl Streaming {
    /// For bins of `grid` and values every `step_s`.
    pub(crate) fn new(grid: Grid, step_s: f64) -> Self {
        let config = stream::Config {
            interval_s: step_s,
            settle_s: SETTLE_S,
            warm_up_s: WARM_UP_S,
            ..stream::Config::default()
        };
        Self { config, grid }
    }

    /// Time to learn from before anything can alarm.
    pub(crate) fn warm_up_s(&self) -> f64 {
        Watch::new(self.config.clone()).warm_up() as f64 * self.config.interval_s
    }

    /// What is unusual in each metric of `table`, which may alarm `false_alarms_per_hour` times by chance.
    pub(crate) fn hits(&self, table: &Table, false_alarms_per_hour: f64) -> Vec<Hit> {
        let of_metric = |(metric, values): (&Metric, &Vec<Option<f64>>)| {
            let mut watch =
                Watch::new(stream::Config { false_alarms_per_hour, metric: metric.matters, ..self.config.clone() });
            hits_of(metric, values, &mut watch, self.grid)
        };
        table.present().flat_map(of_metric).collect()
    }
}

/// Runs of alarms of one metric, with sharp edges.
fn hits_of(metric: &Metric, values: &[Option<f64>], watch: &mut Watch, grid: Grid) -> Vec<Hit> {
    let pause = grid.bins(PAUSE_S).max(1);
    let mut runs: Vec<Run> = vec![];
    for (i, value) in values.iter().enumerate() {
        for (shape, v) in watch.push(*value) {
            if v.severity < 1.0 {
                continue;
            }
            let alike = |hit: &Hit| hit.rising == v.rising && discriminant(&hit.shape) == discriminant(&shape);
            let same = |run: &&mut Run| i - run.last <= pause && alike(&run.hit);
            if let Some(run) = runs.iter_mut().rev().take(Shape::N).find(same) {
                run.last = i;
                run.hit.end = i + 1;
                run.hit.severity = run.hit.severity.max(v.severity);
                run.hit.tail = run.hit.tail.min(v.tail);
                continue;
            }
            let start = (i + 1).saturating_sub(v.reach);
            let (severity, tail, rising) = (v.severity, v.tail, v.rising);
            let hit = Hit { metric: metric.id as usize, start, end: i + 1, severity, tail, rising, shape };
            let per = if metric.is_level() { v.reach as f64 } else { 1.0 };
            runs.push(Run { hit, normal: v.normal / per, last: i });
        }
    }
    let steps: Vec<Option<f64>>;
    let watched: &[Option<f64>] = if metric.is_level() {
        steps = std::iter::once(None).chain(values.windows(2).map(|w| Some(w[1]? - w[0]?))).collect();
        &steps
    } else {
        values
    };
    let slack = grid.bins(0.5).max(1);
    let sharp = |Run { mut hit, normal, .. }: Run| {
        // The other shapes say where they begin, and end when they are over.
        if hit.shape == Shape::Shift {
            (hit.start, hit.end) = windows::sharpen(watched, normal, hit.rising, hit.start, hit.end, slack);
        }
        hit
    };
    runs.into_iter().map(sharp).collect()
}
