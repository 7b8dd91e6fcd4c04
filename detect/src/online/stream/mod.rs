//! The training-free detector: one metric, one point at a time, no look-ahead.
//!
//! At a short and a long time scale it compares the mean (or, for a [`Form::Level`], the growth) over the scale with that metric's own
//! past. The limit is the largest of
//! - the level that the past's tail exceeds only as often as the stated false-alarm rate allows ([`crate::stats::tail`]), widened while
//!   the past is short;
//! - a fifth beyond the largest value of the past, so that a spike seen before does not alarm again, periodic or not;
//! - the median plus a floor given by the caller, so that a nearly constant metric does not alarm on trifles.
//!
//! A value enters the past only when nothing alarmed for a while after it: the past is not made of what it flags. Two exceptions: a
//! short burst or stall is remembered once it was told, and an alarm that does not end is the new normal after [`Config::adapt_s`].
//! A burst is remembered by its height. A stall has no depth beyond nothing, so it is remembered by its length: the next
//! one alarms once it is longer.
//!
//! Times are meant for ten points a second. Where points are seconds or hours apart, each is at least as many points as it
//! takes to judge by (`Spans`), so what is learnt from, and how long that takes, grows with the interval.

use crate::stats::robust;
use crate::stats::tail::Tail;
use std::collections::VecDeque;

/// What the values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Something per second: its mean over a scale is watched.
    Rate,
    /// A level that may drift, e.g. memory: its growth over a scale is watched, so a jump and a ramp are caught, a height is not.
    Level,
}

/// How one metric is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Time between points, seconds.
    pub interval_s: f64,
    /// False alarms allowed on this metric per hour.
    pub false_alarms_per_hour: f64,
    /// What the values are.
    pub form: Form,
    /// Least rise over the median that matters, in the metric's unit (for a level: growth over the scale).
    pub floor: f64,
    /// Least rise that matters as a share of the median (for a level: of the level itself).
    pub relative_floor: f64,
    /// Least fall that matters as a share of the median, below 1; `None` watches rises only. Rates only.
    pub fall: Option<f64>,
    /// Nothing of this first time is learnt: starting up is not normal.
    pub settle_s: f64,
    /// No alarm before this time.
    pub warm_up_s: f64,
    /// An alarm that lasts this long becomes the new normal.
    pub adapt_s: f64,
    /// Lengths over which it averages (or takes the growth).
    pub scales_s: Vec<f64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interval_s: 0.1,
            false_alarms_per_hour: 1.0,
            form: Form::Rate,
            floor: 0.0,
            relative_floor: 0.5,
            fall: None,
            settle_s: 1.0,
            warm_up_s: 8.0,
            adapt_s: 45.0,
            scales_s: vec![0.5, 2.0],
        }
    }
}

/// The verdict on one point.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Distance from the median over that of the limit, at the scale where it is largest: an alarm from 1 up.
    pub severity: f64,
    /// Rose above the limit; else fell below it.
    pub rising: bool,
    /// How much likelier noise alarms at all than this strongly: 1 at the limit, towards 0 far beyond it.
    pub tail: f64,
    /// Points that the scale looks back over, this one included.
    pub reach: usize,
    /// Median of the past.
    pub normal: f64,
}

/// The detector of one metric. Feed it with [`Detector::push`].
#[derive(Clone, Debug)]
pub struct Detector {
    config: Config,
    spans: Spans,
    scales: Vec<Scale>,
    now: usize,
    /// First and last point of the alarm that runs, or ended a moment ago.
    run: Option<(usize, usize)>,
    /// First and last point of the fall that runs, or ended a moment ago.
    fall: Option<(usize, usize)>,
    /// Lengths of short falls already told, with their time.
    told_falls: Vec<(usize, usize)>,
}

/// The times of a [`Config`] in points, none of them too few.
#[derive(Clone, Debug)]
struct Spans {
    settle: usize,
    warm_up: usize,
    believe: usize,
    burst: usize,
    adapt: usize,
    forget: usize,
    /// Of the scales, each at least four times as many as that before may have.
    widths: Vec<usize>,
}

/// As many points as are learnt from at least: as many independent ones as the shorter scale has of eight seconds.
const LEARN_POINTS: usize = 16;

impl Spans {
    fn of(config: &Config) -> Self {
        let points = |seconds: f64| (seconds / config.interval_s).round().max(0.0) as usize;
        let least = (0..).scan(1_usize, |least, _| {
            let this = *least;
            *least = least.saturating_mul(4);
            Some(this)
        });
        let mut widths: Vec<usize> =
            config.scales_s.iter().zip(least).map(|(s, least)| points(*s).max(least)).collect();
        widths.dedup();
        let long = widths.iter().copied().max().unwrap_or(1);
        let short = widths.first().copied().unwrap_or(0);
        let settle = points(config.settle_s).max(1);
        Self {
            settle,
            warm_up: points(config.warm_up_s).max(settle + LEARN_POINTS),
            believe: points(BELIEVE_S).max(long.min(4)),
            burst: points(BURST_S).max(long.min(4)) + short,
            adapt: points(config.adapt_s).max(6 * long),
            forget: points(FORGET_TOLD_S).max(100 * long),
            widths,
        }
    }
}

#[derive(Clone, Debug)]
struct Scale {
    width: usize,
    stride: usize,
    /// The last `width` points (one more for a level).
    points: VecDeque<Option<f64>>,
    /// Statistics believed normal, oldest first.
    past: VecDeque<f64>,
    /// Statistics not yet believed, with their time.
    pending: VecDeque<(usize, f64)>,
    /// Statistics of the alarm that runs: the new normal, should it last.
    during: VecDeque<f64>,
    peak: f64,
    /// Peaks of short rises already told, with their time.
    told: Vec<(usize, f64)>,
    fresh: usize,
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

const PAST_MAX: usize = 900;
/// Time that must pass without an alarm before a value is believed normal.
const BELIEVE_S: f64 = 2.0;
/// An alarm up to this long is a burst: told once.
const BURST_S: f64 = 2.0;
const FORGET_TOLD_S: f64 = 900.0;

impl Detector {
    /// A detector that has seen nothing.
    pub fn new(config: Config) -> Self {
        let spans = Spans::of(&config);
        let scales = spans.widths.iter().map(|width| Scale::new(*width)).collect();
        Self { config, spans, scales, now: 0, run: None, fall: None, told_falls: vec![] }
    }

    /// Points at the start in which it learns and cannot alarm.
    pub fn warm_up(&self) -> usize {
        self.spans.warm_up
    }

    /// Takes the next point, `None` if it is missing, and judges it by what came before.
    pub fn push(&mut self, value: Option<f64>) -> Verdict {
        let value = value.filter(|v| v.is_finite());
        let now = self.now;
        self.now += 1;
        let warm = now >= self.spans.warm_up;
        let level = value.unwrap_or(0.0).abs();
        let mut verdict = Verdict::default();
        let mut statistics = Vec::with_capacity(self.scales.len());
        for scale in &mut self.scales {
            let statistic = scale.take(value, self.config.form);
            statistics.push(statistic);
            if let (Some(y), true) = (statistic, warm) {
                scale.refit(&self.config, &self.spans, now);
                let judged = scale.judge(y, level, &self.config);
                if judged.severity > verdict.severity {
                    verdict = judged;
                }
            }
        }
        let alarm = verdict.severity >= 1.0;
        self.learn(now, &statistics, alarm, warm);
        self.remember_falls(now, verdict)
    }

    /// Points after the last alarm until it is over.
    fn hold(&self) -> usize {
        self.scales.iter().map(|s| s.width).max().unwrap_or(1) + 1
    }

    /// The verdict; silent while it is about a fall no longer than those told.
    fn remember_falls(&mut self, now: usize, mut verdict: Verdict) -> Verdict {
        let (hold, forget) = (self.hold(), self.spans.forget);
        if let Some((start, last)) = self.fall.filter(|(_, last)| now - last > hold) {
            if last - start < self.spans.burst {
                self.told_falls.push((now, last - start + 1));
            }
            self.fall = None;
        }
        if verdict.severity < 1.0 || verdict.rising {
            return verdict;
        }
        self.told_falls.retain(|(told, _)| told + forget > now);
        let start = self.fall.map_or(now, |(start, _)| start);
        self.fall = Some((start, now));
        let length = now - start + 1;
        let longest = self.told_falls.iter().map(|(_, length)| *length).max().unwrap_or(0);
        // A fifth beyond, as for heights, and a point for the phase.
        if length * 5 <= longest * 6 + 5 && longest > 0 {
            verdict.severity = 0.0;
        } else if longest > 0 {
            verdict.reach += length;
        }
        verdict
    }

    fn learn(&mut self, now: usize, statistics: &[Option<f64>], alarm: bool, warm: bool) {
        let hold = self.hold();
        if alarm {
            let start = self.run.map_or(now, |(start, _)| start);
            self.run = Some((start, now));
        }
        if let Some((start, last)) = self.run {
            let lasting = now - start >= self.spans.adapt;
            let over = now - last > hold;
            let burst = last - start < self.spans.burst;
            for (scale, y) in self.scales.iter_mut().zip(statistics) {
                scale.pending.clear();
                if let Some(y) = *y {
                    if scale.during.is_empty() || y > scale.peak {
                        scale.peak = y;
                    }
                    scale.during.push_back(y);
                }
                if over && burst {
                    scale.told.push((now, scale.peak));
                    scale.limits = None;
                }
                if lasting {
                    // The later half is past the edge.
                    scale.past =
                        scale.during.iter().skip(scale.during.len() / 2).step_by(scale.stride).copied().collect();
                    scale.told.clear();
                    scale.limits = None;
                }
                if over || lasting {
                    scale.during.clear();
                }
            }
            if over || lasting {
                self.run = None;
            }
            return;
        }
        let settled = now >= self.spans.settle;
        let believe = if warm { self.spans.believe } else { 0 };
        for (scale, y) in self.scales.iter_mut().zip(statistics) {
            if let (Some(y), true) = (y, settled && now.is_multiple_of(scale.stride)) {
                scale.pending.push_back((now, *y));
            }
            while let Some((_, y)) = scale.pending.pop_front_if(|(t, _)| *t + believe <= now) {
                scale.past.push_back(y);
                scale.fresh += 1;
                if scale.past.len() > PAST_MAX {
                    scale.past.pop_front();
                }
            }
        }
    }
}

impl Scale {
    fn new(width: usize) -> Self {
        Self {
            width,
            stride: (width / 4).max(1),
            points: VecDeque::with_capacity(width + 2),
            past: VecDeque::new(),
            pending: VecDeque::new(),
            during: VecDeque::new(),
            peak: 0.0,
            told: vec![],
            fresh: 0,
            limits: None,
        }
    }

    /// The statistic at this point; `None` while too little is known.
    fn take(&mut self, value: Option<f64>, form: Form) -> Option<f64> {
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

    fn refit(&mut self, config: &Config, spans: &Spans, now: usize) {
        let due = (self.past.len() / 20).max(5);
        if self.limits.is_some() && self.fresh < due {
            return;
        }
        self.told.retain(|(t, _)| t + spans.forget > now);
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
        let directions = if config.fall.is_some() && config.form == Form::Rate { 2.0 } else { 1.0 };
        // Overlapping means count for about three independent ones a width.
        let tests_per_hour = 3.0 * 3_600.0 / (self.width as f64 * config.interval_s);
        let share = config.false_alarms_per_hour / (spans.widths.len() as f64 * directions);
        let allowed = (share / tests_per_hour).min(0.01);
        let widths = (self.past.len() * self.stride) as f64 / self.width as f64;
        let stretch = 1.0 + 1.5 / widths.sqrt();
        let largest = sorted[sorted.len() - 1];
        let told = self.told.iter().map(|(_, y)| *y).fold(largest, f64::max);
        let high = (median + (high_tail.level(allowed) - median) * stretch).max(median + 1.2 * (told - median));
        let low = config.fall.and_then(|fall| {
            let tail = median - (median + low_tail.level(allowed)) * stretch;
            let seen = median - 1.2 * (median - sorted[0]);
            let low = tail.min(seen).min(median * (1.0 - fall));
            (config.form == Form::Rate && low >= 0.0 && median > config.floor).then_some(low)
        });
        self.limits = Some(Limits { median, high, low, high_tail, low_tail, allowed, stretch });
    }

    fn judge(&self, y: f64, level: f64, config: &Config) -> Verdict {
        let Some(l) = self.limits else { return Verdict::default() };
        let base = if config.form == Form::Level { level } else { l.median.abs() };
        let limit = l.high.max(l.median + config.floor.max(config.relative_floor * base));
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

#[cfg(test)]
mod tests;
