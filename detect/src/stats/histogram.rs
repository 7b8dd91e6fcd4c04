//! Log2 latency histograms: bucket `i` counts durations in `[2^i, 2^(i+1))` ns, bucket 0 those
//! below 2 ns.

/// Adds `other` to `sum`, bucket by bucket.
pub fn merge(sum: &mut Vec<u64>, other: &[u64]) {
    if sum.len() < other.len() {
        sum.resize(other.len(), 0);
    }
    for (s, o) in sum.iter_mut().zip(other) {
        *s = s.saturating_add(*o);
    }
}

/// The `q` quantile in ns, interpolated on the log scale within its bucket. `None` if nothing was counted or `q` is not in `0..=1`.
pub fn quantile(buckets: &[u64], q: f64) -> Option<f64> {
    let total: f64 = buckets.iter().map(|c| *c as f64).sum();
    if total <= 0.0 || !(0.0..=1.0).contains(&q) {
        return None;
    }
    let mut rest = q * total;
    let last = buckets.iter().rposition(|c| *c > 0)?;
    for (i, count) in buckets.iter().enumerate() {
        let count = *count as f64;
        if count > 0.0 && (rest <= count || i == last) {
            let within = (rest / count).clamp(0.0, 1.0);
            // The first bucket begins at 0, where there is no logarithm.
            return Some(if i == 0 { 2.0 * within } else { (i as f64 + within).exp2() });
        }
        rest -= count;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_quantiles() {
        assert_eq!(quantile(&[0, 0, 0, 10], 0.0), Some(8.0));
        assert_eq!(quantile(&[0, 0, 0, 10], 1.0), Some(16.0));
        assert_eq!(quantile(&[0, 0, 10, 0, 10], 0.5), Some(8.0));
        assert_eq!(quantile(&[4], 0.5), Some(1.0));
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[0, 0], 0.5), None);
        assert_eq!(quantile(&[1], 1.5), None);
    }

    proptest! {
        #[test]
        fn a_quantile_is_within_a_factor_two_of_the_truth(mut ns in prop::collection::vec(2..1_000_000_000_u64, 1..300), q in 0.0..1.0_f64) {
            let mut buckets = vec![];
            for n in &ns {
                let mut one = vec![0; n.ilog2() as usize + 1];
                one[n.ilog2() as usize] = 1;
                merge(&mut buckets, &one);
            }
            prop_assert_eq!(buckets.iter().sum::<u64>(), ns.len() as u64);
            ns.sort_unstable();
            let rank = ((q * ns.len() as f64).ceil() as usize).clamp(1, ns.len());
            let (truth, got) = (ns[rank - 1] as f64, quantile(&buckets, q).unwrap());
            prop_assert!(got <= truth * 2.0 && got >= truth / 2.0, "{} {}", got, truth);
        }
    }
}
