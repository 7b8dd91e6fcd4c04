//! Every measure of one score.

use super::random::uniform;
use super::sweep::{best_over, by_rank};
use super::{affiliation, auc, events, range, vus};
use osd_detect::alarms::segments;

/// Points that both buffers of VUS cover at most: TSB-AD's default.
pub const VUS_WINDOW: usize = 100;

/// Why a score cannot be measured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Each score needs its label.
    #[error("{scores} scores for {labels} labels")]
    Length {
        /// Scores given.
        scores: usize,
        /// Labels given.
        labels: usize,
    },
    /// NaN and infinities have no place in an order.
    #[error("score {index} is not a finite number")]
    NotFinite {
        /// Of the first such score.
        index: usize,
    },
    /// Precision and recall need both.
    #[error("the labels are all {0}: nothing can be told apart")]
    OneClass(
        /// The label that all points have.
        bool,
    ),
}

/// Everything about one score.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Evaluation {
    /// Points scored.
    pub points: usize,
    /// Runs of anomalous points.
    pub events: usize,
    /// Share of the points that are anomalous: what AUC-PR of a random score comes to.
    pub anomalous_share: f64,
    /// Volume under the precision-recall surface: the primary measure.
    pub vus_pr: f64,
    /// Volume under the ROC surface.
    pub vus_roc: f64,
    /// Average precision.
    pub auc_pr: f64,
    /// Area under the ROC curve.
    pub auc_roc: f64,
    /// Best values over all thresholds: they used the labels.
    pub oracle: Oracle,
    /// Values at the threshold that was fixed beforehand, if one was.
    pub at_threshold: Option<AtThreshold>,
}

/// The best over thresholds, each measure at its own.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Oracle {
    /// Point-wise F1.
    pub f1: f64,
    /// Range-based F1.
    pub range_f1: f64,
    /// Affiliation F1; biased upward.
    pub affiliation_f1: f64,
    /// Point-adjusted F1; means nothing but beside the next.
    pub point_adjusted_f1: f64,
    /// Point-adjusted F1 of a random score on these labels.
    pub random_point_adjusted_f1: f64,
}

/// What an operator sees at one threshold.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct AtThreshold {
    /// Points from this score up alarm.
    pub threshold: f64,
    /// Point-wise F1.
    pub f1: f64,
    /// Range-based F1.
    pub range_f1: f64,
    /// Affiliation F1; biased upward.
    pub affiliation_f1: f64,
    /// Events, alarms and delays.
    #[serde(flatten)]
    pub events: events::Summary,
}

/// Measures `scores`, higher is stranger, against `labels`. `interval_s` is the time between points; `threshold` one that was fixed
/// without these labels.
pub fn evaluate(labels: &[bool], scores: &[f64], interval_s: f64, threshold: Option<f64>) -> Result<Evaluation, Error> {
    check(labels, scores)?;
    let curve = auc::Curve::new(labels, scores);
    let volume = vus::volume(labels, scores, VUS_WINDOW, vus::THRESHOLDS);
    let thresholds = by_rank(scores);
    let best = |measure: &dyn Fn(&[bool]) -> f64| best_over(scores, &thresholds, measure).1;
    let point_adjusted = |predictions: &[bool]| events::point_adjusted_f1(labels, predictions);
    let noise = uniform(labels.len());
    let at_threshold = threshold.map(|threshold| {
        let predictions: Vec<bool> = scores.iter().map(|s| *s >= threshold).collect();
        AtThreshold {
            threshold,
            f1: auc::f1(labels, &predictions),
            range_f1: range::f1(labels, &predictions),
            affiliation_f1: affiliation::f1(labels, &predictions),
            events: events::summary(labels, &predictions, interval_s),
        }
    });
    Ok(Evaluation {
        points: labels.len(),
        events: segments(labels).len(),
        anomalous_share: labels.iter().filter(|l| **l).count() as f64 / labels.len() as f64,
        vus_pr: volume.pr,
        vus_roc: volume.roc,
        auc_pr: curve.average_precision(),
        auc_roc: curve.roc(),
        oracle: Oracle {
            f1: curve.best_f1().f1(),
            range_f1: best(&|p| range::f1(labels, p)),
            affiliation_f1: best(&|p| affiliation::f1(labels, p)),
            point_adjusted_f1: best(&point_adjusted),
            random_point_adjusted_f1: best_over(&noise, &by_rank(&noise), &point_adjusted).1,
        },
        at_threshold,
    })
}

/// Whether there is anything to measure.
pub fn check(labels: &[bool], scores: &[f64]) -> Result<(), Error> {
    if labels.len() != scores.len() {
        return Err(Error::Length { scores: scores.len(), labels: labels.len() });
    }
    if let Some(index) = scores.iter().position(|s| !s.is_finite()) {
        return Err(Error::NotFinite { index });
    }
    let anomalous = labels.iter().filter(|l| **l).count();
    if anomalous == 0 || anomalous == labels.len() {
        return Err(Error::OneClass(anomalous > 0));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::Range;

    fn labels(n: usize, events: &[Range<usize>]) -> Vec<bool> {
        (0..n).map(|i| events.iter().any(|e| e.contains(&i))).collect()
    }

    #[test]
    fn a_perfect_score_is_perfect_and_its_reverse_is_not() {
        let truth = labels(2_000, &[300..400, 1_500..1_600]);
        let good: Vec<f64> = truth.iter().map(|l| f64::from(*l)).collect();
        let bad: Vec<f64> = good.iter().map(|s| -s).collect();
        let e = evaluate(&truth, &good, 1.0, Some(0.5)).unwrap();
        assert_eq!((e.auc_pr, e.auc_roc, e.oracle.f1, e.oracle.range_f1), (1.0, 1.0, 1.0, 1.0));
        assert_eq!(e.at_threshold.map(|a| (a.f1, a.events.event_recall, a.events.false_alarms)), Some((1.0, 1.0, 0)));
        let e = evaluate(&truth, &bad, 1.0, None).unwrap();
        assert!(e.auc_roc == 0.0 && e.vus_pr < 0.2, "{e:?}");
    }

    #[test]
    fn point_adjustment_flatters_a_random_score_and_vus_does_not() {
        let truth = labels(20_000, &[3_000..4_000, 9_000..10_500]);
        let e = evaluate(&truth, &uniform(20_001)[1..], 1.0, None).unwrap();
        assert!(e.oracle.point_adjusted_f1 > 0.9 && e.oracle.random_point_adjusted_f1 > 0.9);
        assert!(e.vus_pr < 0.2 && e.auc_pr < 0.2 && (0.45..0.55).contains(&e.auc_roc), "{e:?}");
        // Why affiliation is marked as biased.
        assert!(e.oracle.affiliation_f1 > 0.6);
    }

    #[test]
    fn what_cannot_be_measured_says_why() {
        assert_eq!(evaluate(&[true], &[], 1.0, None), Err(Error::Length { scores: 0, labels: 1 }));
        assert_eq!(evaluate(&[true, false], &[0.0, f64::NAN], 1.0, None), Err(Error::NotFinite { index: 1 }));
        assert_eq!(evaluate(&[true, true], &[0.0, 1.0], 1.0, None), Err(Error::OneClass(true)));
        assert_eq!(evaluate(&[], &[], 1.0, None), Err(Error::OneClass(false)));
    }
}
