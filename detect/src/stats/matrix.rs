//! Small symmetric matrices: eigenvectors, the Cholesky factor, means and covariances.
//!
//! By hand, because there are a handful of users and matrices of some dozens of rows (`docs/adr/0012-by-hand-or-by-crate.md`). Everything
//! is summed in the order of the rows, so a result does not depend on the processor.

use super::wide::wide;

/// A square matrix, row after row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Square {
    /// Rows.
    pub n: usize,
    /// `n * n` values.
    pub values: Vec<f64>,
}

impl Square {
    pub(crate) fn zeros(n: usize) -> Self {
        Self { n, values: vec![0.0; n * n] }
    }

    pub(crate) fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.n..(i + 1) * self.n]
    }

    pub(crate) fn row_mut(&mut self, i: usize) -> &mut [f64] {
        &mut self.values[i * self.n..(i + 1) * self.n]
    }

    pub(crate) fn at(&self, i: usize, j: usize) -> f64 {
        self.values[i * self.n + j]
    }
}

/// Mean of each column of rows of `columns` values.
pub(crate) fn means<'a>(rows: impl Iterator<Item = &'a [f64]>, columns: usize) -> Vec<f64> {
    let (mut sums, mut n) = (vec![0.0; columns], 0.0);
    for row in rows {
        sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += v);
        n += 1.0;
    }
    sums.iter_mut().for_each(|sum| *sum /= n);
    sums
}

/// Values that are summed side by side.
const LANES: usize = 8;

wide! {
    /// Adds `weight * x * x^T` to the lower triangle of a matrix, and something beyond.
    pub(crate) fn add_square(matrix: &mut [f64], x: &[f64], weight: f64) {
        let m = x.len();
        for (i, (line, v)) in matrix.chunks_exact_mut(m).zip(x).enumerate() {
            let a = weight * v;
            // To a whole number of lanes: shorter loops take longer.
            let upto = (i + 1).next_multiple_of(LANES).min(m);
            line[..upto].iter_mut().zip(&x[..upto]).for_each(|(sum, b)| *sum += a * b);
        }
    }
}

wide! {
    /// Squared length of `inverse * x`, of a lower triangle in strips of [`LANES`] rows, column after column in each.
    fn length(strips: &[Vec<[f64; LANES]>], x: &[f64]) -> f64 {
        let mut total = [0.0; LANES];
        for strip in strips {
            // Two sums, so that one need not wait for the other.
            let (mut even, mut odd) = ([0.0; LANES], [0.0; LANES]);
            let (pairs, last) = strip.as_chunks::<2>();
            for (column, v) in pairs.iter().zip(x.as_chunks::<2>().0) {
                for lane in 0..LANES {
                    even[lane] += column[0][lane] * v[0];
                    odd[lane] += column[1][lane] * v[1];
                }
            }
            if let Some(column) = last.first() {
                let v = x[strip.len() - 1];
                for lane in 0..LANES {
                    even[lane] += column[lane] * v;
                }
            }
            for lane in 0..LANES {
                let sum = even[lane] + odd[lane];
                total[lane] += sum * sum;
            }
        }
        total.iter().sum()
    }
}

/// Covariance around `means`, divided by the number of rows.
pub(crate) fn covariance<'a>(rows: impl Iterator<Item = &'a [f64]>, means: &[f64]) -> Square {
    let m = means.len();
    let (mut out, mut n) = (Square::zeros(m), 0.0);
    let mut centred = vec![0.0; m];
    for row in rows {
        centred.iter_mut().zip(row).zip(means).for_each(|((c, v), mean)| *c = v - mean);
        add_square(&mut out.values, &centred, 1.0);
        n += 1.0;
    }
    for i in 0..m {
        for j in 0..=i {
            let v = out.at(i, j) / n;
            out.row_mut(i)[j] = v;
            out.row_mut(j)[i] = v;
        }
    }
    out
}

/// Eigenvalues of a symmetric matrix, largest first, with unit vectors: cyclic Jacobi rotations, exact enough after a few sweeps.
pub(crate) fn eigen(matrix: &Square) -> Vec<(f64, Vec<f64>)> {
    let m = matrix.n;
    let mut a: Vec<Vec<f64>> = (0..m).map(|i| matrix.row(i).to_vec()).collect();
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

/// The lower triangle L with `L * L^T = matrix`, and its inverse.
#[derive(Clone, Debug)]
pub(crate) struct Cholesky {
    /// Of L.
    diagonal: Vec<f64>,
    /// L^-1 in strips of [`LANES`] rows, column after column in each.
    inverse: Vec<Vec<[f64; LANES]>>,
}

impl Cholesky {
    /// `None` if the matrix is not positive definite.
    pub(crate) fn of(matrix: &Square) -> Option<Self> {
        let n = matrix.n;
        let mut lower = Square::zeros(n);
        for i in 0..n {
            for j in 0..=i {
                let (a, b) = (lower.row(i), lower.row(j));
                let sum: f64 = a[..j].iter().zip(b).map(|(x, y)| x * y).sum();
                let left = matrix.at(i, j) - sum;
                let value = if i == j { (left > 0.0).then(|| left.sqrt())? } else { left / b[j] };
                lower.row_mut(i)[j] = value;
            }
        }
        let mut inverse: Vec<Vec<[f64; LANES]>> =
            (0..n).step_by(LANES).map(|first| vec![[0.0; LANES]; (first + LANES).min(n)]).collect();
        let mut column = vec![0.0; n];
        for j in 0..n {
            for i in j..n {
                let known: f64 = lower.row(i)[j..i].iter().zip(&column[j..]).map(|(l, v)| l * v).sum();
                column[i] = (f64::from(i == j) - known) / lower.at(i, i);
                inverse[i / LANES][j][i % LANES] = column[i];
            }
        }
        let diagonal: Vec<f64> = (0..n).map(|i| lower.at(i, i)).collect();
        let finite = inverse.iter().flatten().flatten().all(|v| v.is_finite());
        finite.then_some(Self { diagonal, inverse })
    }

    /// Natural logarithm of the matrix' determinant.
    pub(crate) fn log_determinant(&self) -> f64 {
        2.0 * self.diagonal.iter().map(|v| v.ln()).sum::<f64>()
    }

    /// `x^T * matrix^-1 * x`.
    pub(crate) fn squared_length(&self, x: &[f64]) -> f64 {
        length(&self.inverse, x)
    }
}

/// Lengths by the inverse of a covariance, or by its pseudo-inverse where there is none.
#[derive(Clone, Debug)]
pub(crate) enum Lengths {
    Whole(Cholesky),
    /// Axes with one over their variance; those without any are left out.
    Flat(Vec<(f64, Vec<f64>)>),
}

impl Lengths {
    pub(crate) fn by(covariance: &Square) -> Self {
        // What rounding leaves of no variance at all.
        let nothing = |largest: f64| largest * covariance.n as f64 * f64::EPSILON;
        let scale = (0..covariance.n).map(|i| covariance.at(i, i)).fold(0.0, f64::max);
        let whole = Cholesky::of(covariance);
        let sure = whole.filter(|w| w.diagonal.iter().all(|v| v * v > 1e3 * nothing(scale)));
        sure.map_or_else(
            || {
                let axes = eigen(covariance);
                let least = nothing(axes.first().map_or(0.0, |a| a.0));
                let all = axes.iter().all(|(variance, _)| *variance > least);
                if let Some(whole) = Cholesky::of(covariance).filter(|_| all) {
                    return Self::Whole(whole);
                }
                Self::Flat(axes.into_iter().filter(|a| a.0 > least).map(|(v, axis)| (1.0 / v, axis)).collect())
            },
            Self::Whole,
        )
    }

    /// Minus infinity of a covariance that has no inverse.
    pub(crate) fn log_determinant(&self) -> f64 {
        match self {
            Self::Whole(factor) => factor.log_determinant(),
            Self::Flat(_) => f64::NEG_INFINITY,
        }
    }

    /// Squared length of `x`.
    pub(crate) fn squared(&self, x: &[f64]) -> f64 {
        match self {
            Self::Whole(factor) => factor.squared_length(x),
            Self::Flat(axes) => {
                let along = |axis: &[f64]| axis.iter().zip(x).map(|(a, v)| a * v).sum::<f64>();
                axes.iter().map(|(weight, axis)| along(axis).powi(2) * weight).sum()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::rng::Rng;

    fn symmetric(m: usize, seed: u64) -> Square {
        let mut rng = Rng(seed);
        let mut a = Square::zeros(m);
        for (i, j) in (0..m).flat_map(|i| (0..=i).map(move |j| (i, j))) {
            let v = rng.normal();
            a.row_mut(i)[j] = v;
            a.row_mut(j)[i] = v;
        }
        a
    }

    #[test]
    fn eigenvectors_diagonalise() {
        let a = symmetric(12, 3);
        let axes = eigen(&a);
        assert!(axes.windows(2).all(|w| w[0].0 >= w[1].0));
        for (value, vector) in &axes {
            for (i, entry) in vector.iter().enumerate() {
                let product: f64 = a.row(i).iter().zip(vector).map(|(x, y)| x * y).sum();
                assert!((product - value * entry).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn a_covariance_has_the_length_and_the_determinant_that_its_eigenvalues_say() {
        let mut rng = Rng(7);
        let rows: Vec<Vec<f64>> = (0..200)
            .map(|_| {
                let x = rng.normal();
                vec![x, x + 0.1 * rng.normal(), 3.0 * rng.normal()]
            })
            .collect();
        let means = means(rows.iter().map(Vec::as_slice), 3);
        let covariance = covariance(rows.iter().map(Vec::as_slice), &means);
        let factor = Cholesky::of(&covariance).unwrap();
        let axes = eigen(&covariance);
        let wanted: f64 = axes.iter().map(|(value, _)| value.ln()).sum();
        assert!((factor.log_determinant() - wanted).abs() < 1e-9);
        let x = [0.3, -0.2, 1.0];
        let by_axes: f64 =
            axes.iter().map(|(value, axis)| axis.iter().zip(&x).map(|(a, b)| a * b).sum::<f64>().powi(2) / value).sum();
        assert!((factor.squared_length(&x) - by_axes).abs() < 1e-9 * by_axes);
        assert!(Cholesky::of(&symmetric(5, 1)).is_none());
        // One feature twice: it is measured once.
        let flat = Square { n: 2, values: vec![4.0, 4.0, 4.0, 4.0] };
        let lengths = Lengths::by(&flat);
        assert!(lengths.log_determinant() == f64::NEG_INFINITY);
        assert!((lengths.squared(&[2.0, 2.0]) - 1.0).abs() < 1e-12);
    }
}
