//! From points that alarm to alarms: what a person is called for.

use std::ops::Range;

/// Alarms at most this many points apart are one. By hand; `docs/evaluation.md` states it beside the precision of alarms.
pub const JOIN: usize = 5;

/// Runs of `true`, in order.
pub fn segments(labels: &[bool]) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = vec![];
    for (i, _) in labels.iter().enumerate().filter(|(_, l)| **l) {
        match out.last_mut() {
            Some(last) if last.end == i => last.end = i + 1,
            _ => out.push(i..i + 1),
        }
    }
    out
}

/// Runs of predicted points, near ones joined.
pub fn alarms(predictions: &[bool]) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = vec![];
    for run in segments(predictions) {
        match out.last_mut() {
            Some(last) if run.start - last.end <= JOIN => last.end = run.end,
            _ => out.push(run),
        }
    }
    out
}
