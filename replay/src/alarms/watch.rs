//! When an alarm begins and ends.
//!
//! It begins with the first bin in which a metric alarms, and reaches back as far as the detector looked. Metrics that alarm while it is
//! open, or within a second and a half after it, belong to it. When that has passed without any, it is over, and ends with the last bin
//! that alarmed.

use super::alarm::{Alarm, Event, MetricNow};
use super::judge::{Config, Judge, Said};
use super::window::Windows;
use super::words;
use crate::table::Bin;
use osd_recording::Metadata;
use osd_signals::metric::METRICS;

/// What comes back within this time is one story to a person, as in `osd analyze`.
const JOIN_S: f64 = 1.5;

/// The alarm that is open.
struct Open {
    id: u64,
    start: i64,
    start_ns: i64,
    last: i64,
    end_ns: i64,
    /// Each metric once, as it was furthest from usual.
    metrics: Vec<Said>,
}

/// Watches one recording.
pub(super) struct Watch {
    judge: Judge,
    step_s: f64,
    windows: Windows,
    open: Option<Open>,
    n_alarms: u64,
}

impl Watch {
    pub(super) fn new(about: &Metadata, step_s: f64, config: &Config) -> Self {
        let judge = Judge::new(about, step_s, config);
        Self { judge, step_s, windows: Windows::default(), open: None, n_alarms: 0 }
    }

    /// Judges a bin. `name` gives PID and name of a process.
    pub(super) fn push(&mut self, bin: &Bin, name: &dyn Fn(u64) -> (u32, String), out: &mut Vec<Alarm>) {
        if bin.fresh {
            self.end(bin.start_ns, name, out);
            self.windows = Windows::default();
        }
        let said = self.judge.push(bin);
        self.windows.push(bin);
        match (&mut self.open, said.is_empty()) {
            (Some(open), false) => {
                open.last = bin.number;
                // A mean over two seconds alarms for two seconds after what it is about.
                if said.iter().any(|s| is_loud(&open.metrics, s)) {
                    open.end_ns = bin.end_ns;
                    self.windows.loud();
                }
                said.into_iter().for_each(|s| join(&mut open.metrics, s));
            }
            (Some(open), true) if bin.number - open.last > self.judge.bins(JOIN_S) => self.end(bin.end_ns, name, out),
            (None, false) => self.begin(bin, said, name, out),
            _ => {}
        }
    }

    /// Nothing more comes.
    pub(super) fn finish(&mut self, at_ns: i64, name: &dyn Fn(u64) -> (u32, String), out: &mut Vec<Alarm>) {
        self.end(at_ns, name, out);
    }

    fn begin(&mut self, bin: &Bin, said: Vec<Said>, name: &dyn Fn(u64) -> (u32, String), out: &mut Vec<Alarm>) {
        let reach = said.iter().map(|s| s.reach).min().unwrap_or(1) as i64;
        let start = (bin.number + 1 - reach).max(0);
        let step_ns = bin.end_ns - bin.start_ns;
        let start_ns = bin.start_ns - (bin.number - start) * step_ns;
        self.n_alarms += 1;
        self.windows.open(start);
        let (id, last, end_ns) = (self.n_alarms, bin.number, bin.end_ns);
        let open = Open { id, start, start_ns, last, end_ns, metrics: said };
        out.push(self.alarm(Event::Begin, &open, bin.end_ns, name));
        self.open = Some(open);
    }

    fn end(&mut self, at_ns: i64, name: &dyn Fn(u64) -> (u32, String), out: &mut Vec<Alarm>) {
        if let Some(open) = self.open.take() {
            out.push(self.alarm(Event::End, &open, at_ns, name));
            self.windows.close();
        }
    }

    fn alarm(&self, event: Event, open: &Open, at_ns: i64, name: &dyn Fn(u64) -> (u32, String)) -> Alarm {
        let metric = |s: &Said| MetricNow {
            metric: METRICS[s.metric].name,
            unit: METRICS[s.metric].unit,
            rising: s.rising,
            usual: s.usual,
            now: s.now,
            severity: s.severity,
        };
        let mut metrics: Vec<&Said> = open.metrics.iter().collect();
        metrics.sort_by(|a, b| b.severity.total_cmp(&a.severity).then(a.metric.cmp(&b.metric)));
        let mut alarm = Alarm {
            event,
            id: open.id,
            at_ns,
            start_ns: open.start_ns,
            end_ns: (event == Event::End).then_some(open.end_ns),
            severity: metrics.first().map_or(0.0, |m| m.severity),
            sentence: String::new(),
            metrics: metrics.into_iter().map(metric).collect(),
            calls: self.windows.calls(open.start, self.step_s),
            processes: self.windows.processes(self.step_s),
            threads: self.windows.threads(self.step_s, name),
            files: self.windows.files(self.step_s),
        };
        alarm.sentence = words::sentence(&alarm);
        alarm
    }
}

/// Whether a metric that alarms is nearer to what it was at its furthest than to what is usual.
fn is_loud(metrics: &[Said], said: &Said) -> bool {
    let peak = metrics.iter().find(|m| m.metric == said.metric);
    peak.is_none_or(|m| METRICS[m.metric].is_level() || (said.now - m.usual).abs() * 2.0 >= (m.now - m.usual).abs())
}

/// Adds what is said of a metric; of two, the more severe stays.
fn join(metrics: &mut Vec<Said>, said: Said) {
    match metrics.iter_mut().find(|m| m.metric == said.metric) {
        Some(there) if there.severity >= said.severity => {}
        // What was usual before it began stays so while it lasts.
        Some(there) => *there = Said { usual: there.usual, ..said },
        None => metrics.push(said),
    }
}
