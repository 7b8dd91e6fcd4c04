//! Numbers as people write them: few digits, grouped, with the unit that suits.

/// Three significant digits at most, thousands grouped by thin spaces of ASCII.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 1_000.0 {
        let digits = format!("{:.0}", value.abs());
        let mut out = if value < 0.0 { "-".to_owned() } else { String::new() };
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                out.push(' ');
            }
            out.push(digit);
        }
        return out;
    }
    let text = match size {
        100.0.. => format!("{value:.0}"),
        10.0..100.0 => format!("{value:.1}"),
        0.0995..10.0 => format!("{value:.2}"),
        0.0005..0.0995 => format!("{value:.3}"),
        _ => "0".to_owned(),
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn bytes(value: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (value, 0);
    while value.abs() >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{} {}", number(value), units[unit])
}

/// A time, given in ns, in the unit that suits it.
pub(crate) fn time(ns: f64) -> String {
    match ns {
        0.0..1e3 => format!("{} ns", number(ns)),
        1e3..1e6 => format!("{} us", number(ns / 1e3)),
        1e6..1e9 => format!("{} ms", number(ns / 1e6)),
        _ => format!("{} s", number(ns / 1e9)),
    }
}

/// A length of time for people, seconds with so many decimals: `12 ms`, `3.0 s`, `2 min 50 s`, `17 h`.
pub(crate) fn length(seconds: f64, decimals: usize) -> String {
    if seconds < 0.95 {
        return format!("{:.0} ms", (seconds * 1e3).max(1.0));
    }
    if seconds < 120.0 {
        let whole = (seconds - seconds.round()).abs() < 1e-9 && decimals > 0 && seconds >= 10.0;
        return if whole { format!("{seconds:.0} s") } else { format!("{seconds:.decimals$} s") };
    }
    let seconds = seconds.round() as u64;
    let (big, name, small, rest) = if seconds < 3_600 { (60, "min", 1, "s") } else { (3_600, "h", 60, "min") };
    match seconds % big / small {
        0 => format!("{} {name}", seconds / big),
        left => format!("{} {name} {left:02} {rest}", seconds / big),
    }
}

/// A value with its unit.
pub(crate) fn amount(value: f64, unit: &str) -> String {
    match unit {
        "bytes" => bytes(value),
        "s" => time(value * 1e9),
        "bytes/s" => format!("{}/s", bytes(value)),
        _ => match unit.strip_suffix("/s") {
            Some("s") => format!("{} s per second", number(value)),
            Some(_) => format!("{}/s", number(value)),
            None => format!("{} {unit}", number(value)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_read_well() {
        for (seconds, decimals, text) in [
            (0.0124, 1, "12 ms"),
            (3.0, 1, "3.0 s"),
            (8.0, 0, "8 s"),
            (10.0, 1, "10 s"),
            (170.0, 0, "2 min 50 s"),
            (1_020.0, 0, "17 min"),
            (61_200.0, 0, "17 h"),
            (9_000.0, 1, "2 h 30 min"),
        ] {
            assert_eq!(length(seconds, decimals), text);
        }
    }

    #[test]
    fn numbers_read_well() {
        for (value, text) in [
            (0.0, "0"),
            (0.21, "0.21"),
            (1.0, "1"),
            (812.4, "812"),
            (12_345.6, "12 346"),
            (40.04, "40"),
            (0.012, "0.012"),
            (0.0, "0"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(amount(1_572_864.0, "bytes/s"), "1.5 MiB/s");
        assert_eq!(amount(1.18, "cores"), "1.18 cores");
        assert_eq!(amount(0.5, "s/s"), "0.5 s per second");
    }
}
