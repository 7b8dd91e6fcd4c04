//! The variance of the last points: a baseline of one line.

use super::scale::Scale;
use crate::batch::plain::Plain;
use crate::data::series::Table;
use crate::detector::Residual;
use crate::detector::{Entry, Make};

pub(crate) const ENTRY: Entry = Entry {
    name: "moving-variance",
    about: "points that vary more than while learning",
    paper: "a baseline of one line, as in Wu & Keogh, TKDE 2021",
    parameters: "variance of 10 points; mean of z over metrics, mean of 30 points",
    cost: "O(metrics) a point",
    causal: true,
    make: Make::Batch(|_| Box::new(Plain::new(ENTRY.name, MovingVariance::default()))),
};

/// Points whose variance is taken.
const POINTS: usize = 10;

/// Residual: variance of the last points, in squared ranges of training; of the first points, of those that there are.
#[derive(Clone, Debug, Default)]
pub struct MovingVariance {
    scale: Scale,
}

impl Residual for MovingVariance {
    fn fit(&mut self, train: &Table) {
        self.scale = Scale::fit(train);
    }

    fn residuals(&self, series: &Table) -> Table {
        let scaled = self.scale.apply(series);
        let mut out = Table::zeros(scaled.len(), scaled.columns());
        for at in 0..scaled.len() {
            let span = at.saturating_sub(POINTS - 1)..at + 1;
            let n = span.len() as f64;
            for (column, variance) in out.row_mut(at).iter_mut().enumerate() {
                let values = span.clone().map(|row| scaled.row(row)[column]);
                let mean = values.clone().sum::<f64>() / n;
                *variance = values.map(|v| (v - mean).powi(2)).sum::<f64>() / n;
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let mut moving = MovingVariance::default();
        moving.fit(&Table::single(vec![0.0, 1.0]));
        let values: Vec<f64> = (0..20).map(|i| f64::from(i % 2)).collect();
        let residuals = moving.residuals(&Table::single(values));
        assert_eq!((residuals.row(0)[0], residuals.row(1)[0], residuals.row(15)[0]), (0.0, 0.25, 0.25));
    }
}
