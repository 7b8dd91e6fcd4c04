//! How unlike the past each point of a metric is, in three ways.
//!
//! Each is a distance to the past:
//! - *value*: how far to the nearest values ever seen: the nearest, the third and the fifth, of which the median counts;
//! - *deviation* from the mean of the last hours: how far to the nearest deviations ever seen. A value may be common and its
//!   deviation not, and the other way round;
//! - *recurrence*: how far to the nearest value at about this time on one of the last days.
//!
//! Each distance is set against all distances before it: -log10 of the generalised Pareto tail beyond it, so that metrics of any scale
//! and any tail compare (NAB's "anomaly likelihood" does the like with a normal one).

use super::config::{Config, NEIGHBOURS, PAST};
use crate::stats::tail::Tail;
use std::collections::VecDeque;

/// Periods that recurrence reaches back over.
const PERIODS: usize = 5;

/// The views of one metric. Feed them with [`Views::push`].
#[derive(Clone, Debug)]
pub struct Views {
    config: Config,
    values: VecDeque<f64>,
    seen: Near,
    deviations: Near,
    recurrences: Likelihood,
    now: usize,
}

impl Views {
    /// Nothing was seen yet.
    pub fn new(config: Config) -> Self {
        let near = Near::new(config.tuning.neighbours);
        Self {
            config,
            values: VecDeque::new(),
            seen: near.clone(),
            deviations: near,
            recurrences: Likelihood::default(),
            now: 0,
        }
    }

    /// Takes the next point. By each view, in how many decimal orders of points before it one was as unlike its past; `None` if the value is missing.
    pub fn push(&mut self, value: f64) -> Option<[f64; 3]> {
        let now = self.now;
        self.now += 1;
        if !value.is_finite() {
            // The position in the period must not shift.
            let last = self.values.back().copied().unwrap_or(0.0);
            self.remember(last);
            return None;
        }
        let learnt = now >= self.config.learn;
        let seen = self.seen.orders(value, learnt);
        let deviation = self.deviation(value).map_or(0.0, |d| self.deviations.orders(d, learnt));
        let recurrence = self.recurrence(value).map_or(0.0, |d| self.recurrences.orders(d, learnt));
        self.remember(value);
        Some([seen, deviation, recurrence])
    }

    fn remember(&mut self, value: f64) {
        self.values.push_back(value);
        if self.values.len() > PAST {
            self.values.pop_front();
        }
    }

    /// The mean of late.
    pub(super) fn usual(&self) -> f64 {
        let from = self.values.len().saturating_sub(self.config.tuning.window);
        self.values.range(from..).sum::<f64>() / (self.values.len() - from).max(1) as f64
    }

    /// From the mean of late.
    fn deviation(&self, value: f64) -> Option<f64> {
        let window = self.config.tuning.window;
        let from = self.values.len().checked_sub(window)?;
        Some(value - self.values.range(from..).sum::<f64>() / window as f64)
    }

    fn recurrence(&self, value: f64) -> Option<f64> {
        let (n, period, slack) = (self.values.len(), self.config.period, self.config.tuning.slack);
        // Neighbours must lie in the past of this point too.
        if period <= slack || n < period + slack {
            return None;
        }
        let same_time = (1..=PERIODS).map_while(|k| n.checked_sub(k * period));
        let near = same_time.flat_map(|then| self.values.range(then.saturating_sub(slack)..(then + slack + 1).min(n)));
        near.map(|past| (value - past).abs()).reduce(f64::min)
    }
}

/// How unlike all before it a value is, by several of its neighbours.
#[derive(Clone, Debug)]
struct Near {
    /// Which, rising.
    ranks: &'static [usize],
    past: Neighbours,
    /// One for each rank.
    likelihoods: Vec<Likelihood>,
}

impl Near {
    fn new(ranks: &'static [usize]) -> Self {
        let ranks = &ranks[..ranks.len().min(NEIGHBOURS)];
        Self { ranks, past: Neighbours::default(), likelihoods: vec![Likelihood::default(); ranks.len()] }
    }

    /// The median over the ranks; then remembers `value`.
    fn orders(&mut self, value: f64, learnt: bool) -> f64 {
        let distances = self.past.distances(value, self.ranks);
        let mut all = [0.0; NEIGHBOURS];
        for ((likelihood, distance), orders) in self.likelihoods.iter_mut().zip(distances).zip(&mut all) {
            *orders = distance.map_or(0.0, |d| likelihood.orders(d, learnt));
        }
        let all = &mut all[..self.ranks.len()];
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(0.0)
    }
}

/// Past values, by size and by age.
#[derive(Clone, Debug, Default)]
struct Neighbours {
    sorted: Vec<f64>,
    by_age: VecDeque<f64>,
}

impl Neighbours {
    /// Distances from `value` to its neighbours of these `ranks`, rising, `None` while there are fewer; then remembers `value`.
    fn distances(&mut self, value: f64, ranks: &[usize]) -> [Option<f64>; NEIGHBOURS] {
        let at = self.sorted.partition_point(|v| *v < value);
        let (mut low, mut high, mut rank) = (at, at, 0);
        let mut distances = [None; NEIGHBOURS];
        for (wanted, distance) in ranks.iter().zip(&mut distances) {
            while rank < *wanted {
                rank += 1;
                let below = low.checked_sub(1).map(|i| value - self.sorted[i]);
                let above = self.sorted.get(high).map(|v| v - value);
                *distance = match (below, above) {
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
        }
        self.sorted.insert(at, value);
        self.by_age.push_back(value);
        if self.by_age.len() > PAST
            && let Some(oldest) = self.by_age.pop_front()
        {
            self.sorted.remove(self.sorted.partition_point(|v| *v < oldest));
        }
        distances
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
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn distances_are_those_that_sorting_all_gives(values in prop::collection::vec(-50..50_i32, 1..60)) {
            let mut past = Neighbours::default();
            for (i, value) in values.iter().enumerate() {
                let mut all: Vec<f64> = values[..i].iter().map(|v| f64::from((v - value).abs())).collect();
                all.sort_by(f64::total_cmp);
                let found = past.distances(f64::from(*value), &[1, 3, 5]);
                prop_assert_eq!(&found[..3], &[1, 3, 5].map(|rank| all.get(rank - 1_usize).copied())[..]);
            }
        }
    }
}
