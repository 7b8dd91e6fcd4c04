//! What the page shows, decided once for all formats: which panels, which windows, every word and
//! every number as text.
//!
//! All strings are clean (see [`crate::words::clean`]) and not yet escaped.

use super::cards::Card;
use super::decimate::Point;
use super::groups::{Group, groups};
use crate::words::clean;
use crate::words::units;
use osd_findings::{Findings, LossSpan, Series};
use osd_recording::words::plural;

/// Windows drawn at most; the strongest are kept.
pub(crate) const MAX_WINDOWS: usize = 16;
/// Rows of the heat map at most.
const MAX_HEAT_ROWS: usize = 20;
/// Panels beside the headline ones, for metrics in which a window deviates.
const MAX_EXTRA_PANELS: usize = 3;

/// The whole page.
pub(crate) struct View {
    pub(crate) title: String,
    pub(crate) origin: String,
    pub(crate) when: String,
    pub(crate) verdict: String,
    pub(crate) tiles: Vec<Tile>,
    pub(crate) span_s: f64,
    pub(crate) warm_up_s: f64,
    pub(crate) panels: Vec<Panel>,
    pub(crate) runq: Panel,
    pub(crate) losses: Vec<Loss>,
    pub(crate) coverage: String,
    pub(crate) heat: Heat,
    pub(crate) labels: Vec<Label>,
    /// Of windows that are alike, and how many groups are not shown.
    pub(crate) groups: Vec<Group>,
    pub(crate) groups_left_out: usize,
    pub(crate) cards: Vec<Card>,
    pub(crate) left_out: Option<String>,
    pub(crate) notes: Vec<(String, String)>,
}

/// A number that a reader looks for first.
pub(crate) struct Tile {
    pub(crate) value: String,
    pub(crate) name: String,
    pub(crate) note: String,
}

/// One chart: lines with a common unit.
#[derive(Default)]
pub(crate) struct Panel {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) unit: String,
    pub(crate) lines: Vec<Line>,
}

/// One series: machine name, name within its panel, points.
pub(crate) struct Line {
    pub(crate) metric: String,
    pub(crate) name: String,
    pub(crate) points: Vec<Point>,
}

/// A span in which events were lost, seconds since the start.
pub(crate) struct Loss {
    pub(crate) from_s: f64,
    pub(crate) to_s: f64,
    pub(crate) kept: Option<f64>,
    pub(crate) text: String,
}

/// Call rates: `per_s[row][column]`, edges in seconds since the start.
#[derive(Default)]
pub(crate) struct Heat {
    pub(crate) edges: Vec<f64>,
    pub(crate) names: Vec<String>,
    pub(crate) per_s: Vec<Vec<f64>>,
    /// Ends of the colour scale, calls per second: `low > 0`.
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// A named span, seconds since the start.
pub(crate) struct Label {
    pub(crate) from_s: f64,
    pub(crate) to_s: f64,
    pub(crate) name: String,
    pub(crate) note: String,
}

impl Panel {
    pub(crate) fn values(&self) -> impl Iterator<Item = f64> {
        self.lines.iter().flat_map(|line| &line.points).filter_map(|point| point.1)
    }

    /// Ends of the value axis and its ticks: from zero, except where a level in bytes moves by less than half of itself; then
    /// over at least a seventh of it, so that noise looks like noise.
    pub(crate) fn scale(&self, wanted: usize) -> (f64, f64, Vec<f64>) {
        let high = self.values().fold(0.0, f64::max);
        let least = self.values().fold(f64::INFINITY, f64::min);
        let low = if least.is_finite() { least.min(0.0) } else { 0.0 };
        let near = (least - (high - least) * 0.15).min(high * 0.85);
        let low = if self.unit == "bytes" && high > 0.0 && least > high / 2.0 { near } else { low };
        let flat = if high > low { high } else { low + 1.0 };
        let high = flat + (flat - low) * 0.08;
        (low, high, units::ticks(low, high, wanted, self.unit.starts_with("bytes")))
    }
}

impl View {
    pub(crate) fn new(findings: &Findings) -> Self {
        let recording = &findings.recording;
        let start = recording.started_ns;
        let last_point = findings.series.iter().filter_map(|s| s.ts_ns.last()).max().copied().unwrap_or(start);
        let span_s = units::since(start, recording.ended_ns).max(units::since(start, last_point)).clamp(1e-3, 1e9);
        let series = |metric: &str| findings.series.iter().find(|s| s.metric == metric);
        let line = |s: &Series, name: String| Line {
            metric: clean(&s.metric, 40),
            name,
            points: points(s, start, recording.interval_ns),
        };
        let panel = |id: &str, title: &str, unit: &str, metrics: &[(&str, &str)]| {
            let found = metrics.iter().filter_map(|(metric, name)| Some((series(metric)?, *name)));
            let unit = found.clone().next().map_or(unit.to_owned(), |(s, _)| clean(&s.unit, 24));
            let lines = found.map(|(s, name)| line(s, name.to_owned())).collect();
            Panel { id: id.into(), title: title.into(), unit, lines }
        };
        let mut panels = vec![
            panel("cpu", "CPU", "cores", &[("cpu", "CPU")]),
            panel("rss", "Resident memory", "bytes", &[("rss", "RSS")]),
            panel("net", "Network", "bytes/s", &[("net_rx", "received"), ("net_tx", "sent")]),
            panel("syscalls", "System calls", "calls/s", &[("syscalls", "all calls")]),
        ];
        for (judge, score, threshold) in
            [("model", "model_score", "model_threshold"), ("detector", "detector_score", "detector_threshold")]
        {
            let title = format!("Strangeness to the {judge}");
            let judged = panel(judge, &title, "score", &[(score, "score"), (threshold, "threshold")]);
            if !judged.lines.is_empty() {
                panels.push(judged);
            }
        }
        let headline = ["cpu", "rss", "net_rx", "net_tx", "syscalls", "runq"];
        // Beyond the headline: metrics in which a window deviates, first those that lead one.
        let leads = |s: &Series| findings.windows.iter().filter(|w| w.metric == s.metric).count();
        let deviates = |s: &&Series| findings.windows.iter().any(|w| w.metrics.iter().any(|m| m.metric == s.metric));
        let others = findings.series.iter().filter(|s| !headline.contains(&s.metric.as_str()));
        let mut extra: Vec<&Series> = others.filter(|s| leads(s) > 0 || deviates(s)).collect();
        extra.sort_by_key(|s| std::cmp::Reverse(leads(s)));
        for (i, s) in extra.into_iter().take(MAX_EXTRA_PANELS).enumerate() {
            let title = clean(if s.title.is_empty() { &s.metric } else { &s.title }, 40);
            let lines = vec![line(s, title.clone())];
            panels.push(Panel { id: format!("extra-{}", i + 1), title, unit: clean(&s.unit, 24), lines });
        }
        let runq = panel("runq", "Run-queue wait", "s/s", &[("runq", "runnable, waiting for a CPU")]);

        let mut strongest: Vec<_> = findings.windows.iter().collect();
        strongest.sort_by(|a, b| b.severity.total_cmp(&a.severity).then(a.id.cmp(&b.id)));
        let n_windows = strongest.len();
        let left_out = (n_windows > MAX_WINDOWS).then(|| {
            let more = n_windows - MAX_WINDOWS;
            format!(
                "The strongest {MAX_WINDOWS} of {n_windows} windows are shown; {more} weaker {} in findings.json.",
                if more == 1 { "one is" } else { "ones are" }
            )
        });
        strongest.truncate(MAX_WINDOWS);
        let first = strongest.first().map(|w| w.id);
        strongest.sort_by_key(|w| (w.start_ns, w.id));
        let cards: Vec<Card> = strongest.iter().map(|w| Card::new(w, findings, span_s)).collect();

        let shown: Vec<u32> = cards.iter().map(|card| card.id).collect();
        let (groups, groups_left_out) = groups(findings, &shown);

        let labels = findings.labels.iter().map(|l| {
            let from_s = units::since(start, l.ts_ns);
            let to_s = from_s + l.dur_ns as f64 / 1e9;
            Label { from_s, to_s, name: clean(&l.name, 60), note: clean(&l.note, 200) }
        });
        let mut view = Self {
            title: clean(if recording.target.is_empty() { "unnamed target" } else { &recording.target }, 160),
            origin: origin(findings),
            when: format!(
                "{} – {} UTC ({})",
                units::utc(start),
                units::utc(recording.ended_ns.max(start)),
                units::span(span_s)
            ),
            verdict: String::new(),
            tiles: tiles(findings),
            span_s,
            warm_up_s: findings.detector.warm_up_s.clamp(0.0, span_s),
            panels,
            runq,
            losses: losses(findings),
            coverage: coverage(findings),
            heat: heat(findings),
            labels: labels.collect(),
            groups,
            groups_left_out,
            cards,
            left_out,
            notes: notes(findings),
        };
        view.verdict = view.verdict(findings, first);
        view
    }

    fn verdict(&self, findings: &Findings, strongest: Option<u32>) -> String {
        let Some(card) = self.cards.iter().find(|card| Some(card.id) == strongest) else {
            let learning = findings.detector.warm_up_s;
            if learning >= self.span_s {
                return format!(
                    "Nothing could be found: the recording lasts {}, and the detector learns for the first {}.",
                    units::span(self.span_s),
                    units::span(learning)
                );
            }
            return format!("No anomalous window in {}. {}", units::span(self.span_s), false_alarms(findings));
        };
        let n = findings.windows.len();
        let count = plural(n, "anomalous window");
        let which = if n == 1 { format!("Window {}", card.id) } else { format!("The strongest is window {}", card.id) };
        format!("{count} in {}. {which}, {}, {}.", units::span(self.span_s), card.pattern, card.when)
    }

    /// Whether `card` says that a series of `panel` deviates.
    pub(crate) fn deviates(&self, panel: &Panel, card: &Card) -> bool {
        panel.lines.iter().any(|line| card.metrics.contains(&line.metric))
    }
}

/// The stated rate, as a sentence.
pub(crate) fn false_alarms(findings: &Findings) -> String {
    match findings.detector.false_alarms_per_hour {
        rate if rate > 0.0 => {
            let rate = units::digits(rate);
            format!("The detector's stated rate of false windows is {rate} per hour over all metrics together.")
        }
        _ => "The detector states no rate of false windows.".into(),
    }
}

fn points(series: &Series, start_ns: i64, interval_ns: u64) -> Vec<Point> {
    let half = interval_ns.min(3_600_000_000_000) as f64 / 2e9;
    let values = series.ts_ns.iter().zip(&series.values);
    let mut points: Vec<Point> =
        values.map(|(ts, value)| (units::since(start_ns, *ts) + half, value.filter(|v| v.is_finite()))).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

fn origin(findings: &Findings) -> String {
    let recording = &findings.recording;
    let mut parts = Vec::new();
    if !recording.recording_id.is_empty() {
        parts.push(format!("recording {}", clean(&recording.recording_id, 48)));
    }
    if !recording.hostname.is_empty() {
        parts.push(format!("host {}", clean(&recording.hostname, 64)));
    }
    if !recording.kernel.is_empty() {
        parts.push(format!("Linux {}", clean(&recording.kernel, 64)));
    }
    parts.push(format!("interval {}", units::seconds(recording.interval_ns as f64 / 1e9)));
    parts.join("  ·  ")
}

fn tiles(findings: &Findings) -> Vec<Tile> {
    let recording = &findings.recording;
    let tile = |value: String, name: &str, note: String| Tile { value, name: name.into(), note };
    let kept = recording.n_syscall_events as f64 / recording.n_syscalls as f64;
    let shown = findings.windows.iter().filter(|w| w.severity.is_finite()).map(|w| w.severity).fold(0.0, f64::max);
    let strength =
        if shown > 0.0 { format!("strongest {}× its threshold", units::digits(shown)) } else { "none".into() };
    vec![
        tile(findings.windows.len().to_string(), "anomalous windows", strength),
        tile(units::grouped(recording.n_syscalls), "system calls", "counted in the kernel, exact".into()),
        tile(
            if recording.n_syscalls == 0 { "–".into() } else { units::percent(kept) },
            "events kept",
            format!("{} with an event row", units::grouped(recording.n_syscall_events)),
        ),
        tile(units::grouped(recording.n_lost), "events lost", "still in the counts".into()),
        tile(units::grouped(recording.n_processes), "processes", "seen while recording".into()),
        tile(
            match findings.detector.false_alarms_per_hour {
                rate if rate > 0.0 => format!("{}\u{a0}/\u{a0}h", units::digits(rate)),
                _ => "–".into(),
            },
            "false windows, stated",
            "over all metrics together".into(),
        ),
    ]
}

fn losses(findings: &Findings) -> Vec<Loss> {
    let start = findings.recording.started_ns;
    let loss = findings.losses.iter().filter(|l| is_missing(l)).map(|l| {
        let from_s = units::since(start, l.ts_ns);
        let kept = l.coverage.filter(|c| c.is_finite()).map(|c| c.clamp(0.0, 1.0));
        let share = kept.map(|c| format!(", {} kept", units::percent(c))).unwrap_or_default();
        let (stream, reason) = (clean(&l.stream, 40), clean(&l.reason, 80));
        let text = format!("{} {stream} lost: {reason}{share}", units::grouped(l.count));
        Loss { from_s, to_s: from_s + l.dur_ns as f64 / 1e9, kept, text }
    });
    loss.collect()
}

/// Whether anything is missing: a stack that was not followed to its end, or has a function without a name, is there all the same.
fn is_missing(loss: &LossSpan) -> bool {
    loss.stream != "stack" || matches!(loss.reason.as_str(), "ring_full" | "dropped")
}

fn coverage(findings: &Findings) -> String {
    let recording = &findings.recording;
    let losses: Vec<_> = findings.losses.iter().filter(|l| is_missing(l)).collect();
    let lost = losses.iter().fold(0_u64, |sum, l| sum.saturating_add(l.count)).max(recording.n_lost);
    match (lost, losses.len()) {
        (0, _) => "nothing lost".into(),
        (lost, 0) => format!("{} lost", plural(units::grouped(lost), "event")),
        (lost, n) => format!("{} lost in {}", plural(units::grouped(lost), "event"), plural(n, "span")),
    }
}

fn heat(findings: &Findings) -> Heat {
    let start = findings.recording.started_ns;
    let rows = &findings.heatmap.rows[..findings.heatmap.rows.len().min(MAX_HEAT_ROWS)];
    let sane = |v: &f64| if v.is_finite() && *v > 0.0 { *v } else { 0.0 };
    let per_s: Vec<Vec<f64>> = rows.iter().map(|row| row.per_s.iter().map(sane).collect()).collect();
    let high = per_s.iter().flatten().fold(0.0, |a: f64, b| a.max(*b));
    let least = per_s.iter().flatten().filter(|v| **v > 0.0).fold(f64::INFINITY, |a, b| a.min(*b));
    // Whole decades, at most five: below that a cell is as good as rare.
    let high = 10_f64.powf(if high > 0.0 { high.log10().ceil() } else { 1.0 });
    let low = 10_f64.powf(least.min(high / 10.0).log10().floor()).max(high / 1e5);
    Heat {
        edges: findings.heatmap.edges_ns.iter().map(|ts| units::since(start, *ts)).collect(),
        names: rows.iter().map(|row| clean(&row.syscall, 32)).collect(),
        per_s,
        low,
        high,
    }
}

/// Sentences as they are, phrases between semicolons.
fn list(parts: &[String]) -> String {
    let sentences = parts.iter().all(|part| part.ends_with('.'));
    parts.join(if sentences { " " } else { "; " })
}

fn notes(findings: &Findings) -> Vec<(String, String)> {
    let detector = &findings.detector;
    let mut notes = Vec::new();
    let metrics = detector.metrics.iter().take(20).map(|m| clean(m, 30)).collect::<Vec<_>>().join(", ");
    let reading = match detector.reading.as_str() {
        "live" => " It judges each moment by those before it, as it does live.".to_owned(),
        "whole" => " It reads the recording as a whole: a moment is judged by what came after it, too.".to_owned(),
        "baselines" => {
            let usual: Vec<String> = detector.baselines.iter().take(4).map(|b| clean(b, 100)).collect();
            let more = if detector.baselines.len() > 4 { " and others" } else { "" };
            format!(" What is usual comes from {}{more}.", usual.join(", "))
        }
        _ => String::new(),
    };
    let because = detector.chosen_because.as_deref();
    let chosen = because.map_or_else(String::new, |why| format!(" (chosen for {})", clean(why, 200)));
    let learning = match detector.warm_up_s {
        s if s > 0.0 && !matches!(detector.reading.as_str(), "live" | "") => {
            format!(" The first {} are not judged.", units::span(s))
        }
        s if s > 0.0 => format!(" It learns for the first {} and cannot alarm there.", units::span(s)),
        _ => String::new(),
    };
    let found = format!(
        "Detector {}{chosen}, watching {}.{reading} {}{learning}",
        if detector.name.is_empty() { "unnamed".into() } else { clean(&detector.name, 80) },
        if metrics.is_empty() { "no metric".into() } else { metrics },
        false_alarms(findings),
    );
    notes.push(("How it was found".into(), found));
    let read = "Shaded and numbered spans are windows; hatched where that metric deviates. Windows of one colour are alike: a \
                group, with a sentence of its own. Brackets above the charts are labels \
                that the recording holds. Rates compare a window with its baseline; ratios have a 95 % interval, and calls \
                are listed after correction for the number of comparisons. A broken line is a gap, not a zero.";
    notes.push(("How to read this".into(), read.into()));
    notes.extend(detector.notes.iter().take(6).map(|n| ("Note".to_owned(), clean(n, 400))));
    let blind = findings.recording.blind_spots.iter().take(8).map(|b| clean(b, 300)).collect::<Vec<_>>();
    if !blind.is_empty() {
        notes.push(("What it cannot show".into(), list(&blind)));
    }
    let path = &findings.recording.path;
    let source = if path.is_empty() { "a recording".into() } else { clean(path, 200) };
    notes.push(("Source".into(), format!("{source}; every number is in findings.json.")));
    notes
}
