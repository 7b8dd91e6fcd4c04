//! How long a change lasts. Live, what goes on for three quarters of a minute is the new normal;
//! in a recording that is there as a whole it lasts until the metric comes back.

use super::runs::{Run, Watched};
use crate::data::metric::Form;
use crate::online::shape::Shape;
use crate::stats::robust;

/// Time over which it must have come back to be over, and the same as a share of how long it has gone on.
const BACK_S: f64 = 2.0;
const BACK_SHARE: f64 = 0.2;
/// A change that goes on for so long may go on for longer.
const LONG_S: f64 = 5.0;
/// It is over when the metric is this near to what is usual, as a share of how far it was away.
const NEAR: f64 = 0.33;

/// Mean of what is known of `values`.
pub(super) fn mean(values: &[Option<f64>]) -> Option<f64> {
    let known: Vec<f64> = values.iter().flatten().copied().collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

/// First point from `from` on at which the metric is back from `other` to `normal`, or near it, for long enough, of a change that began at `start`.
pub(super) fn back(watched: Watched<'_>, start: usize, from: usize, normal: f64, other: f64) -> usize {
    let least = watched.points(BACK_S);
    let is_past = |v: f64| if other > normal { v < normal } else { v > normal };
    let nearer = |v: f64| is_past(v) || (v - normal).abs() < NEAR * (other - normal).abs();
    let n = watched.values.len();
    (from..n)
        .find(|i| {
            let width = least.max(((*i - start) as f64 * BACK_SHARE) as usize);
            watched.values[*i].is_some_and(nearer) && mean(&watched.values[*i..(*i + width).min(n)]).is_some_and(nearer)
        })
        .unwrap_or(n)
}

/// Ends the climbs among `runs` where they ended: live, a climb is over once the next part of its window does not go on.
pub(super) fn end_climbs(runs: &mut [Run], values: &[Option<f64>]) {
    const PARTS: usize = 64;
    for Run { hit, .. } in runs.iter_mut().filter(|run| run.hit.shape == Shape::Climb) {
        let span = &values[hit.start..hit.end];
        let width = span.len().div_ceil(PARTS).max(1);
        let parts: Vec<f64> = span.chunks(width).map_while(mean).collect();
        if parts.len() * width < span.len() || parts.len() < 8 {
            continue;
        }
        // A line and then a constant: half of it at least is the climb.
        let best = (parts.len() / 2..=parts.len()).min_by(|a, b| bend(&parts, *a).total_cmp(&bend(&parts, *b)));
        hit.end = hit.start + (best.unwrap_or(parts.len()) * width).min(span.len());
    }
}

/// Squared error of a line before `at` and a constant after it.
fn bend(values: &[f64], at: usize) -> f64 {
    let (line, flat) = values.split_at(at);
    let n = line.len() as f64;
    let (mean_x, mean_y) = ((n - 1.0) / 2.0, line.iter().sum::<f64>() / n.max(1.0));
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (i, v) in line.iter().enumerate() {
        let (x, y) = (i as f64 - mean_x, v - mean_y);
        (xx, xy, yy) = (xx + x * x, xy + x * y, yy + y * y);
    }
    let middle = flat.iter().sum::<f64>() / flat.len().max(1) as f64;
    let of_line = (yy - xy * xy / f64::max(xx, f64::MIN_POSITIVE)).max(0.0);
    of_line + flat.iter().map(|v| (v - middle).powi(2)).sum::<f64>()
}

/// Lengthens those of `runs` that went on for some time to where the metric comes back.
pub(super) fn lengthen(runs: &mut [Run], watched: Watched<'_>) {
    let long = watched.points(LONG_S);
    for Run { hit, normal, .. } in runs {
        let is_change = matches!(hit.shape, Shape::Shift | Shape::Silence) && watched.metric.form == Form::Rate;
        if is_change && hit.end - hit.start >= long {
            let inside: Vec<f64> = watched.values[hit.start..hit.end].iter().flatten().copied().collect();
            let Some(other) = robust::median(&inside) else { continue };
            hit.end = hit.end.max(back(watched, hit.start, hit.end, *normal, other));
        }
    }
}
