//! When: a number that counts from 1970 or another beginning, or a date.

/// What a number in the column of times counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    Ns,
}

impl TimeUnit {
    /// By name.
    pub fn named(name: &str) -> Option<Self> {
        [("s", Self::S), ("ms", Self::Ms), ("us", Self::Us), ("ns", Self::Ns)]
            .into_iter()
            .find_map(|(n, unit)| (n == name).then_some(unit))
    }

    fn digits(self) -> usize {
        match self {
            Self::S => 9,
            Self::Ms => 6,
            Self::Us => 3,
            Self::Ns => 0,
        }
    }

    /// By how large a number is: seconds since 1970 have ten digits, and each thousandth of them three more. Until the year 2286.
    fn of(whole: &str) -> Self {
        match whole.trim_start_matches('0').len() {
            0..=11 => Self::S,
            12..=14 => Self::Ms,
            15..=17 => Self::Us,
            _ => Self::Ns,
        }
    }
}

/// A time: UTC ns, and whether it names no time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time {
    pub(super) ns: i64,
    pub(super) is_civil: bool,
}

/// Reads a time: a number since 1970 or another beginning, RFC 3339, or a date and time of day without a zone.
pub(super) fn time(text: &str, unit: Option<TimeUnit>) -> Option<Time> {
    if let Some(ns) = number_of_time(text, unit) {
        return Some(Time { ns, is_civil: false });
    }
    // A number is no date, though jiff would take `20260101`.
    if !text.contains('-') || text.len() > 64 {
        return None;
    }
    let (ns, is_civil) = match text.parse::<jiff::Timestamp>() {
        Ok(time) => (time.as_nanosecond(), false),
        Err(_) => {
            let civil = text.parse::<jiff::civil::DateTime>().ok()?;
            (civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_nanosecond(), true)
        }
    };
    Some(Time { ns: i64::try_from(ns).ok()?, is_civil })
}

fn number_of_time(text: &str, unit: Option<TimeUnit>) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return float_of_time(text, unit);
    }
    let digits = unit.unwrap_or_else(|| TimeUnit::of(whole)).digits();
    // In whole numbers: a double has no nanoseconds since 1970.
    let kept = &fraction[..fraction.len().min(digits)];
    let part = if kept.is_empty() { 0 } else { kept.parse::<i64>().ok()? };
    let part = part.checked_mul(10_i64.pow((digits - kept.len()) as u32))?;
    whole.parse::<i64>().ok()?.checked_mul(10_i64.pow(digits as u32))?.checked_add(part)
}

/// `1.7672256e+09`, as tables of doubles are written.
fn float_of_time(text: &str, unit: Option<TimeUnit>) -> Option<i64> {
    let value = text.parse::<f64>().ok().filter(|v| *v >= 0.0 && *v < 9e18 && text.contains(['e', 'E']))?;
    let digits = unit.unwrap_or_else(|| TimeUnit::of(&format!("{value:.0}"))).digits();
    Some((value * 10_f64.powi(digits as i32)).round()).filter(|ns| *ns < 9.2e18).map(|ns| ns as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_read_to_the_nanosecond_by_whichever_unit() {
        let ns = |text: &str| time(text, None).map(|t| t.ns);
        let wanted = Some(1_767_225_600_123_456_000);
        for text in [
            "1767225600.123456",
            "1767225600123.456",
            "1767225600123456",
            "1767225600123456000",
            "2026-01-01T00:00:00.123456Z",
            "2026-01-01T01:00:00.123456+01:00",
            "2026-01-01 00:00:00.123456",
        ] {
            assert_eq!(ns(text), wanted, "{text}");
        }
        assert_eq!(ns("1767225600.1234567891"), Some(1_767_225_600_123_456_789));
        assert_eq!(ns("1.767225600e9"), Some(1_767_225_600_000_000_000));
        assert_eq!(time("2026-01-01 00:00", None).map(|t| t.is_civil), Some(true));
        assert_eq!(time("1500", Some(TimeUnit::Ms)).map(|t| t.ns), Some(1_500_000_000));
        assert_eq!(ns("0.5"), Some(500_000_000));
        for none in ["", "x", "-1", "12:00:01", "1e300", "99999999999999999999", "2026-13-01 00:00", ".5", "1.-5"] {
            assert_eq!(ns(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "[0-9TZ:. +eE-]{0,40}", other in ".{0,40}") {
            let _ = (time(&text, None), time(&other, None), time(&text, Some(TimeUnit::Ns)));
        }
    }
}
