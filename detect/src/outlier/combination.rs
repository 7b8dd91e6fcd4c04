//! Scores of several detectors made one: mean, maximum, median, and the average of maxima and
//! maximum of averages over groups of detectors (Aggarwal & Sathe, SIGKDD Explorations 2015).
//!
//! Scores have to be comparable first: [`standardised`] or [`ranks`].

use crate::data::rng::Rng;
use crate::stats::robust;

/// The mean of each row; `scores` has a list a detector, all as long.
pub fn average(scores: &[Vec<f64>]) -> Vec<f64> {
    by_row(scores, |row| row.iter().sum::<f64>() / row.len() as f64)
}

/// The largest of each row.
pub fn maximum(scores: &[Vec<f64>]) -> Vec<f64> {
    by_row(scores, |row| row.iter().copied().fold(f64::NEG_INFINITY, f64::max))
}

/// The middle of each row.
pub fn median(scores: &[Vec<f64>]) -> Vec<f64> {
    by_row(scores, |row| {
        robust::sort(row);
        robust::quantile(row, 0.5).unwrap_or(0.0)
    })
}

/// Average of maxima: detectors fall at random into groups of (nearly) the same size; the largest of each group, averaged.
pub fn average_of_maximum(scores: &[Vec<f64>], n_buckets: usize, seed: u64) -> Vec<f64> {
    let groups = groups(scores.len(), n_buckets, seed);
    let picked = |group: &Vec<usize>| maximum(&group.iter().map(|i| scores[*i].clone()).collect::<Vec<_>>());
    average(&groups.iter().map(picked).collect::<Vec<_>>())
}

/// Maximum of averages: likewise, the other way round.
pub fn maximum_of_average(scores: &[Vec<f64>], n_buckets: usize, seed: u64) -> Vec<f64> {
    let groups = groups(scores.len(), n_buckets, seed);
    let picked = |group: &Vec<usize>| average(&group.iter().map(|i| scores[*i].clone()).collect::<Vec<_>>());
    maximum(&groups.iter().map(picked).collect::<Vec<_>>())
}

/// `n` detectors in random groups.
fn groups(n: usize, n_buckets: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut rng = Rng(seed);
    let mut order: Vec<usize> = (0..n).collect();
    (0..n).for_each(|i| order.swap(i, i + rng.below(n - i)));
    let buckets = n_buckets.clamp(1, n.max(1));
    (0..buckets).map(|b| order[b * n / buckets..(b + 1) * n / buckets].to_vec()).collect()
}

/// At mean 0 and deviation 1.
pub fn standardised(scores: &[f64]) -> Vec<f64> {
    let n = scores.len() as f64;
    let mean = scores.iter().sum::<f64>() / n;
    let deviation = (scores.iter().map(|s| (s - mean) * (s - mean)).sum::<f64>() / n).sqrt();
    let scale = if deviation > 0.0 { deviation } else { 1.0 };
    scores.iter().map(|s| (s - mean) / scale).collect()
}

/// The place of each score among all, from 0 of the least to 1 of the largest; equal scores share the mean of their places.
pub fn ranks(scores: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let mut out = vec![0.0; scores.len()];
    let last = scores.len().saturating_sub(1).max(1) as f64;
    let mut from = 0;
    for equal in order.chunk_by(|a, b| scores[*a] == scores[*b]) {
        let place = (2 * from + equal.len() - 1) as f64 / 2.0 / last;
        equal.iter().for_each(|i| out[*i] = place);
        from += equal.len();
    }
    out
}

fn by_row(scores: &[Vec<f64>], join: impl Fn(&mut Vec<f64>) -> f64) -> Vec<f64> {
    let n = scores.iter().map(Vec::len).min().unwrap_or(0);
    let mut row = vec![];
    let one = |at: usize| {
        row.clear();
        row.extend(scores.iter().map(|s| s[at]));
        join(&mut row)
    };
    (0..n).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_of_joining_is_what_it_is_called() {
        let scores = [vec![1.0, 4.0], vec![2.0, 5.0], vec![6.0, 0.0], vec![3.0, 3.0]];
        assert_eq!(average(&scores), [3.0, 3.0]);
        assert_eq!(maximum(&scores), [6.0, 5.0]);
        assert_eq!(median(&scores), [2.5, 3.5]);
        // One group, and one for each: then they are the plain ones.
        assert_eq!(average_of_maximum(&scores, 1, 3), maximum(&scores));
        assert_eq!(average_of_maximum(&scores, 4, 3), average(&scores));
        assert_eq!(maximum_of_average(&scores, 1, 3), average(&scores));
        assert_eq!(maximum_of_average(&scores, 9, 3), maximum(&scores));
        let two = average_of_maximum(&scores, 2, 3);
        assert!(two[0] >= 4.0 && two[0] <= 6.0 && two[1] >= 4.0, "{two:?}");
    }

    #[test]
    fn scores_are_made_comparable() {
        assert_eq!(ranks(&[5.0, 1.0, 5.0, 9.0]), [0.5, 0.0, 0.5, 1.0]);
        assert_eq!(ranks(&[7.0]), [0.0]);
        assert_eq!(standardised(&[1.0, 3.0]), [-1.0, 1.0]);
        assert_eq!(standardised(&[2.0, 2.0]), [0.0, 0.0]);
        assert_eq!(average(&[]), Vec::<f64>::new());
    }
}
