//! Range-based precision and recall (Tatbul et al., NeurIPS 2018), with flat positional bias.
//!
//! Over true ranges R_i and predicted ranges P_j:
//!   recall    = mean over i of a [any overlap] + (1 - a) (covered share of R_i) / (number of P_j that overlap R_i), a = 0.2
//!   precision = mean over j of (covered share of P_j) / (number of R_i that overlap P_j)
//! and F1 is their harmonic mean. One long alarm over everything is punished by precision, a shattered one by the division.

use super::auc::harmonic;
use osd_detect::alarms::segments;
use std::ops::Range;

/// Weight of having been noticed at all, against how much was covered.
pub const EXISTENCE_WEIGHT: f64 = 0.2;

/// Range-based F1 of `predictions`.
pub fn f1(labels: &[bool], predictions: &[bool]) -> f64 {
    let (truth, predicted) = (segments(labels), segments(predictions));
    harmonic(covered(&truth, &predicted, EXISTENCE_WEIGHT), covered(&predicted, &truth, 0.0))
}

/// Mean reward of `ranges` for being covered by `by`, both in order and apart.
fn covered(ranges: &[Range<usize>], by: &[Range<usize>], existence: f64) -> f64 {
    if ranges.is_empty() {
        return 0.0;
    }
    let mut from = 0;
    let mut sum = 0.0;
    for range in ranges {
        while by.get(from).is_some_and(|b| b.end <= range.start) {
            from += 1;
        }
        let over = by[from..].iter().take_while(|b| b.start < range.end);
        let (count, points) =
            over.fold((0, 0), |(c, p), b| (c + 1, p + b.end.min(range.end) - b.start.max(range.start)));
        if count > 0 {
            sum += existence + (1.0 - existence) * points as f64 / range.len() as f64 / f64::from(count);
        }
    }
    sum / ranges.len() as f64
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "events are lists of ranges")]
mod tests {
    use super::*;

    fn spans(events: &[Range<usize>]) -> Vec<bool> {
        (0..100).map(|i| events.iter().any(|e| e.contains(&i))).collect()
    }

    #[test]
    fn by_hand() {
        let truth = spans(&[10..20, 50..60]);
        assert_eq!(f1(&truth, &truth), 1.0);
        assert_eq!(f1(&truth, &spans(&[])), 0.0);
        // Recall: (0.2 + 0.8 * 0.5) / 2; precision: 5 of 10 points.
        assert!((f1(&truth, &spans(&[15..25])) - harmonic(0.3, 0.5)).abs() < 1e-12);
        // Two pieces in one event halve the overlap: recall (0.2 + 0.8 * 0.6 / 2) / 2, precision 1.
        assert!((f1(&truth, &spans(&[10..13, 16..19])) - harmonic(0.22, 1.0)).abs() < 1e-12);
        // One alarm over both: recall 1, precision 20/60 / 2.
        assert!((f1(&truth, &spans(&[5..65])) - harmonic(1.0, 1.0 / 6.0)).abs() < 1e-12);
    }
}
