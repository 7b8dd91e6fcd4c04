//! A residual scored as the literature does: what a baseline's row in `docs/evaluation.md` is.

use crate::batch::scoring::{self, Moments};
use crate::data::series::Table;
use crate::detector::{Batch, Error, Residual, Scores, Sight, learnable, scorable};

/// Points over which [`Plain`] averages. By hand, once for all baselines; no corpus was looked at.
pub const SMOOTH: usize = 30;

/// A residual scored plainly: z by the residuals of training, mean over metrics, mean over 30 points.
#[derive(Clone, Debug)]
pub struct Plain<R> {
    name: &'static str,
    residual: R,
    moments: Vec<Moments>,
}

impl<R: Residual> Plain<R> {
    /// A detector that has learnt nothing.
    pub fn new(name: &'static str, residual: R) -> Self {
        Self { name, residual, moments: vec![] }
    }
}

impl<R: Residual> Batch for Plain<R> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn fit(&mut self, train: &Table) -> Result<(), Error> {
        let train = learnable(train)?;
        self.residual.fit(&train);
        self.moments = scoring::moments(&self.residual.residuals(&train));
        Ok(())
    }

    fn score(&self, series: &Table, sight: Sight) -> Result<Scores, Error> {
        let series = scorable(series, self.moments.len())?;
        let mut parts = self.residual.residuals(&series);
        for at in 0..parts.len() {
            for (value, m) in parts.row_mut(at).iter_mut().zip(&self.moments) {
                *value = m.z(*value).clamp(-scoring::Z_MAX, scoring::Z_MAX);
            }
        }
        let total: Vec<f64> = parts.rows().map(|row| row.iter().sum::<f64>() / row.len() as f64).collect();
        Ok(Scores { total: scoring::mean(&total, SMOOTH, sight), parts })
    }
}
