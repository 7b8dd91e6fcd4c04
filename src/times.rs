//! Moments and ranges as a person writes them: `--from`, and `--to` or `--until`.

use crate::failure::{Failure, Result};
use crate::format;
use std::ops::Range;

/// A moment as a person writes it: a time with its offset (`2026-01-31T12:00:00Z`), or how long after the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// UTC ns.
    At(i64),
    /// So many ns after the start.
    After(u64),
}

impl Moment {
    pub(crate) fn parse(text: &str) -> std::result::Result<Self, String> {
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            let ns = i64::try_from(time.as_nanosecond());
            return ns.map(Self::At).map_err(|_| "the years 1678 to 2262 can be told to the nanosecond".to_owned());
        }
        let after = text.strip_prefix('+').unwrap_or(text);
        let after = if after == "0" || after == "0s" { Ok(0) } else { format::parse_duration(after) };
        after.map(Self::After).map_err(|_| {
            "write a time such as 2026-01-31T12:00:00Z, or a length of time after the start such as 90s".to_owned()
        })
    }

    /// UTC ns, of a recording that starts at `start_ns`; `None` if there is no such time.
    pub(crate) fn utc_ns(self, start_ns: i64) -> Option<i64> {
        match self {
            Self::At(ns) => Some(ns),
            Self::After(ns) => start_ns.checked_add_unsigned(ns),
        }
    }
}

/// What lies from one to the other of recordings, the first of which starts at `start_ns`; `None` if neither is named.
pub(crate) fn range(start_ns: i64, from: Option<Moment>, end: Option<Moment>) -> Result<Option<Range<i64>>> {
    let at = |moment: Option<Moment>, default| moment.map_or(Some(default), |m| m.utc_ns(start_ns));
    let (Some(first), Some(last)) = (at(from, i64::MIN), at(end, i64::MAX)) else {
        return Err(Failure::new("a time is too far away"));
    };
    if first >= last {
        let (first, last) = (format::time(first), format::time(last));
        return Err(Failure::new(format!("nothing is from {first} until {last}")).hint("the end comes after --from"));
    }
    Ok((from.is_some() || end.is_some()).then_some(first..last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_times_or_lengths_after_the_start() {
        let at = |text: &str| Moment::parse(text).ok()?.utc_ns(1_000);
        assert_eq!(at("1970-01-01T00:00:01Z"), Some(1_000_000_000));
        assert_eq!(at("1970-01-01T01:00:01+01:00"), Some(1_000_000_000));
        assert_eq!((at("90s"), at("+1m30s"), at("0")), (Some(90_000_001_000), Some(90_000_001_000), Some(1_000)));
        for wrong in ["noon", "2026-01-31", "2026-01-31T12:00:00", "-5s", "9999-01-01T00:00:00Z"] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_range_needs_an_end_after_its_beginning() {
        let moment = |text: &str| Some(Moment::parse(text).unwrap());
        assert_eq!(range(5, moment("1s"), moment("2s")).unwrap(), Some(1_000_000_005..2_000_000_005));
        assert_eq!(range(5, None, moment("0")).unwrap(), Some(i64::MIN..5));
        assert_eq!(range(5, None, None).unwrap(), None);
        assert!(range(5, moment("2s"), moment("2s")).is_err());
    }
}
