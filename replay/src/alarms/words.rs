//! The words for an alarm.

use super::alarm::{Alarm, Event, MetricNow};
use osd_recording::words::grouped;
use osd_signals::metric::MetricId;

/// A value with its unit, as a person reads it.
fn value(v: f64, unit: &str) -> String {
    let (bytes, per) = match unit {
        "bytes" => (true, ""),
        "bytes/s" => (true, "/s"),
        _ => (false, ""),
    };
    if bytes {
        let mut size = v.max(0.0);
        let mut name = "B";
        for next in ["KiB", "MiB", "GiB", "TiB"] {
            if size < 1024.0 {
                break;
            }
            (size, name) = (size / 1024.0, next);
        }
        let digits = usize::from(name != "B");
        return format!("{size:.digits$} {name}{per}");
    }
    let number = match v.abs() {
        small if small < 10.0 => format!("{v:.2}"),
        middle if middle < 1_000.0 => format!("{v:.0}"),
        _ => grouped(v.max(0.0).round() as u64),
    };
    format!("{number} {unit}")
}

fn metric(m: &MetricNow) -> String {
    let noun = MetricId::from_name(m.metric).map_or(m.metric, |id| id.metric().noun);
    format!("{noun} {}, usually {}", value(m.now, m.unit), value(m.usual, m.unit))
}

/// What an alarm is about, in one sentence.
pub(super) fn sentence(alarm: &Alarm) -> String {
    let mut out = alarm.metrics.first().map_or_else(String::new, metric);
    if let Some(first) = out.get(..1).map(str::to_ascii_uppercase) {
        out.replace_range(..1, &first);
    }
    if let Some(call) = alarm.calls.first() {
        let (now, usual) = (value(call.per_s, "calls/s"), value(call.usual_per_s, ""));
        out += &format!("; {} {now}, usually {}", call.syscall, usual.trim_end());
    }
    let thread = alarm.threads.first().map(|t| format!("{}/{}", t.comm, t.tid));
    let process = alarm.processes.first().map(|p| format!("{}/{} on {:.2} cores", p.comm, p.pid, p.cores));
    let is_cpu = alarm.metrics.first().is_some_and(|m| m.metric == "cpu");
    // Who made the calls; where processor time is the news, who used it.
    if let Some(who) = if is_cpu { process.or(thread) } else { thread.or(process) } {
        out += &format!("; most by {who}");
    }
    if let Some(file) = alarm.files.first() {
        out += &format!("; most of the named files {}", file.path);
    }
    out
}

/// An alarm in one line. What it says of processes and files comes from them: whoever prints it makes it visible.
pub fn line(alarm: &Alarm, started_ns: i64) -> String {
    let since = |ns: i64| format!("{:.1} s", ns.saturating_sub(started_ns) as f64 / 1e9);
    let others: Vec<&str> = alarm.metrics.iter().skip(1).map(|m| m.metric).collect();
    let others = if others.is_empty() { String::new() } else { format!(" (also {})", others.join(", ")) };
    match alarm.event {
        Event::Begin => {
            format!("alarm {} at {}: {}{others}", alarm.id, since(alarm.start_ns), alarm.sentence)
        }
        Event::End => {
            let end_ns = alarm.end_ns.unwrap_or(alarm.at_ns);
            let length = end_ns.saturating_sub(alarm.start_ns) as f64 / 1e9;
            format!("alarm {} over at {}, after {length:.1} s: {}{others}", alarm.id, since(end_ns), alarm.sentence)
        }
    }
}
