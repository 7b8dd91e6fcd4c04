//! What a window looks like, as a row of numbers: which metrics rose and fell, and the mix of
//! calls, errors, objects and threads that came with it.
//!
//! Each of the five is a unit vector times its weight, so that neither the strength of a window nor the number of threads in it counts, and
//! two windows that have nothing in common are a known distance apart.

use osd_findings::Window;
use std::collections::{BTreeMap, BTreeSet};

/// Where a number comes from, and how much each kind weighs. Metrics and calls say what happened; the others to whom.
const METRICS: (u8, f64) = (0, 1.0);
const CALLS: (u8, f64) = (1, 1.0);
const ERRORS: (u8, f64) = (2, 0.7);
const OBJECTS: (u8, f64) = (3, 0.5);
const THREADS: (u8, f64) = (4, 0.5);

type Row = BTreeMap<(u8, String), f64>;

/// A row a window, all of the same columns; of the metrics only those that `counts` says count.
pub(super) fn rows(windows: &[&Window], counts: impl Fn(&str) -> bool) -> Vec<Vec<f64>> {
    let rows: Vec<Row> = windows.iter().map(|w| row(w, &counts)).collect();
    let columns: BTreeSet<&(u8, String)> = rows.iter().flat_map(BTreeMap::keys).collect();
    rows.iter().map(|row| columns.iter().map(|c| row.get(*c).copied().unwrap_or(0.0)).collect()).collect()
}

fn row(w: &Window, counts: &impl Fn(&str) -> bool) -> Row {
    let mut out = Row::new();
    let direction = |before: f64, during: f64| if during < before { -1.0 } else { 1.0 };
    add(
        &mut out,
        METRICS,
        // Less than in proportion: a metric that follows the leading one weakly is part of the shape.
        w.metrics
            .iter()
            .filter(|m| counts(&m.metric))
            .map(|m| (m.metric.clone(), direction(m.before, m.during) * m.severity.max(0.0).ln_1p())),
    );
    // Findings of older versions have calls that vanished as a share of those that came.
    let share = |share: f64| share.clamp(-1.0, 1.0);
    add(&mut out, CALLS, w.syscalls.iter().map(|s| (s.syscall.clone(), share(s.share))));
    add(&mut out, ERRORS, w.errors.iter().map(|e| (format!("{} {}", e.syscall, e.errno), share(e.share))));
    let first = move |s: &osd_findings::SyscallShift| s.objects.first().map(|object| (kind(object), share(s.share)));
    add(&mut out, OBJECTS, w.syscalls.iter().filter_map(first));
    add(&mut out, THREADS, w.threads.iter().map(|t| (t.comm.clone(), share(t.share))));
    out
}

/// Adds one kind, at its weight whatever its size.
fn add(out: &mut Row, (kind, weight): (u8, f64), values: impl Iterator<Item = (String, f64)>) {
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    for (name, value) in values.filter(|(_, v)| v.is_finite()) {
        *sums.entry(name).or_default() += value;
    }
    let length = sums.values().map(|v| v * v).sum::<f64>().sqrt();
    if length > 0.0 {
        out.extend(sums.into_iter().map(|(name, value)| ((kind, name), weight * value / length)));
    }
}

/// An object without what numbers it: `/tmp/a17` and `/tmp/a18` are of a kind.
fn kind(object: &str) -> String {
    let mut out = String::new();
    for c in object.chars() {
        match c {
            '0'..='9' if out.ends_with('#') => {}
            '0'..='9' => out.push('#'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_told_apart_by_kind() {
        assert_eq!(kind("/tmp/a17.x"), kind("/tmp/a9.x"));
        assert_ne!(kind("/tmp/a"), kind("/var/a"));
    }
}
