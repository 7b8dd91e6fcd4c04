//! The metrics should lie in the plane in which they lay: principal components, and the error of
//! rebuilding from the first of them.

use super::scale::Scale;
use crate::batch::plain::Plain;
use crate::data::series::Table;
use crate::detector::Residual;
use crate::detector::{Entry, Make};
use crate::stats::matrix;

pub(crate) const ENTRY: Entry = Entry {
    name: "pca",
    about: "metrics that leave the plane in which they lay",
    paper: "Shyu et al., ICDM workshop 2003",
    parameters: "components of 90 % of the variance; mean of z over metrics, mean of 30 points",
    cost: "O(metrics x components) a point; to learn, O(metrics^2) a point and O(metrics^3)",
    causal: true,
    make: Make::Batch(|_| Box::new(Plain::new(ENTRY.name, Pca::default()))),
};

/// Residual |x(t) - rebuilt x(t)| per metric, in ranges of training. Keeps the fewest components that hold `share` of the variance.
#[derive(Clone, Debug)]
pub struct Pca {
    share: f64,
    scale: Scale,
    means: Vec<f64>,
    components: Vec<Vec<f64>>,
}

impl Default for Pca {
    fn default() -> Self {
        Self::new(0.9)
    }
}

impl Pca {
    /// `share` of the variance is explained, 0..1; at least one component is kept and at least one left out.
    pub fn new(share: f64) -> Self {
        Self { share, scale: Scale::default(), means: vec![], components: vec![] }
    }
}

impl Residual for Pca {
    fn fit(&mut self, train: &Table) {
        self.scale = Scale::fit(train);
        let scaled = self.scale.apply(train);
        let m = scaled.columns();
        self.means = matrix::means(scaled.rows(), m);
        let axes = matrix::eigen(&matrix::covariance(scaled.rows(), &self.means));
        let total: f64 = axes.iter().map(|a| a.0.max(0.0)).sum();
        let mut held = 0.0;
        self.components.clear();
        for (variance, axis) in axes {
            if !self.components.is_empty() && (held >= self.share * total || self.components.len() + 1 >= m) {
                break;
            }
            held += variance.max(0.0);
            self.components.push(axis);
        }
        if m == 1 {
            // A plane that is all of a line would explain everything.
            self.components.clear();
        }
    }

    fn residuals(&self, series: &Table) -> Table {
        let mut out = self.scale.apply(series);
        for at in 0..out.len() {
            let row = out.row_mut(at);
            row.iter_mut().zip(&self.means).for_each(|(v, m)| *v -= m);
            let weights: Vec<f64> =
                self.components.iter().map(|c| c.iter().zip(&*row).map(|(a, b)| a * b).sum()).collect();
            for (component, weight) in self.components.iter().zip(weights) {
                row.iter_mut().zip(component).for_each(|(v, c)| *v -= weight * c);
            }
            row.iter_mut().for_each(|v| *v = v.abs());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::rng::Rng;

    #[test]
    fn a_broken_relation_is_seen_where_no_metric_leaves_its_range() {
        let mut rng = Rng(1);
        let mut row = || {
            let x = rng.unit();
            [x, 2.0 * x + 0.01 * rng.normal(), 1.0 - x + 0.01 * rng.normal()]
        };
        let mut train = Table::new(3);
        (0..500).for_each(|_| train.push(&row()));
        let mut test = Table::new(3);
        (0..10).for_each(|_| test.push(&row()));
        test.push(&[0.5, 0.2, 0.5]);
        let mut pca = Pca::default();
        pca.fit(&train);
        let residuals = pca.residuals(&test);
        let norm = |at: usize| residuals.row(at).iter().sum::<f64>();
        assert!((0..10).all(|at| norm(at) < 0.1) && norm(10) > 0.3);
        // It is the second that is off.
        assert!(residuals.row(10)[1] > residuals.row(10)[0] && residuals.row(10)[1] > residuals.row(10)[2]);
    }
}
