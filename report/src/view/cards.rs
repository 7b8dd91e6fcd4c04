//! A window as words and tables: one card of the page.

use super::flame::Flame;
use super::groups;
use crate::words::clean;
use crate::words::units;
use osd_findings::{ErrorShift, Findings, Ratio, SequenceCall, SyscallShift, Window};
use osd_recording::words::plural;

/// Calls in a card's table.
const MAX_CALLS: usize = 6;
const MAX_FLOWS: usize = 4;
const MAX_ERRORS: usize = 4;
const MAX_PROCESSES: usize = 4;
const MAX_SEQUENCE: usize = 10;
const MAX_DETAILS: usize = 2;

/// One window, as text.
pub(crate) struct Card {
    pub(crate) id: u32,
    /// The colour of its group; 0 if it is in none.
    pub(crate) color: usize,
    pub(crate) from_s: f64,
    pub(crate) to_s: f64,
    /// When it came again, from and to.
    pub(crate) again_s: Vec<(f64, f64)>,
    pub(crate) when: String,
    pub(crate) pattern: String,
    pub(crate) strength: String,
    /// Machine names of the metrics that deviate.
    pub(crate) metrics: Vec<String>,
    /// `CPU 0.4 → 1.9 cores`.
    pub(crate) shifts: Vec<String>,
    pub(crate) sentence: String,
    pub(crate) details: Vec<String>,
    pub(crate) calls: Vec<CallRow>,
    pub(crate) calls_left_out: usize,
    pub(crate) flows: Vec<String>,
    pub(crate) errors: Vec<String>,
    pub(crate) processes: Vec<String>,
    pub(crate) thread: String,
    pub(crate) sequence: Vec<SequenceRow>,
    pub(crate) basis: String,
    /// Where the processor time went, function by function.
    pub(crate) flame: Option<Flame>,
}

/// A line of the table: see [`CALL_COLUMNS`].
pub(crate) struct CallRow {
    pub(crate) call: String,
    pub(crate) cells: [String; 5],
    /// Share of the excess, for a bar; -1..=1.
    pub(crate) share: f64,
}

/// Heads of the columns after the call's name.
pub(crate) const CALL_COLUMNS: [&str; 5] =
    ["calls/s, before → during", "ratio [95 %]", "share of excess", "errors/s", "p99 latency"];

/// A line of a thread's sequence.
pub(crate) struct SequenceRow {
    pub(crate) offset: String,
    pub(crate) call: String,
    pub(crate) object: String,
    pub(crate) result: String,
    pub(crate) duration: String,
}

impl Card {
    pub(crate) fn new(window: &Window, findings: &Findings, span_s: f64) -> Self {
        let start = findings.recording.started_ns;
        let from_s = units::since(start, window.start_ns).clamp(0.0, span_s);
        let to_s = units::since(start, window.end_ns).clamp(from_s, span_s);
        let since = |ns: i64| units::since(start, ns).clamp(0.0, span_s);
        let shifts = window.metrics.iter().take(4).map(|m| {
            let series = findings.series.iter().find(|s| s.metric == m.metric);
            let title = series.map_or(&m.metric, |s| if s.title.is_empty() { &s.metric } else { &s.title });
            let (before, during) = (units::quantity(m.before, &m.unit), units::quantity(m.during, &m.unit));
            format!("{} {}, peak {}", clean(title, 30), arrow(&before, &during), units::quantity(m.peak, &m.unit))
        });
        let confidence = window.confidence;
        let sure =
            if confidence > 0.0 { format!(", confidence {}", units::percent(confidence.min(1.0))) } else { "".into() };
        let mut metrics: Vec<String> = window.metrics.iter().map(|m| clean(&m.metric, 40)).collect();
        if !metrics.contains(&window.metric) {
            metrics.push(clean(&window.metric, 40));
        }
        Self {
            id: window.id,
            color: groups::color(window.group),
            from_s,
            to_s,
            again_s: groups::again(window).into_iter().map(|(a, b)| (since(a), since(b))).collect(),
            when: format!(
                "{} – {} ({})",
                units::moment(from_s, span_s),
                units::moment(to_s, span_s),
                units::span(to_s - from_s)
            ),
            pattern: clean(if window.pattern.is_empty() { "unnamed pattern" } else { &window.pattern }, 60),
            strength: format!(
                "{}× threshold{sure}{}",
                units::digits(window.severity),
                groups::membership(window, findings)
            ),
            metrics,
            shifts: shifts.collect(),
            sentence: clean(&window.sentence, 600),
            details: known(window)
                .into_iter()
                .chain(window.details.iter().take(MAX_DETAILS).map(|d| clean(d, 400)))
                .collect(),
            calls: window.syscalls.iter().take(MAX_CALLS).map(call_row).collect(),
            calls_left_out: window.syscalls.len().saturating_sub(MAX_CALLS),
            flows: window.flows.iter().take(MAX_FLOWS).map(flow_line).collect(),
            errors: window.errors.iter().take(MAX_ERRORS).map(error_line).collect(),
            processes: window.new_processes.iter().take(MAX_PROCESSES).map(process_line).collect(),
            thread: clean(&window.sequence_thread, 60),
            sequence: window.sequence.iter().take(MAX_SEQUENCE).map(sequence_row).collect(),
            flame: window.stacks.as_ref().and_then(Flame::of),
            basis: format!(
                "against {} of baseline; {}, corrected for their number{}",
                units::span(window.baseline_s),
                plural(units::grouped(window.hypotheses), "comparison"),
                window.second_look.as_ref().map_or_else(String::new, |look| format!("; {}", clean(&look.text, 120)))
            ),
        }
    }

    /// Whether any call of the table failed or any p99 is known, that is, whether these columns say something.
    pub(crate) fn has(&self, column: usize) -> bool {
        self.calls.iter().any(|row| row.cells[column] != "–")
    }
}

/// What the window is known as.
fn known(window: &Window) -> Option<String> {
    let k = window.known.as_ref()?;
    let (name, thread) = (clean(&k.name, 80), clean(&k.thread, 40));
    Some(format!(
        "Known: {name}, {} alike, by {thread}; seen {} before.",
        units::percent(k.closeness),
        plural(k.seen, "time")
    ))
}

fn process_line(p: &osd_findings::NewProcess) -> String {
    let times = if p.count > 1 { format!(" × {}", units::grouped(p.count)) } else { String::new() };
    let what = if p.argv.is_empty() { &p.exe } else { &p.argv };
    format!("{}{times} (first PID {}): {}", clean(&p.comm, 20), p.first_pid, clean(what, 120))
}

/// What it is in words, and how much of both ways went through it.
fn flow_line(flow: &osd_findings::FlowShift) -> String {
    let bytes = |n: u64| units::quantity(n as f64, "bytes");
    format!("{} ({} in, {} out)", clean(&flow.text, 240), bytes(flow.rx_bytes), bytes(flow.tx_bytes))
}

fn arrow(before: &str, during: &str) -> String {
    // The unit once, when both sides have the same.
    match (before.split_once('\u{a0}'), during.split_once('\u{a0}')) {
        (Some((a, unit)), Some((_, other))) if unit == other => format!("{a} → {during}"),
        _ => format!("{before} → {during}"),
    }
}

fn rate(per_s: f64) -> String {
    match per_s {
        0.0 => "0".into(),
        r if r.abs() < 0.01 => "< 0.01".into(),
        r => units::si(r),
    }
}

/// `×12.3 [11–13.7]`; a call that the baseline does not have is new.
fn ratio(ratio: Ratio, before: f64) -> String {
    let factor =
        |v: f64| if v.is_finite() { if v >= 1000.0 { units::si(v) } else { units::digits(v) } } else { "∞".into() };
    if before <= 0.0 && !(ratio.value.is_finite() && ratio.value > 0.0) {
        return "new".into();
    }
    format!("×{} [{}–{}]", factor(ratio.value), factor(ratio.low), factor(ratio.high))
}

fn call_row(shift: &SyscallShift) -> CallRow {
    let share = if shift.share.is_finite() { shift.share.clamp(-1.0, 1.0) } else { 0.0 };
    let of = if shift.by_time { " of time" } else { "" };
    let errors = (shift.errors_before_per_s, shift.errors_during_per_s);
    let errors = if errors == (0.0, 0.0) { "–".into() } else { format!("{} → {}", rate(errors.0), rate(errors.1)) };
    let p99 = |ns: Option<f64>| ns.filter(|v| v.is_finite()).map(|v| units::seconds(v / 1e9));
    let p99 = match (p99(shift.p99_before_ns), p99(shift.p99_during_ns)) {
        (None, None) => "–".into(),
        (before, during) => arrow(&before.unwrap_or("–".into()), &during.unwrap_or("–".into())),
    };
    CallRow {
        call: clean(&shift.syscall, 32),
        cells: [
            format!("{} → {}", rate(shift.before_per_s), rate(shift.during_per_s)),
            ratio(shift.ratio, shift.before_per_s),
            share_of_excess(shift.share, of),
            errors,
            p99,
        ],
        share,
    }
}

/// A call that rose has a share of the excess. One that fell has none: what it lacks may be many times what others have more.
fn share_of_excess(share: f64, of: &str) -> String {
    match share {
        s if s < 0.0 => "fell".into(),
        s => format!("{}{of}", units::percent(s)),
    }
}

fn error_line(e: &ErrorShift) -> String {
    let change = ratio(e.ratio, e.before_per_s);
    let rates = format!("{} → {}", rate(e.before_per_s), rate(e.during_per_s));
    format!("{} fails with {}: {rates} /s, {change}", clean(&e.syscall, 32), clean(&e.errno, 24))
}

fn sequence_row(call: &SequenceCall) -> SequenceRow {
    let times = if call.repeats > 1 { format!(" ×{}", call.repeats) } else { String::new() };
    SequenceRow {
        offset: format!("+{}", units::seconds(call.offset_ns as f64 / 1e9)),
        call: format!("{}{times}", clean(&call.syscall, 32)),
        object: clean(&call.object, 120),
        result: clean(&call.result, 40),
        duration: call.dur_ns.map_or_else(|| "–".into(), |ns| units::seconds(ns as f64 / 1e9)),
    }
}
