//! How unlike the past each point of a metric is, in three ways.
//!
//! Each is a distance to the past:
//! - *value*: how far to the third nearest value ever seen;
//! - *deviation* from the mean of the last hours: how far to the third nearest deviation ever seen. A value may be common and its
//!   deviation not, and the other way round;
//! - *recurrence*: how far to the nearest value at about this time on one of the last days.
//!
//! Each distance is set against all distances before it: -log10 of the generalised Pareto tail beyond it, so that metrics of any scale
//! and any tail compare (NAB's "anomaly likelihood" does the like with a normal one).

use super::config::{Config, PAST};
use crate::stats::tail::Tail;
use std::collections::VecDeque;

/// Periods that recurrence reaches back over.
const PERIODS: usize = 5;

/// The views of one metric. Feed them with [`Views::push`].
#[derive(Clone, Debug)]
pub struct Views {
    config: Config,
    values: VecDeque<f64>,
    seen: Neighbours,
    deviations: Neighbours,
    views: [Likelihood; 3],
    now: usize,
}

impl Views {
    /// Nothing was seen yet.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            values: VecDeque::new(),
            seen: Neighbours::default(),
            deviations: Neighbours::default(),
            views: Default::default(),
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
        let neighbour = self.config.tuning.neighbour;
        let distances = [self.seen.distance(value, neighbour), self.deviation(value), self.recurrence(value)];
        self.remember(value);
        let learnt = now >= self.config.learn;
        let mut orders = [0.0; 3];
        for ((view, distance), orders) in self.views.iter_mut().zip(distances).zip(&mut orders) {
            *orders = distance.map_or(0.0, |d| view.orders(d, learnt));
        }
        Some(orders)
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

    fn deviation(&mut self, value: f64) -> Option<f64> {
        let window = self.config.tuning.window;
        let from = self.values.len().checked_sub(window)?;
        let mean = self.values.range(from..).sum::<f64>() / window as f64;
        self.deviations.distance(value - mean, self.config.tuning.neighbour)
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

/// Past values, by size and by age.
#[derive(Clone, Debug, Default)]
struct Neighbours {
    sorted: Vec<f64>,
    by_age: VecDeque<f64>,
}

impl Neighbours {
    /// Distance from `value` to its neighbour of rank `neighbour`, `None` while there are fewer; then remembers `value`.
    fn distance(&mut self, value: f64, neighbour: usize) -> Option<f64> {
        let at = self.sorted.partition_point(|v| *v < value);
        let (mut low, mut high) = (at, at);
        let mut distance = None;
        for _ in 0..neighbour {
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
