//! The detector of novelty: what its views say, reported once.
//!
//! No look-ahead: a score knows only what came before. A point costs O(log n) searches and two short scans; memory is bounded by
//! [`PAST`](super::PAST).

use super::config::{Config, MOST};
use super::reports::Reports;
use super::views::Views;
use crate::detector::{Entry, Make};
use crate::detector::{Online, Score};

pub(crate) const ENTRY: Entry = Entry {
    name: "novelty",
    about: "a value, or its deviation from the mean of late, unlike any before; made for metrics with a rhythm",
    paper: "nearest neighbours with NAB's anomaly likelihood (Lavin & Ahmad, ICMLA 2015) as a Pareto tail",
    parameters: "median over the nearest, third and fifth of all before; mean of 144 points; 5 periods, 6 points to either side",
    cost: "O(log n) searches and an insertion into a sorted list a point; at most 32 768 points remembered",
    causal: true,
    make: Make::Online(|setting| {
        let daily = Config::daily(setting.learn, setting.interval_s);
        Box::new(Novelty::new(Config { period: setting.period, ..daily }))
    }),
};

/// The detector of one metric. Feed it with [`Novelty::push`].
#[derive(Clone, Debug)]
pub struct Novelty {
    config: Config,
    views: Views,
    reports: Reports,
}

impl Novelty {
    /// A detector that has seen nothing.
    pub fn new(config: Config) -> Self {
        Self { views: Views::new(config.clone()), reports: Reports::new(&config), config }
    }

    /// Takes the next point and scores it by what came before: 0 is ordinary, 3 is strange, 9 is the most. A missing value is 0.
    pub fn push(&mut self, value: f64) -> f64 {
        match self.views.push(value) {
            Some(orders) => self.reports.push(orders),
            None => {
                self.reports.skip();
                0.0
            }
        }
    }
}

impl Online for Novelty {
    fn push(&mut self, value: Option<f64>) -> Score {
        let usual = self.views.usual();
        let score = Self::push(self, value.unwrap_or(f64::NAN));
        Score { value: score, rising: value.is_some_and(|v| v >= usual), reach: 1 }
    }

    fn warm_up(&self) -> usize {
        self.config.learn
    }

    /// The most that one view says: one in a hundred thousand.
    fn least(&self) -> f64 {
        MOST - self.config.tuning.ordinary
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::Tuning;
    use super::*;
    use crate::data::rng::Rng;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    const DAY: usize = 288;

    fn config() -> Config {
        Config { tuning: Tuning::USED, learn: 2 * DAY, period: DAY }
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
        (scores, detector.reports.reported)
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
        assert!(seen > 0.96 * (MOST - Tuning::USED.ordinary) && outside <= 2, "{seen} {inside} {outside}");
    }

    #[test]
    fn a_quiet_month_has_no_strong_score() {
        let strong = scores(|_, v| v).into_iter().filter(|s| *s > 3.0).count();
        assert!(strong <= 1, "{strong}");
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
            let config = Config { tuning: Tuning { window: 20, ..Tuning::USED }, learn: 60, period: 24 };
            let run = |values: &[f64]| -> Vec<f64> {
                let mut detector = Novelty::new(config.clone());
                values.iter().map(|v| detector.push(*v)).collect()
            };
            prop_assert_eq!(&run(&values)[..cut], &run(&values[..cut])[..]);
        }

        #[test]
        fn any_input_is_survived(values in prop::collection::vec(prop::num::f64::ANY, 0..300), period in 0..40_usize) {
            let mut detector = Novelty::new(Config { tuning: Tuning { window: 10, ..Tuning::USED }, learn: 30, period });
            for value in values {
                let score = detector.push(value);
                prop_assert!((0.0..=3.0 * (MOST - Tuning::USED.ordinary)).contains(&score), "{score}");
            }
        }
    }
}
