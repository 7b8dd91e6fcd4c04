//! When an alarm begins and ends.
//!
//! It begins with the first bin in which a metric alarms, and reaches back as far as the detector looked. Metrics that alarm while it is
//! open, or within a second and a half after it, belong to it. When that has passed without any, it is over, and ends with the last bin
//! that alarmed. What climbs or is missed for long is an alarm beside those that come and go.

use super::alarm::{Alarm, Event, MetricNow};
use super::judge::{Config, Judge, Said};
use super::window::{Past, Window};
use super::words;
use crate::table::Bin;
use osd_recording::Metadata;
use osd_signals::metric::METRICS;

/// What comes back within this time is one story to a person, as in `osd analyze`.
const JOIN_S: f64 = 1.5;

/// PID and name of a process.
type Names<'a> = dyn Fn(u64) -> (u32, String) + 'a;

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

/// Alarms one after the other, with what came with the one that is open.
#[derive(Default)]
struct Track {
    open: Option<(Open, Window)>,
}

/// Watches one recording.
pub(super) struct Watch {
    judge: Judge,
    step_s: f64,
    past: Past,
    /// What comes and goes, and what lasts: a leak of an hour hides no burst.
    tracks: [Track; 2],
    n_alarms: u64,
}

impl Watch {
    pub(super) fn new(about: &Metadata, step_s: f64, config: &Config) -> Self {
        let judge = Judge::new(about, step_s, config);
        Self { judge, step_s, past: Past::default(), tracks: Default::default(), n_alarms: 0 }
    }

    /// Judges a bin. `name` gives PID and name of a process.
    pub(super) fn push(&mut self, bin: &Bin, name: &Names<'_>, out: &mut Vec<Alarm>) {
        if bin.fresh {
            self.finish(bin.start_ns, name, out);
            self.past = Past::default();
        }
        let (lasting, passing): (Vec<Said>, Vec<Said>) = self.judge.push(bin).into_iter().partition(|s| s.lasting);
        self.past.push(bin, self.tracks.iter().any(|t| t.open.is_some()));
        for (track, said) in [passing, lasting].into_iter().enumerate() {
            out.extend(self.track(track, bin, said, name));
        }
    }

    fn track(&mut self, track: usize, bin: &Bin, said: Vec<Said>, name: &Names<'_>) -> Option<Alarm> {
        let Some((open, window)) = &mut self.tracks[track].open else {
            return (!said.is_empty()).then(|| self.begin(track, bin, said, name));
        };
        window.push(bin);
        if said.is_empty() {
            let over = bin.number - open.last > self.judge.bins(JOIN_S);
            return if over { self.end(track, bin.end_ns, name) } else { None };
        }
        open.last = bin.number;
        // A mean over two seconds alarms for two seconds after what it is about.
        if said.iter().any(|s| is_loud(&open.metrics, s)) {
            open.end_ns = bin.end_ns;
            window.loud();
        }
        said.into_iter().for_each(|s| join(&mut open.metrics, s));
        None
    }

    /// Nothing more comes.
    pub(super) fn finish(&mut self, at_ns: i64, name: &Names<'_>, out: &mut Vec<Alarm>) {
        for track in 0..self.tracks.len() {
            out.extend(self.end(track, at_ns, name));
        }
    }

    fn begin(&mut self, track: usize, bin: &Bin, said: Vec<Said>, name: &Names<'_>) -> Alarm {
        let reach = said.iter().map(|s| s.reach).min().unwrap_or(1) as i64;
        let start = (bin.number + 1 - reach).max(0);
        let step_ns = bin.end_ns - bin.start_ns;
        let start_ns = bin.start_ns - (bin.number - start) * step_ns;
        self.n_alarms += 1;
        let (id, last, end_ns) = (self.n_alarms, bin.number, bin.end_ns);
        let open = Open { id, start, start_ns, last, end_ns, metrics: said };
        let window = self.past.window(start);
        let alarm = self.alarm(Event::Begin, &open, &window, bin.end_ns, name);
        self.tracks[track].open = Some((open, window));
        alarm
    }

    fn end(&mut self, track: usize, at_ns: i64, name: &Names<'_>) -> Option<Alarm> {
        let (open, window) = self.tracks[track].open.take()?;
        let alarm = self.alarm(Event::End, &open, &window, at_ns, name);
        self.past.forget_late();
        Some(alarm)
    }

    fn alarm(&self, event: Event, open: &Open, window: &Window, at_ns: i64, name: &Names<'_>) -> Alarm {
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
            calls: self.past.calls(window, open.start, self.step_s),
            processes: window.processes(self.step_s),
            threads: window.threads(self.step_s, name),
            files: window.files(self.step_s),
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
