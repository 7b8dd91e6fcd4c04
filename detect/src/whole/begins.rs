//! A change so early that no detector has learnt what came before it, and that lasts so long that
//! it is all there is to learn from.
//!
//! Two parts of the beginning are told apart where a step fits it best (least squares, as in any search for one change point). That
//! takes less to learn from than a detector needs, so the step must be plain: all that comes after it lies beyond all that came before.

use super::lasts::back;
use super::runs::{Run, Watched};
use crate::combine::windows::Hit;
use crate::data::metric::Form;
use crate::online::shape::Shape;
use crate::stats::robust;

/// Values are averaged over so long.
const PART_S: f64 = 0.5;
/// Parts before the change, at least: three seconds.
const BEFORE: usize = 6;
/// Parts after it, at least: as long as a detector learns.
const AFTER: usize = 16;
/// The change is so many times as far as anything before it was from its middle.
const PLAIN: f64 = 1.5;

/// The change, if one lies between `from` and `until`, so near to the beginning that it is hidden.
pub(super) fn early(watched: Watched<'_>, from: usize, until: usize) -> Option<Run> {
    let metric = watched.metric;
    let width = watched.points(PART_S);
    let most = until.saturating_sub(from) / width;
    let parts: Vec<f64> =
        watched.values.get(from..)?.chunks_exact(width).take(most + AFTER).map_while(super::lasts::mean).collect();
    if metric.form != Form::Rate || parts.len() < BEFORE + AFTER {
        return None;
    }
    let splits = BEFORE..=(parts.len() - AFTER).min(most);
    let at = splits.min_by(|a, b| misfit(&parts, *a).total_cmp(&misfit(&parts, *b)))?;
    let (before, after) = parts.split_at(at);
    let mut after = after[..AFTER].to_vec();
    robust::sort(&mut after);
    let (usual, other) = (robust::median(before)?, robust::median(&after)?);
    let rising = other > usual;
    let least = match metric.fall {
        _ if rising => metric.floor.max(metric.relative_floor * usual.abs()),
        Some(fall) if usual > metric.floor => fall * usual.abs(),
        _ => return None,
    };
    let farthest = before.iter().map(|v| (v - usual).abs()).fold(0.0, f64::max);
    // The nearest of what comes after, one in ten aside.
    let nearest = if rising { after[AFTER / 10] - usual } else { usual - after[AFTER - 1 - AFTER / 10] };
    let severity = (other - usual).abs() / least.max(f64::MIN_POSITIVE);
    if severity < 1.0 || nearest <= PLAIN * farthest || nearest <= 0.0 {
        return None;
    }
    let start = from + at * width;
    let end = back(watched, start, start + width, usual, other);
    let hit = Hit { metric: watched.id, start, end, severity, tail: 0.1, rising, shape: Shape::Shift };
    Some(Run::new(hit, usual))
}

/// Squared error of one constant before `at` and another after it.
fn misfit(parts: &[f64], at: usize) -> f64 {
    let error = |part: &[f64]| {
        let mean = part.iter().sum::<f64>() / part.len().max(1) as f64;
        part.iter().map(|v| (v - mean).powi(2)).sum::<f64>()
    };
    let (before, after) = parts.split_at(at);
    error(before) + error(after)
}
