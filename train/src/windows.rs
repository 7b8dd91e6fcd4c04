//! Windows of segments: which there are, and batches of them.

use crate::kernel::Shape;
use crate::source::{self, Source, Values};
use osd_detect::rng::Rng;
use osd_lstm::Segment;
use std::ops::Range;

/// All windows of some segments, by segment and first row.
pub(crate) struct Windows<'a> {
    segments: &'a [Segment],
    shape: Shape,
    metrics: usize,
    window: usize,
    steps: usize,
    horizon: usize,
    starts: Vec<(usize, usize)>,
}

impl<'a> Windows<'a> {
    /// Those whose next `horizon` rows are valid; none reaches from one segment into another.
    pub(crate) fn new(segments: &'a [Segment], shape: Shape) -> Self {
        let Shape { metrics, window, steps, horizon, .. } = shape;
        let of = |(i, segment): (usize, &'a Segment)| segment.windows(window, horizon).map(move |from| (i, from));
        let starts = segments.iter().enumerate().flat_map(of).collect();
        Self { segments, shape, metrics, window, steps, horizon, starts }
    }

    /// Keeps at most `most`, evenly spread.
    pub(crate) fn thin(&mut self, most: usize) {
        source::thin(&mut self.starts, most);
    }
}

impl Source for Windows<'_> {
    fn len(&self) -> usize {
        self.starts.len()
    }

    fn shuffle(&mut self, first: usize, rng: &mut Rng) -> usize {
        source::draw(&mut self.starts, first, rng)
    }

    fn batch(&self, which: Range<usize>) -> Values {
        let mut out = Values::default();
        for (segment, from) in &self.starts[which] {
            let segment = &self.segments[*segment];
            let values = |rows: Range<usize>| &segment.values[rows.start * self.metrics..rows.end * self.metrics];
            let end = from + self.window;
            out.windows.extend_from_slice(values(*from..end));
            for next in end + 1 - self.steps..=end {
                let rows = next..next + self.horizon;
                out.targets.extend_from_slice(values(rows.clone()));
                out.known.push(f32::from(u8::from(segment.valid[rows].iter().all(|v| *v))));
            }
        }
        out
    }

    fn disturb(&self, values: &mut Values, rng: &mut Rng) {
        values.disturb(self.shape, rng);
    }
}

impl Values {
    /// Disturbs some of the windows, as an anomaly would: over a span of rows some metrics are off by a constant. What followed stays what
    /// it was, so the model learns to forecast what is normal whatever is going on, and to find its way back at once.
    pub(crate) fn disturb(&mut self, shape: Shape, rng: &mut Rng) {
        let Shape { metrics, window, .. } = shape;
        for values in self.windows.chunks_exact_mut(window * metrics) {
            if rng.unit() >= DISTURBED {
                continue;
            }
            let (from, length) = (rng.below(window), 1 + rng.below(window * 2 / 3 + 1));
            let one = rng.below(metrics);
            for metric in 0..metrics {
                let (chosen, size, up) = (rng.unit() < 0.3 || metric == one, rng.unit(), rng.unit() < 0.75);
                if !chosen {
                    continue;
                }
                // Added before scaling, which is by asinh: what is large hides what is small.
                let by = ((LARGEST * size * size) as f32).sinh() * if up { 1.0 } else { -1.0 };
                let rows = values.chunks_exact_mut(metrics).skip(from).take(length);
                rows.for_each(|row| row[metric] = (row[metric].sinh() + by).asinh());
            }
        }
    }
}

/// Share of the windows that are disturbed.
const DISTURBED: f64 = 0.5;
/// By how much at most, in scaled units: a thousandfold burst, or so. Small ones are more frequent.
const LARGEST: f64 = 8.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows `[k, 100 k]`, from `from` on.
    fn segment(from: usize, rows: usize) -> Segment {
        let values = (from..from + rows).flat_map(|k| [k as f32, 100.0 * k as f32]).collect();
        Segment { values, valid: vec![true; rows] }
    }

    #[test]
    fn disturbed_windows_are_off_over_a_span_and_what_followed_stays() {
        let values = (0..400).map(|i| (i as f32 / 7.0).sin()).collect();
        let segments = [Segment { values, valid: vec![true; 200] }];
        let shape = Shape { metrics: 2, hidden: 1, layers: 1, window: 20, steps: 16, horizon: 1, symbols: 0 };
        let windows = Windows::new(&segments, shape);
        let (before, mut after) = (windows.batch(0..100), windows.batch(0..100));
        after.disturb(shape, &mut Rng(1));
        assert_eq!((&before.targets, &before.known), (&after.targets, &after.known));
        let changed = |(a, b): (&[f32], &[f32])| a != b;
        let n = before.windows.chunks_exact(40).zip(after.windows.chunks_exact(40)).filter(|w| changed(*w)).count();
        assert!((25..=60).contains(&n), "about half, less those whose disturbance is too small for what is there: {n}");
        assert!(after.windows.iter().all(|v| v.is_finite()));
    }

    #[test]
    fn no_window_reaches_into_another_segment_or_onto_a_masked_row() {
        let mut segments = [segment(0, 10), segment(50, 10), segment(90, 3)];
        segments[1].valid[7] = false;
        let shape = Shape { metrics: 2, hidden: 1, layers: 1, window: 4, steps: 2, horizon: 1, symbols: 0 };
        let mut windows = Windows::new(&segments, shape);
        assert_eq!(windows.len(), 6 + 5);
        windows.shuffle(11, &mut Rng(3));
        let values = windows.batch(0..11);
        let followed = values.targets.chunks_exact(4).zip(values.known.chunks_exact(2));
        for (window, (targets, known)) in values.windows.chunks_exact(8).zip(followed) {
            let firsts: Vec<f32> = window.iter().step_by(2).copied().collect();
            assert!(firsts.windows(2).all(|w| w[1] == w[0] + 1.0), "{firsts:?}");
            let next = [firsts[3], firsts[3] + 1.0];
            assert_eq!(targets, [next[0], 100.0 * next[0], next[1], 100.0 * next[1]]);
            assert_eq!(known, next.map(|k| f32::from(u8::from(k != 57.0))));
            assert_eq!(known[1], 1.0, "what a window is for is known");
        }
        let mut again: Vec<_> = windows.starts.clone();
        again.sort_unstable();
        again.dedup();
        assert_eq!(again.len(), 11, "shuffling loses none");
        windows.thin(4);
        assert_eq!(windows.len(), 4);
    }
}
