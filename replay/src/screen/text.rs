//! Texts and numbers as they fit into cells.

use osd_recording::visible::visible;

/// `text` made visible, at most `width` characters of it.
pub(super) fn fit(text: &str, width: usize) -> String {
    let text = visible(text);
    if text.chars().count() <= width {
        return text.into_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// `1234567` → `1.2M`: four characters at most.
pub(super) fn short(v: f64) -> String {
    const UNITS: [&str; 5] = ["", "k", "M", "G", "T"];
    let (mut value, mut unit) = (v.max(0.0), 0);
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit > 0 && value < 9.95 || unit == 0 && value > 0.0 && value < 9.95 && value.fract() > 0.05 {
        format!("{value:.1}{}", UNITS[unit])
    } else {
        format!("{value:.0}{}", UNITS[unit])
    }
}

/// A duration in four characters or so.
pub(super) fn duration(ns: Option<f64>) -> String {
    let Some(ns) = ns else { return "-".into() };
    let (value, unit) = match ns {
        small if small < 1e3 => (small, "ns"),
        small if small < 1e6 => (small / 1e3, "us"),
        middle if middle < 1e9 => (middle / 1e6, "ms"),
        large => (large / 1e9, "s"),
    };
    if value < 9.95 { format!("{value:.1}{unit}") } else { format!("{value:.0}{unit}") }
}

/// Values as bars of eight heights, the largest the highest; a gap is blank.
pub(super) fn bars(values: impl Iterator<Item = Option<f64>> + Clone) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = values.clone().flatten().fold(0.0, f64::max);
    let bar = |v: Option<f64>| match v {
        None => ' ',
        Some(v) if most > 0.0 => BARS[((v / most * 8.0) as usize).min(7)],
        Some(_) => BARS[0],
    };
    values.map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let all = [0.0, 0.42, 7.0, 42.0, 999.0, 1_000.0, 12_345.0, 1.5e9].map(short);
        assert_eq!(all, ["0", "0.4", "7", "42", "999", "1.0k", "12k", "1.5G"]);
        assert_eq!([Some(900.0), Some(1.5e6), None].map(duration), ["900ns", "1.5ms", "-"]);
        assert_eq!(bars([Some(0.0), None, Some(4.0), Some(8.0)].into_iter()), "▁ ▅█");
        assert_eq!(fit("a\x1b[2Jlong name", 6), "a�[2J…");
    }
}
