//! From hits on single metrics to windows with sharp edges.

use crate::online::shape::Shape;

/// A span in which one metric alarmed.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// Index of the metric.
    pub metric: usize,
    /// First point.
    pub start: usize,
    /// One past the last point.
    pub end: usize,
    /// Largest severity inside.
    pub severity: f64,
    /// Least tail inside, see [`crate::online::stream::Verdict::tail`].
    pub tail: f64,
    /// A rise; else a fall.
    pub rising: bool,
    /// What it is about.
    pub shape: Shape,
}

/// Hits that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// First point.
    pub start: usize,
    /// One past the last point.
    pub end: usize,
    /// The hits, strongest first.
    pub hits: Vec<Hit>,
}

/// Joins hits that overlap or are at most `gap` points apart, over all metrics. Groups come in time order.
pub fn merge(mut hits: Vec<Hit>, gap: usize) -> Vec<Group> {
    hits.sort_by_key(|h| (h.start, h.end, h.metric));
    let mut groups: Vec<Group> = vec![];
    for hit in hits {
        match groups.last_mut() {
            Some(g) if hit.start <= g.end + gap => {
                g.end = g.end.max(hit.end);
                g.hits.push(hit);
            }
            _ => groups.push(Group { start: hit.start, end: hit.end, hits: vec![hit] }),
        }
    }
    for group in &mut groups {
        group.hits.sort_by(|a, b| b.severity.total_cmp(&a.severity).then(a.metric.cmp(&b.metric)));
    }
    groups
}

/// The span within `start - slack .. end + slack` that stands out most from `normal`: that of the largest sum of deviations over the
/// square root of its length, which for a rectangle in noise is the rectangle (Kulldorff's scan statistic). Deviations against
/// the direction count against it. Returns the span given if nothing deviates.
pub fn sharpen(
    values: &[Option<f64>],
    normal: f64,
    rising: bool,
    start: usize,
    end: usize,
    slack: usize,
) -> (usize, usize) {
    // Bounds the quadratic search; a longer span is sharpened at each end.
    const MOST: usize = 600;
    let (from, to) = (start.saturating_sub(slack), (end + slack).min(values.len()));
    if from >= to {
        return (start, end);
    }
    if to - from > MOST {
        let half = MOST / 2;
        let left = sharpen(values, normal, rising, start, from + half - slack.min(half), slack).0;
        let right = sharpen(values, normal, rising, to.saturating_sub(half) + slack.min(half), end, slack).1;
        return if left < right { (left, right) } else { (start, end) };
    }
    let mut sums = vec![0.0];
    let mut sum = 0.0;
    for value in &values[from..to] {
        let deviation = value.map_or(0.0, |v| if rising { v - normal } else { normal - v });
        sum += deviation;
        sums.push(sum);
    }
    let (mut best, mut span) = (0.0, (start, end));
    for a in 0..sums.len() - 1 {
        for b in a + 1..sums.len() {
            let score = (sums[b] - sums[a]) / ((b - a) as f64).sqrt();
            if score > best * (1.0 + 1e-12) {
                (best, span) = (score, (from + a, from + b));
            }
        }
    }
    span
}

/// Probability that a window is not noise: that a process which alarms by chance `per_hour` times gives none this strong in `hours`.
pub fn confidence(per_hour: f64, hours: f64, tail: f64) -> f64 {
    (-per_hour * hours * tail.clamp(0.0, 1.0)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::rng::Rng;
    use proptest::prelude::*;

    fn hit(metric: usize, start: usize, end: usize, severity: f64) -> Hit {
        Hit { metric, start, end, severity, tail: 0.1, rising: true, shape: Shape::Shift }
    }

    #[test]
    fn neighbours_join_and_the_strongest_leads() {
        let groups =
            merge(vec![hit(2, 100, 120, 1.0), hit(0, 10, 20, 2.0), hit(1, 25, 40, 5.0), hit(0, 38, 44, 1.5)], 5);
        assert_eq!(groups.len(), 2);
        assert_eq!((groups[0].start, groups[0].end), (10, 44));
        assert_eq!(groups[0].hits.iter().map(|h| h.metric).collect::<Vec<_>>(), [1, 0, 0]);
        assert_eq!((groups[1].start, groups[1].end), (100, 120));
    }

    #[test]
    fn edges_are_sharp_in_noise() {
        let mut rng = Rng(1);
        for (a, b) in [(200, 250), (100, 103), (50, 950)] {
            let values: Vec<_> =
                (0..1_000).map(|i| Some(10.0 + rng.normal() + if (a..b).contains(&i) { 10.0 } else { 0.0 })).collect();
            let (x, y) = sharpen(&values, 10.0, true, a - 9, b + 12, 20);
            assert!(x.abs_diff(a) <= 1 && y.abs_diff(b) <= 1, "{a}..{b} became {x}..{y}");
        }
        let flat = vec![Some(1.0); 50];
        assert_eq!(sharpen(&flat, 1.0, true, 10, 20, 5), (10, 20));
    }

    #[test]
    fn confidence_falls_with_time_watched_and_rises_with_strength() {
        assert!(confidence(1.0, 0.05, 1.0) > 0.95);
        assert!(confidence(1.0, 10.0, 1.0) < 0.001);
        assert_eq!(confidence(1.0, 10.0, 0.0), 1.0);
    }

    proptest! {
        #[test]
        fn groups_are_apart_in_order_and_lose_nothing(
            spans in prop::collection::vec((0..500_usize, 1..30_usize), 0..40), gap in 0..20_usize,
        ) {
            let hits: Vec<_> = spans.iter().enumerate().map(|(i, (s, n))| hit(i, *s, s + n, 1.0)).collect();
            let groups = merge(hits, gap);
            prop_assert_eq!(groups.iter().map(|g| g.hits.len()).sum::<usize>(), spans.len());
            for pair in groups.windows(2) {
                prop_assert!(pair[0].end + gap < pair[1].start);
            }
            for group in &groups {
                prop_assert!(group.hits.iter().all(|h| group.start <= h.start && h.end <= group.end));
            }
        }
    }
}
