//! Numbers for people: bytes, counts, durations, times.

pub(crate) use osd_recording::words::{grouped as count, plural};

/// `1536` → `1.5 KiB`.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{n} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// `12_345_678_900` ns → `12.3 s`.
pub(crate) fn duration(ns: u64) -> String {
    let s = ns as f64 / 1e9;
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} us", s * 1e6),
        1_000_000..1_000_000_000 => format!("{:.1} ms", s * 1e3),
        1_000_000_000..120_000_000_000 => format!("{s:.1} s"),
        _ => format!("{} min {:02} s", ns / 60_000_000_000, ns / 1_000_000_000 % 60),
    }
}

/// `0.0123` → `1.2 %`.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let digits = if percent < 0.1 {
        3
    } else if percent < 1.0 {
        2
    } else {
        1
    };
    format!("{percent:.digits$} %")
}

/// `1%`, `0.5%`, as a share; more than nothing, at most all.
#[cfg(any(feature = "record", test))]
pub(crate) fn parse_percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').and_then(|n| n.trim().parse::<f64>().ok());
    match number {
        Some(n) if n > 0.0 && n <= 100.0 => Ok(n / 100.0),
        _ => Err("write a share above 0% and up to 100%, such as 1% or 0.5%".to_owned()),
    }
}

/// UTC nanoseconds as RFC 3339 with milliseconds.
pub(crate) fn time(utc_ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(utc_ns)).map_or_else(|_| format!("{utc_ns} ns"), |t| format!("{t:.3}"))
}

/// A size as a person writes it: `100M`, `1.5G`, `512K`, or bytes; powers of 1024, or of 1000 with `MB`.
#[cfg(any(feature = "record", test))]
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale: f64 = match unit.trim() {
        "" | "B" => 1.0,
        "K" | "KiB" => 1024.0,
        "M" | "MiB" => 1_048_576.0,
        "G" | "GiB" => 1_073_741_824.0,
        "T" | "TiB" => 1_099_511_627_776.0,
        "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        _ => return Err(format!("`{unit}` is not a unit of size; write 512K, 100M or 2G")),
    };
    match number.parse::<f64>() {
        Ok(n) if n.is_finite() && n * scale >= 1.0 && n * scale < u64::MAX as f64 => Ok((n * scale) as u64),
        _ => Err("write a positive size such as 512K, 100M or 2G".to_owned()),
    }
}

/// A length of time as a person writes it: `10s`, `100ms`, `1h30m`, or bare seconds; in nanoseconds, and not none.
pub(crate) fn parse_duration(text: &str) -> Result<u64, String> {
    let seconds = || osd_recording::parse_span(&format!("{text}s"));
    let is_bare = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let ns = if is_bare { seconds() } else { osd_recording::parse_span(text) };
    ns.filter(|ns| *ns > 0).ok_or_else(|| "write a positive time such as 100ms, 10s, 5m or 1h".to_owned())
}

/// `1/h`, `2/d`, `0.5/min`; per hour.
#[cfg(any(feature = "analyze", feature = "model", feature = "eval", test))]
pub(crate) fn parse_rate(text: &str) -> Result<f64, String> {
    let advice = || "write how many in what time: 1/h, 2/d or 1/w".to_owned();
    let (number, unit) = text.split_once('/').unwrap_or((text, "h"));
    let per_hour = match unit.trim() {
        "h" | "hour" => 1.0,
        "d" | "day" => 1.0 / 24.0,
        "w" | "week" => 1.0 / 168.0,
        "m" | "min" | "minute" => 60.0,
        _ => return Err(advice()),
    };
    let rate = number.trim().parse::<f64>().map_err(|_| advice())? * per_hour;
    if rate.is_finite() && rate > 0.0 && rate <= 1_000.0 { Ok(rate) } else { Err(advice()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_legible() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(duration(1_500), "1.5 us");
        assert_eq!(duration(300_000_000_000), "5 min 00 s");
        assert_eq!(time(1_767_225_600_123_000_000), "2026-01-01T00:00:00.123Z");
    }

    #[test]
    fn shares_are_read_and_written_with_their_unit() {
        assert_eq!(percent(0.0123), "1.2 %");
        assert_eq!(percent(0.00504), "0.50 %");
        assert_eq!(percent(0.0), "0.000 %");
        assert_eq!(parse_percent("2.5%"), Ok(0.025));
        for wrong in ["0%", "-1%", "1", "101%", "NaN%", "%", "one%"] {
            assert!(parse_percent(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_are_read_as_written() {
        assert_eq!(parse_duration("100ms"), Ok(100_000_000));
        assert_eq!(parse_duration("1.5s"), Ok(1_500_000_000));
        assert_eq!(parse_duration("10"), Ok(10_000_000_000));
        assert!(parse_duration("0s").is_err());
        assert!(parse_duration("ten").is_err());
        assert!(parse_duration("5 parsecs").is_err());
    }

    #[test]
    fn rates_are_per_hour() {
        assert_eq!(parse_rate("1/h"), Ok(1.0));
        assert_eq!(parse_rate("24/d"), Ok(1.0));
        assert_eq!(parse_rate("12/d"), Ok(0.5));
        assert!(parse_rate("1/y").is_err());
        assert_eq!(parse_rate("2"), Ok(2.0));
        assert!(parse_rate("0/h").is_err());
        assert!(parse_rate("1/fortnight").is_err());
        assert!(parse_rate("often").is_err());
    }
}
