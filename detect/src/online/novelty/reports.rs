//! What is reported of how unlike the past points are: one score, once.
//!
//! What exceeds the ordinary is added up over the views. After a score, those that are not higher are silent for a while: an operator
//! is called at the onset, not at every point. And each time that was reported before makes the like of it worth less: a series that
//! alarms often is believed less, without anybody tuning it.

use super::config::{Config, MOST, PAST};
use std::collections::VecDeque;

/// A score is like another that is at most so much less.
const LIKE: f64 = 0.5;

/// Scores of one metric, point by point, of what its [`Views`](super::Views) say.
#[derive(Clone, Debug)]
pub struct Reports {
    ordinary: f64,
    tiring: f64,
    /// Points that a score silences lower ones for.
    silence: usize,
    now: usize,
    /// Scores that may still silence lower ones, falling.
    recent: VecDeque<(usize, f64)>,
    /// Scores that were reported, and when.
    pub(super) reported: VecDeque<(usize, f64)>,
}

impl Reports {
    /// Nothing was reported yet.
    pub fn new(config: &Config) -> Self {
        let tuning = &config.tuning;
        Self {
            ordinary: tuning.ordinary,
            tiring: tuning.tiring,
            silence: (config.learn as f64 * tuning.silence) as usize,
            now: 0,
            recent: VecDeque::new(),
            reported: VecDeque::new(),
        }
    }

    /// The score of the next point by the decimal `orders` of each view: 0 is ordinary, 3 is strange, 9 is the most.
    pub fn push(&mut self, orders: [f64; 3]) -> f64 {
        let sum = orders.into_iter().map(|o| (o.min(MOST) - self.ordinary).max(0.0)).sum();
        let onset = self.onset(sum);
        self.report(self.now - 1, onset)
    }

    /// A point without a value.
    pub fn skip(&mut self) {
        self.now += 1;
    }

    /// The score if it is the largest for a while, else 0.
    fn onset(&mut self, score: f64) -> f64 {
        let now = self.now;
        self.now += 1;
        while self.recent.front().is_some_and(|(at, _)| at + self.silence < now) {
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
        score / (1.0 + times as f64 / self.tiring)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_reported_before_is_worth_less_each_time_until_it_is_forgotten() {
        let mut reports = Reports::new(&Config::daily(600, 300.0));
        let reported: Vec<f64> = (0..4).map(|i| reports.report(i, 6.0 + 0.1 * i as f64)).collect();
        let wanted = [6.0, 6.1 * 0.75, 6.2 * 0.6, 6.3 * 0.5];
        assert!(reported.iter().zip(wanted).all(|(t, w)| (t - w).abs() < 1e-12), "{reported:?}");
        assert_eq!(reports.report(10, 9.0), 9.0, "something else");
        assert_eq!(reports.report(PAST + 11, 6.0), 6.0);
    }

    #[test]
    fn a_lower_score_is_silent_for_a_while_after_a_higher_one() {
        let mut reports = Reports::new(&Config::daily(100, 300.0));
        let scores: Vec<f64> = (0..90)
            .map(|i| match i {
                5 => reports.push([4.0, 0.0, 0.0]),
                20 => reports.push([3.0, 0.0, 0.0]),
                85 => reports.push([3.5, 0.0, 0.0]),
                _ => reports.push([0.0; 3]),
            })
            .collect();
        // It silences for 75 points, and so does what it silenced.
        assert_eq!((scores[5], scores[20]), (2.0, 0.0));
        assert!(scores[85] > 0.0 && scores.iter().filter(|s| **s > 0.0).count() == 2);
    }
}
