//! The training-free detector: one metric, one point at a time, no look-ahead.
//!
//! At a short and a long time scale it compares the mean (or, for a [`Form::Level`], the growth) over the scale with that metric's own
//! past. The limit is the largest of
//! - the level that the past's tail exceeds only as often as the stated false-alarm rate allows ([`crate::threshold`]), widened while
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

use crate::robust;
use crate::threshold::Tail;
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
mod tests {
    use super::*;
    use crate::rates::tests::Rng;
    use proptest::prelude::*;

    /// Alarms as spans of points, spans less than two seconds apart joined.
    fn alarms(config: &Config, values: impl IntoIterator<Item = f64>) -> Vec<(usize, usize)> {
        let mut detector = Detector::new(config.clone());
        let mut spans: Vec<(usize, usize)> = vec![];
        for (i, value) in values.into_iter().enumerate() {
            if detector.push(Some(value)).severity >= 1.0 {
                match spans.last_mut() {
                    Some((_, end)) if i - *end < 20 => *end = i,
                    _ => spans.push((i, i)),
                }
            }
        }
        spans
    }

    /// No floors: what is left is the threshold's own rate.
    fn bare() -> Config {
        Config { relative_floor: 0.0, ..Config::default() }
    }

    fn noise(n: usize, seed: u64, memory: f64) -> impl Iterator<Item = f64> {
        let (mut rng, mut state) = (Rng(seed), 0.0);
        (0..n).map(move |_| {
            state = memory * state + (1.0 - memory * memory).sqrt() * rng.normal();
            100.0 + 10.0 * state
        })
    }

    #[test]
    fn noise_alarms_no_oftener_than_stated() {
        // 40 runs of 15 minutes: ten hours, so about ten alarms at most at one an hour.
        for (memory, most) in [(0.0, 15), (0.8, 25)] {
            let count: usize = (0..40).map(|seed| alarms(&bare(), noise(9_000, seed, memory)).len()).sum();
            assert!(count <= most, "AR({memory}): {count} in 10 h");
        }
    }

    #[test]
    fn a_periodic_spike_is_normal() {
        // Seen at least once while warming up.
        for period in [23, 50, 70] {
            let values = noise(6_000, 3, 0.0).enumerate();
            let values = values.map(|(i, v)| if i % period < 6 { v + 400.0 } else { v });
            assert_eq!(alarms(&Config::default(), values), [], "period {period}");
        }
    }

    #[test]
    fn a_short_burst_is_told_once() {
        let values = noise(6_000, 3, 0.0).enumerate();
        let values = values.map(|(i, v)| if i > 500 && i % 600 < 6 { v + 400.0 } else { v });
        let found = alarms(&Config::default(), values);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!((600..606).contains(&found[0].0));
    }

    #[test]
    fn a_repeated_stall_is_told_once_and_a_longer_one_again() {
        let config = Config { fall: Some(0.75), ..Config::default() };
        for length in [6, 12, 20] {
            let stalls = |i: usize| i > 500 && i % 600 < length;
            let values = || noise(6_000, 3, 0.0).enumerate();
            let found = alarms(&config, values().map(|(i, v)| if stalls(i) { v * 0.01 } else { v }));
            assert_eq!(found.len(), 1, "{length}: {found:?}");
            assert!((600..600 + length + 6).contains(&found[0].0), "{length}: {found:?}");
            // One that goes on is found all the same, and its beginning is in reach.
            let mut detector = Detector::new(config.clone());
            let mut first = None;
            for (i, v) in values() {
                let v = if stalls(i) || (4_000..4_100).contains(&i) { v * 0.01 } else { v };
                let verdict = detector.push(Some(v));
                if i >= 4_000 && verdict.severity >= 1.0 {
                    first.get_or_insert((i, verdict.reach));
                }
            }
            let (at, reach) = first.unwrap_or_else(|| panic!("{length}: the long stall is lost"));
            assert!(at < 4_000 + 2 * length + 20 && at - reach <= 4_002, "{length}: {at} {reach}");
        }
    }

    #[test]
    fn constants_follow_the_interval() {
        for (interval_s, warm_up, widths) in [
            (0.01, 800, vec![50, 200]),
            (0.1, 80, vec![5, 20]),
            (1.0, 17, vec![1, 4]),
            (10.0, 17, vec![1, 4]),
            (60.0, 17, vec![1, 4]),
            (3_600.0, 17, vec![1, 4]),
        ] {
            let detector = Detector::new(Config { interval_s, ..Config::default() });
            assert_eq!((detector.warm_up(), detector.spans.widths.clone()), (warm_up, widths), "{interval_s}");
        }
    }

    /// An hour has 3 600 points of a second and one of an hour: the same number of points is watched at each interval, with
    /// as many false alarms allowed in it.
    #[test]
    fn noise_alarms_no_oftener_than_stated_at_any_interval_and_a_jump_is_found() {
        for interval_s in [0.01, 1.0, 10.0, 60.0, 3_600.0] {
            let config = Config { interval_s, false_alarms_per_hour: 0.1 / interval_s, ..bare() };
            let count: usize = (0..40).map(|seed| alarms(&config, noise(9_000, seed, 0.0)).len()).sum();
            assert!(count <= 15, "{interval_s} s: {count}, and ten are allowed");
            let config = Config { interval_s, ..Config::default() };
            let jump = noise(2_000, 5, 0.0).enumerate().map(|(i, v)| if i >= 1_500 { v * 4.0 } else { v });
            let found = alarms(&config, jump);
            let soon = 1_500 + (0.5 / interval_s) as usize + 1;
            assert!(found.len() == 1 && (1_500..=soon).contains(&found[0].0), "{interval_s} s: {found:?}");
        }
    }

    #[test]
    fn a_jump_is_found_quickly_and_twice_if_it_comes_twice() {
        let values = noise(3_000, 5, 0.5).enumerate();
        let values =
            values.map(|(i, v)| if (1_000..1_050).contains(&i) || (1_200..1_250).contains(&i) { v * 3.0 } else { v });
        let found = alarms(&Config::default(), values);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!((1_000..1_010).contains(&found[0].0) && (1_200..1_210).contains(&found[1].0), "{found:?}");
        assert!(found[0].1 < 1_075, "{found:?}");
    }

    #[test]
    fn a_level_shift_becomes_normal() {
        let values = noise(6_000, 5, 0.0).enumerate().map(|(i, v)| if i >= 1_000 { v * 3.0 } else { v });
        let found = alarms(&Config::default(), values);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].1 < 1_000 + 500, "{found:?}");
        // And what rises above the new normal is found again.
        let values = noise(6_000, 5, 0.0).enumerate().map(|(i, v)| {
            if (4_000..4_050).contains(&i) {
                v * 9.0
            } else if i >= 1_000 {
                v * 3.0
            } else {
                v
            }
        });
        assert_eq!(alarms(&Config::default(), values).len(), 2);
    }

    #[test]
    fn growth_is_found_and_height_is_not() {
        let config = Config {
            form: Form::Level,
            floor: 2e6,
            relative_floor: 0.02,
            scales_s: vec![1.0, 3.0],
            ..Config::default()
        };
        let memory = |from: usize, per_point: f64| {
            let mut rng = Rng(9);
            (0..2_000_usize).map(move |i| {
                64e6 + 2_000.0 * i as f64
                    + 4_096.0 * (rng.unit() * 20.0).floor()
                    + per_point * i.saturating_sub(from).min(60) as f64
            })
        };
        let found = alarms(&config, memory(800, 1e6));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!((800..815).contains(&found[0].0) && found[0].1 < 900, "{found:?}");
        assert_eq!(alarms(&config, memory(800, 0.0)), []);
    }

    #[test]
    fn a_stall_is_found() {
        let config = Config { fall: Some(0.6), ..Config::default() };
        let values = noise(2_000, 5, 0.0).enumerate().map(|(i, v)| if (900..930).contains(&i) { v * 0.02 } else { v });
        let found = alarms(&config, values);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!((900..912).contains(&found[0].0), "{found:?}");
    }

    #[test]
    fn trifles_on_a_constant_metric_do_not_alarm() {
        let config = Config { floor: 50.0, ..Config::default() };
        let values = (0..2_000).map(|i| if i % 331 == 330 { 20.0 } else { 0.0 });
        assert_eq!(alarms(&config, values), []);
    }

    #[test]
    fn gaps_do_not_alarm_and_do_not_blind() {
        let mut detector = Detector::new(Config::default());
        let mut found = vec![];
        for (i, v) in noise(3_000, 2, 0.0).enumerate() {
            let v = if (2_000..2_040).contains(&i) { v * 4.0 } else { v };
            let gap = (500..700).contains(&i) || i % 7 == 0;
            if detector.push((!gap).then_some(v)).severity >= 1.0 {
                found.push(i);
            }
        }
        assert!(found.first().is_some_and(|i| (2_000..2_010).contains(i)), "{found:?}");
        assert!(found.iter().all(|i| *i < 2_070));
    }

    #[test]
    fn the_warm_up_is_silent() {
        let mut detector = Detector::new(Config::default());
        assert!((0..80).all(|i| detector.push(Some(if i > 50 { 1e9 } else { 1.0 })).severity == 0.0));
    }

    proptest! {
        #[test]
        fn any_input_is_survived(values in prop::collection::vec(prop::option::of(prop::num::f64::ANY), 0..400), level: bool) {
            let form = if level { Form::Level } else { Form::Rate };
            let mut detector = Detector::new(Config { form, fall: Some(0.5), warm_up_s: 2.0, ..Config::default() });
            for value in values {
                let verdict = detector.push(value);
                prop_assert!((verdict.severity >= 0.0 || verdict.severity.is_nan()) && (0.0..=1.0).contains(&verdict.tail) || verdict.tail.is_nan());
            }
        }

        #[test]
        fn scale_does_not_matter(factor in 1e-3..1e6_f64) {
            let values: Vec<f64> = noise(900, 4, 0.3).enumerate().map(|(i, v)| if i > 850 { v * 4.0 } else { v }).collect();
            let plain = alarms(&Config::default(), values.iter().copied());
            let scaled = alarms(&Config::default(), values.iter().map(|v| v * factor));
            prop_assert_eq!(plain, scaled);
        }
    }
}
