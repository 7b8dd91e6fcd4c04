//! Each metric should be near its mean of training: over metrics, the L2 norm.

use super::scale::Scale;
use crate::batch::plain::Plain;
use crate::data::series::Table;
use crate::detector::Residual;
use crate::detector::{Entry, Make};

pub(crate) const ENTRY: Entry = Entry {
    name: "l2",
    about: "a value far from its mean while learning",
    paper: "textbook",
    parameters: "mean of z over metrics, mean of 30 points",
    cost: "O(metrics) a point",
    causal: true,
    make: Make::Batch(|_| Box::new(Plain::new(ENTRY.name, Level::default()))),
};

/// Residual |x(t) - mean|, in ranges of training.
#[derive(Clone, Debug, Default)]
pub struct Level {
    scale: Scale,
    means: Vec<f64>,
}

impl Residual for Level {
    fn fit(&mut self, train: &Table) {
        self.scale = Scale::fit(train);
        let scaled = self.scale.apply(train);
        self.means = (0..train.columns()).map(|c| scaled.column(c).sum::<f64>() / scaled.len() as f64).collect();
    }

    fn residuals(&self, series: &Table) -> Table {
        let mut out = self.scale.apply(series);
        for at in 0..out.len() {
            out.row_mut(at).iter_mut().zip(&self.means).for_each(|(v, m)| *v = (*v - m).abs());
        }
        out
    }
}
