//! The square of the step from one point to the next: a baseline of one line.

use super::last_value::LastValue;
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

/// Residual (x(t) - x(t-1))^2, in squared ranges of training; 0 at the first point.
#[derive(Clone, Debug, Default)]
pub struct SquaredDifference(LastValue);

impl Residual for SquaredDifference {
    fn fit(&mut self, train: &Table) {
        self.0.fit(train);
    }

    fn residuals(&self, series: &Table) -> Table {
        let mut out = self.0.residuals(series);
        for at in 0..out.len() {
            out.row_mut(at).iter_mut().for_each(|r| *r *= *r);
        }
        out
    }
}
