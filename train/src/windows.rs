//! Windows of segments: which there are, and batches of them.

use osd_detect::lstm::Segment;
use osd_detect::rng::Rng;

/// All windows of some segments, by segment and first row.
pub(crate) struct Windows<'a> {
    segments: &'a [Segment],
    metrics: usize,
    window: usize,
    horizon: usize,
    starts: Vec<(usize, usize)>,
}

impl<'a> Windows<'a> {
    /// Those whose next `horizon` rows are valid; none reaches from one segment into another.
    pub(crate) fn new(segments: &'a [Segment], metrics: usize, window: usize, horizon: usize) -> Self {
        let of = |(i, segment): (usize, &'a Segment)| segment.windows(window, horizon).map(move |from| (i, from));
        let starts = segments.iter().enumerate().flat_map(of).collect();
        Self { segments, metrics, window, horizon, starts }
    }

    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    /// Keeps at most `most`, evenly spread.
    pub(crate) fn thin(&mut self, most: usize) {
        let n = self.starts.len();
        if n > most {
            self.starts = (0..most).map(|i| self.starts[i * n / most]).collect();
        }
    }

    /// Puts `first` of them, drawn at random, at the front in random order.
    pub(crate) fn shuffle(&mut self, first: usize, rng: &mut Rng) {
        let n = self.starts.len();
        for i in 0..first.min(n) {
            self.starts.swap(i, i + rng.below(n - i));
        }
    }

    /// Values of some windows, `[rows, window, metrics]`, and of what follows each, `[rows, horizon * metrics]`.
    pub(crate) fn batch(&self, which: std::ops::Range<usize>) -> (Vec<f32>, Vec<f32>) {
        let (mut windows, mut targets) = (vec![], vec![]);
        for (segment, from) in &self.starts[which] {
            let values = &self.segments[*segment].values[from * self.metrics..];
            let (window, rest) = values.split_at(self.window * self.metrics);
            windows.extend_from_slice(window);
            targets.extend_from_slice(&rest[..self.horizon * self.metrics]);
        }
        (windows, targets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows `[k, 100 k]`, from `from` on.
    fn segment(from: usize, rows: usize) -> Segment {
        let values = (from..from + rows).flat_map(|k| [k as f32, 100.0 * k as f32]).collect();
        Segment { values, valid: vec![true; rows] }
    }

    #[test]
    fn no_window_reaches_into_another_segment_or_onto_a_masked_row() {
        let mut segments = [segment(0, 10), segment(50, 10), segment(90, 3)];
        segments[1].valid[7] = false;
        let mut windows = Windows::new(&segments, 2, 4, 1);
        assert_eq!(windows.len(), 6 + 5);
        windows.shuffle(11, &mut Rng(3));
        let (values, targets) = windows.batch(0..11);
        for (window, target) in values.chunks_exact(8).zip(targets.chunks_exact(2)) {
            let firsts: Vec<f32> = window.iter().step_by(2).copied().collect();
            assert!(firsts.windows(2).all(|w| w[1] == w[0] + 1.0), "{firsts:?}");
            assert!(target[0] == firsts[3] + 1.0 && target[1] == 100.0 * target[0] && target[0] != 57.0, "{target:?}");
        }
        let mut again: Vec<_> = windows.starts.clone();
        again.sort_unstable();
        again.dedup();
        assert_eq!(again.len(), 11, "shuffling loses none");
        windows.thin(4);
        assert_eq!(windows.len(), 4);
    }
}
