//! Metrics of different units made comparable.

use crate::data::series::Table;

/// Maps what a metric did in training to 0..1, and cuts what lies far outside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scale {
    low: Vec<f64>,
    range: Vec<f64>,
}

/// A metric that never moved in training may be off by this much of its level before it counts as a whole range.
/// Both by hand; no corpus was looked at.
const CONSTANT: f64 = 0.05;
/// One wild metric must not drown the rest.
const CUT: (f64, f64) = (-4.0, 5.0);

impl Scale {
    /// By the smallest and the largest value of each metric.
    pub fn fit(train: &Table) -> Self {
        let mut scale = Self::default();
        for column in 0..train.columns() {
            let (low, high) = train.column(column).fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
            let range = high - low;
            let least = CONSTANT * low.abs().max(high.abs());
            scale.low.push(low);
            scale.range.push(if range > 0.0 {
                range
            } else if least > 0.0 {
                least
            } else {
                1.0
            });
        }
        scale
    }

    /// Scales a table of the same metrics.
    pub fn apply(&self, table: &Table) -> Table {
        let mut out = table.clone();
        for at in 0..out.len() {
            for ((value, low), range) in out.row_mut(at).iter_mut().zip(&self.low).zip(&self.range) {
                *value = ((*value - low) / range).clamp(CUT.0, CUT.1);
            }
        }
        out
    }
}
