//! One time scale of the streaming detector: a statistic, its past, and the limits that follow from
//! it.

use super::config::{Config, Verdict};
use super::spans::Spans;
use crate::data::metric::Form;
use crate::stats::robust;
use crate::stats::tail::Tail;
use std::collections::VecDeque;

/// What was seen before has to be exceeded by a fifth to be news. By hand.
const BEYOND: f64 = 1.2;

/// A mean or a growth over so many points, and what was normal for it.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    pub(super) width: usize,
    pub(super) stride: usize,
    /// The last `width` points (one more for a level).
    pub(super) points: VecDeque<Option<f64>>,
    /// Statistics believed normal, oldest first.
    pub(super) past: VecDeque<f64>,
    /// Statistics not yet believed, with their time.
    pub(super) pending: VecDeque<(usize, f64)>,
    /// Statistics of the alarm that runs: the new normal, should it last.
    pub(super) during: VecDeque<f64>,
    pub(super) peak: f64,
    /// Peaks of short rises already reported, with their time.
    pub(super) reported: Vec<(usize, f64)>,
    pub(super) fresh: usize,
    limits: Option<Limits>,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    median: f64,
    high: f64,
    low: Option<f64>,
    high_tail: Tail,
    low_tail: Tail,
    allowed: f64,
    stretch: f64,
}

impl Scale {
    pub(super) fn new(width: usize) -> Self {
        Self {
            width,
            stride: (width / 4).max(1),
            points: VecDeque::with_capacity(width + 2),
            past: VecDeque::new(),
            pending: VecDeque::new(),
            during: VecDeque::new(),
            peak: 0.0,
            reported: vec![],
            fresh: 0,
            limits: None,
        }
    }

    /// The statistic at this point; `None` while too little is known.
    pub(super) fn take(&mut self, value: Option<f64>, form: Form) -> Option<f64> {
        self.points.push_back(value);
        let keep = self.width + usize::from(form == Form::Level);
        if self.points.len() > keep {
            self.points.pop_front();
        }
        if self.points.len() < keep {
            return None;
        }
        match form {
            Form::Rate => {
                let known = self.points.iter().flatten();
                let n = known.clone().count();
                (n * 2 >= self.width && n > 0).then(|| known.sum::<f64>() / n as f64)
            }
            Form::Level => Some(value? - (*self.points.front()?)?),
        }
    }

    /// The limits are to be made anew, though little has come since.
    pub(super) fn forget_limits(&mut self) {
        self.limits = None;
    }

    pub(super) fn refit(&mut self, config: &Config, spans: &Spans, now: usize) {
        let due = (self.past.len() / 20).max(5);
        if self.limits.is_some() && self.fresh < due {
            return;
        }
        self.reported.retain(|(t, _)| t + spans.forget > now);
        self.fresh = 0;
        let mut sorted: Vec<f64> = self.past.iter().copied().collect();
        robust::sort(&mut sorted);
        let mut mirrored: Vec<f64> = sorted.iter().rev().map(|v| -v).collect();
        robust::sort(&mut mirrored);
        let (Some(median), Some(high_tail), Some(low_tail)) =
            (robust::quantile(&sorted, 0.5), Tail::fit(&sorted), Tail::fit(&mirrored))
        else {
            self.limits = None;
            return;
        };
        let directions = if config.metric.fall.is_some() && config.metric.form == Form::Rate { 2.0 } else { 1.0 };
        // Overlapping means count for about three independent ones a width.
        let tests_per_hour = 3.0 * 3_600.0 / (self.width as f64 * config.interval_s);
        let share = config.false_alarms_per_hour / (spans.widths.len() as f64 * directions);
        let allowed = (share / tests_per_hour).min(0.01);
        let widths = (self.past.len() * self.stride) as f64 / self.width as f64;
        // A short past is not believed: the limit is wider by the root of the number of independent values. The factor is by hand.
        let stretch = 1.0 + 1.5 / widths.sqrt();
        let largest = sorted[sorted.len() - 1];
        let reported = self.reported.iter().map(|(_, y)| *y).fold(largest, f64::max);
        let high = (median + (high_tail.level(allowed) - median) * stretch).max(median + BEYOND * (reported - median));
        let low = config.metric.fall.and_then(|fall| {
            let tail = median - (median + low_tail.level(allowed)) * stretch;
            let seen = median - BEYOND * (median - sorted[0]);
            let low = tail.min(seen).min(median * (1.0 - fall));
            (config.metric.form == Form::Rate && low >= 0.0 && median > config.metric.floor).then_some(low)
        });
        self.limits = Some(Limits { median, high, low, high_tail, low_tail, allowed, stretch });
    }

    pub(super) fn judge(&self, y: f64, level: f64, config: &Config) -> Verdict {
        let Some(l) = self.limits else { return Verdict::default() };
        let base = if config.metric.form == Form::Level { level } else { l.median.abs() };
        let limit = l.high.max(l.median + config.metric.floor.max(config.metric.relative_floor * base));
        // Undo the stretch, so that the tail speaks of noise and not of how little is known.
        let tail = |fit: &Tail, y: f64, m: f64| (fit.exceedance(m + (y - m) / l.stretch) / l.allowed).min(1.0);
        let reach = self.width;
        if y >= l.median {
            let severity = (y - l.median) / (limit - l.median).max(f64::MIN_POSITIVE);
            Verdict { severity, rising: true, tail: tail(&l.high_tail, y, l.median), reach, normal: l.median }
        } else if let Some(low) = l.low {
            let severity = (l.median - y) / (l.median - low).max(f64::MIN_POSITIVE);
            Verdict { severity, rising: false, tail: tail(&l.low_tail, -y, -l.median), reach, normal: l.median }
        } else {
            Verdict::default()
        }
    }
}
