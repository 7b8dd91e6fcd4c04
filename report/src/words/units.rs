//! Numbers for people: prefixes, durations, axis ticks, UTC. A number is never without its unit.

const SI: [&str; 5] = ["", "k", "M", "G", "T"];
const BINARY: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// About three significant digits, no exponent, no trailing zeros.
pub(crate) fn digits(value: f64) -> String {
    let size = value.abs();
    let decimals = match size {
        _ if size >= 99.95 || size == 0.0 => 0,
        _ if size >= 9.995 => 1,
        _ if size >= 0.0995 => 2,
        _ if size >= 0.00995 => 3,
        _ => 4,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn prefixed(value: f64, base: f64, prefixes: &[&str]) -> (f64, usize) {
    let mut scaled = value;
    let mut step = 0;
    // 999.5 would print as 1000: it belongs to the next prefix.
    while scaled.abs() >= base - 0.5 && step + 1 < prefixes.len() {
        scaled /= base;
        step += 1;
    }
    (scaled, step)
}

/// `12.3 k`, without a unit.
pub(crate) fn si(value: f64) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    let (scaled, step) = prefixed(value, 1000.0, &SI);
    if SI[step].is_empty() { digits(scaled) } else { format!("{}\u{a0}{}", digits(scaled), SI[step]) }
}

/// `1.5 ms`.
pub(crate) fn seconds(value_s: f64) -> String {
    if !value_s.is_finite() {
        return "–".into();
    }
    let size = value_s.abs();
    let (scaled, unit) = match size {
        _ if size == 0.0 => (0.0, "s"),
        _ if size < 0.999_5e-6 => (value_s * 1e9, "ns"),
        _ if size < 0.999_5e-3 => (value_s * 1e6, "µs"),
        _ if size < 0.999_5 => (value_s * 1e3, "ms"),
        _ => (value_s, "s"),
    };
    format!("{}\u{a0}{unit}", digits(scaled))
}

/// `value` in the unit of a series: `1.2 MiB/s`, `3.4 k/s`, `1.2 cores`.
pub(crate) fn quantity(value: f64, unit: &str) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    match unit {
        "bytes" | "bytes/s" => {
            let (scaled, step) = prefixed(value, 1024.0, &BINARY);
            let per = if unit == "bytes" { "" } else { "/s" };
            format!("{}\u{a0}{}{per}", digits(scaled), BINARY[step])
        }
        "ns" => seconds(value / 1e9),
        "s" => seconds(value),
        "s/s" | "seconds/s" => format!("{}/s", seconds(value)),
        "ns/s" => format!("{}/s", seconds(value / 1e9)),
        "ms/s" => format!("{}/s", seconds(value / 1e3)),
        "fraction" | "share" => percent(value),
        "" | "1" => si(value),
        "cores" => format!("{}\u{a0}cores", digits(value)),
        _ if unit.ends_with("/s") => {
            let (scaled, step) = prefixed(value, 1000.0, &SI);
            format!("{}\u{a0}{}/s", digits(scaled), SI[step])
        }
        _ => format!("{} {unit}", si(value)),
    }
}

/// How an axis names the unit of a series.
pub(crate) fn axis_unit(unit: &str) -> String {
    match unit {
        "bytes" => "bytes".into(),
        "s/s" | "seconds/s" | "ns/s" | "ms/s" => "seconds per second".into(),
        "" | "1" => String::new(),
        other => other.into(),
    }
}

/// `97.9 %`; only all of it is 100 %, only nothing is 0 %.
pub(crate) fn percent(share: f64) -> String {
    if !share.is_finite() {
        return "–".into();
    }
    let value = share * 100.0;
    let text = match value.abs() {
        v if (99.95..100.0).contains(&v) => "> 99.9".into(),
        v if v > 0.0 && v < 0.05 => "< 0.1".into(),
        v if (9.95..90.0).contains(&v) => format!("{value:.0}"),
        _ => digits((value * 10.0).round() / 10.0),
    };
    format!("{}\u{a0}%", text.replace('-', "−"))
}

/// `12 345 678`, with thin spaces.
pub(crate) fn grouped(count: u64) -> String {
    let text = count.to_string();
    let mut out = String::new();
    for (at, c) in text.chars().enumerate() {
        if at > 0 && (text.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(c);
    }
    out
}

/// A length of time for prose: `6.0 s`, `2 min 5 s`, `1 h 2 min`.
pub(crate) fn span(length_s: f64) -> String {
    let whole = length_s.round().clamp(0.0, 1e12) as u64;
    match whole {
        0..120 if length_s < 10.0 => format!("{length_s:.1}\u{a0}s"),
        0..120 => format!("{whole}\u{a0}s"),
        120..7200 if whole.is_multiple_of(60) => format!("{}\u{a0}min", whole / 60),
        120..7200 => format!("{}\u{a0}min {}\u{a0}s", whole / 60, whole % 60),
        _ => format!("{}\u{a0}h {}\u{a0}min", whole / 3600, whole % 3600 / 60),
    }
}

/// Nice values that cover `low..=high` in about `wanted` steps. `binary` counts in KiB, MiB, GiB.
pub(crate) fn ticks(low: f64, high: f64, wanted: usize, binary: bool) -> Vec<f64> {
    let range = high - low;
    if !range.is_finite() || range <= 0.0 {
        return vec![low];
    }
    let least = range / wanted.max(1) as f64;
    let step = if binary {
        // Powers of two, so that ticks stay whole in KiB, MiB and GiB.
        2_f64.powf(least.log2().ceil())
    } else {
        let decade = 10_f64.powf(least.log10().floor());
        [1.0, 2.0, 5.0].iter().map(|f| f * decade).find(|s| *s >= least * 0.999).unwrap_or(decade * 10.0)
    };
    let first = (low / step - 1e-9).ceil();
    let count = ((high / step + 1e-9).floor() - first).clamp(0.0, 100.0) as usize;
    (0..=count).map(|i| (first + i as f64) * step).filter(|t| *t <= high + step * 1e-6).collect()
}

/// Seconds from `start_ns` to `ts_ns`.
pub(crate) fn since(start_ns: i64, ts_ns: i64) -> f64 {
    (i128::from(ts_ns) - i128::from(start_ns)) as f64 / 1e9
}

/// Ticks of a time axis, seconds since the start, at most `wanted` or so.
pub(crate) fn time_ticks(span_s: f64, wanted: usize) -> Vec<f64> {
    const NICE: [f64; 18] =
        [1., 2., 5., 10., 15., 30., 60., 120., 300., 600., 900., 1800., 3600., 7200., 10800., 21600., 43200., 86400.];
    let least = span_s / wanted.max(1) as f64;
    match NICE.iter().find(|step| **step >= least) {
        Some(step) if least > 0.5 => {
            let count = (span_s / step + 1e-9).floor().clamp(0.0, 1000.0) as usize;
            (0..=count).map(|i| i as f64 * step).collect()
        }
        _ => ticks(0.0, span_s, wanted, false),
    }
}

/// A tick of a time axis as long as `span_s`: seconds up to ten minutes, then `m:ss`, then `h:mm`.
pub(crate) fn time_label(at_s: f64, span_s: f64) -> String {
    let whole = at_s.round().clamp(0.0, 1e12) as u64;
    match span_s {
        s if s <= 600.0 => digits((at_s * 1e6).round() / 1e6),
        s if s <= 7200.0 => format!("{}:{:02}", whole / 60, whole % 60),
        _ => format!("{}:{:02}", whole / 3600, whole % 3600 / 60),
    }
}

/// An instant for prose, seconds since the start: `63.5 s` or, in a recording longer than ten minutes, `31:30` and `1:31:30`.
pub(crate) fn moment(at_s: f64, span_s: f64) -> String {
    let whole = at_s.round().clamp(0.0, 1e12) as u64;
    match span_s {
        s if s <= 600.0 => format!("{}\u{a0}s", digits(at_s)),
        s if s <= 7200.0 => format!("{}:{:02}", whole / 60, whole % 60),
        _ => format!("{}:{:02}:{:02}", whole / 3600, whole % 3600 / 60, whole % 60),
    }
}

/// What [`time_label`] counts.
pub(crate) fn time_unit(span_s: f64) -> &'static str {
    match span_s {
        s if s <= 600.0 => "seconds since start",
        s if s <= 7200.0 => "min:s since start",
        _ => "h:min since start",
    }
}

/// `2026-01-01 00:02:00`, UTC.
pub(crate) fn utc(ts_ns: i64) -> String {
    let total = ts_ns.div_euclid(1_000_000_000);
    let (days, second) = (total.div_euclid(86_400), total.rem_euclid(86_400));
    // Days to civil date: H. Hinnant, "chrono-compatible low-level date algorithms".
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    let day = doy - (153 * mp + 2) / 5 + 1;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", second / 3600, second % 3600 / 60, second % 60)
}
