//! Thresholds to try, and the one that a measure likes best.

/// The threshold with the largest `measure` of the predictions `score >= threshold`, and that measure.
pub fn best_over(scores: &[f64], thresholds: &[f64], measure: &dyn Fn(&[bool]) -> f64) -> (f64, f64) {
    let mut best = (f64::INFINITY, 0.0);
    let mut predictions = vec![false; scores.len()];
    for threshold in thresholds {
        predictions.iter_mut().zip(scores).for_each(|(p, s)| *p = s >= threshold);
        let value = measure(&predictions);
        if value > best.1 {
            best = (*threshold, value);
        }
    }
    best
}

/// Up to 200 scores to try as thresholds: close to each other by rank where few points alarm, wider apart further down. A rescaling of
/// the score that keeps its order picks the same points.
pub fn by_rank(scores: &[f64]) -> Vec<f64> {
    const STEPS: usize = 200;
    let mut sorted = scores.to_vec();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    let mut ranks: Vec<usize> =
        (0..=STEPS).map(|i| (sorted.len() as f64).powf(i as f64 / STEPS as f64).round() as usize).collect();
    ranks.dedup();
    let mut out: Vec<f64> = ranks.into_iter().filter_map(|r| sorted.get(r - 1).copied()).collect();
    out.dedup();
    out
}

#[cfg(test)]
mod tests {
    use super::super::random::uniform;
    use super::*;

    #[test]
    fn thresholds_by_rank_begin_at_the_top_and_end_at_the_bottom() {
        let scores = uniform(5_000);
        let thresholds = by_rank(&scores);
        assert!(thresholds.len() > 100 && thresholds.windows(2).all(|w| w[0] > w[1]));
        let counts = |t: f64| scores.iter().filter(|s| **s >= t).count();
        assert_eq!((counts(thresholds[0]), counts(thresholds[1])), (1, 2));
        assert_eq!(counts(thresholds[thresholds.len() - 1]), 5_000);
    }
}
