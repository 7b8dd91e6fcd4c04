//! Fewer points, same picture: per pixel column the first, lowest, highest and last value, so that
//! no spike is lost.

/// A point: seconds since the start, value. `None` is a gap.
pub(crate) type Point = (f64, Option<f64>);

/// The unbroken runs of `points`, each with at most four points per column of `span_s / columns` seconds.
///
/// A run never spans a gap. Order in time is kept; extremes of each column are kept.
pub(crate) fn runs(points: &[Point], span_s: f64, columns: usize) -> Vec<Vec<(f64, f64)>> {
    let per_s = columns.max(1) as f64 / span_s.max(1e-9);
    let mut runs: Vec<Vec<(f64, f64)>> = Vec::new();
    for run in points.split(|(_, value)| value.is_none()).filter(|run| !run.is_empty()) {
        let mut kept: Vec<(f64, f64)> = Vec::new();
        let column_of = |at: f64| (at * per_s).floor();
        for column in run.chunk_by(|a, b| column_of(a.0) == column_of(b.0)) {
            let value = |i: usize| column[i].1.unwrap_or(0.0);
            let last = column.len() - 1;
            let low = (0..=last).min_by(|a, b| value(*a).total_cmp(&value(*b))).unwrap_or(0);
            let high = (0..=last).max_by(|a, b| value(*a).total_cmp(&value(*b))).unwrap_or(0);
            let mut keep = [0, low, high, last];
            keep.sort_unstable();
            let mut previous = None;
            for i in keep.into_iter().filter(|i| previous.replace(*i) != Some(*i)) {
                kept.push((column[i].0, value(i)));
            }
        }
        runs.push(kept);
    }
    runs
}

/// As [`runs`], flat and with the gaps: what the page embeds when a recording is long.
pub(crate) fn thin(points: &[Point], span_s: f64, columns: usize) -> Vec<Point> {
    if points.len() <= columns * 4 {
        return points.to_vec();
    }
    let mut out: Vec<Point> = Vec::new();
    for run in runs(points, span_s, columns) {
        if let Some(((last, _), (first, _))) = out.last().zip(run.first()) {
            out.push(((last + first) / 2.0, None));
        }
        out.extend(run.into_iter().map(|(at, value)| (at, Some(value))));
    }
    out
}
