//! The metrics should lie in the plane in which they lay: principal components, and the error of
//! rebuilding from the first of them.

use super::scale::Scale;
use crate::batch::plain::Plain;
use crate::data::series::Table;
use crate::detector::Residual;
use crate::detector::{Entry, Make};

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
        let (n, m) = (scaled.len() as f64, scaled.columns());
        self.means = (0..m).map(|c| scaled.column(c).sum::<f64>() / n).collect();
        let mut covariance = vec![vec![0.0; m]; m];
        let mut centred = vec![0.0; m];
        for row in scaled.rows() {
            centred.iter_mut().zip(row).zip(&self.means).for_each(|((c, v), mean)| *c = v - mean);
            for (line, a) in covariance.iter_mut().zip(&centred) {
                line.iter_mut().zip(&centred).for_each(|(sum, b)| *sum += a * b / n);
            }
        }
        let axes = eigen(covariance);
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

/// Eigenvalues of a symmetric matrix, largest first, with unit vectors: cyclic Jacobi rotations, exact enough after a few sweeps.
fn eigen(mut a: Vec<Vec<f64>>) -> Vec<(f64, Vec<f64>)> {
    let m = a.len();
    let mut vectors: Vec<Vec<f64>> = (0..m).map(|i| (0..m).map(|j| f64::from(i == j)).collect()).collect();
    let size: f64 = a.iter().flatten().map(|v| v * v).sum();
    for _ in 0..64 {
        let off: f64 = (0..m).map(|i| a[i][..i].iter().map(|v| v * v).sum::<f64>()).sum();
        if off <= 1e-24 * size {
            break;
        }
        for p in 0..m {
            for q in p + 1..m {
                if a[p][q].abs() < 1e-300 {
                    continue;
                }
                let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
                let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let c = 1.0 / t.hypot(1.0);
                let s = t * c;
                for row in &mut a {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
                let (above, below) = a.split_at_mut(q);
                for (x, y) in above[p].iter_mut().zip(&mut below[0]) {
                    (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
                }
                for row in &mut vectors {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
            }
        }
    }
    let mut out: Vec<(f64, Vec<f64>)> = (0..m).map(|j| (a[j][j], vectors.iter().map(|row| row[j]).collect())).collect();
    out.sort_by(|x, y| y.0.total_cmp(&x.0));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::rng::Rng;

    #[test]
    fn eigenvectors_diagonalise() {
        let mut rng = Rng(3);
        let m = 12;
        let mut a = vec![vec![0.0; m]; m];
        for (i, j) in (0..m).flat_map(|i| (0..=i).map(move |j| (i, j))) {
            a[i][j] = rng.normal();
            a[j][i] = a[i][j];
        }
        let axes = eigen(a.clone());
        assert!(axes.windows(2).all(|w| w[0].0 >= w[1].0));
        for (value, vector) in &axes {
            for (line, entry) in a.iter().zip(vector) {
                let product: f64 = line.iter().zip(vector).map(|(x, y)| x * y).sum();
                assert!((product - value * entry).abs() < 1e-9);
            }
        }
    }

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
