//! The square of the step from one point to the next: a baseline of one line.

use super::scale::Scale;
use crate::batch::plain::Plain;
use crate::data::series::Table;
use crate::detector::Residual;
use crate::detector::{Entry, Make};

pub(crate) const ENTRY: Entry = Entry {
    name: "squared-difference",
    about: "large steps from one point to the next, by their squares",
    paper: "a baseline of one line, as in Wu & Keogh, TKDE 2021",
    parameters: "mean of z over metrics, mean of 30 points",
    cost: "O(metrics) a point",
    causal: true,
    make: Make::Batch(|_| Box::new(Plain::new(ENTRY.name, SquaredDifference::default()))),
};

/// Residual (x(t) - x(t-1))^2, in ranges of training; 0 at the first point.
#[derive(Clone, Debug, Default)]
pub struct SquaredDifference {
    scale: Scale,
}

impl Residual for SquaredDifference {
    fn fit(&mut self, train: &Table) {
        self.scale = Scale::fit(train);
    }

    fn residuals(&self, series: &Table) -> Table {
        let scaled = self.scale.apply(series);
        let mut out = Table::zeros(scaled.len(), scaled.columns());
        for at in 1..scaled.len() {
            let pairs = scaled.row(at).iter().zip(scaled.row(at - 1));
            out.row_mut(at).iter_mut().zip(pairs).for_each(|(r, (a, b))| *r = (a - b).powi(2));
        }
        out
    }
}
