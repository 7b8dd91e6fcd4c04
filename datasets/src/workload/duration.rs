//! Times as a person types them.

use std::time::Duration;

/// Reads `500ms`, `10s`, `1.5s`, `2m`, `1h`.
///
/// # Errors
/// A sentence that says what was wanted.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const DAY_S: f64 = 86_400.0;
    let wanted = || format!("`{text}` is not a time: want a number and ms, s, m or h, e.g. 10s");
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(wanted)?);
    let unit_s = match unit {
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wanted()),
    };
    let seconds = number.parse::<f64>().map_err(|_| wanted())? * unit_s;
    if !(0.0..=365.0 * DAY_S).contains(&seconds) {
        return Err(wanted());
    }
    Ok(Duration::from_secs_f64(seconds))
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
