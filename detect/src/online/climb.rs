//! The slow change: a metric that climbs or sinks steadily, over seconds or over minutes.
//!
//! A detector that compares each moment with the moments before adapts along with what changes
//! slowly. This one looks at windows of 8 s, 32 s, 128 s and 512 s, each cut into sixteen parts. A
//! window climbs when
//!
//! - nearly all pairs of parts are in order (Mann 1945, Kendall's tau): a jump orders only half of them, noise none;
//! - it still does so at its end;
//! - its growth, by the median slope over all pairs (Theil 1950, Sen 1968), is beyond what matters of the metric, half again as much as
//!   the largest of windows before, and beyond the tail of those as often as the stated rate allows.
//!
//! Where no window came before, as at the beginning of a recording, the growth must be half of the level and go on in the later half
//! as in the earlier: a cache that fills slows down, a leak does not.
//!
//! **Where the numbers come from.** By hand, on leaks of 0.5 to 15 MiB/s and of 2 to 60 descriptors a second, and on the labelled workload,
//! whose load swings by 15 % in 20 s.

use super::stream::Verdict;
use crate::data::metric::{Form, Metric};
use crate::detector::Setting;
use crate::stats::robust;
use crate::stats::tail::Tail;
use crate::stats::trend::Trend;
use std::collections::VecDeque;

/// Parts of a window.
const PARTS: usize = 16;
/// Lengths of windows.
const WINDOWS_S: [f64; 4] = [8.0, 32.0, 128.0, 512.0];
/// Share of the pairs that is in order beyond that out of order. A sixteenth of a window's noise leaves 1 of a steady climb; in sixteen
/// independent values 0.75 or more happens once in 30 000 windows.
const STEADY: f64 = 0.75;
/// The same where there is no past to compare with.
const STEADY_WITHOUT_PAST: f64 = 0.9;
/// It must be so much more than what matters, too: a CPU that goes from 0.03 to 0.6 cores in 100 s does so by 0.18 in 32 s.
const WITHOUT_PAST: f64 = 1.5;
/// A climb is this much steeper than any before.
const BEYOND: f64 = 1.5;
/// A climb that lasted has at least this share of a window behind its beginning.
const LASTED: f64 = 0.75;
/// From so many growths on there is a past: a window's worth.
const ENOUGH: usize = 4;
/// Growths that are remembered of windows of each length; one each quarter of a window.
const PAST_MAX: usize = 400;

/// The detector of one metric.
#[derive(Clone, Debug)]
pub struct Climb {
    metric: Metric,
    windows: Vec<Window>,
}

/// Windows of one length.
#[derive(Clone, Debug)]
struct Window {
    /// Points of a part.
    part: usize,
    /// Growths in an hour that are allowed to be noise, of those that are looked at.
    allowed: f64,
    sum: f64,
    known: usize,
    taken: usize,
    /// The last two windows of means, oldest first.
    means: VecDeque<Option<f64>>,
    /// Absolute growths of windows that ended at least a window ago, and of those that did not yet; one each quarter of a window.
    past: VecDeque<f64>,
    pending: VecDeque<f64>,
    n_parts: usize,
    /// Limit of the climb that goes on: what has begun is not measured against what it made of the level.
    running: Option<f64>,
    /// Said of the window that ended last.
    verdict: Verdict,
}

impl Climb {
    /// A detector that has seen nothing.
    pub fn new(setting: &Setting) -> Self {
        let mut parts: Vec<usize> = WINDOWS_S
            .iter()
            .map(|length_s| (length_s / PARTS as f64 / setting.interval_s).round().max(1.0) as usize)
            .collect();
        parts.dedup();
        let share = setting.false_alarms_per_hour / parts.len() as f64;
        let windows = parts.into_iter().map(|part| {
            // A quarter of a window is about one independent growth.
            let tests_per_hour = 3_600.0 / (part as f64 * setting.interval_s * PARTS as f64 / 4.0);
            Window::new(part, (share / tests_per_hour).min(0.01))
        });
        Self { metric: setting.metric, windows: windows.collect() }
    }

    /// Takes the next point, `None` if it is missing, and says whether it lies on a climb.
    pub fn push(&mut self, value: Option<f64>) -> Verdict {
        let value = value.filter(|v| v.is_finite());
        let mut worst = Verdict::default();
        for window in &mut self.windows {
            let verdict = window.take(value, &self.metric);
            if verdict.severity > worst.severity {
                worst = verdict;
            }
        }
        worst
    }

    /// Learns that the next point is usual.
    pub(super) fn teach(&mut self, value: Option<f64>) {
        let value = value.filter(|v| v.is_finite());
        self.windows.iter_mut().for_each(|window| window.teach(value));
    }

    /// What comes next does not follow on what came before.
    pub(super) fn cut(&mut self) {
        for window in &mut self.windows {
            (window.sum, window.known, window.taken) = (0.0, 0, 0);
            window.means.clear();
            let pending = std::mem::take(&mut window.pending);
            window.past.extend(pending);
            window.running = None;
        }
    }
}

/// Growth over a window: how far and how steadily.
struct Growth {
    /// By the median slope.
    total: f64,
    /// Pairs in order less those out of order, of all; its sign is that of the growth.
    tau: f64,
    /// Where it began.
    level: f64,
}

impl Window {
    fn new(part: usize, allowed: f64) -> Self {
        Self {
            part,
            allowed,
            sum: 0.0,
            known: 0,
            taken: 0,
            means: VecDeque::with_capacity(2 * PARTS + 1),
            past: VecDeque::new(),
            pending: VecDeque::new(),
            n_parts: 0,
            running: None,
            verdict: Verdict::default(),
        }
    }

    /// Adds a value to its part of the window; whether that is complete.
    fn add(&mut self, value: Option<f64>) -> bool {
        if let Some(v) = value {
            self.sum += v;
            self.known += 1;
        }
        self.taken += 1;
        let complete = self.taken == self.part;
        if complete {
            let mean = (2 * self.known >= self.part).then(|| self.sum / self.known as f64);
            (self.sum, self.known, self.taken) = (0.0, 0, 0);
            self.means.push_back(mean);
            if self.means.len() > 2 * PARTS {
                self.means.pop_front();
            }
            self.n_parts += 1;
        }
        complete
    }

    /// The parts of the window that ends now; fewer than there are where some are not known.
    fn parts(&self) -> Vec<f64> {
        let last = self.means.len().saturating_sub(PARTS);
        self.means.iter().skip(last).copied().flatten().collect()
    }

    fn teach(&mut self, value: Option<f64>) {
        if self.add(value) && self.n_parts.is_multiple_of(PARTS / 4) {
            let parts = self.parts();
            if parts.len() == PARTS {
                self.past.push_back(grown(&parts).total.abs());
                if self.past.len() > PAST_MAX {
                    self.past.pop_front();
                }
            }
        }
    }

    fn take(&mut self, value: Option<f64>, metric: &Metric) -> Verdict {
        if self.add(value) {
            self.verdict = self.judge(metric);
        } else if self.verdict.severity >= 1.0 {
            // Until the next part is known, what was said holds, and begins where it began.
            self.verdict.reach += 1;
        }
        self.verdict
    }

    /// What the window that ends now is, and what is learnt of it.
    fn judge(&mut self, metric: &Metric) -> Verdict {
        let parts = self.parts();
        if parts.len() < PARTS {
            // Neither judged across a gap nor learnt from it.
            self.running = None;
            return Verdict::default();
        }
        let growth = grown(&parts);
        let (verdict, limit) = self.compare(&growth, &parts, metric).unwrap_or_default();
        self.running = (verdict.severity >= 1.0).then_some(limit);
        if verdict.severity < 1.0 && self.n_parts.is_multiple_of(PARTS / 4) {
            self.pending.push_back(growth.total.abs());
            if self.pending.len() > 4 {
                self.past.extend(self.pending.pop_front());
            }
            if self.past.len() > PAST_MAX {
                self.past.pop_front();
            }
        }
        verdict
    }

    /// What the window is, and the limit that it was measured by; nothing if it does not climb.
    fn compare(&self, growth: &Growth, parts: &[f64], metric: &Metric) -> Option<(Verdict, f64)> {
        let rising = growth.total > 0.0;
        let of_rate = metric.form == Form::Rate;
        if growth.tau.abs() < STEADY || !(rising || of_rate && metric.fall.is_some()) || !goes_on(parts, growth) {
            return None;
        }
        let (limit, tail) = match self.running {
            Some(limit) => (limit, 0.0),
            None => self.limit(growth, parts, metric)?,
        };
        let severity = growth.total.abs() / limit.max(f64::MIN_POSITIVE);
        let (back, before) = self.beginning();
        let verdict = Verdict { severity, rising, tail, reach: back * self.part, normal: before };
        (severity >= 1.0 && back as f64 >= LASTED * PARTS as f64).then_some((verdict, limit))
    }

    /// How far it must grow to be news, and how much likelier noise does that at all than so far.
    fn limit(&self, growth: &Growth, parts: &[f64], metric: &Metric) -> Option<(f64, f64)> {
        let level = growth.level.abs();
        // A slow change matters at half of what a sudden one must be: it will go on.
        let share = match metric.form {
            Form::Level => metric.relative_floor,
            Form::Rate if growth.total > 0.0 => 0.5 * metric.relative_floor,
            Form::Rate => 0.5 * metric.fall.unwrap_or(1.0),
        };
        let least = (0.5 * metric.floor).max(share * level);
        let n = self.past.len();
        if n < ENOUGH {
            let (early, late) = parts.split_at(PARTS / 2);
            let pace = grown(late).total / grown(early).total;
            let linear = growth.tau.abs() >= STEADY_WITHOUT_PAST && (0.6..2.5).contains(&pace);
            return linear.then_some(((WITHOUT_PAST * least).max(0.5 * level), 0.1));
        }
        let mut past: Vec<f64> = self.past.iter().copied().collect();
        robust::sort(&mut past);
        let few = 1.0 / (n as f64).sqrt();
        let mut limit = least.max((BEYOND + 2.0 * few) * past[n - 1]);
        let mut tail = 0.1;
        if let Some(fitted) = Tail::fit(&past) {
            limit = limit.max(fitted.level(self.allowed) * (1.0 + 1.5 * few));
            tail = (fitted.exceedance(growth.total.abs()) / self.allowed).min(1.0);
        }
        Some((limit, tail))
    }

    /// Parts since the climb began, and the level before it: where a constant and a line from there on fit the last two windows best.
    fn beginning(&self) -> (usize, f64) {
        let known: Vec<f64> = self.means.iter().rev().map_while(|m| *m).collect::<Vec<_>>().into_iter().rev().collect();
        let n = known.len();
        let best = (0..=n - PARTS / 2).min_by(|a, b| misfit(&known, *a).total_cmp(&misfit(&known, *b)));
        let from = best.unwrap_or(0);
        let before = if from == 0 { known[0] } else { robust::median(&known[..from]).unwrap_or(known[0]) };
        (n - from, before)
    }
}

/// Squared error of a constant before `from` and a line of its own after it.
fn misfit(values: &[f64], from: usize) -> f64 {
    let (before, after) = values.split_at(from);
    let mean = before.iter().sum::<f64>() / before.len().max(1) as f64;
    let flat: f64 = before.iter().map(|v| (v - mean).powi(2)).sum();
    let n = after.len() as f64;
    let (mean_x, mean_y) = ((n - 1.0) / 2.0, after.iter().sum::<f64>() / n);
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (i, v) in after.iter().enumerate() {
        let (x, y) = (i as f64 - mean_x, v - mean_y);
        xx += x * x;
        xy += x * y;
        yy += y * y;
    }
    flat + (yy - xy * xy / f64::max(xx, f64::MIN_POSITIVE)).max(0.0)
}

fn grown(parts: &[f64]) -> Growth {
    let (n, quarter) = (parts.len(), parts.len() / 4);
    let Trend { slope, tau } = Trend::of(parts);
    Growth { total: slope * n as f64, tau, level: parts[..quarter].iter().sum::<f64>() / quarter as f64 }
}

/// Whether the last quarter goes on as the window did, by at least a third of its pace.
fn goes_on(parts: &[f64], growth: &Growth) -> bool {
    let quarter = PARTS / 4;
    let mean = |p: &[f64]| p.iter().sum::<f64>() / p.len() as f64;
    let late = mean(&parts[PARTS - quarter..]) - mean(&parts[PARTS - 2 * quarter..PARTS - quarter]);
    late * growth.total.signum() >= growth.total.abs() / 12.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::rng::Rng;
    use proptest::prelude::*;

    const MIB: f64 = 1_048_576.0;
    const MEMORY: Metric = Metric { form: Form::Level, floor: 6.0 * MIB, relative_floor: 0.04, fall: None };
    const CPU: Metric = Metric { form: Form::Rate, floor: 0.2, relative_floor: 0.6, fall: None };

    fn setting(metric: Metric) -> Setting {
        Setting { interval_s: 0.1, period: 0, learn: 80, false_alarms_per_hour: 0.05, metric }
    }

    /// Point of each alarm's first verdict, and where it says that it began; alarms less than two seconds apart are one.
    fn alarms(metric: Metric, values: impl IntoIterator<Item = f64>) -> Vec<(usize, usize, bool)> {
        let mut climb = Climb::new(&setting(metric));
        let mut found: Vec<(usize, usize, bool)> = vec![];
        let mut last = None;
        for (i, v) in values.into_iter().enumerate() {
            let verdict = climb.push(Some(v));
            if verdict.severity >= 1.0 {
                if last.is_none_or(|last| i - last > 20) {
                    found.push((i, i + 1 - verdict.reach, verdict.rising));
                }
                last = Some(i);
            }
        }
        found
    }

    #[test]
    fn a_leak_is_found_within_a_quarter_of_a_minute_at_its_beginning() {
        for mib_per_s in [1.0, 2.0, 5.0] {
            let mut rng = Rng(7);
            let values = (0..1_200_usize)
                .map(|i| 10.0 * MIB + 40_960.0 * rng.unit() + mib_per_s * MIB * 0.1 * i.saturating_sub(400) as f64);
            let found = alarms(MEMORY, values);
            assert_eq!(found.len(), 1, "{mib_per_s} MiB/s: {found:?}");
            assert!(found[0].0 < 550 && found[0].1.abs_diff(400) < 15 && found[0].2, "{mib_per_s} MiB/s: {found:?}");
        }
    }

    #[test]
    fn slow_climbs_of_every_kind_are_found() {
        // Half a MiB, two descriptors, 6 thousandths of a core a second: what field recordings had.
        let leak = |per_s: f64, start: f64, noise: f64| {
            let mut rng = Rng(3);
            (0..2_000_usize)
                .map(move |i| start + noise * rng.normal() + per_s * 0.1 * i.saturating_sub(1_000) as f64)
                .collect::<Vec<_>>()
        };
        let fds = Metric { form: Form::Level, floor: 20.0, relative_floor: 0.3, fall: None };
        for (name, metric, values) in [
            ("memory", MEMORY, leak(0.49 * MIB, 7.0 * MIB, 4_096.0)),
            ("descriptors", fds, leak(2.0, 7.0, 0.2)),
            ("cpu", CPU, leak(0.0057, 0.03, 0.01)),
        ] {
            let found = alarms(metric, values);
            assert_eq!(found.len(), 1, "{name}: {found:?}");
            assert!(found[0].0 < 1_400 && found[0].1.abs_diff(1_000) < 60, "{name}: {found:?}");
        }
    }

    #[test]
    fn a_leak_from_the_first_moment_is_found_and_a_cache_that_fills_is_not() {
        let leak = (0..600).map(|i| 10.0 * MIB + 0.2 * MIB * f64::from(i));
        assert_eq!(alarms(MEMORY, leak).len(), 1);
        let cache = (0..1_200).map(|i| 10.0 * MIB + 100.0 * MIB * (1.0 - (-f64::from(i) / 40.0).exp()));
        assert_eq!(alarms(MEMORY, cache), []);
    }

    #[test]
    fn jumps_ramps_and_waves_are_no_climbs() {
        let mut rng = Rng(5);
        let jump = (0..2_000).map(|i| if i < 1_000 { 0.1 } else { 0.9 } + 0.01 * rng.normal());
        assert_eq!(alarms(CPU, jump), []);
        let mut rng = Rng(5);
        let wave = (0..6_000)
            .map(|i| 0.3 * (1.0 + 0.15 * (f64::from(i) * std::f64::consts::TAU / 200.0).sin()) + 0.02 * rng.normal());
        assert_eq!(alarms(CPU, wave), []);
    }

    #[test]
    fn noise_and_walks_alarm_no_oftener_than_stated() {
        let bare = Metric { form: Form::Rate, floor: 0.0, relative_floor: 0.0, fall: Some(0.0) };
        for (name, memory, most) in [("noise", 0.0, 2), ("slow noise", 0.98, 4)] {
            let mut n = 0;
            for seed in 0..40 {
                let (mut rng, mut state) = (Rng(seed), 0.0);
                n += alarms(
                    bare,
                    (0..9_000).map(|_| {
                        state = memory * state + f64::sqrt(1.0 - memory * memory) * rng.normal();
                        100.0 + 10.0 * state
                    }),
                )
                .len();
            }
            // Ten hours at 0.05 an hour.
            assert!(n <= most, "{name}: {n} in 10 h");
        }
    }

    proptest! {
        #[test]
        fn any_input_is_survived(values in prop::collection::vec(prop::option::of(prop::num::f64::ANY), 0..700)) {
            let mut climb = Climb::new(&Setting { interval_s: 1.0, ..setting(MEMORY) });
            for value in values {
                let verdict = climb.push(value);
                prop_assert!(verdict.reach <= 40_000);
            }
        }
    }
}
