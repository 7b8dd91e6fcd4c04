//! Affiliation precision and recall (Huet, Navarro, Rossi, KDD 2022). Biased upward: a random score
//! reaches some 0.7.
//!
//! Time is cut midway between neighbouring true events, so each event J has a zone E. With X uniform in E:
//!   precision of E = mean over predicted times x in E of P(dist(X, J) > dist(x, J))
//!   recall of E    = mean over times y in J of P(|X - y| > dist(y, predictions in E)), 0 without predictions
//! averaged over the zones (precision: those with predictions). Points are intervals `[i, i+1)`; the means are integrals in closed form,
//! for the probabilities are linear in pieces.

use super::auc::harmonic;
use osd_detect::alarms::segments;

/// A span of time.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: f64,
    end: f64,
}

impl Span {
    fn length(self) -> f64 {
        self.end - self.start
    }

    fn cut(self, by: Self) -> Option<Self> {
        let (start, end) = (self.start.max(by.start), self.end.min(by.end));
        (start < end).then_some(Self { start, end })
    }
}

/// Affiliation F1 of `predictions`; 0 if there are none.
pub fn f1(labels: &[bool], predictions: &[bool]) -> f64 {
    let (precision, recall) = precision_recall(labels, predictions);
    precision.map_or(0.0, |p| harmonic(p, recall))
}

/// Precision, `None` without predictions, and recall.
pub fn precision_recall(labels: &[bool], predictions: &[bool]) -> (Option<f64>, f64) {
    let (truth, predicted) = (spans(labels), spans(predictions));
    let whole = Span { start: 0.0, end: labels.len() as f64 };
    let zones = zones(&truth, whole);
    let (mut precision, mut zones_with, mut recall) = (0.0, 0, 0.0);
    let mut from = 0;
    for (event, zone) in truth.iter().zip(&zones) {
        while predicted.get(from).is_some_and(|p| p.end <= zone.start) {
            from += 1;
        }
        let inside: Vec<Span> =
            predicted[from..].iter().take_while(|p| p.start < zone.end).filter_map(|p| p.cut(*zone)).collect();
        if inside.is_empty() {
            continue;
        }
        zones_with += 1;
        let length: f64 = inside.iter().map(|p| p.length()).sum();
        precision += inside.iter().map(|p| nearness(*p, *event, *zone)).sum::<f64>() / length;
        let found: f64 =
            zones_of(&inside, *zone).map(|(p, near)| event.cut(near).map_or(0.0, |y| reach(y, p, *zone))).sum();
        recall += found / event.length();
    }
    let mean = |sum: f64, n: usize| sum / n as f64;
    (
        (zones_with > 0).then(|| mean(precision, zones_with)),
        if truth.is_empty() { 0.0 } else { mean(recall, truth.len()) },
    )
}

fn spans(points: &[bool]) -> Vec<Span> {
    segments(points).into_iter().map(|s| Span { start: s.start as f64, end: s.end as f64 }).collect()
}

/// The parts of `whole` that are nearer to each of `events` than to any other.
fn zones(events: &[Span], whole: Span) -> Vec<Span> {
    zones_of(events, whole).map(|(_, zone)| zone).collect()
}

fn zones_of(events: &[Span], whole: Span) -> impl Iterator<Item = (Span, Span)> {
    let middle = |a: &Span, b: &Span| f64::midpoint(a.end, b.start);
    events.iter().enumerate().map(move |(i, event)| {
        let start = i.checked_sub(1).map_or(whole.start, |j| middle(&events[j], event));
        let end = events.get(i + 1).map_or(whole.end, |next| middle(event, next));
        (*event, Span { start, end })
    })
}

/// Integral over x in `x` of P(dist(X, event) > dist(x, event)), X uniform in `zone`.
fn nearness(x: Span, event: Span, zone: Span) -> f64 {
    // Within distance d of the event lie the event, d on the side of x, and on the other side d or all there is.
    let shorter = (event.start - zone.start).min(zone.end - event.end);
    let outside = |from: f64, to: f64| {
        // Distances run from `from` to `to`.
        let capped = integral_of_min(from, to, shorter);
        let linear = (to * to - from * from) / 2.0;
        (to - from) - (capped + linear + event.length() * (to - from)) / zone.length()
    };
    let before = x.cut(Span { start: zone.start, end: event.start });
    let after = x.cut(Span { start: event.end, end: zone.end });
    x.cut(event).map_or(0.0, Span::length)
        + before.map_or(0.0, |s| outside(event.start - s.end, event.start - s.start))
        + after.map_or(0.0, |s| outside(s.start - event.end, s.end - event.end))
}

/// Integral over y in `y` of P(|X - y| > dist(y, prediction)), X uniform in `zone`.
fn reach(y: Span, prediction: Span, zone: Span) -> f64 {
    // Left of the prediction, y has d = start - y to it, and at most y - zone.start on its other side. With d as the variable, that
    // side is (prediction.start - zone.start) - d. Right of it is the mirror image.
    let outside = |from: f64, to: f64, room: f64| {
        let linear = (to * to - from * from) / 2.0;
        (to - from) - (linear + integral_of_tent(from, to, room)) / zone.length()
    };
    let before = y.cut(Span { start: zone.start, end: prediction.start });
    let after = y.cut(Span { start: prediction.end, end: zone.end });
    y.cut(prediction).map_or(0.0, Span::length)
        + before.map_or(0.0, |s| {
            outside(prediction.start - s.end, prediction.start - s.start, prediction.start - zone.start)
        })
        + after.map_or(0.0, |s| outside(s.start - prediction.end, s.end - prediction.end, zone.end - prediction.end))
}

/// Integral of min(d, cap) over d in `from..to`.
fn integral_of_min(from: f64, to: f64, cap: f64) -> f64 {
    let (a, b) = (from.min(cap), to.min(cap));
    (b * b - a * a) / 2.0 + cap * (to.max(cap) - from.max(cap))
}

/// Integral of min(d, room - d) over d in `from..to`, inside `0..room`.
fn integral_of_tent(from: f64, to: f64, room: f64) -> f64 {
    let half = room / 2.0;
    let rising = |a: f64, b: f64| (b * b - a * a) / 2.0;
    rising(from.min(half), to.min(half)) + rising(room - to.max(half), room - from.max(half))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, by sums over a fine grid.
    fn slow(labels: &[bool], predictions: &[bool]) -> (Option<f64>, f64) {
        const FINE: usize = 12;
        let (truth, predicted) = (spans(labels), spans(predictions));
        let whole = Span { start: 0.0, end: labels.len() as f64 };
        let distance = |x: f64, s: &Span| (s.start - x).max(x - s.end).max(0.0);
        let (mut precisions, mut recalls) = (vec![], vec![]);
        for (event, zone) in truth.iter().zip(zones(&truth, whole)) {
            let inside: Vec<Span> = predicted.iter().filter_map(|p| p.cut(zone)).collect();
            let n = (zone.length() * FINE as f64) as usize;
            let grid: Vec<f64> = (0..n).map(|i| zone.start + (i as f64 + 0.5) / FINE as f64).collect();
            let share = |near: &dyn Fn(f64) -> bool| grid.iter().filter(|x| !near(**x)).count() as f64 / n as f64;
            let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
            if inside.is_empty() {
                recalls.push(0.0);
                continue;
            }
            let taken = grid.iter().filter(|x| inside.iter().any(|s| distance(**x, s) == 0.0));
            precisions.push(mean(
                taken
                    .map(|x| {
                        let d = distance(*x, event);
                        if d == 0.0 { 1.0 } else { share(&|z| distance(z, event) < d) }
                    })
                    .collect(),
            ));
            let own = grid.iter().filter(|y| distance(**y, event) == 0.0);
            recalls.push(mean(
                own.map(|y| {
                    let d = inside.iter().map(|s| distance(*y, s)).fold(f64::INFINITY, f64::min);
                    share(&|z| (z - y).abs() < d)
                })
                .collect(),
            ));
        }
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        ((!precisions.is_empty()).then(|| mean(&precisions)), mean(&recalls))
    }

    proptest! {
        #[test]
        fn closed_form_equals_the_definition(
            truth in prop::collection::vec((0..70_usize, 1..9_usize), 1..4),
            alarms in prop::collection::vec((0..70_usize, 1..9_usize), 0..5),
        ) {
            let points = |spans: &[(usize, usize)]| -> Vec<bool> {
                (0..80).map(|i| spans.iter().any(|(s, n)| (*s..s + n).contains(&i))).collect()
            };
            let (fast, slow) = (precision_recall(&points(&truth), &points(&alarms)), slow(&points(&truth), &points(&alarms)));
            prop_assert_eq!(fast.0.is_some(), slow.0.is_some());
            // The grid is that coarse.
            prop_assert!((fast.0.unwrap_or(0.0) - slow.0.unwrap_or(0.0)).abs() < 0.02, "{fast:?} {slow:?}");
            prop_assert!((fast.1 - slow.1).abs() < 0.02, "{fast:?} {slow:?}");
        }
    }
}
