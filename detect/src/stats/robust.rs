//! Location and scale that a minority of wild values cannot move.

/// Sorts ascending; NaN last, so that a caller's slip cannot panic.
pub fn sort(values: &mut [f64]) {
    values.sort_unstable_by(f64::total_cmp);
}

/// The `q` quantile of ascending `sorted`, linear between neighbours (type 7). `None` if it is empty.
pub fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = q.clamp(0.0, 1.0) * last as f64;
    let (low, high) = (position.floor() as usize, position.ceil() as usize);
    Some(sorted[low] + (sorted[high] - sorted[low]) * (position - low as f64))
}

/// The middle of `values` in any order. `None` if there are none.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sort(&mut sorted);
    quantile(&sorted, 0.5)
}

/// Median absolute deviation times 1.4826: the standard deviation, were the values normal. `None` if there are none.
pub fn mad(values: &[f64]) -> Option<f64> {
    let centre = median(values)?;
    let deviations: Vec<f64> = values.iter().map(|v| (v - centre).abs()).collect();
    median(&deviations).map(|m| m * 1.4826)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
        assert_eq!(mad(&[1.0, 1.0, 2.0, 2.0, 4.0, 6.0, 9.0]), Some(1.4826));
        assert_eq!(quantile(&[0.0, 10.0], 0.25), Some(2.5));
    }

    proptest! {
        #[test]
        fn a_minority_of_wild_values_moves_nothing_far(wild in 1e6..1e12_f64, n in 0..20_usize) {
            let mut values: Vec<f64> = (0..50).map(f64::from).collect();
            values.extend(std::iter::repeat_n(wild, n));
            let middle = median(&values).unwrap();
            prop_assert!((24.0..=35.0).contains(&middle));
            prop_assert!(mad(&values).unwrap() < 40.0);
        }

        #[test]
        fn quantiles_rise_and_stay_inside(mut values in prop::collection::vec(-1e9..1e9_f64, 1..60), a in 0.0..1.0_f64, b in 0.0..1.0_f64) {
            sort(&mut values);
            let (qa, qb) = (quantile(&values, a.min(b)).unwrap(), quantile(&values, a.max(b)).unwrap());
            prop_assert!(qa <= qb && values[0] <= qa && qb <= values[values.len() - 1]);
        }
    }
}
