//! `--from` and `--to`.

use crate::failure::{Failure, Result};
use crate::format;
use osd_replay::rows::Cursor;
use std::ops::Range;

/// The range that the two name; `None` if neither is there.
pub(super) fn range(from: Option<&str>, to: Option<&str>, started_ns: i64) -> Result<Option<Range<i64>>> {
    if from.is_none() && to.is_none() {
        return Ok(None);
    }
    let at = |text: Option<&str>, default| text.map_or(Ok(default), |text| time(text, started_ns));
    let (from, to) = (at(from, i64::MIN)?, at(to, i64::MAX)?);
    if from >= to {
        return Err(Failure::new("--from must be before --to").hint("such as --from 30s --to 1m"));
    }
    Ok(Some(from..to))
}

/// A time as a person writes it, UTC ns.
pub(super) fn time(text: &str, started_ns: i64) -> Result<i64> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return i64::try_from(time.as_nanosecond()).map_err(Failure::new);
    }
    if matches!(text, "0" | "0s") {
        return Ok(started_ns);
    }
    let since = format::parse_duration(text).map_err(|e| {
        Failure::new(format!("`{text}` is not a time")).hint(format!("{e}; or a time such as 2026-01-31T12:00:00Z"))
    })?;
    Ok(started_ns.saturating_add_unsigned(since))
}

/// What times there are.
pub(super) fn hint(cursor: &Cursor) -> String {
    let of = |m: &osd_recording::Metadata| (m.started_ns, m.ended_ns);
    let spans = cursor.recordings().iter().map(|r| of(r.metadata()));
    let (from, to) = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or_default();
    format!("it lasts from {} to {}", format::time(from), format::time(to))
}
