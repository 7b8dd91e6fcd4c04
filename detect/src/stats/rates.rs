//! Is this rate different from before, by how much, and how sure is that?
//!
//! System calls come in bursts, so a Poisson interval is too narrow. The baseline is cut into blocks as long as the window; the
//! variance of their counts over its Poisson value widens the interval. With fewer than [`MIN_BLOCKS`] blocks that variance is not
//! known well and the conditional exact test is used. Many calls are compared at once, so p-values become q-values
//! ([`benjamini_hochberg`]).

use super::special::{beta_cdf, beta_quantile, student_quantile, student_tail};

/// Blocks needed before their variance means something.
pub const MIN_BLOCKS: usize = 8;

/// Counts in a window and outside it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// Events in the window.
    pub inside: f64,
    /// Its length, seconds.
    pub inside_s: f64,
    /// Events in the baseline.
    pub outside: f64,
    /// Its length, seconds.
    pub outside_s: f64,
    /// Events in each whole block of the baseline as long as the window.
    pub blocks: Vec<f64>,
}

/// A rate ratio with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Rate in the window over rate in the baseline, half an event added to each.
    pub ratio: f64,
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
    /// Two-sided probability of a ratio this far from 1 by chance.
    pub p_value: f64,
    /// Variance of the counts over that of a Poisson process; 1 where it was not estimated.
    pub dispersion: f64,
}

impl Counts {
    /// Events beyond what the baseline rate gives; negative if there were fewer.
    pub fn excess(&self) -> f64 {
        if self.outside_s > 0.0 { self.inside - self.inside_s * self.outside / self.outside_s } else { self.inside }
    }

    /// Compares the rates. `None` without time on both sides.
    pub fn compare(&self) -> Option<Comparison> {
        if self.inside_s <= 0.0 || self.outside_s <= 0.0 {
            return None;
        }
        let ratio = ((self.inside + 0.5) / self.inside_s) / ((self.outside + 0.5) / self.outside_s);
        Some(if self.blocks.len() >= MIN_BLOCKS { self.by_blocks(ratio) } else { self.exact(ratio) })
    }

    fn by_blocks(&self, ratio: f64) -> Comparison {
        let dispersion = dispersion(&self.blocks);
        let error = (dispersion * (1.0 / (self.inside + 0.5) + 1.0 / (self.outside + 0.5))).sqrt();
        // Student's t, as the dispersion itself is estimated from these few blocks.
        let freedom = (self.blocks.len() - 1) as f64;
        let reach = student_quantile(0.975, freedom) * error;
        let p_value = 2.0 * student_tail(ratio.ln().abs() / error, freedom);
        Comparison { ratio, low: ratio * (-reach).exp(), high: ratio * reach.exp(), p_value, dispersion }
    }

    /// Given the total, the window's count is binomial with the window's share of the time (Clopper-Pearson interval).
    fn exact(&self, ratio: f64) -> Comparison {
        let (a, b) = (self.inside.round(), self.outside.round());
        let scale = self.outside_s / self.inside_s;
        let odds = |p: f64| if p >= 1.0 { f64::INFINITY } else { p / (1.0 - p) * scale };
        let low = if a > 0.0 { odds(beta_quantile(0.025, a, b + 1.0)) } else { 0.0 };
        let high = if b > 0.0 { odds(beta_quantile(0.975, a + 1.0, b)) } else { f64::INFINITY };
        let share = self.inside_s / (self.inside_s + self.outside_s);
        // P(X >= a) and P(X <= a) for X ~ Bin(a + b, share).
        let upper = if a > 0.0 { beta_cdf(share, a, b + 1.0) } else { 1.0 };
        let lower = if b > 0.0 { 1.0 - beta_cdf(share, a + 1.0, b) } else { 1.0 };
        // JSON has no infinity; a bound this large says the same.
        let high = high.min(1e9);
        Comparison { ratio, low: low.min(1e9), high, p_value: (2.0 * upper.min(lower)).min(1.0), dispersion: 1.0 }
    }
}

/// Variance over mean of block counts, at least 1. Under- and uncounted dispersion is taken as Poisson.
pub fn dispersion(blocks: &[f64]) -> f64 {
    let n = blocks.len() as f64;
    let mean = blocks.iter().sum::<f64>() / n;
    if blocks.len() < 2 || mean <= 0.0 {
        return 1.0;
    }
    let variance = blocks.iter().map(|b| (b - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (variance / mean).max(1.0)
}

/// q-values: calling every test with a q-value of at most 5 % a discovery makes at most 5 % of the discoveries false on average
/// (Benjamini & Hochberg 1995).
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let n = p_values.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| p_values[*b].total_cmp(&p_values[*a]));
    let mut q_values = vec![1.0; n];
    let mut least = 1.0_f64;
    for (from_last, i) in order.into_iter().enumerate() {
        least = least.min(p_values[i] * n as f64 / (n - from_last) as f64);
        q_values[i] = least;
    }
    q_values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::rng::Rng;
    use proptest::prelude::*;

    fn poisson(rng: &mut Rng, mean: f64) -> f64 {
        let (limit, mut product, mut n) = ((-mean).exp(), rng.unit(), 0.0);
        while product > limit {
            product *= rng.unit();
            n += 1.0;
        }
        n
    }

    /// Share of trials whose interval holds the true ratio.
    fn coverage(n_blocks: usize, truth: f64, mut count: impl FnMut(&mut Rng, f64) -> f64) -> f64 {
        let mut rng = Rng(7);
        let trials = 3_000;
        let covered = (0..trials).filter(|_| {
            let blocks: Vec<f64> = (0..n_blocks).map(|_| count(&mut rng, 20.0)).collect();
            let inside = count(&mut rng, 20.0 * truth);
            let outside = blocks.iter().sum();
            let c = Counts { inside, inside_s: 5.0, outside, outside_s: 5.0 * n_blocks as f64, blocks };
            let c = c.compare().unwrap();
            c.low <= truth && truth <= c.high
        });
        covered.count() as f64 / f64::from(trials)
    }

    #[test]
    fn interval_covers_the_truth_on_poisson_counts() {
        for truth in [0.5, 1.0, 3.0] {
            let share = coverage(20, truth, poisson);
            assert!((0.935..0.985).contains(&share), "{truth}: {share}");
            // Exact means at least 95 %.
            let share = coverage(4, truth, poisson);
            assert!((0.945..0.995).contains(&share), "{truth}: {share}");
        }
    }

    #[test]
    fn interval_covers_the_truth_on_bursty_counts() {
        // Bursts of four calls: variance four times the Poisson value.
        for (n, truth) in [(10, 1.0), (20, 1.0), (40, 2.0)] {
            let share = coverage(n, truth, |rng, mean| 4.0 * poisson(rng, mean / 4.0));
            assert!((0.92..0.985).contains(&share), "{n} {truth}: {share}");
        }
    }

    #[test]
    fn excess_ranks_what_matters_over_what_is_rare() {
        let common = Counts { inside: 5_000.0, inside_s: 5.0, outside: 10_000.0, outside_s: 50.0, blocks: vec![] };
        let rare = Counts { inside: 10.0, inside_s: 5.0, outside: 0.0, outside_s: 50.0, blocks: vec![] };
        assert_eq!(common.excess(), 4_000.0);
        assert_eq!(rare.excess(), 10.0);
        assert!(rare.compare().unwrap().ratio > common.compare().unwrap().ratio);
    }

    #[test]
    fn exact_test_equals_the_binomial() {
        // 8 of 10 events in half of the time: p = 2 * (45 + 10 + 1) / 1024; Clopper-Pearson for 8/10 is 0.4439..0.9748.
        let c = Counts { inside: 8.0, inside_s: 1.0, outside: 2.0, outside_s: 1.0, blocks: vec![] }.compare().unwrap();
        assert!((c.p_value - 112.0 / 1024.0).abs() < 1e-9, "{c:?}");
        assert!((c.low - 0.443_904_5 / (1.0 - 0.443_904_5)).abs() < 1e-4, "{c:?}");
        assert!((c.high - 0.974_787_3 / (1.0 - 0.974_787_3)).abs() < 1e-2, "{c:?}");
    }

    #[test]
    fn benjamini_hochberg_by_hand() {
        // n = 5; sorted .01 .02 .03 .04 .05 each times 5/rank is .05 throughout.
        assert!(benjamini_hochberg(&[0.05, 0.01, 0.04, 0.02, 0.03]).iter().all(|q| (q - 0.05).abs() < 1e-12));
        // .001*4/1, .01*4/2, .5*4/3 = .667, .6*4/4 = .6: the third takes the smaller later value.
        let q = benjamini_hochberg(&[0.5, 0.001, 0.6, 0.01]);
        for (got, wanted) in q.iter().zip([0.6, 0.004, 0.6, 0.02]) {
            assert!((got - wanted).abs() < 1e-12, "{q:?}");
        }
        assert!(benjamini_hochberg(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn interval_holds_its_estimate_and_p_agrees_with_it(
            inside in 0..5_000_u32, blocks in prop::collection::vec(0..5_000_u32, 1..40),
        ) {
            let blocks: Vec<f64> = blocks.into_iter().map(f64::from).collect();
            let outside = blocks.iter().sum();
            let n = blocks.len();
            let c = Counts { inside: f64::from(inside), inside_s: 2.0, outside, outside_s: 2.0 * n as f64, blocks };
            let c = c.compare().unwrap();
            prop_assert!((0.0..=1.0).contains(&c.p_value));
            prop_assert!(c.low <= c.high && c.dispersion >= 1.0);
            if n >= MIN_BLOCKS {
                prop_assert!(c.low <= c.ratio && c.ratio <= c.high);
                prop_assert_eq!(c.p_value < 0.05, c.low > 1.0 || c.high < 1.0);
            }
        }

        #[test]
        fn q_values_keep_the_order_and_are_never_below_p(p in prop::collection::vec(0.0..1.0_f64, 1..50)) {
            let q = benjamini_hochberg(&p);
            for i in 0..p.len() {
                prop_assert!(q[i] >= p[i] - 1e-12 && q[i] <= 1.0);
                for j in 0..p.len() {
                    prop_assert!(p[i] > p[j] || q[i] <= q[j] + 1e-12);
                }
            }
        }
    }
}
