//! Features at mean 0 and deviation 1, as scikit-learn's `StandardScaler` makes them.

use crate::data::series::Table;
use crate::stats::matrix;

pub(crate) struct Scaled {
    pub(crate) means: Vec<f64>,
    /// 1 where a feature does not vary.
    pub(crate) scales: Vec<f64>,
}

impl Scaled {
    pub(crate) fn fit(x: &Table) -> Self {
        let means = matrix::means(x.rows(), x.columns());
        let mut scales = vec![0.0; x.columns()];
        for row in x.rows() {
            scales.iter_mut().zip(row).zip(&means).for_each(|((s, v), m)| *s += (v - m) * (v - m));
        }
        for (scale, mean) in scales.iter_mut().zip(&means) {
            let variance = *scale / x.len() as f64;
            // What rounding leaves of a feature that is constant.
            let nothing = 10.0 * f64::EPSILON * x.len() as f64 * mean * mean * f64::EPSILON;
            *scale = if variance <= nothing { 1.0 } else { variance.sqrt() };
        }
        Self { means, scales }
    }

    pub(crate) fn apply(&self, x: &Table) -> Table {
        let mut out = x.clone();
        for at in 0..out.len() {
            let row = out.row_mut(at);
            row.iter_mut().zip(&self.means).zip(&self.scales).for_each(|((v, m), s)| *v = (*v - m) / s);
        }
        out
    }
}
