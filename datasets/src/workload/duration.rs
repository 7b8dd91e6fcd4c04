//! Times as a person types them.

use std::time::Duration;

/// Reads `500ms`, `10s`, `1.5s`, `2m`, `1h`.
///
/// # Errors
/// A sentence that says what was wanted.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const MOST_S: u64 = 365 * 86_400;
    let length = text.parse::<jiff::SignedDuration>().ok().and_then(|length| length.try_into().ok());
    let fits = |length: &Duration| length.as_secs() <= MOST_S;
    length.filter(fits).ok_or_else(|| format!("`{text}` is not a time: want a number and ms, s, m or h, e.g. 10s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, expected) in [
            ("10s", Some(Duration::from_secs(10))),
            ("500ms", Some(Duration::from_millis(500))),
            ("2m", Some(Duration::from_secs(120))),
            ("1.5h", Some(Duration::from_secs(5400))),
            ("0s", Some(Duration::ZERO)),
            ("10", None),
            ("s", None),
            ("-1s", None),
            ("infs", None),
            ("1e300h", None),
            ("10 parsecs", None),
            ("", None),
        ] {
            assert_eq!(parse_duration(text).ok(), expected, "{text:?}");
        }
    }
}
