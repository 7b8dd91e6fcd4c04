//! Metrics of any unit to numbers that a model can learn: robust, and without long tails.
//!
//! Each metric has its median taken away and is divided by its spread, both of training data alone; then asinh, which is the identity
//! near 0 and grows like a logarithm: a value a thousand spreads off becomes 7.6, and stays in order.

use crate::data::series::Table;
use crate::stats::robust;

/// What one metric was in training, in its unit.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Scale {
    /// Median.
    pub median: f64,
    /// Of a normal distribution with the same quartiles; never below the metric's floor.
    pub spread: f64,
}

impl Scale {
    /// In spreads from the median, the tail tamed.
    pub fn apply(self, value: f64) -> f64 {
        // asinh of the largest number is 710; of what does not fit one, infinite.
        ((value - self.median) / self.spread).asinh().clamp(-710.0, 710.0)
    }

    /// Back to the unit.
    pub fn undo(self, scaled: f64) -> f64 {
        self.median + self.spread * scaled.sinh()
    }
}

/// [`Scale`]s of all metrics, in their order.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Scaler(pub Vec<Scale>);

/// Spread of a normal distribution per interquartile range.
const PER_QUARTILES: f64 = 1.0 / 1.349;
/// The same for the range from the 5th to the 95th percentile.
const PER_NINETY: f64 = 1.0 / 3.290;
/// Least spread as a share of the median: a metric that hardly moves would otherwise be all noise.
const SHARE: f64 = 0.01;

impl Scaler {
    /// Fits `train`, whose missing values are NaN. No spread is below its `floors` value (unit of the metric, above 0), nor below a
    /// hundredth of the median. Where more than half of all values are the same, the range of the middle 90 % counts.
    pub fn fit(train: &Table, floors: &[f64]) -> Self {
        let scale = |(column, floor): (usize, &f64)| {
            let mut values: Vec<f64> = train.column(column).filter(|v| v.is_finite()).collect();
            robust::sort(&mut values);
            let at = |q| robust::quantile(&values, q).unwrap_or(0.0);
            let median = at(0.5);
            let quartiles = (at(0.75) - at(0.25)) * PER_QUARTILES;
            let spread = if quartiles > 0.0 { quartiles } else { (at(0.95) - at(0.05)) * PER_NINETY };
            Scale { median, spread: spread.max(SHARE * median.abs()).max(*floor) }
        };
        Self(floors.iter().enumerate().map(scale).collect())
    }

    /// Adds a row, scaled, to `out`. A value that is not known becomes 0, the median.
    pub fn apply(&self, row: &[f64], out: &mut Vec<f32>) {
        let scaled = |(scale, value): (&Scale, &f64)| if value.is_finite() { scale.apply(*value) as f32 } else { 0.0 };
        out.extend(self.0.iter().zip(row).map(scaled));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::rng::Rng;

    #[test]
    fn scales_are_robust_and_come_back() {
        let mut rng = Rng(1);
        let mut train = Table::new(3);
        for i in 0..2_000 {
            // A hundredth of all values is far off, which moves nothing; the second is mostly 0; the third never moves.
            let wild = if i % 100 == 0 { 1e6 } else { 0.0 };
            train.push(&[50.0 + 4.0 * rng.normal() + wild, if i % 5 == 0 { 10.0 } else { 0.0 }, 7.0]);
        }
        train.push(&[f64::NAN, f64::NAN, f64::NAN]);
        let scaler = Scaler::fit(&train, &[1.0, 0.5, 0.25]);
        let [a, b, c] = [scaler.0[0], scaler.0[1], scaler.0[2]];
        assert!((a.median - 50.0).abs() < 0.3 && (a.spread - 4.0).abs() < 0.3, "{a:?}");
        assert!(b.median == 0.0 && b.spread > 2.0, "{b:?}");
        assert_eq!((c.median, c.spread), (7.0, 0.25));
        for value in [-1e9, 0.0, 49.0, 1e4] {
            assert!((a.undo(a.apply(value)) - value).abs() < 1e-6 * value.abs().max(1.0));
        }
        assert!((a.apply(a.median + 1_000.0 * a.spread) - 7.6).abs() < 0.01);
        let mut row = vec![];
        scaler.apply(&[f64::NAN, 0.0, 7.0], &mut row);
        assert_eq!(row, [0.0; 3]);
    }
}
