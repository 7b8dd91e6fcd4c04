//! What an operator reads: events found, alarms that were true, false ones per hour, and how late.
//!
//! An *alarm* is a run of predicted points; those up to [`JOIN`] points apart are one, for nobody is called twice. It is true if it
//! touches an event. Point adjustment is here too, with its warning.

use super::auc::harmonic;
use osd_detect::alarms::segments;
pub use osd_detect::alarms::{JOIN, alarms};

/// Events, alarms and delays at one threshold.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Summary {
    /// True events.
    pub events: usize,
    /// Those with an alarm inside.
    pub events_found: usize,
    /// `events_found / events`; 0 without events.
    pub event_recall: f64,
    /// Alarms.
    pub alarms: usize,
    /// Alarms that touch no event.
    pub false_alarms: usize,
    /// Share of the alarms that touch an event; 0 without alarms.
    pub segment_precision: f64,
    /// False alarms over the hours that are not anomalous.
    pub false_alarms_per_hour: f64,
    /// Share of the normal points that are predicted: the false-positive rate. It is what tells a detector that always alarms from one
    /// that is right: the former has one alarm, which touches an event.
    pub false_positive_rate: f64,
    /// Median over the found events of the time from their first point to the first predicted one, seconds. `None` if none was found.
    pub delay_s: Option<f64>,
}

/// From this false-positive rate up a detector is in alarm whatever happens, and no other measure at its threshold says anything.
///
/// A half is the rate of a coin. On the eleven machines of `docs/evaluation.md` every detector was below 0.28 or above 0.57, offline and online.
pub const ALWAYS: f64 = 0.5;

/// Whether a detector is in alarm whatever happens, by its share of normal time in alarm; if so, its recall, precision and
/// false alarms say nothing.
pub fn always_alarms(share: Option<f64>) -> bool {
    share.is_some_and(|share| share >= ALWAYS)
}

impl Summary {
    /// Whether it is in alarm whatever happens.
    pub fn always_alarms(&self) -> bool {
        always_alarms(Some(self.false_positive_rate))
    }
}

/// Counts `predictions` against `labels`, points `interval_s` apart.
pub fn summary(labels: &[bool], predictions: &[bool], interval_s: f64) -> Summary {
    let events = segments(labels);
    let mut delays: Vec<f64> = events
        .iter()
        .filter_map(|e| e.clone().position(|i| predictions[i]))
        .map(|points| points as f64 * interval_s)
        .collect();
    delays.sort_unstable_by(f64::total_cmp);
    let alarms = alarms(predictions);
    let false_alarms = alarms.iter().filter(|a| !(*a).clone().any(|i| labels[i])).count();
    let (normal, false_points) = labels
        .iter()
        .zip(predictions)
        .filter(|(l, _)| !**l)
        .fold((0, 0), |(n, f), (_, p)| (n + 1, f + usize::from(*p)));
    let normal_hours = normal as f64 * interval_s / 3_600.0;
    let share = |part: usize, of: usize| if of == 0 { 0.0 } else { part as f64 / of as f64 };
    Summary {
        events: events.len(),
        events_found: delays.len(),
        event_recall: share(delays.len(), events.len()),
        alarms: alarms.len(),
        false_alarms,
        segment_precision: share(alarms.len() - false_alarms, alarms.len()),
        false_alarms_per_hour: if normal_hours > 0.0 { false_alarms as f64 / normal_hours } else { 0.0 },
        false_positive_rate: share(false_points, normal),
        delay_s: osd_detect::robust::quantile(&delays, 0.5),
    }
}

/// F1 after point adjustment: one predicted point marks the whole event as predicted (Xu et al., WWW 2018).
///
/// Do not compare detectors by it: on long events a *random* score exceeds 0.9 (Kim et al., AAAI 2022). It exists to be shown beside
/// the random score's own.
pub fn point_adjusted_f1(labels: &[bool], predictions: &[bool]) -> f64 {
    let events = segments(labels);
    let found: usize = events.iter().filter(|e| predictions[(*e).clone()].contains(&true)).map(|e| e.len()).sum();
    let false_points = labels.iter().zip(predictions).filter(|(l, p)| !**l && **p).count();
    let anomalous: usize = events.iter().map(ExactSizeIterator::len).sum();
    let both = found + false_points + anomalous;
    if both == 0 { 0.0 } else { 2.0 * found as f64 / both as f64 }
}

/// Harmonic mean of event recall and point-wise precision (Garg et al., TNNLS 2021, "composite F1").
pub fn composite_f1(labels: &[bool], predictions: &[bool]) -> f64 {
    let events = segments(labels);
    let found = events.iter().filter(|e| predictions[(*e).clone()].contains(&true)).count();
    let predicted = predictions.iter().filter(|p| **p).count();
    let hits = labels.iter().zip(predictions).filter(|(l, p)| **l && **p).count();
    if predicted == 0 || events.is_empty() {
        return 0.0;
    }
    harmonic(found as f64 / events.len() as f64, hits as f64 / predicted as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::Range;

    #[test]
    fn by_hand() {
        let points = |spans: &[Range<usize>]| -> Vec<bool> {
            (0..3_600).map(|i| spans.iter().any(|s| s.contains(&i))).collect()
        };
        let truth = points(&[100..200, 1_000..1_100, 2_000..2_100]);
        // Two events found, after 10 and 20 s; one alarm in two pieces; two false ones.
        let alarmed = points(&[110..115, 118..119, 1_020..1_030, 3_000..3_001, 3_100..3_130]);
        let s = summary(&truth, &alarmed, 1.0);
        assert_eq!((s.events, s.events_found, s.alarms, s.false_alarms), (3, 2, 4, 2));
        assert_eq!((s.segment_precision, s.delay_s), (0.5, Some(15.0)));
        assert!((s.false_alarms_per_hour - 2.0 / (3_300.0 / 3_600.0)).abs() < 1e-12);
        // 200 points of found events, 31 false points, 300 anomalous.
        assert!((point_adjusted_f1(&truth, &alarmed) - 400.0 / 531.0).abs() < 1e-12);
        assert!((s.false_positive_rate - 31.0 / 3_300.0).abs() < 1e-12 && !s.always_alarms());
        let silent = summary(&truth, &points(&[]), 1.0);
        assert_eq!((silent.event_recall, silent.segment_precision, silent.delay_s), (0.0, 0.0, None));
    }

    #[test]
    fn an_alarm_from_the_first_to_the_last_point_fails_though_its_precision_is_one() {
        let truth: Vec<bool> = (0..1_000).map(|i| (300..310).contains(&i)).collect();
        let s = summary(&truth, &[true; 1_000], 1.0);
        assert_eq!((s.event_recall, s.segment_precision, s.false_alarms), (1.0, 1.0, 0));
        assert!(s.false_positive_rate == 1.0 && s.always_alarms());
        assert!(
            !summary(&truth, &truth, 1.0).always_alarms() && !summary(&truth, &[false; 1_000], 1.0).always_alarms()
        );
    }
}
