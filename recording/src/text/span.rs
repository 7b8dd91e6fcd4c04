//! Lengths of time as people write them: `100ms`, `1.5s`, `5m`, `2 hours`, `1h30m`, `PT5M`.

use jiff::{Span, SpanRelativeTo};

/// The nanoseconds that `text` means; `None` if it is no length of time, a negative one, or one of months or years, which
/// have no fixed length. A day is 24 hours.
pub fn parse_span(text: &str) -> Option<u64> {
    let span: Span = text.trim().parse().ok()?;
    if span.get_months() != 0 || span.get_years() != 0 {
        return None;
    }
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    duration.as_nanos().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_read_and_what_has_no_length_is_not() {
        for (text, ns) in [
            ("100ms", 100_000_000),
            ("10us", 10_000),
            ("7ns", 7),
            ("1.5s", 1_500_000_000),
            ("2 seconds", 2_000_000_000),
            ("5m", 300_000_000_000),
            ("5 min", 300_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1h 30m", 5_400_000_000_000),
            ("1d", 86_400_000_000_000),
            ("PT5M", 300_000_000_000),
            (" 10s ", 10_000_000_000),
        ] {
            assert_eq!(parse_span(text), Some(ns), "{text}");
        }
        for text in ["", "10", "ms", "ten", "5 parsecs", "1 fortnight", "-1s", "1mo", "1 year", "inf s", "99999999999h"]
        {
            assert_eq!(parse_span(text), None, "{text}");
        }
    }
}
