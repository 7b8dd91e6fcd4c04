//! The verdict in a sentence, and numbers for people.

use osd_findings::{About, Change, Diff, Verdict};
use osd_recording::words::plural;

/// What the comparison comes to.
pub(crate) fn sentence(diff: &Diff) -> String {
    let numbers = plural(diff.comparisons, "number");
    match diff.verdict {
        Verdict::NoData => match diff.no_data.first() {
            Some(first) => format!("no data: {}", first.why),
            None => "no data: nothing was seen on either side".to_owned(),
        },
        Verdict::Same => {
            let could = diff.smallest.map_or_else(String::new, |s| {
                format!("; half of them would have shown a change of {} or more", percent(s).trim_start_matches('+'))
            });
            format!("no difference in {numbers}{could}")
        }
        Verdict::Differs => {
            format!("{} of {numbers} differ: {}", diff.differences.len(), leading(diff).join(", and "))
        }
    }
}

/// The change that tells most of calls, with how long that call takes, and that of metrics; else that of what is left.
fn leading(diff: &Diff) -> Vec<String> {
    let first = |about: About| diff.differences.iter().find(move |c| c.about == about);
    let mut out = vec![];
    if let Some(call) = first(About::Call) {
        let of_call = |c: &&Change| c.about == About::Call && c.name == call.name && c.unit == "s";
        let mut time = diff.differences.iter().filter(of_call).chain(diff.same.iter().filter(of_call));
        let time = if call.unit == "s" { None } else { time.next() };
        let time =
            time.map(|c| format!(" ({} {}, {} before)", c.quantity, value(c.after, &c.unit), value(c.before, &c.unit)));
        out.push(told(call) + &time.unwrap_or_default());
    }
    out.extend(first(About::Metric).map(told));
    if out.is_empty() {
        out.extend(diff.differences.first().map(told));
    }
    out
}

/// `fsync 2 310 calls/s instead of 0.9 calls/s`.
pub(crate) fn told(c: &Change) -> String {
    let what = match (c.about, c.quantity.as_str()) {
        (About::Call, "rate") => format!("`{}`", c.name),
        (About::Call, q) => format!("{q} of `{}`", c.name),
        (About::Metric, "median") => c.name.clone(),
        (About::Metric, q) => format!("{q} of {}", c.name),
        (About::Error, _) => format!("`{}`", c.name),
        (About::File, _) => format!("file {}", c.name),
        (About::Thread, _) => format!("calls of thread {}", c.name),
        (About::Process, _) => format!("CPU of {}", c.name),
        (About::Program, _) => format!("program {}", c.name),
    };
    format!("{what} {} instead of {}", value(c.after, &c.unit), value(c.before, &c.unit))
}

/// `+12 %`, or `-3.1 %`; a factor, where it is large.
pub(crate) fn percent(share: f64) -> String {
    let n = 100.0 * share;
    match n.abs() {
        a if a >= 1e3 => format!("×{}", digits(1.0 + share)),
        a if a >= 10.0 => format!("{n:+.0} %"),
        _ => format!("{n:+.1} %"),
    }
}

/// A value with its unit.
pub(crate) fn value(v: f64, unit: &str) -> String {
    match unit {
        "s" => seconds(v),
        "bytes" | "bytes/s" => {
            let mut value = v;
            let mut i = 0;
            while value >= 1024.0 && i < 4 {
                value /= 1024.0;
                i += 1;
            }
            let prefix = ["B", "KiB", "MiB", "GiB", "TiB"][i];
            format!("{} {prefix}{}", digits(value), if unit == "bytes/s" { "/s" } else { "" })
        }
        _ => format!("{} {unit}", digits(v)),
    }
}

fn seconds(s: f64) -> String {
    match s {
        s if s >= 1.0 => format!("{} s", digits(s)),
        s if s >= 1e-3 => format!("{} ms", digits(s * 1e3)),
        s if s >= 1e-6 => format!("{} us", digits(s * 1e6)),
        s => format!("{} ns", digits(s * 1e9)),
    }
}

/// Three significant digits.
fn digits(v: f64) -> String {
    match v.abs() {
        0.0 => "0".into(),
        a if a >= 99.5 => osd_recording::words::grouped(v.round() as u64),
        a if a >= 9.95 => format!("{v:.1}"),
        a if a >= 0.01 => format!("{v:.2}"),
        _ => format!("{v:.1e}"),
    }
}
