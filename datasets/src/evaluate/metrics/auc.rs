//! Precision-recall and ROC curves over every distinct score, point by point.
//!
//! With TP(s), FP(s) the counts of anomalous and normal points that score at least s, and P, N those of all:
//! recall = TP/P, precision = TP/(TP+FP), false-positive rate = FP/N. Equal to scikit-learn's `average_precision_score` and
//! `roc_auc_score`.

/// A point of the curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Operating {
    /// Points from this score up are taken.
    pub threshold: f64,
    /// Share of those taken that are anomalous.
    pub precision: f64,
    /// Share of the anomalous that are taken.
    pub recall: f64,
}

impl Operating {
    /// Harmonic mean of precision and recall; 0 if both are.
    pub fn f1(&self) -> f64 {
        harmonic(self.precision, self.recall)
    }
}

/// Harmonic mean; 0 if both are.
pub(crate) fn harmonic(a: f64, b: f64) -> f64 {
    if a + b > 0.0 { 2.0 * a * b / (a + b) } else { 0.0 }
}

/// Counts at each distinct score, highest first.
#[derive(Clone, Debug)]
pub struct Curve {
    /// (score, anomalous, normal) at this score or above.
    steps: Vec<(f64, usize, usize)>,
}

impl Curve {
    /// O(n log n). Scores are finite, and both labels occur ([`super::check`]).
    pub fn new(labels: &[bool], scores: &[f64]) -> Self {
        let mut points: Vec<(f64, bool)> = scores.iter().copied().zip(labels.iter().copied()).collect();
        points.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let mut steps: Vec<(f64, usize, usize)> = vec![];
        let (mut hits, mut misses) = (0, 0);
        for (score, label) in points {
            if label {
                hits += 1
            } else {
                misses += 1
            }
            match steps.last_mut() {
                Some(last) if last.0 == score => *last = (score, hits, misses),
                _ => steps.push((score, hits, misses)),
            }
        }
        Self { steps }
    }

    fn totals(&self) -> (f64, f64) {
        self.steps.last().map_or((0.0, 0.0), |(_, hits, misses)| (*hits as f64, *misses as f64))
    }

    /// AUC-PR as average precision: the sum over steps of (recall gained) x (precision there).
    pub fn average_precision(&self) -> f64 {
        let (anomalous, _) = self.totals();
        let mut before = 0;
        let mut sum = 0.0;
        for (_, hits, misses) in &self.steps {
            sum += (hits - before) as f64 / anomalous * (*hits as f64 / (hits + misses) as f64);
            before = *hits;
        }
        sum
    }

    /// AUC-ROC: the probability that an anomalous point scores above a normal one, ties half.
    pub fn roc(&self) -> f64 {
        let (anomalous, normal) = self.totals();
        let mut before = (0, 0);
        let mut area = 0.0;
        for (_, hits, misses) in &self.steps {
            area += (misses - before.1) as f64 * (hits + before.0) as f64 / 2.0;
            before = (*hits, *misses);
        }
        area / (anomalous * normal)
    }

    /// Where point-wise F1 is largest. An oracle: it looked at the labels.
    pub fn best_f1(&self) -> Operating {
        let (anomalous, _) = self.totals();
        let operating = |(threshold, hits, misses): &(f64, usize, usize)| Operating {
            threshold: *threshold,
            precision: *hits as f64 / (hits + misses) as f64,
            recall: *hits as f64 / anomalous,
        };
        let none = Operating { threshold: f64::INFINITY, precision: 0.0, recall: 0.0 };
        self.steps.iter().map(operating).fold(none, |best, o| if o.f1() > best.f1() { o } else { best })
    }
}

/// Point-wise F1 of `predictions`.
pub fn f1(labels: &[bool], predictions: &[bool]) -> f64 {
    let both = labels.iter().zip(predictions).filter(|(l, p)| **l && **p).count();
    let either = labels.iter().filter(|l| **l).count() + predictions.iter().filter(|p| **p).count();
    if either == 0 { 0.0 } else { 2.0 * both as f64 / either as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_curve() {
        // scikit-learn's own example: AP 0.8333, ROC 0.75.
        let curve = Curve::new(&[false, false, true, true], &[0.1, 0.4, 0.35, 0.8]);
        assert!((curve.average_precision() - 5.0 / 6.0).abs() < 1e-12);
        assert_eq!(curve.roc(), 0.75);
        assert_eq!(curve.best_f1(), Operating { threshold: 0.35, precision: 2.0 / 3.0, recall: 1.0 });
    }

    proptest! {
        #[test]
        fn areas_depend_on_the_order_alone(points in prop::collection::vec((0..20_u8, any::<bool>()), 2..200)) {
            let labels: Vec<bool> = points.iter().map(|p| p.1).collect();
            prop_assume!(labels.contains(&true) && labels.contains(&false));
            let scores: Vec<f64> = points.iter().map(|p| f64::from(p.0)).collect();
            let bent: Vec<f64> = scores.iter().map(|s| s.exp()).collect();
            let (a, b) = (Curve::new(&labels, &scores), Curve::new(&labels, &bent));
            prop_assert_eq!((a.average_precision(), a.roc()), (b.average_precision(), b.roc()));
            // ROC by its definition.
            let (mut wins, mut pairs) = (0.0, 0.0);
            for (s, _) in scores.iter().zip(&labels).filter(|(_, l)| **l) {
                for (t, _) in scores.iter().zip(&labels).filter(|(_, l)| !**l) {
                    pairs += 1.0;
                    wins += if s > t { 1.0 } else if s == t { 0.5 } else { 0.0 };
                }
            }
            prop_assert!((a.roc() - wins / pairs).abs() < 1e-12);
            prop_assert!((0.0..=1.0 + 1e-12).contains(&a.average_precision()));
        }
    }
}
