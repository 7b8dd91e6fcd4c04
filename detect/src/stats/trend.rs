//! Trends that a few wild values do not make: how steeply values rise, and how steadily.

use super::robust;

/// Of values at equal distances.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Trend {
    /// Median slope over all pairs, per step (Theil 1950; Sen, JASA 1968).
    pub slope: f64,
    /// Pairs in order less those out of order, of all: 1 is a steady rise, -1 a steady fall, 0 none (Kendall's tau; Mann, Econometrica
    /// 1945).
    pub tau: f64,
}

impl Trend {
    /// The trend of `values`: quadratic in their number, so of means over a few dozen stretches. None of fewer than two.
    pub fn of(values: &[f64]) -> Self {
        let mut slopes = Vec::with_capacity(values.len() * values.len().saturating_sub(1) / 2);
        let mut order = 0_i64;
        for (i, a) in values.iter().enumerate() {
            for (j, b) in values.iter().enumerate().skip(i + 1) {
                slopes.push((b - a) / (j - i) as f64);
                order += i64::from(b > a) - i64::from(b < a);
            }
        }
        let tau = order as f64 / slopes.len().max(1) as f64;
        Self { slope: robust::median(&slopes).unwrap_or(0.0), tau }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wild_value_makes_no_trend_and_breaks_none() {
        let mut values: Vec<f64> = (0..20).map(|i| 3.0 * f64::from(i)).collect();
        assert_eq!(Trend::of(&values), Trend { slope: 3.0, tau: 1.0 });
        values[7] = 1e6;
        let trend = Trend::of(&values);
        assert!((trend.slope - 3.0).abs() < 1e-9 && trend.tau > 0.85, "{trend:?}");
        let flat = Trend::of(&[1.0, 1.0, 5e3, 1.0, 1.0]);
        assert_eq!(flat, Trend { slope: 0.0, tau: 0.0 });
        assert_eq!(Trend::of(&[1.0]), Trend::default());
    }
}
