//! Each metric should follow from what all metrics were: a linear autoregression over all of them,
//! in closed form.
//!
//! One matrix and no training loop. On many of the public corpora it is ahead of networks, so it is what these have to beat.

use super::scale::Scale;
use crate::batch::plain::Plain;
use crate::data::series::Table;
use crate::detector::Residual;
use crate::detector::{Entry, Make};
use crate::stats::matrix;

pub(crate) const ENTRY: Entry = Entry {
    name: "linear",
    about: "metrics that do not follow from what all metrics were, by a linear autoregression",
    paper: "vector autoregression with a ridge (Hoerl & Kennard, Technometrics 1970)",
    parameters: "two points back; ridge of a thousandth of the mean variance; mean of z over metrics, mean of 30 points",
    cost: "O(metrics^2) a point; to learn, O(metrics^2) a point and O(metrics^3)",
    causal: true,
    make: Make::Batch(|_| Box::new(Plain::new(ENTRY.name, Linear::default()))),
};

/// Points that a forecast looks back.
const LAGS: usize = 2;
/// What is added to each variance, as a share of their mean: metrics that are sums of others leave something to invert.
const RIDGE: f64 = 1e-3;

/// Residual |x(t) - forecast|, in ranges of training; 0 at the first points.
#[derive(Clone, Debug, Default)]
pub struct Linear {
    scale: Scale,
    /// Of the points looked back to, oldest last, and then of the metrics.
    means: Vec<f64>,
    /// For each metric, the weights of the points looked back to.
    weights: Vec<Vec<f64>>,
}

/// What is looked back to at `at`, the nearest first.
fn back(scaled: &Table, at: usize) -> impl Iterator<Item = f64> + '_ {
    (1..=LAGS).flat_map(move |lag| scaled.row(at - lag).iter().copied())
}

impl Residual for Linear {
    fn fit(&mut self, train: &Table) {
        self.scale = Scale::fit(train);
        let scaled = self.scale.apply(train);
        let (m, n) = (scaled.columns(), LAGS * scaled.columns());
        let mut both = Table::new(n + m);
        for at in LAGS..scaled.len() {
            let row: Vec<f64> = back(&scaled, at).chain(scaled.row(at).iter().copied()).collect();
            both.push(&row);
        }
        self.means = matrix::means(both.rows(), n + m);
        let covariance = matrix::covariance(both.rows(), &self.means);
        let mut of_past = matrix::Square::zeros(n);
        for i in 0..n {
            of_past.row_mut(i).copy_from_slice(&covariance.row(i)[..n]);
        }
        let variance = (0..n).map(|i| of_past.at(i, i)).sum::<f64>() / n as f64;
        // Nothing moved: nothing follows from anything.
        let ridge = (RIDGE * variance).max(1e-12);
        let axes = matrix::eigen(&of_past);
        self.weights = (0..m)
            .map(|metric| {
                let mut weights = vec![0.0; n];
                for (length, axis) in &axes {
                    let along: f64 = axis.iter().enumerate().map(|(i, a)| a * covariance.at(i, n + metric)).sum();
                    let share = along / (length.max(0.0) + ridge);
                    weights.iter_mut().zip(axis).for_each(|(w, a)| *w += share * a);
                }
                weights
            })
            .collect();
    }

    fn residuals(&self, series: &Table) -> Table {
        let scaled = self.scale.apply(series);
        let mut out = Table::zeros(scaled.len(), scaled.columns());
        let (of_past, of_now) = self.means.split_at(self.means.len().min(LAGS * scaled.columns()));
        for at in LAGS..scaled.len() {
            let past: Vec<f64> = back(&scaled, at).zip(of_past).map(|(v, mean)| v - mean).collect();
            let forecasts = self
                .weights
                .iter()
                .zip(of_now)
                .map(|(weights, mean)| mean + weights.iter().zip(&past).map(|(w, v)| w * v).sum::<f64>());
            out.row_mut(at)
                .iter_mut()
                .zip(scaled.row(at).iter().zip(forecasts))
                .for_each(|(r, (v, f))| *r = (v - f).abs());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::rng::Rng;

    /// The first turns like a pendulum, which two points back tell; the second follows the first a point later.
    fn pendulum(n: usize, seed: u64) -> Table {
        let mut rng = Rng(seed);
        let (mut table, mut before) = (Table::new(3), 0.0);
        for i in 0..n {
            let now = (i as f64 / 5.0).sin();
            table.push(&[now, before + 1e-3 * rng.normal(), 7.0]);
            before = now;
        }
        table
    }

    #[test]
    fn what_follows_from_the_past_is_forecast_and_what_does_not_is_told() {
        let mut linear = Linear::default();
        linear.fit(&pendulum(600, 1));
        let mut test = pendulum(200, 2);
        test.row_mut(100)[1] += 0.5;
        let residuals = linear.residuals(&test);
        let largest = |rows: std::ops::Range<usize>| rows.map(|at| residuals.row(at)[1]).fold(0.0, f64::max);
        assert!(largest(0..100) < 0.04, "{}", largest(0..100));
        assert!((residuals.row(100)[1] - 0.25).abs() < 0.04, "half of a range of 2: {:?}", residuals.row(100));
        assert!(residuals.rows().all(|row| row[2] == 0.0), "what never moved is where it was");
    }
}
