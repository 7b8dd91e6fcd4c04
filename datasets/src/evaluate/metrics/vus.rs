//! Volume under the surface: areas under curves, averaged over how generously the edges of events
//! are read.
//!
//! For each buffer w = 0..=W every event grows by w/2 points (rounded down) on both sides; a point d away from its event has the soft
//! label sqrt(1 - d/w), labels of near events add up to 1 at most. At each of the thresholds, taken at equal steps of rank:
//!
//!   TP  = events' points predicted + soft labels predicted
//!   P_w = (P + P + soft labels predicted) / 2
//!   recall = min(TP / P_w, 1) x (share of grown events that are touched),  precision = TP / predicted,
//!   false-positive rate = (predicted - TP) / (n - P_w)
//!
//! and the volumes are the means over w of the areas: average precision, and trapezoids for ROC. Paparrizos et al., VLDB 2022, in the
//! form that TSB-AD (NeurIPS 2024) computes. That code visits every point at every threshold and buffer; here a point is visited once
//! for its rank and once for each buffer it lies in, so the cost is O(n log n + events x W^2 + thresholds x W).

use osd_detect::alarms::segments;
use std::ops::Range;

/// Thresholds of TSB-AD.
pub const THRESHOLDS: usize = 250;

/// The two volumes, each in `0..=1`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Volume {
    /// VUS-PR.
    pub pr: f64,
    /// VUS-ROC.
    pub roc: f64,
}

/// Both volumes for buffers `0..=window`, with at least two `thresholds`. Scores are finite and both labels occur ([`super::check`]).
pub fn volume(labels: &[bool], scores: &[f64], window: usize, thresholds: usize) -> Volume {
    let ranks = Ranks::new(scores, thresholds.max(2));
    let events = segments(labels);
    let mut hits = ranks.tally();
    let mut first = Vec::with_capacity(events.len());
    for event in &events {
        event.clone().for_each(|i| hits[ranks.of[i]] += 1.0);
        first.push(event.clone().map(|i| ranks.of[i]).min().unwrap_or(usize::MAX));
    }
    cumulate(&mut hits);
    let anomalous = labels.iter().filter(|l| **l).count() as f64;
    let mut soft = vec![0.0; labels.len()];
    let (mut pr, mut roc) = (0.0, 0.0);
    for w in 0..=window {
        let near = buffers(&events, labels, w, &mut soft);
        let mut gained = ranks.tally();
        for i in near {
            // Zeroed as it is read, for the next buffer.
            gained[ranks.of[i]] += std::mem::take(&mut soft[i]).min(1.0);
        }
        cumulate(&mut gained);
        let grown = grow(&events, w / 2, labels.len());
        let touched = ranks.touched(&grown, &first, &events);
        let mut before = (0.0, 0.0);
        for k in 0..ranks.predicted.len() {
            let predicted = ranks.predicted[k];
            let tp = hits[k] + gained[k];
            let positives = anomalous + gained[k] / 2.0;
            let recall = (tp / positives).min(1.0) * touched[k] / grown.len() as f64;
            let fpr = (predicted - tp) / (labels.len() as f64 - positives);
            pr += (recall - before.0) * tp / predicted;
            roc += (fpr - before.1) * (recall + before.0) / 2.0;
            before = (recall, fpr);
        }
        roc += (1.0 - before.1) * (1.0 + before.0) / 2.0;
    }
    let count = (window + 1) as f64;
    Volume { pr: pr / count, roc: roc / count }
}

/// At which threshold each point is first predicted.
struct Ranks {
    of: Vec<usize>,
    /// Points predicted at each threshold.
    predicted: Vec<f64>,
}

impl Ranks {
    fn new(scores: &[f64], thresholds: usize) -> Self {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_unstable_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        let last = scores.len() - 1;
        let step = last as f64 / (thresholds - 1) as f64;
        let mut of = vec![0; scores.len()];
        let mut predicted = Vec::with_capacity(thresholds);
        let mut next = 0;
        for k in 0..thresholds {
            let at = if k + 1 == thresholds { last } else { (k as f64 * step) as usize };
            let threshold = scores[order[at]];
            while next < order.len() && scores[order[next]] >= threshold {
                of[order[next]] = k;
                next += 1;
            }
            predicted.push(next as f64);
        }
        Self { of, predicted }
    }

    fn tally(&self) -> Vec<f64> {
        vec![0.0; self.predicted.len()]
    }

    /// How many of the grown events have a predicted point, at each threshold.
    fn touched(&self, grown: &[Range<usize>], first: &[usize], events: &[Range<usize>]) -> Vec<f64> {
        let mut out = self.tally();
        let mut next = 0;
        for segment in grown {
            let mut earliest = usize::MAX;
            let mut from = segment.start;
            // Of the events inside, the minimum is known already: only what lies between is looked at.
            while let Some(event) = events.get(next).filter(|e| e.start < segment.end) {
                earliest = (from..event.start).map(|i| self.of[i]).fold(earliest.min(first[next]), usize::min);
                from = event.end;
                next += 1;
            }
            earliest = (from..segment.end).map(|i| self.of[i]).fold(earliest, usize::min);
            if let Some(count) = out.get_mut(earliest) {
                *count += 1.0;
            }
        }
        cumulate(&mut out);
        out
    }
}

fn cumulate(values: &mut [f64]) {
    let mut sum = 0.0;
    for value in values {
        sum += *value;
        *value = sum;
    }
}

/// Adds the soft labels of buffer `w` to `soft`, and returns the points outside of events that have one, each once.
fn buffers(events: &[Range<usize>], labels: &[bool], w: usize, soft: &mut [f64]) -> Vec<usize> {
    let mut near = vec![];
    let mut add = |i: usize, distance: usize| {
        if !labels[i] {
            if soft[i] == 0.0 {
                near.push(i);
            }
            soft[i] += (1.0 - distance as f64 / w as f64).sqrt();
        }
    };
    for event in events {
        for i in event.end..(event.end + w / 2).min(labels.len()) {
            add(i, i + 1 - event.end);
        }
        for i in event.start.saturating_sub(w / 2)..event.start {
            add(i, event.start - i);
        }
    }
    near
}

/// Events grown by `by` on both sides; those that come to overlap are one.
fn grow(events: &[Range<usize>], by: usize, n: usize) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = vec![];
    for event in events {
        let (start, end) = (event.start.saturating_sub(by), (event.end + by).min(n));
        match out.last_mut() {
            Some(last) if start < last.end => last.end = end,
            _ => out.push(start..end),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::metrics::uniform;
    use proptest::prelude::*;

    /// The definition, point by point.
    fn slow(labels: &[bool], scores: &[f64], window: usize, thresholds: usize) -> Volume {
        let n = labels.len();
        let events = segments(labels);
        let mut sorted = scores.to_vec();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let anomalous = labels.iter().filter(|l| **l).count() as f64;
        let (mut pr, mut roc) = (0.0, 0.0);
        for w in 0..=window {
            let mut soft: Vec<f64> = labels.iter().map(|l| f64::from(*l)).collect();
            for event in &events {
                for (i, s) in soft.iter_mut().enumerate() {
                    let d = if i < event.start { event.start - i } else { (i + 1).saturating_sub(event.end) };
                    if d > 0 && d <= w / 2 {
                        *s += (1.0 - d as f64 / w as f64).sqrt();
                    }
                }
            }
            let grown = grow(&events, w / 2, n);
            let mut before = (0.0, 0.0);
            for k in 0..thresholds {
                let threshold = sorted[(k * (n - 1)) / (thresholds - 1)];
                let predicted: Vec<bool> = scores.iter().map(|s| *s >= threshold).collect();
                let (mut tp, mut all) = (0.0, 0.0);
                for i in 0..n {
                    let value = if labels[i] { 1.0 } else { soft[i].min(1.0) * f64::from(predicted[i]) };
                    all += value;
                    tp += value * f64::from(predicted[i]);
                }
                let count = predicted.iter().filter(|p| **p).count() as f64;
                let touched = grown.iter().filter(|g| predicted[(*g).clone()].contains(&true)).count() as f64;
                let positives = (anomalous + all) / 2.0;
                let recall = f64::min(tp / positives, 1.0) * touched / grown.len() as f64;
                let fpr = (count - tp) / (n as f64 - positives);
                pr += (recall - before.0) * tp / count;
                roc += (fpr - before.1) * (recall + before.0) / 2.0;
                before = (recall, fpr);
            }
            roc += (1.0 - before.1) * (1.0 + before.0) / 2.0;
        }
        Volume { pr: pr / (window + 1) as f64, roc: roc / (window + 1) as f64 }
    }

    proptest! {
        #[test]
        fn fast_equals_the_definition(
            spans in prop::collection::vec((0..120_usize, 1..12_usize), 1..6),
            scores in prop::collection::vec(0..40_u8, 130..140), window in 0..24_usize,
        ) {
            let labels: Vec<bool> = (0..scores.len()).map(|i| spans.iter().any(|(s, n)| (*s..s + n).contains(&i))).collect();
            let scores: Vec<f64> = scores.into_iter().map(f64::from).collect();
            // As many thresholds as divide the ranks evenly, so that rounding is not in the way.
            let (fast, slow) = (volume(&labels, &scores, window, scores.len()), slow(&labels, &scores, window, scores.len()));
            prop_assert!((fast.pr - slow.pr).abs() < 1e-9 && (fast.roc - slow.roc).abs() < 1e-9, "{fast:?} {slow:?}");
        }
    }

    #[test]
    fn late_by_a_little_still_counts() {
        let labels: Vec<bool> = (0..5_000).map(|i| (2_000..2_100).contains(&i)).collect();
        let at = |shift: usize| -> f64 {
            let scores: Vec<f64> = uniform(5_000)
                .iter()
                .enumerate()
                .map(|(i, u)| u * 0.1 + f64::from((2_000 + shift..2_100 + shift).contains(&i)))
                .collect();
            volume(&labels, &scores, 100, THRESHOLDS).pr
        };
        assert!(at(0) > at(20) && at(20) > at(60) && at(60) > at(300), "{} {} {} {}", at(0), at(20), at(60), at(300));
        assert!(at(300) < 0.1);
    }
}
