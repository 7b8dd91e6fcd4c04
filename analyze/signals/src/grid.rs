//! The bins of a recording: one interval each, in the phase of its first sample.

use crate::{Error, Result};
use osd_detect::grid::Grid;
use osd_recording::{Kind, Query, Recording};
use std::ops::Range;

/// Bins that fit in memory: a damaged clock must not ask for terabytes. Two million are two days at 100 ms.
const MOST_BINS: i64 = 2_000_000;

/// First and last start of a sample, UTC ns; `None` without any.
pub fn sample_span(recording: &Recording) -> Option<(i64, i64)> {
    let samples = recording.row_groups().iter().filter(|g| g.kind == Some(Kind::Sample));
    samples.filter_map(|g| g.ts_ns).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

/// The interval that the recorder was asked for; 100 ms if the recording does not say.
pub fn interval_ns(recording: &Recording) -> i64 {
    i64::try_from(recording.metadata().interval_ns).ok().filter(|ns| *ns > 0).unwrap_or(100_000_000)
}

/// The bins of `recording`, or of the part of it that begins in `range`. A recording that ended before its first interval
/// did is one bin.
///
/// # Errors
/// [`Error::NoSamples`] if `range` holds none.
pub fn of(recording: &Recording, range: Option<&Range<i64>>) -> Result<Grid> {
    let m = recording.metadata();
    let empty = || Error::NoSamples { path: recording.path().to_owned() };
    let Some((first, last)) = sample_span(recording) else {
        if range.is_some() {
            return Err(empty());
        }
        let length = m.ended_ns.saturating_sub(m.started_ns).max(1);
        return Ok(Grid { start_ns: m.started_ns, step_ns: length, len: 1 });
    };
    let mut step_ns = interval_ns(recording);
    // The phase of the first sample, so that rows fall into bins instead of across them.
    let mut start_ns = first;
    let mut end_ns = last.saturating_add(step_ns);
    if let Some(range) = range {
        let skip = range.start.saturating_sub(start_ns).max(0).div_euclid(step_ns);
        start_ns = start_ns.saturating_add(skip.saturating_mul(step_ns));
        end_ns = end_ns.min(range.end);
    }
    let length = end_ns.saturating_sub(start_ns);
    if length <= 0 {
        return Err(empty());
    }
    if length / step_ns > MOST_BINS {
        step_ns = length / MOST_BINS + 1;
    }
    let len = usize::try_from((length + step_ns - 1) / step_ns).unwrap_or(1);
    Ok(Grid { start_ns, step_ns, len })
}

/// Asks for rows of one kind that begin in `range`.
pub fn query(kind: Kind, columns: &[&'static str], range: Option<&Range<i64>>) -> Query {
    Query { kinds: Some(vec![kind]), columns: Some(columns.to_vec()), ts_ns: range.cloned() }
}
