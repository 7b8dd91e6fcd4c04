//! A threshold for a stated rate of false alarms, from the scores of normal data.
//!
//! Points of a score come in clusters: a smoothed score that is high stays high for a while. An operator counts alarms, not points, so
//! what is fitted are the *peaks* of clusters ("runs declustering", Davison & Smith 1990): the score above a high start, with
//! less than [`RUN`] points below between two of the same cluster. With `n` peaks in `h` hours, the rate of alarms above a level u is
//! n/h x P(peak > u), the latter from a generalised Pareto fitted to the excesses (peaks over threshold; SPOT, Siffer et al., KDD
//! 2017), so that rates can be stated that the data themselves are too short to show.
//!
//! [`Streaming`] does the same while the scores come in. It remembers the beginning of an alarm, cut: without, the tail would lose
//! exactly what it is fitted to, and the threshold sink; with all of it, an anomaly would make itself normal.

use super::alarms::JOIN;
use crate::stats::robust;
use crate::stats::tail::Pareto;
use std::collections::VecDeque;

/// Points below the start that end a cluster: as many as part two alarms.
pub const RUN: usize = JOIN + 1;

/// Clusters wanted for a fit; with fewer the start is lowered. By hand; `datasets/tests/false_alarms.rs` holds what comes of it.
const PEAKS: usize = 40;

/// The upper tail of a score on normal data.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct AlarmRate {
    /// Where clusters begin.
    start: f64,
    /// Peaks per point, of those above `start`.
    per_point: f64,
    scale: f64,
    shape: f64,
    largest: f64,
}

impl AlarmRate {
    /// Fits the scores of normal points in order. `None` with fewer than a hundred, or with all the same.
    pub fn fit(scores: &[f64]) -> Option<Self> {
        let mut sorted: Vec<f64> = scores.iter().copied().filter(|s| s.is_finite()).collect();
        if sorted.len() < 100 {
            return None;
        }
        robust::sort(&mut sorted);
        let largest = *sorted.last()?;
        let mut best: Option<(f64, Vec<f64>)> = None;
        // From the top down, until there are peaks enough; a low start has one cluster that is everything.
        for share in [0.005, 0.01, 0.02, 0.05, 0.1, 0.2] {
            let start = robust::quantile(&sorted, 1.0 - share)?;
            let peaks = peaks(scores, start);
            if best.as_ref().is_none_or(|(_, b)| peaks.len() > b.len()) {
                let enough = peaks.len() >= PEAKS;
                best = Some((start, peaks));
                if enough {
                    break;
                }
            }
        }
        let (start, peaks) = best.filter(|(_, p)| !p.is_empty())?;
        let mut excesses: Vec<f64> = peaks.iter().map(|p| p - start).collect();
        robust::sort(&mut excesses);
        // On so few peaks neither a hard end nor an infinite variance is believed. With an end, a threshold for an hour made of minutes would
        // stay just below the highest score that the tail holds possible.
        let Pareto { scale, shape } = Pareto::fit(&excesses, 0.5);
        Some(Self { start, per_point: peaks.len() as f64 / scores.len() as f64, scale, shape, largest })
    }

    /// The threshold that normal data exceed `per_hour` times an hour, points `interval_s` apart. A rate higher than the clusters' own
    /// gives where they start.
    pub fn threshold(&self, per_hour: f64, interval_s: f64) -> f64 {
        let wanted = per_hour * interval_s / 3_600.0;
        let odds = self.per_point / wanted.max(f64::MIN_POSITIVE);
        if odds <= 1.0 {
            return self.start;
        }
        if self.scale <= 0.0 {
            return self.largest.next_up();
        }
        self.start + self.excess().excess(odds)
    }

    /// Whether all of it is finite, as it is if it was fitted and not read.
    pub fn is_finite(&self) -> bool {
        [self.start, self.per_point, self.scale, self.shape, self.largest].iter().all(|v| v.is_finite())
    }

    /// Alarms an hour that normal data give at `threshold`; the clusters' own rate for one below where they start.
    pub fn per_hour(&self, threshold: f64, interval_s: f64) -> f64 {
        self.per_point * self.excess().beyond((threshold - self.start).max(0.0)) * 3_600.0 / interval_s
    }

    /// The tail of a peak's excess over `start`.
    fn excess(&self) -> Pareto {
        Pareto { scale: self.scale.max(f64::MIN_POSITIVE), shape: self.shape }
    }
}

/// The largest score of each cluster above `start`.
fn peaks(scores: &[f64], start: f64) -> Vec<f64> {
    let mut out: Vec<f64> = vec![];
    let mut last: Option<usize> = None;
    for (i, score) in scores.iter().enumerate().filter(|(_, s)| **s > start) {
        match (last.is_some_and(|l| i - l < RUN), out.last_mut()) {
            (true, Some(peak)) => *peak = peak.max(*score),
            _ => out.push(*score),
        }
        last = Some(i);
    }
    out
}

/// [`AlarmRate`] over a stream: refits as it goes, so that the threshold follows slow change.
#[derive(Clone, Debug)]
pub struct Streaming {
    per_hour: f64,
    interval_s: f64,
    past: VecDeque<f64>,
    fresh: usize,
    /// Threshold, and the largest score that is remembered.
    limits: Option<(f64, f64)>,
    /// Points since the alarm that runs began.
    running: usize,
}

/// Scores that a stream remembers: half an hour at ten a second.
const REMEMBERED: usize = 20_000;

impl Streaming {
    /// For `per_hour` false alarms an hour, points `interval_s` apart.
    pub fn new(per_hour: f64, interval_s: f64) -> Self {
        Self { per_hour, interval_s, past: VecDeque::new(), fresh: 0, limits: None, running: 0 }
    }

    /// Whether this score alarms, by those before it. Never within the first hundred.
    pub fn push(&mut self, score: f64) -> bool {
        if self.limits.is_none() || self.fresh * 20 > self.past.len() {
            self.fresh = 0;
            self.limits = AlarmRate::fit(self.past.make_contiguous()).map(|rate| {
                let threshold = rate.threshold(self.per_hour, self.interval_s);
                (threshold, threshold + (threshold - rate.start))
            });
        }
        let (threshold, most) = self.limits.unwrap_or((f64::INFINITY, f64::INFINITY));
        let alarm = score >= threshold;
        self.running = if alarm { self.running + 1 } else { 0 };
        if score.is_finite() && self.running <= 2 * RUN {
            self.past.push_back(score.min(most));
            self.fresh += 1;
            if self.past.len() > REMEMBERED {
                self.past.pop_front();
            }
        }
        alarm
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::scoring;
    use crate::combine::alarms;
    use crate::data::rng::Rng;
    use crate::detector::Sight;

    /// A smoothed score with a heavy tail, a point a second.
    fn score(n: usize, seed: u64) -> Vec<f64> {
        let mut rng = Rng(seed);
        let raw: Vec<f64> = (0..n).map(|_| -(1.0 - rng.unit()).ln() * (0.5 * rng.normal()).exp()).collect();
        scoring::smooth(&raw, 5.0, Sight::Online)
    }

    fn alarms(scores: &[f64], threshold: f64) -> usize {
        let predictions: Vec<bool> = scores.iter().map(|s| *s >= threshold).collect();
        alarms::alarms(&predictions).len()
    }

    #[test]
    fn the_stated_rate_is_met_on_data_not_seen() {
        for per_hour in [1.0, 4.0, 20.0] {
            let hours = 400.0;
            let mut realised = 0;
            for seed in 0..8 {
                // Three hours to learn from: less than one false alarm a fit at the lowest rate.
                let rate = AlarmRate::fit(&score(3 * 3_600, seed)).unwrap();
                realised += alarms(&score((hours * 3_600.0) as usize / 8, seed + 100), rate.threshold(per_hour, 1.0));
            }
            let ratio = realised as f64 / (per_hour * hours);
            assert!((0.5..2.0).contains(&ratio), "{per_hour}/h: {ratio}");
        }
    }

    #[test]
    fn the_stream_meets_it_too_and_an_anomaly_does_not_raise_it() {
        let mut scores = score(40 * 3_600, 5);
        scores[50_000..51_000].fill(30.0);
        let mut stream = Streaming::new(2.0, 1.0);
        let predictions: Vec<bool> = scores.iter().map(|s| stream.push(*s)).collect();
        assert!(predictions[50_000..51_000].iter().all(|p| *p));
        let ratio = (alarms::alarms(&predictions).len() - 1) as f64 / 80.0;
        assert!((0.5..2.0).contains(&ratio), "{ratio}");
    }

    #[test]
    fn rate_and_threshold_undo_each_other() {
        let rate = AlarmRate::fit(&score(10_000, 1)).unwrap();
        for per_hour in [0.01, 0.5, 3.0] {
            let back = rate.per_hour(rate.threshold(per_hour, 1.0), 1.0);
            assert!((back / per_hour - 1.0).abs() < 1e-6, "{back} {per_hour}");
        }
        assert!(rate.threshold(0.1, 1.0) > rate.threshold(1.0, 1.0));
    }

    #[test]
    fn constant_and_short_scores_give_no_threshold() {
        assert_eq!(AlarmRate::fit(&[1.0; 1_000]), None);
        assert_eq!(AlarmRate::fit(&score(99, 1)), None);
    }
}
