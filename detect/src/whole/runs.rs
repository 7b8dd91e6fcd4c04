//! Alarms of a detector of one metric, joined to hits with sharp edges.

use crate::combine::windows::{self, Hit};
use crate::data::metric::{Form, Metric};
use crate::online::shape::Shape;
use crate::online::stream::Verdict;
use std::mem::discriminant;

/// A pause in a run of alarms that does not end it.
const PAUSE_S: f64 = 0.5;
/// How far beyond the alarms an edge is looked for.
const SLACK_S: f64 = 0.5;

/// One metric over a recording.
#[derive(Clone, Copy, Debug)]
pub struct Watched<'a> {
    /// Its number, for [`Hit::metric`].
    pub id: usize,
    /// What of it matters.
    pub metric: Metric,
    /// Its value in each interval, `None` where it is not known.
    pub values: &'a [Option<f64>],
    /// Length of an interval, seconds.
    pub interval_s: f64,
}

impl Watched<'_> {
    /// So many intervals, at least one.
    pub(super) fn points(&self, seconds: f64) -> usize {
        (seconds / self.interval_s).round().max(1.0) as usize
    }
}

/// A hit, and what is usual of the metric: by the interval, of a level's growth.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The hit.
    pub hit: Hit,
    /// Middle of what came before.
    pub normal: f64,
    last: usize,
}

impl Run {
    pub(super) fn new(hit: Hit, normal: f64) -> Self {
        let last = hit.end.saturating_sub(1);
        Self { hit, normal, last }
    }
}

/// The hits of `watched`, of which `judge` is told every value and answers what it says of it.
pub fn runs<I>(watched: Watched<'_>, mut judge: impl FnMut(Option<f64>) -> I) -> Vec<Run>
where
    I: IntoIterator<Item = (Shape, Verdict)>,
{
    let Watched { metric, values, .. } = watched;
    let pause = watched.points(PAUSE_S);
    let is_level = metric.form == Form::Level;
    let mut runs: Vec<Run> = vec![];
    for (i, value) in values.iter().enumerate() {
        for (shape, v) in judge(*value) {
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
            let hit = Hit { metric: watched.id, start, end: i + 1, severity, tail, rising, shape };
            let per = if is_level { v.reach.max(1) as f64 } else { 1.0 };
            runs.push(Run::new(hit, v.normal / per));
        }
    }
    let steps: Vec<Option<f64>>;
    let seen: &[Option<f64>] = if is_level {
        steps = std::iter::once(None).chain(values.windows(2).map(|w| Some(w[1]? - w[0]?))).collect();
        &steps
    } else {
        values
    };
    let slack = watched.points(SLACK_S);
    for Run { hit, normal, .. } in &mut runs {
        // The other shapes say where they begin, and end when they are over.
        if hit.shape == Shape::Shift {
            (hit.start, hit.end) = windows::sharpen(seen, *normal, hit.rising, hit.start, hit.end, slack);
        }
    }
    runs
}
