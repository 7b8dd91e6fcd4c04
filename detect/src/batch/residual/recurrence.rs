//! Each metric should be near something that it was moments ago, or at this time on the days
//! before.

use super::scale::Scale;
use crate::data::series::Table;
use crate::detector::Residual;

/// Residual: distance to the nearest of the last three values and of those at the same time, three points to either side, one to
/// three periods ago; in ranges of training. Without a period, or in the first one, of the last three alone.
#[derive(Clone, Debug, Default)]
pub struct Recurrence {
    period: usize,
    scale: Scale,
}

/// Points to either side, and as many of late. By hand, as the next.
const SLACK: usize = 3;
/// Days that are looked back over.
const PERIODS: usize = 3;

impl Recurrence {
    /// `period` points make a day, or whatever repeats; 0 if nothing does.
    pub fn new(period: usize) -> Self {
        Self { period, scale: Scale::default() }
    }
}

impl Residual for Recurrence {
    fn fit(&mut self, train: &Table) {
        self.scale = Scale::fit(train);
    }

    fn residuals(&self, series: &Table) -> Table {
        let scaled = self.scale.apply(series);
        let mut out = Table::zeros(scaled.len(), scaled.columns());
        let mut nearest = vec![0.0; scaled.columns()];
        for now in 1..scaled.len() {
            nearest.fill(f64::INFINITY);
            let mut visit = |rows: std::ops::Range<usize>| {
                for row in rows {
                    for ((n, a), b) in nearest.iter_mut().zip(scaled.row(now)).zip(scaled.row(row)) {
                        *n = f64::min(*n, (a - b).abs());
                    }
                }
            };
            visit(now.saturating_sub(SLACK)..now);
            for k in 1..=PERIODS {
                if self.period > SLACK
                    && let Some(then) = now.checked_sub(k * self.period)
                {
                    visit(then.saturating_sub(SLACK)..then + SLACK + 1);
                }
            }
            out.row_mut(now).copy_from_slice(&nearest);
        }
        out
    }
}
