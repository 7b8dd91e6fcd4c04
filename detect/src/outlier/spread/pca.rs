//! PCA: distances from the principal axes, those that explain little weighing most.
//!
//! PyOD divides by each axis' share of the variance, which is noise where features depend on each other: on such data scores reach
//! 1e18 there and follow rounding. Here shares are no smaller than [`LEAST`] of the largest, so that the order of rows is kept and
//! scores are numbers one can compare.

use crate::data::parallel;
use crate::data::series::Table;
use crate::outlier::contract::{Detector, Error, Learnt};
use crate::outlier::entry::{Entry, Kind, entry};
use crate::outlier::parameters::parameters;
use crate::outlier::rows::scaled::Scaled;
use crate::stats::matrix;
use crate::stats::wide::wide;

pub(crate) const ENTRY: Entry = Entry {
    name: "pca",
    about: "rows off the axes along which features vary together",
    paper: "Shyu, Chen, Sarinnapakorn & Chang, ICDM workshop 2003",
    parameters: "n_selected_components=all, weighted=true, standardization=true",
    kind: Kind::Exact,
    ..entry!(Pca)
};

/// Share of the largest variance below which an axis counts as one of no variance.
const LEAST: f64 = 1e-15;

parameters! {
    /// Principal components.
    Pca {
        /// Of the axes of least variance, how many are used; all, if there are not so many.
        n_selected_components: usize = usize::MAX,
        /// Each divided by its share of the variance.
        weighted: bool = true,
        /// Features are standardised first.
        standardization: bool = true,
    }
}

struct Model {
    scaled: Option<Scaled>,
    /// Axes with one over their weight.
    axes: Vec<(Vec<f64>, f64)>,
}

impl Detector for Pca {
    fn learn(&self, x: &Table) -> Result<(Vec<f64>, Box<dyn Learnt>), Error> {
        let scaled = self.standardization.then(|| Scaled::fit(x));
        let at = scaled.as_ref().map_or_else(|| x.clone(), |s| s.apply(x));
        let means = matrix::means(at.rows(), at.columns());
        let mut axes = matrix::eigen(&matrix::covariance(at.rows(), &means));
        let total: f64 = axes.iter().map(|(variance, _)| variance.max(0.0)).sum();
        if !(total > 0.0 && total.is_finite()) {
            return Err(Error::Constant { feature: 0 });
        }
        let least = axes[0].0 * LEAST;
        axes.drain(..axes.len().saturating_sub(self.n_selected_components));
        let axes = axes
            .into_iter()
            .map(|(variance, mut axis)| {
                // Of an axis' two directions, scikit-learn's: its largest part is positive.
                let largest = axis.iter().copied().fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
                axis.iter_mut().for_each(|v| *v *= largest.signum());
                (axis, if self.weighted { total / variance.max(least) } else { 1.0 })
            })
            .collect();
        let model = Model { scaled, axes };
        Ok((model.scores(&at), Box::new(model)))
    }
}

impl Model {
    fn scores(&self, at: &Table) -> Vec<f64> {
        // |x - axis|^2 = |x|^2 + 1 - 2 x.axis, with the axes column after column: one multiplication a value.
        let (d, n) = (at.columns(), self.axes.len());
        let by_feature: Vec<f64> = (0..d).flat_map(|c| self.axes.iter().map(move |(axis, _)| axis[c])).collect();
        let lengths: Vec<f64> = self.axes.iter().map(|(axis, _)| axis.iter().map(|v| v * v).sum()).collect();
        let weights: Vec<f64> = self.axes.iter().map(|(_, weight)| *weight).collect();
        let parts = parallel::in_parts(at.len(), 1_024, |rows| {
            let mut along = vec![0.0; n];
            rows.map(|row| score(at.row(row), &by_feature, &lengths, &weights, &mut along)).collect::<Vec<f64>>()
        });
        parts.into_iter().flatten().collect()
    }
}

wide! {
    /// Of one row, by the axes feature after feature, their squared lengths and weights.
    fn score(row: &[f64], by_feature: &[f64], lengths: &[f64], weights: &[f64], along: &mut [f64]) -> f64 {
        along.fill(0.0);
        for (v, axes) in row.iter().zip(by_feature.chunks_exact(along.len())) {
            along.iter_mut().zip(axes).for_each(|(sum, a)| *sum += v * a);
        }
        let square: f64 = row.iter().map(|v| v * v).sum();
        for ((along, length), weight) in along.iter_mut().zip(lengths).zip(weights) {
            *along = (square + length - 2.0 * *along).max(0.0).sqrt() * weight;
        }
        along.iter().sum()
    }
}

impl Learnt for Model {
    fn decision_function(&self, x: &Table) -> Result<Vec<f64>, Error> {
        Ok(self.scaled.as_ref().map_or_else(|| self.scores(x), |s| self.scores(&s.apply(x))))
    }
}
