//! How strange a sequence is as a whole, whatever its length.
//!
//! The mean over a sequence of what each symbol scores is known the better the longer it is, so the same mean is ordinary of a hundred
//! symbols and strange of ten thousand. The variance of the mean of normal sequences is taken for a + b / length: how much programs differ, and
//! the chance of what they called.

/// Sequences to learn from, at least.
pub const LEAST: usize = 10;

/// What the means of normal sequences are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibrated {
    mean: f64,
    /// Variance of a very long one.
    between: f64,
    /// Variance times length of a short one.
    within: f64,
}

impl Calibrated {
    /// By normal sequences that the scores were not learnt from: the mean of each and its length. `None` with fewer than [`LEAST`].
    pub fn fit(normal: &[(f64, usize)]) -> Option<Self> {
        if normal.len() < LEAST || normal.iter().any(|(mean, length)| !mean.is_finite() || *length == 0) {
            return None;
        }
        let n = normal.len() as f64;
        let mean = normal.iter().map(|(m, _)| m).sum::<f64>() / n;
        // Least squares of the squared deviations over one by length.
        let points: Vec<(f64, f64)> = normal.iter().map(|(m, l)| (1.0 / *l as f64, (m - mean).powi(2))).collect();
        let of = |f: fn(&(f64, f64)) -> f64| points.iter().map(f).sum::<f64>() / n;
        let (x, y) = (of(|p| p.0), of(|p| p.1));
        let (xx, xy) = (of(|p| p.0 * p.0) - x * x, of(|p| p.0 * p.1) - x * y);
        let slope = if xx > 0.0 { (xy / xx).max(0.0) } else { 0.0 };
        let (within, between) = if slope * x > y { (y / x, 0.0) } else { (slope, y - slope * x) };
        Some(Self { mean, between, within })
    }

    /// Standard deviations of the mean of a sequence of `length` above that of normal ones.
    pub fn z(&self, mean: f64, length: usize) -> f64 {
        let variance = self.between + self.within / length.max(1) as f64;
        (mean - self.mean) / variance.sqrt().max(1e-9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::rng::Rng;

    #[test]
    fn both_parts_of_the_variance_are_found_and_lengths_compare() {
        let mut rng = Rng(8);
        let mut normal =
            |length: usize| (2.0 + 0.1 * rng.normal() + 3.0 / (length as f64).sqrt() * rng.normal(), length);
        let lengths: Vec<usize> = (0..4_000).map(|i| 20 + (i * 37) % 3_000).collect();
        let data: Vec<(f64, usize)> = lengths.iter().map(|l| normal(*l)).collect();
        let fitted = Calibrated::fit(&data).unwrap();
        assert!((fitted.mean - 2.0).abs() < 0.02 && (fitted.between - 0.01).abs() < 0.004, "{fitted:?}");
        assert!((fitted.within - 9.0).abs() < 4.0, "{fitted:?}");
        // One in twenty beyond two, short or long.
        for (from, to) in [(20, 200), (1_000, 3_000)] {
            let some: Vec<_> = data.iter().filter(|(_, l)| (from..to).contains(l)).collect();
            let beyond = some.iter().filter(|(m, l)| fitted.z(*m, *l).abs() > 2.0).count();
            let share = beyond as f64 / some.len() as f64;
            assert!((0.02..0.08).contains(&share), "{from}: {share}");
        }
    }

    #[test]
    fn too_few_and_all_the_same() {
        assert_eq!(Calibrated::fit(&[(1.0, 5); 9]), None);
        assert_eq!(Calibrated::fit(&[(f64::NAN, 5); 20]), None);
        let same = Calibrated::fit(&[(1.0, 5); 20]).unwrap();
        assert_eq!(same.z(1.0, 5), 0.0);
        assert!(same.z(1.1, 5) > 1e6);
    }
}
