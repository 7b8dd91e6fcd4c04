//! Novelty of one metric as it streams by: is this unlike anything before? For series with a
//! rhythm, where a network is weak.
//!
//! Three views, each a distance to the past:
//! - *value*: how far to the third nearest value ever seen;
//! - *deviation* from the mean of the last hours: how far to the third nearest deviation ever seen. A value may be common and its
//!   deviation not, and the other way round;
//! - *recurrence*: how far to the nearest value at about this time on one of the last days.
//!
//! Each distance is set against all distances before it: -log10 of the generalised Pareto tail beyond it, so that metrics of any scale
//! and any tail compare (NAB's "anomaly likelihood" does the like with a normal one). What exceeds the ordinary is added up. After a
//! score, those that are not higher are silent for a while: an operator is called at the onset, not at every point. And each time that
//! was reported before makes the like of it worth less: a series that alarms often is believed less, without anybody tuning it.
//!
//! The numbers below were chosen on NAB: `docs/evaluation.md`, "What was tuned on what".
//!
//! No look-ahead: a score knows only what came before. A point costs O(log n) searches and two short scans; memory is bounded by
//! [`PAST`].

use crate::detector::{Entry, Make};
use crate::detector::{Online, Score};
use crate::stats::tail::Tail;
use std::collections::VecDeque;

pub(crate) const ENTRY: Entry = Entry {
    name: "novelty",
    about: "a value, or its deviation from the mean of late, unlike any before; made for metrics with a rhythm",
    paper: "nearest neighbours with NAB's anomaly likelihood (Lavin & Ahmad, ICMLA 2015) as a Pareto tail",
    parameters: "third nearest of all before; mean of 144 points; 5 periods, 6 points to either side",
    cost: "O(log n) searches and an insertion into a sorted list a point; at most 32 768 points remembered",
    causal: true,
    make: Make::Online(|setting| {
        let Config { learn, window, .. } = Config::daily(setting.learn, setting.interval_s);
        Box::new(Novelty::new(Config { learn, window, period: setting.period }))
    }),
};

/// Points remembered.
pub const PAST: usize = 1 << 15;

/// How one metric is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Points before the first score; lower scores stay silent for three quarters of it after a higher one.
    pub learn: usize,
    /// Points that the mean reaches back over.
    pub window: usize,
    /// Points in a day, or another period that is known. 0 if there is none, and so no recurrence.
    pub period: usize,
}

impl Config {
    /// For points `interval_s` apart.
    pub fn daily(learn: usize, interval_s: f64) -> Self {
        Self { learn: learn.max(50), window: 144, period: (86_400.0 / interval_s).round() as usize }
    }
}

/// Periods that recurrence reaches back over.
const PERIODS: usize = 5;
/// Points to either side of the same time.
const SLACK: usize = 6;
/// Which nearest past value counts: twice is coincidence.
const NEIGHBOUR: usize = 3;
/// Decimal orders that are ordinary: 1 in 100.
const ORDINARY: f64 = 2.0;
/// Most that one view says: one in a hundred thousand.
const MOST: f64 = 5.0;
/// A score is like another that is at most so much less.
const LIKE: f64 = 0.5;
/// A score that was reported `n` times is divided by `1 + n / TIRING`.
const TIRING: f64 = 3.0;

/// The detector of one metric. Feed it with [`Novelty::push`].
#[derive(Clone, Debug)]
pub struct Novelty {
    config: Config,
    values: VecDeque<f64>,
    seen: Neighbours,
    deviations: Neighbours,
    views: [Likelihood; 3],
    now: usize,
    /// Scores that may still silence lower ones, falling.
    recent: VecDeque<(usize, f64)>,
    /// Scores that were reported, and when.
    reported: VecDeque<(usize, f64)>,
}

impl Novelty {
    /// A detector that has seen nothing.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            values: VecDeque::new(),
            seen: Neighbours::default(),
            deviations: Neighbours::default(),
            views: Default::default(),
            now: 0,
            recent: VecDeque::new(),
            reported: VecDeque::new(),
        }
    }

    /// Takes the next point and scores it by what came before: 0 is ordinary, 3 is strange, 9 is the most. A missing value is 0.
    pub fn push(&mut self, value: f64) -> f64 {
        let now = self.now;
        self.now += 1;
        if !value.is_finite() {
            // The position in the period must not shift.
            let last = self.values.back().copied().unwrap_or(0.0);
            self.remember(last);
            return 0.0;
        }
        let distances = [self.seen.distance(value), self.deviation(value), self.recurrence(value)];
        self.remember(value);
        let learnt = now >= self.config.learn;
        let orders = self.views.iter_mut().zip(distances).map(|(view, d)| d.map_or(0.0, |d| view.orders(d, learnt)));
        let sum = orders.map(|o| (o.min(MOST) - ORDINARY).max(0.0)).sum();
        let onset = self.onset(now, sum);
        self.report(now, onset)
    }

    fn remember(&mut self, value: f64) {
        self.values.push_back(value);
        if self.values.len() > PAST {
            self.values.pop_front();
        }
    }

    /// The mean of late.
    fn usual(&self) -> f64 {
        let from = self.values.len().saturating_sub(self.config.window);
        self.values.range(from..).sum::<f64>() / (self.values.len() - from).max(1) as f64
    }

    fn deviation(&mut self, value: f64) -> Option<f64> {
        let from = self.values.len().checked_sub(self.config.window)?;
        let mean = self.values.range(from..).sum::<f64>() / self.config.window as f64;
        self.deviations.distance(value - mean)
    }

    fn recurrence(&self, value: f64) -> Option<f64> {
        let (n, period) = (self.values.len(), self.config.period);
        // Neighbours must lie in the past of this point too.
        if period <= SLACK || n < period + SLACK {
            return None;
        }
        let same_time = (1..=PERIODS).map_while(|k| n.checked_sub(k * period));
        let near = same_time.flat_map(|then| self.values.range(then.saturating_sub(SLACK)..(then + SLACK + 1).min(n)));
        near.map(|past| (value - past).abs()).reduce(f64::min)
    }

    /// The score if it is the largest for a while, else 0.
    fn onset(&mut self, now: usize, score: f64) -> f64 {
        while self.recent.front().is_some_and(|(at, _)| at + self.config.learn * 3 / 4 < now) {
            self.recent.pop_front();
        }
        let silent = self.recent.front().is_some_and(|(_, larger)| score <= *larger);
        while self.recent.back().is_some_and(|(_, smaller)| *smaller <= score) {
            self.recent.pop_back();
        }
        self.recent.push_back((now, score));
        if silent { 0.0 } else { score }
    }

    /// What the score is worth, by how often the like of it was reported.
    fn report(&mut self, now: usize, score: f64) -> f64 {
        if score <= 0.0 {
            return 0.0;
        }
        while self.reported.front().is_some_and(|(at, _)| at + PAST < now) {
            self.reported.pop_front();
        }
        let times = self.reported.iter().filter(|(_, before)| *before >= score - LIKE).count();
        self.reported.push_back((now, score));
        score / (1.0 + times as f64 / TIRING)
    }
}

impl Online for Novelty {
    fn push(&mut self, value: Option<f64>) -> Score {
        let usual = self.usual();
        let score = Self::push(self, value.unwrap_or(f64::NAN));
        Score { value: score, rising: value.is_some_and(|v| v >= usual), reach: 1 }
    }

    fn warm_up(&self) -> usize {
        self.config.learn
    }

    /// The most that one view says: one in a hundred thousand.
    fn least(&self) -> f64 {
        MOST - ORDINARY
    }
}

/// Past values, by size and by age.
#[derive(Clone, Debug, Default)]
struct Neighbours {
    sorted: Vec<f64>,
    by_age: VecDeque<f64>,
}

impl Neighbours {
    /// Distance from `value` to its neighbour of rank [`NEIGHBOUR`], `None` while there are fewer; then remembers `value`.
    fn distance(&mut self, value: f64) -> Option<f64> {
        let at = self.sorted.partition_point(|v| *v < value);
        let (mut low, mut high) = (at, at);
        let mut distance = None;
        for _ in 0..NEIGHBOUR {
            let below = low.checked_sub(1).map(|i| value - self.sorted[i]);
            let above = self.sorted.get(high).map(|v| v - value);
            distance = match (below, above) {
                (Some(b), a) if a.is_none_or(|a| b <= a) => {
                    low -= 1;
                    below
                }
                _ => {
                    high += 1;
                    above
                }
            };
        }
        self.sorted.insert(at, value);
        self.by_age.push_back(value);
        if self.by_age.len() > PAST
            && let Some(oldest) = self.by_age.pop_front()
        {
            self.sorted.remove(self.sorted.partition_point(|v| *v < oldest));
        }
        distance
    }
}

/// How likely a distance is, by those before it.
#[derive(Clone, Debug, Default)]
struct Likelihood {
    past: Vec<f64>,
    fresh: Vec<f64>,
    tail: Option<Tail>,
}

impl Likelihood {
    /// -log10 of the probability of `distance` or more, 0 until something is `learnt`; then remembers it.
    fn orders(&mut self, distance: f64, learnt: bool) -> f64 {
        let mut orders = 0.0;
        if learnt {
            if self.tail.is_none() || self.fresh.len() * 12 > self.past.len() {
                self.refit();
            }
            orders = self.tail.as_ref().map_or(0.0, |t| -t.exceedance(distance).max(1e-30).log10());
        }
        self.fresh.push(distance);
        orders
    }

    fn refit(&mut self) {
        if self.past.len() + self.fresh.len() > 2 * PAST {
            // Every other one: the shape of the tail stays, the far past counts half.
            let mut keep = false;
            self.past.retain(|_| {
                keep = !keep;
                keep
            });
        }
        self.past.append(&mut self.fresh);
        // Stable: two sorted runs merge in linear time.
        self.past.sort_by(f64::total_cmp);
        self.tail = Tail::fit_within(&self.past, 0.02, 0.9);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::rng::Rng;
    use proptest::prelude::*;

    const DAY: usize = 288;

    fn config() -> Config {
        Config { learn: 2 * DAY, window: 144, period: DAY }
    }

    /// Four weeks of days with noise; `change` is applied to the value at each point. The scores, and those reported before they tired.
    fn run(change: impl Fn(usize, f64) -> f64) -> (Vec<f64>, VecDeque<(usize, f64)>) {
        let mut rng = Rng(11);
        let mut detector = Novelty::new(config());
        let mut point = |i: usize| {
            let daily = 50.0 + 30.0 * (std::f64::consts::TAU * (i % DAY) as f64 / DAY as f64).sin();
            detector.push(change(i, daily + rng.normal()))
        };
        let scores = (0..28 * DAY).map(&mut point).collect();
        (scores, detector.reported)
    }

    fn scores(change: impl Fn(usize, f64) -> f64) -> Vec<f64> {
        run(change).0
    }

    /// Where the largest score is, apart from the learning time.
    fn strangest(scores: &[f64]) -> usize {
        (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap()
    }

    #[test]
    fn a_point_anomaly_is_found_at_once() {
        assert_eq!(strangest(&scores(|i, v| if i == 6_000 { v + 40.0 } else { v })), 6_000);
    }

    #[test]
    fn a_contextual_anomaly_is_found_though_its_value_is_common() {
        // Noon's level at midnight: seen every day, never then.
        let at = 20 * DAY + 3 * DAY / 4;
        let found = strangest(&scores(|i, v| if (at..at + 6).contains(&i) { 78.0 } else { v }));
        assert!((at..at + 6).contains(&found), "{found} {at}");
    }

    #[test]
    fn a_collective_anomaly_is_found_though_each_of_its_points_is_common() {
        // Half a day that stands still at the mean.
        let (at, half) = (20 * DAY, DAY / 2);
        let (all, reported) = run(|i, v| if (at..at + half).contains(&i) { 50.0 } else { v });
        let inside = all[at..at + half].iter().copied().fold(0.0, f64::max);
        let outside = all.iter().enumerate().filter(|(i, s)| !(at..at + half).contains(i) && **s >= inside).count();
        // One view sees it, and says the most that one view may.
        let seen = reported.iter().filter(|(i, _)| (at..at + half).contains(i)).map(|(_, s)| *s).fold(0.0, f64::max);
        assert!(seen > 0.96 * (MOST - ORDINARY) && outside <= 2, "{seen} {inside} {outside}");
    }

    #[test]
    fn a_quiet_month_has_no_strong_score() {
        let strong = scores(|_, v| v).into_iter().filter(|s| *s > 3.0).count();
        assert!(strong <= 1, "{strong}");
    }

    #[test]
    fn what_was_reported_before_is_worth_less_each_time_until_it_is_forgotten() {
        let mut detector = Novelty::new(config());
        let reported: Vec<f64> = (0..4).map(|i| detector.report(i, 6.0 + 0.1 * i as f64)).collect();
        let wanted = [6.0, 6.1 * 0.75, 6.2 * 0.6, 6.3 * 0.5];
        assert!(reported.iter().zip(wanted).all(|(t, w)| (t - w).abs() < 1e-12), "{reported:?}");
        assert_eq!(detector.report(10, 9.0), 9.0, "something else");
        assert_eq!(detector.report(PAST + 11, 6.0), 6.0);
    }

    #[test]
    fn one_event_is_not_reported_over_and_over() {
        let all = scores(|i, v| if (6_000..6_050).contains(&i) { v + 40.0 } else { v });
        let reported = all[6_000..6_050].iter().filter(|s| **s > 2.0).count();
        assert!((1..=8).contains(&reported), "{reported}");
    }

    proptest! {
        #[test]
        fn a_score_knows_only_what_came_before(values in prop::collection::vec(-10.0..10.0_f64, 200..400), cut in 150..200_usize) {
            let config = Config { learn: 60, window: 20, period: 24 };
            let run = |values: &[f64]| -> Vec<f64> {
                let mut detector = Novelty::new(config.clone());
                values.iter().map(|v| detector.push(*v)).collect()
            };
            prop_assert_eq!(&run(&values)[..cut], &run(&values[..cut])[..]);
        }

        #[test]
        fn any_input_is_survived(values in prop::collection::vec(prop::num::f64::ANY, 0..300), period in 0..40_usize) {
            let mut detector = Novelty::new(Config { learn: 30, window: 10, period });
            for value in values {
                let score = detector.push(value);
                prop_assert!((0.0..=3.0 * (MOST - ORDINARY)).contains(&score), "{score}");
            }
        }
    }
}
