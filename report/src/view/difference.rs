//! A comparison of two sides as words and tables, and its metrics as panels of two lines.

use super::decimate::Point;
use super::incident::{Heat, Line, Panel, Tile, View};
use crate::words::{clean, units};
use osd_findings::{About, Change, Diff, Side, Verdict};
use osd_recording::words::plural;

/// Rows of the page's table at most.
const MAX_ROWS: usize = 60;
/// Panels at most: the metrics that differ first.
const MAX_PANELS: usize = 9;

/// One change, as text.
pub struct ChangeRow {
    /// What it is about, in the plural: a heading.
    pub about: &'static str,
    /// Which.
    pub name: String,
    /// Which number of it.
    pub quantity: String,
    /// Its value before.
    pub before: String,
    /// Its value after.
    pub after: String,
    /// The change, with its interval.
    pub ratio: String,
    /// What the change is by chance, corrected.
    pub p: String,
}

/// A comparison, ready to be drawn.
pub(crate) struct Difference {
    pub(crate) view: View,
    pub(crate) rows: Vec<ChangeRow>,
    pub(crate) left_out: usize,
}

/// What a number is about, as a heading.
pub fn about(about: About) -> &'static str {
    match about {
        About::Call => "system calls",
        About::Metric => "metrics",
        About::Error => "errors",
        About::File => "files",
        About::Thread => "threads",
        About::Process => "processes",
        About::Program => "programs",
    }
}

/// A change as text.
pub fn change_row(c: &Change) -> ChangeRow {
    let value = |v: f64| if c.unit == "s" { units::seconds(v) } else { units::quantity(v, &c.unit) };
    let factor = |v: f64| match v {
        v if v >= 1e8 => "∞".to_owned(),
        v if v >= 1000.0 => units::si(v),
        v => units::digits(v),
    };
    ChangeRow {
        about: about(c.about),
        name: clean(&c.name, 100),
        quantity: c.quantity.clone(),
        before: value(c.before),
        after: value(c.after),
        ratio: format!("×{} [{}–{}]", factor(c.ratio.value), factor(c.ratio.low), factor(c.ratio.high)),
        p: if c.p_adjusted < 1e-4 { "< 0.0001".to_owned() } else { format!("{:.4}", c.p_adjusted) },
    }
}

impl Difference {
    pub(crate) fn new(diff: &Diff) -> Self {
        let differs = |metric: &str| diff.differences.iter().any(|c| c.about == About::Metric && c.name == metric);
        let headline = ["cpu", "rss", "net_rx", "net_tx", "syscalls"];
        let mut series: Vec<_> = diff.series.iter().collect();
        series.sort_by_key(|s| (!differs(&s.metric), !headline.contains(&s.metric.as_str())));
        let panel = |(i, s): (usize, &osd_findings::PairedSeries)| {
            let line = |name: &str, points: &[Point]| Line {
                metric: clean(&s.metric, 40),
                name: name.into(),
                points: points.to_vec(),
            };
            Panel {
                id: format!("metric-{}", i + 1),
                title: clean(&s.title, 40),
                unit: clean(&s.unit, 24),
                lines: vec![line("before", &s.before), line("after", &s.after)],
            }
        };
        let panels: Vec<Panel> = series.into_iter().take(MAX_PANELS).enumerate().map(panel).collect();
        let last = panels.iter().flat_map(|p| &p.lines).filter_map(|l| l.points.last()).map(|p| p.0);
        let span_s = last.fold(0.0, f64::max).max(1e-3);
        let mut notes: Vec<(String, String)> = vec![(
            "How to read this".into(),
            format!(
                "Both sides are drawn from their own start. A change is listed if its whole 95 % interval lies beyond {} and chance \
                 explains it with a probability of {} at most, over all {} (Holm). Values are compared in blocks that are long enough not \
                 to know each other, or by recording where there are several.",
                units::percent(diff.threshold),
                diff.level,
                plural(diff.comparisons, "number"),
            ),
        )];
        notes.extend(diff.notes.iter().map(|n| ("Note".to_owned(), clean(n, 400))));
        notes.push(("Source".into(), "every number, also of what does not differ, is in diff.json.".into()));
        let only = diff
            .only
            .iter()
            .take(12)
            .map(|o| format!("{} only {}", clean(&o.name, 60), if o.after { "after" } else { "before" }));
        let only: Vec<String> = only.collect();
        if !only.is_empty() {
            notes.push(("On one side".into(), only.join("; ")));
        }
        let view = View {
            title: "Comparison of recordings".into(),
            origin: format!("after: {}", side(&diff.after)),
            when: format!("before: {}", side(&diff.before)),
            verdict: clean(&diff.sentence, 600),
            tiles: tiles(diff),
            span_s,
            warm_up_s: 0.0,
            panels,
            runq: Panel::default(),
            losses: vec![],
            coverage: String::new(),
            heat: Heat::default(),
            labels: vec![],
            groups: vec![],
            groups_left_out: 0,
            cards: vec![],
            left_out: None,
            notes,
        };
        let rows: Vec<ChangeRow> = diff.differences.iter().take(MAX_ROWS).map(change_row).collect();
        Self { view, left_out: diff.differences.len() - rows.len(), rows }
    }
}

fn side(side: &Side) -> String {
    let names = side.recordings.iter().take(4).map(|r| {
        let host = if r.hostname.is_empty() { String::new() } else { format!(" on {}", clean(&r.hostname, 40)) };
        format!("{} ({}{host}, {})", clean(&r.path, 60), clean(&r.target, 40), units::span(r.seconds))
    });
    let shown = names.collect::<Vec<_>>().join(", ");
    match side.recordings.len() {
        n if n > 4 => format!("{shown} and {} more", n - 4),
        _ => shown,
    }
}

fn tiles(diff: &Diff) -> Vec<Tile> {
    let tile = |value: String, name: &str, note: String| Tile { value, name: name.into(), note };
    let verdict = match diff.verdict {
        Verdict::Differs => "differs",
        Verdict::Same => "no difference",
        Verdict::NoData => "no data",
    };
    let smallest = diff.smallest.map_or_else(|| "–".to_owned(), units::percent);
    vec![
        tile(verdict.into(), "verdict", format!("changes up to {} are none", units::percent(diff.threshold))),
        tile(diff.differences.len().to_string(), "numbers differ", format!("of {}", diff.comparisons)),
        tile(diff.no_data.len().to_string(), "without data", "not compared, and no pass".into()),
        tile(smallest, "smallest change seen", "by half of the numbers, 4 times in 5".into()),
        tile(diff.before.recordings.len().to_string(), "recordings before", String::new()),
        tile(diff.after.recordings.len().to_string(), "recordings after", String::new()),
    ]
}
