//! Are two runs different in one number, by how much, and how sure is that?
//!
//! Samples of one run follow one another and are alike, so a rank test of all of them calls every pair of runs different. A run is cut
//! into blocks, each as long as it takes to forget; the spread of the blocks says how well the number is known (batch means: Conway 1963).
//! Where there are several runs on a side, the spread between them counts, if it is larger. The comparison is Welch's.

use super::robust;
use super::special::{student_quantile, student_tail};

/// Blocks that are needed at least to know a spread.
pub const MIN_BLOCKS: usize = 6;
/// Blocks are made longer until neighbours correlate by less than this.
const FORGOTTEN: f64 = 0.2;
/// What is left of correlation between blocks widens the interval as it would in a chain (AR(1)), up to this.
const MOST_KEPT: f64 = 0.8;

/// One number of one run, and how well it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// The number, on the scale on which it is compared.
    pub value: f64,
    /// Variance of `value`.
    pub variance: f64,
    /// Degrees of freedom of `variance`.
    pub freedom: f64,
}

/// One number of two sides compared: after less before.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Difference {
    /// The difference of the means.
    pub shift: f64,
    /// Its standard error.
    pub error: f64,
    /// Degrees of freedom of the error (Welch-Satterthwaite).
    pub freedom: f64,
    /// Two-sided probability of a shift this large by chance.
    pub p_value: f64,
}

/// How many points a block of `values` has, so that blocks do not know each other: 1, 2, 4 ..., and at least [`MIN_BLOCKS`] of them.
pub fn block_length(values: &[f64]) -> usize {
    let mut length = 1;
    while values.len() / (2 * length) >= MIN_BLOCKS && correlation(&means(values, length)) > FORGOTTEN {
        length *= 2;
    }
    length
}

/// Means of whole blocks.
fn means(values: &[f64], length: usize) -> Vec<f64> {
    values.chunks_exact(length.max(1)).map(|c| c.iter().sum::<f64>() / c.len() as f64).collect()
}

/// Correlation of each value with the next.
fn correlation(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    let together: f64 = values.windows(2).map(|w| (w[0] - mean) * (w[1] - mean)).sum();
    if variance > 0.0 { together / variance } else { 0.0 }
}

/// The variance of a number that `blocks` each estimate, and its freedom. `None` with too few of them.
pub fn spread(blocks: &[f64]) -> Option<(f64, f64)> {
    if blocks.len() < MIN_BLOCKS || blocks.iter().any(|b| !b.is_finite()) {
        return None;
    }
    let n = blocks.len() as f64;
    let mean = blocks.iter().sum::<f64>() / n;
    let variance = blocks.iter().map(|b| (b - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let kept = correlation(blocks).clamp(0.0, MOST_KEPT);
    Some((variance / n * (1.0 + kept) / (1.0 - kept), n - 1.0))
}

/// Compares two sides, each of one run or more. `None` if one has none.
pub fn compare(before: &[Estimate], after: &[Estimate]) -> Option<Difference> {
    let between = [before, after].map(variance_between);
    // A side of one run knows nothing of the spread between runs; it has that of the other.
    let known = between.into_iter().flatten().reduce(|a, b| if a.0 > b.0 { a } else { b });
    let (a, b) = (side(before, between[0].or(known))?, side(after, between[1].or(known))?);
    let shift = b.value - a.value;
    let variance = a.variance + b.variance;
    let error = variance.sqrt();
    if variance <= 0.0 {
        let p_value = if shift == 0.0 { 1.0 } else { 0.0 };
        return Some(Difference { shift, error: 0.0, freedom: a.freedom + b.freedom, p_value });
    }
    let parts = a.variance.powi(2) / a.freedom + b.variance.powi(2) / b.freedom;
    let freedom = variance.powi(2) / parts;
    Some(Difference { shift, error, freedom, p_value: (2.0 * student_tail(shift.abs() / error, freedom)).min(1.0) })
}

/// Variance of single runs about their mean, and its freedom.
fn variance_between(side: &[Estimate]) -> Option<(f64, f64)> {
    let n = side.len() as f64;
    let mean = side.iter().map(|e| e.value).sum::<f64>() / n;
    (side.len() > 1).then(|| (side.iter().map(|e| (e.value - mean).powi(2)).sum::<f64>() / (n - 1.0), n - 1.0))
}

/// The mean of a side: as well known as its runs know it, or as their spread allows, whichever is less.
fn side(runs: &[Estimate], between: Option<(f64, f64)>) -> Option<Estimate> {
    let n = runs.len() as f64;
    let value = runs.iter().map(|e| e.value).sum::<f64>() / n;
    let within = runs.iter().map(|e| e.variance).sum::<f64>() / n;
    let freedom: f64 = runs.iter().map(|e| e.freedom).sum();
    let (variance, freedom) = match between {
        Some((variance, freedom)) if variance > within => (variance, freedom),
        _ => (within, freedom),
    };
    (!runs.is_empty()).then_some(Estimate { value, variance: variance / n, freedom: freedom.max(1.0) })
}

impl Difference {
    /// Half the width of the interval that holds the true shift with this confidence.
    pub fn reach(&self, confidence: f64) -> f64 {
        if self.error > 0.0 { student_quantile(0.5 + confidence / 2.0, self.freedom) * self.error } else { 0.0 }
    }

    /// The smallest true shift that a test at level `alpha` would see four times in five.
    pub fn smallest(&self, alpha: f64) -> f64 {
        if self.error > 0.0 {
            (student_quantile(1.0 - alpha / 2.0, self.freedom) + student_quantile(0.8, self.freedom)) * self.error
        } else {
            0.0
        }
    }
}

/// p-values such that calling those up to 5 % different makes a single mistake in 5 % of comparisons of the same with the same, however
/// many numbers are compared (Holm 1979).
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let n = p_values.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut adjusted = vec![1.0; n];
    let mut most = 0.0_f64;
    for (rank, i) in order.into_iter().enumerate() {
        most = most.max((p_values[i] * (n - rank) as f64).min(1.0));
        adjusted[i] = most;
    }
    adjusted
}

/// Probability that a value of `after` is larger than one of `before`, ties by half (Mann-Whitney's U over the number of pairs): 0.5 where
/// they are alike.
pub fn superiority(before: &[f64], after: &[f64]) -> Option<f64> {
    if before.is_empty() || after.is_empty() {
        return None;
    }
    let mut sorted = before.to_vec();
    robust::sort(&mut sorted);
    let wins = |v: &f64| {
        let (below, up_to) = (sorted.partition_point(|b| b < v), sorted.partition_point(|b| b <= v));
        (below + up_to) as f64 / 2.0
    };
    Some(after.iter().map(wins).sum::<f64>() / (sorted.len() * after.len()) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::rng::Rng;

    fn normal(rng: &mut Rng) -> f64 {
        (0..12).map(|_| rng.unit()).sum::<f64>() - 6.0
    }

    /// A run of `n` points that forgets by `phi` from one to the next.
    fn run(rng: &mut Rng, n: usize, phi: f64, mean: f64) -> Vec<f64> {
        let mut at = normal(rng) / (1.0 - phi * phi).sqrt();
        let mut step = || {
            at = phi * at + normal(rng);
            mean + at
        };
        (0..n).map(|_| step()).collect()
    }

    fn estimate(values: &[f64]) -> Estimate {
        let blocks = means(values, block_length(values));
        let (variance, freedom) = spread(&blocks).unwrap();
        Estimate { value: values.iter().sum::<f64>() / values.len() as f64, variance, freedom }
    }

    #[test]
    fn runs_of_the_same_differ_at_the_stated_rate_though_their_points_follow_one_another() {
        let mut rng = Rng(11);
        for phi in [0.0, 0.5, 0.9] {
            let trials = 1_000;
            let mut differ = 0;
            for _ in 0..trials {
                let (a, b) = (run(&mut rng, 400, phi, 0.0), run(&mut rng, 400, phi, 0.0));
                differ += u32::from(compare(&[estimate(&a)], &[estimate(&b)]).unwrap().p_value < 0.05);
            }
            let share = f64::from(differ) / f64::from(trials);
            assert!((0.02..0.085).contains(&share), "{phi}: {share}");
        }
    }

    #[test]
    fn a_wave_slower_than_points_does_not_make_runs_differ() {
        let mut rng = Rng(5);
        let wave = |rng: &mut Rng| -> Vec<f64> {
            let phase = rng.unit() * std::f64::consts::TAU;
            (0..450).map(|i| 5.0 * (f64::from(i) / 200.0 * std::f64::consts::TAU + phase).sin() + normal(rng)).collect()
        };
        let differ = (0..300).filter(|_| {
            let (a, b) = (wave(&mut rng), wave(&mut rng));
            compare(&[estimate(&a)], &[estimate(&b)]).unwrap().p_value < 0.05
        });
        assert!(differ.count() < 15);
    }

    #[test]
    fn a_shift_of_what_it_says_it_can_see_is_seen_four_times_in_five() {
        let mut rng = Rng(3);
        let mut seen = 0;
        for _ in 0..500 {
            let a = run(&mut rng, 400, 0.5, 0.0);
            let wanted = compare(&[estimate(&a)], &[estimate(&run(&mut rng, 400, 0.5, 0.0))]).unwrap().smallest(0.05);
            let b = run(&mut rng, 400, 0.5, wanted);
            seen += u32::from(compare(&[estimate(&a)], &[estimate(&b)]).unwrap().p_value < 0.05);
        }
        assert!((350..=460).contains(&seen), "{seen} of 500");
    }

    #[test]
    fn several_runs_count_by_their_spread_and_one_run_borrows_it() {
        let exact = |value: f64| Estimate { value, variance: 1e-9, freedom: 20.0 };
        // Each run knows itself well, and runs differ by chance.
        let (a, b) = ([exact(1.0), exact(2.0), exact(3.0)], [exact(2.0), exact(3.0), exact(4.0)]);
        let d = compare(&a, &b).unwrap();
        // Welch by hand: t = 1 / sqrt(2/3), 4 degrees: p = .288.
        assert!((d.p_value - 0.2879).abs() < 1e-3, "{d:?}");
        assert!(compare(&a[..1], &b).unwrap().p_value > 0.1);
        assert!(compare(&a[..1], &b[..1]).unwrap().p_value < 1e-6, "one run each: nothing says that runs differ");
        assert_eq!(compare(&[], &b), None);
    }

    #[test]
    fn constants_are_the_same_or_differ_for_sure() {
        let same = Estimate { value: 3.0, variance: 0.0, freedom: 9.0 };
        let other = Estimate { value: 4.0, ..same };
        assert_eq!(compare(&[same], &[same]).unwrap().p_value, 1.0);
        assert_eq!(compare(&[same], &[other]).unwrap().p_value, 0.0);
        assert_eq!(spread(&[1.0; 5]), None, "too few");
        assert_eq!(spread(&[1.0, 2.0, f64::NAN, 1.0, 1.0, 1.0, 1.0]), None);
    }

    #[test]
    fn holm_by_hand() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (got, wanted) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((got - wanted).abs() < 1e-12, "{adjusted:?}");
        }
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn superiority_by_hand() {
        assert_eq!(superiority(&[1.0, 2.0], &[2.0, 3.0]), Some(0.875));
        assert_eq!(superiority(&[1.0], &[1.0]), Some(0.5));
        assert_eq!(superiority(&[], &[1.0]), None);
    }
}
