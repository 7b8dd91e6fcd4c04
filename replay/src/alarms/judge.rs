//! Judges the metrics of each bin: the detectors of `osd analyze` on each, or a trained model on
//! those that it has learnt.
//!
//! The streaming detector is the one of `osd analyze`, with the same settings. Which metrics there will be is not known when the first
//! bin is judged, so the rate of false alarms is shared out over all that this recording could have.

use crate::table::Bin;
use osd_detect::Shape;
use osd_detect::robust;
use osd_detect::stream::{self, Verdict};
use osd_detect::watch::Watch;
use osd_model::Model;
use osd_model::stream::Scorer;
use osd_recording::Metadata;
use osd_signals::metric::{METRICS, Metric, MetricId, Source};
use std::collections::VecDeque;

/// How to judge.
#[derive(Clone, Debug)]
pub struct Config {
    /// Alarms an hour that normal data may give.
    pub false_alarms_per_hour: f64,
    /// Judges the metrics that it has learnt.
    pub model: Option<Model>,
}

impl Default for Config {
    fn default() -> Self {
        Self { false_alarms_per_hour: 1.0, model: None }
    }
}

/// Time at the start that is not learnt from, and time to learn in which nothing alarms: as `osd analyze` has them.
const SETTLE_S: f64 = 1.0;
const WARM_UP_S: f64 = 8.0;
/// Time before a rise that it is compared with on a climb.
const BESIDE_S: f64 = 2.0;

/// Whether what has this shape goes on for long.
fn lasts(shape: Shape) -> bool {
    matches!(shape, Shape::Climb | Shape::Missed { .. })
}

/// What is said of one metric of a bin that alarms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Said {
    /// Its place among the metrics.
    pub(super) metric: usize,
    /// A climb, or runs that are missed: it goes on for long, and other things happen in it.
    pub(super) lasting: bool,
    pub(super) severity: f64,
    pub(super) rising: bool,
    /// Bins that it looks back over, this one included.
    pub(super) reach: usize,
    pub(super) usual: f64,
    pub(super) now: f64,
}

/// The judge of one recording.
pub(super) struct Judge {
    step_s: f64,
    /// Of each metric that may open an alarm and is not the model's.
    config: Vec<Option<stream::Config>>,
    detectors: Vec<Option<Watch>>,
    /// Values of late, by metric.
    late: VecDeque<Vec<Option<f64>>>,
    model: Option<Scorer>,
}

/// Whether a recording that is described so can have the metric.
fn can_have(about: &Metadata, metric: &Metric) -> bool {
    let calls = matches!(about.syscalls.as_str(), "events" | "tally");
    match metric.source {
        Source::Calls(_) => calls,
        Source::Latency(_) => calls && !about.no_latency,
        _ if matches!(metric.id, MetricId::Syscalls | MetricId::Errors) => calls,
        _ => true,
    }
}

/// Bins that are remembered: the longest scale is twenty of them.
const LATE: usize = 64;

impl Judge {
    pub(super) fn new(about: &Metadata, step_s: f64, config: &Config) -> Self {
        let allowed = config.false_alarms_per_hour;
        let model = config.model.as_ref().and_then(|model| Scorer::new(model, allowed).ok());
        let seen = |metric: &Metric| model.as_ref().is_some_and(|m| m.sees(metric.name));
        let left = allowed - model.as_ref().map_or(0.0, |m| m.rate(allowed));
        let watched = |m: &Metric| m.opens_windows && can_have(about, m) && !seen(m);
        let n = METRICS.iter().filter(|m| watched(m)).count().max(1);
        let of = |m: &Metric| stream::Config {
            interval_s: step_s,
            settle_s: SETTLE_S,
            warm_up_s: WARM_UP_S,
            false_alarms_per_hour: (left / n as f64).max(1e-6),
            metric: m.matters,
            ..stream::Config::default()
        };
        let config: Vec<_> = METRICS.iter().map(|m| watched(m).then(|| of(m))).collect();
        let detectors = config.iter().map(|c| c.clone().map(Watch::new)).collect();
        Self { step_s, config, detectors, late: VecDeque::new(), model }
    }

    /// Judges the next bin.
    pub(super) fn push(&mut self, bin: &Bin) -> Vec<Said> {
        if bin.fresh {
            self.detectors = self.config.iter().map(|c| c.clone().map(Watch::new)).collect();
            self.late.clear();
            self.model.iter_mut().for_each(Scorer::reset);
        }
        self.late.push_front(bin.values.clone());
        self.late.truncate(LATE);
        let mut out = vec![];
        let watched = self.detectors.iter_mut().enumerate().filter_map(|(at, detector)| Some((at, detector.as_mut()?)));
        let pushed: Vec<_> = watched.map(|(at, detector)| (at, detector.push(bin.values[at]))).collect();
        for (at, verdicts) in pushed {
            let Some(now) = bin.values[at] else { continue };
            let said = verdicts.map(|(shape, verdict)| (shape, Some(verdict).filter(|v| v.severity >= 1.0)));
            // Of what lasts, and of what does not, the loudest says what the alarm is about.
            for lasting in [false, true] {
                let of = said.iter().filter(|(shape, _)| lasts(*shape) == lasting);
                let loudest = of.filter_map(|(shape, v)| Some((*shape, (*v)?)));
                let Some((shape, verdict)) = loudest.max_by(|a, b| a.1.severity.total_cmp(&b.1.severity)) else {
                    continue;
                };
                let climbs = |(shape, v): &(Shape, Option<Verdict>)| {
                    *shape == Shape::Climb && v.is_some_and(|v| v.rising == verdict.rising)
                };
                if shape == Shape::Shift && said.iter().any(climbs) && !self.stands_out(at, &verdict, now) {
                    continue;
                }
                out.push(self.said(at, shape, &verdict, now));
            }
        }
        if let Some(model) = &mut self.model {
            let value = |name: &str| MetricId::from_name(name).and_then(|id| bin.for_models[id as usize]);
            if let Some(loud) = model.push(value, bin.covered, bin.lossy) {
                let metric = MetricId::from_name(loud.metric).map_or(0, |id| id as usize);
                let (usual, now) = (loud.expected, loud.actual);
                out.push(Said {
                    metric,
                    lasting: false,
                    severity: loud.severity,
                    rising: now >= usual,
                    reach: 1,
                    usual,
                    now,
                });
            }
        }
        out.sort_by(|a, b| b.severity.total_cmp(&a.severity).then(a.metric.cmp(&b.metric)));
        out
    }

    /// What is said of a metric that is `now`.
    fn said(&self, at: usize, shape: Shape, verdict: &Verdict, now: f64) -> Said {
        let before = || self.late.get(verdict.reach.saturating_sub(1)).and_then(|values| values[at]);
        // Of a level's growth the detector knows what is usual; what the level was before it grew is what one wants to read.
        let grew = METRICS[at].is_level() && shape == Shape::Shift;
        let usual = if grew { before().unwrap_or(now) } else { verdict.normal };
        // Where it began: of a rate, as far back as it was nearer to what it is than to what is usual.
        let near = |values: &&Vec<Option<f64>>| {
            values[at].is_some_and(|v| (v - usual).abs() * 2.0 >= (now - usual).abs() && (v > usual) == (now > usual))
        };
        let back = self.late.iter().take(verdict.reach.max(1)).take_while(near).count();
        // The other shapes say where they begin.
        let exact = METRICS[at].is_level() || shape != Shape::Shift;
        let reach = if exact { verdict.reach.max(1) } else { back.max(1) };
        let (severity, rising) = (verdict.severity, verdict.rising);
        Said { metric: at, lasting: lasts(shape), severity, rising, reach, usual, now }
    }

    /// Whether a rate that climbs is further from what it was two seconds before than a climb makes it: a climb leaves what is usual ever
    /// further behind, so that its own noise seems to be a rise.
    fn stands_out(&self, at: usize, verdict: &Verdict, now: f64) -> bool {
        let before = self.late.iter().skip(verdict.reach).take(self.bins(BESIDE_S) as usize);
        let level = robust::median(&before.filter_map(|values| values[at]).collect::<Vec<_>>());
        level.is_none_or(|level| METRICS[at].matters.matters(level, now, verdict.rising))
    }

    /// So many bins are `seconds`, one at least.
    pub(super) fn bins(&self, seconds: f64) -> i64 {
        ((seconds / self.step_s).round() as i64).max(1)
    }
}
