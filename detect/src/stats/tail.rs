//! Peaks over threshold: how high a value must be before it happens by chance only so often.
//!
//! Excesses over a high quantile follow a generalised Pareto distribution (Pickands 1975; SPOT: Siffer et al., KDD 2017). Fitted by
//! probability-weighted moments (Hosking & Wallis 1987), which are steady on the few dozen excesses that there are. The shape is kept
//! in `0..=0.5`: a bounded tail is never believed from a short history, and a tail without variance neither.

use crate::stats::robust;

/// A fitted upper tail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tail {
    /// Where the tail begins.
    start: f64,
    /// Share of the values beyond it.
    share: f64,
    excess: Pareto,
}

/// Heaviest tail that is believed: from here on the variance is infinite (Hosking & Wallis 1987).
const SHAPE_MAX: f64 = 0.5;
/// Fewer say nothing of the shape: with a dozen its standard error is a third (of an exponential tail).
const EXCESSES_FOR_SHAPE: usize = 12;

impl Tail {
    /// Fits the upper tail of ascending `sorted`. `None` with fewer than eight values.
    pub fn fit(sorted: &[f64]) -> Option<Self> {
        Self::fit_within(sorted, 0.05, SHAPE_MAX)
    }

    /// The same with at least `least_share` of the values in the tail and a shape of at most `shape_max`, below 1.
    pub fn fit_within(sorted: &[f64], least_share: f64, shape_max: f64) -> Option<Self> {
        if sorted.len() < 8 {
            return None;
        }
        // More data, a higher start: the theory is about the far tail, the fit needs some two dozen excesses.
        let share = (30.0 / sorted.len() as f64).clamp(least_share, 0.25);
        let start = robust::quantile(sorted, 1.0 - share)?;
        let excesses: Vec<f64> = sorted.iter().map(|v| v - start).filter(|e| *e > 0.0).collect();
        let n = excesses.len();
        if n == 0 {
            return Some(Self { start, share, excess: Pareto { scale: 0.0, shape: 0.0 } });
        }
        Some(Self { start, share: n as f64 / sorted.len() as f64, excess: Pareto::fit(&excesses, shape_max) })
    }

    /// The value that a fresh one exceeds with probability `p`.
    pub fn level(&self, p: f64) -> f64 {
        if p >= self.share || self.excess.scale <= 0.0 {
            return self.start;
        }
        self.start + self.excess.excess(self.share / p.max(f64::MIN_POSITIVE))
    }

    /// The probability that a fresh value exceeds `x`; at most the share of the tail, for values below it.
    pub fn exceedance(&self, x: f64) -> f64 {
        let excess = x - self.start;
        if excess <= 0.0 {
            return self.share;
        }
        if self.excess.scale <= 0.0 {
            return 0.0;
        }
        self.share * self.excess.beyond(excess)
    }
}

/// How far beyond a high start values lie: a generalised Pareto distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pareto {
    pub(crate) scale: f64,
    /// 0 is an exponential tail; above, a heavier one. Below 0 the tail ends: no fit is so, but a model of older days may be.
    pub(crate) shape: f64,
}

/// A shape nearer to 0 than this is 0: the formula for others loses its digits there.
const EXPONENTIAL: f64 = 1e-9;

impl Pareto {
    /// Fits ascending `excesses`, at least one, by probability-weighted moments; the shape is kept between 0 and `shape_max`, and is 0
    /// where there are too few to say.
    pub(crate) fn fit(excesses: &[f64], shape_max: f64) -> Self {
        let n = excesses.len();
        let count = n as f64;
        let mean = excesses.iter().sum::<f64>() / count;
        let mut shape = 0.0;
        if n >= EXCESSES_FOR_SHAPE {
            let weighted: f64 = excesses.iter().enumerate().map(|(i, e)| e * (n - 1 - i) as f64 / (count - 1.0)).sum();
            let weighted = weighted / count;
            let spread = mean - 2.0 * weighted;
            if spread > 0.0 {
                shape = (2.0 - mean / spread).clamp(0.0, shape_max);
            }
        }
        Self { scale: mean * (1.0 - shape), shape }
    }

    /// The excess that one in `odds` is beyond.
    pub(crate) fn excess(self, odds: f64) -> f64 {
        let Self { scale, shape } = self;
        scale * if shape.abs() < EXPONENTIAL { odds.ln() } else { (odds.powf(shape) - 1.0) / shape }
    }

    /// The share of excesses beyond `excess`, at least 0; the scale is above 0.
    pub(crate) fn beyond(self, excess: f64) -> f64 {
        let z = excess / self.scale;
        if self.shape.abs() < EXPONENTIAL {
            (-z).exp()
        } else {
            (1.0 + self.shape * z).max(0.0).powf(-1.0 / self.shape)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::rng::Rng;
    use proptest::prelude::*;

    fn fitted(mut draw: impl FnMut(&mut Rng) -> f64, n: usize, seed: u64) -> Tail {
        let mut rng = Rng(seed);
        let mut values: Vec<f64> = (0..n).map(|_| draw(&mut rng)).collect();
        robust::sort(&mut values);
        Tail::fit(&values).unwrap()
    }

    #[test]
    fn exponential_tail_is_recovered() {
        // P(X > x) = e^-x, so the level for 1e-5 is 11.51.
        let levels: Vec<f64> =
            (0..40).map(|seed| fitted(|r| -(1.0 - r.unit()).ln(), 2_000, seed).level(1e-5)).collect();
        let middle = robust::median(&levels).unwrap();
        assert!((9.5..15.0).contains(&middle), "{middle}");
    }

    #[test]
    fn heavy_tail_is_seen_as_heavy() {
        // Pareto with shape 0.33: P(X > x) = x^-3, the level for 1e-4 is 21.5; an exponential fit would say about 5.
        let levels: Vec<f64> =
            (0..40).map(|seed| fitted(|r| (1.0 - r.unit()).powf(-1.0 / 3.0), 2_000, seed).level(1e-4)).collect();
        let middle = robust::median(&levels).unwrap();
        assert!((13.0..40.0).contains(&middle), "{middle}");
    }

    #[test]
    fn normal_noise_stays_below_the_level_as_often_as_stated() {
        let mut beyond = 0;
        for seed in 0..50 {
            let tail = fitted(Rng::normal, 600, seed);
            let mut rng = Rng(seed + 1_000);
            beyond += (0..20_000).filter(|_| rng.normal() > tail.level(1e-4)).count();
        }
        // A million draws at 1e-4: a hundred at most. The shape is never negative, so normal noise comes out safe.
        assert!(beyond < 150, "{beyond}");
    }

    #[test]
    fn constant_and_short_histories_are_no_trouble() {
        assert_eq!(Tail::fit(&[1.0; 7]), None);
        let tail = Tail::fit(&[5.0; 100]).unwrap();
        assert_eq!(tail.level(1e-9), 5.0);
        assert_eq!(tail.exceedance(5.1), 0.0);
    }

    proptest! {
        #[test]
        fn level_and_exceedance_undo_each_other(mut values in prop::collection::vec(0.0..1e3_f64, 20..200), p in 1e-9..0.04_f64) {
            robust::sort(&mut values);
            let tail = Tail::fit(&values).unwrap();
            prop_assume!(tail.excess.scale > 1e-6);
            let back = tail.exceedance(tail.level(p));
            prop_assert!((back / p - 1.0).abs() < 1e-3, "{back} {p}");
            prop_assert!(tail.level(p) >= tail.level(p * 2.0));
        }
    }
}
