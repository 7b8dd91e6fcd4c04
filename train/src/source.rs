//! What training takes its batches from.

use osd_detect::rng::Rng;
use std::ops::Range;

/// Values of some windows, `[rows, window, metrics]`; of what follows each of their last rows, `[rows, steps, horizon * metrics]`; and 1
/// where all of that is valid, else 0, `[rows, steps]`.
#[derive(Default)]
pub(crate) struct Values {
    pub(crate) windows: Vec<f32>,
    pub(crate) targets: Vec<f32>,
    pub(crate) known: Vec<f32>,
}

/// Keeps at most `most` of the windows that begin there, evenly spread.
pub(crate) fn thin<T: Copy>(starts: &mut Vec<T>, most: usize) {
    let n = starts.len();
    if n > most {
        *starts = (0..most).map(|i| starts[i * n / most]).collect();
    }
}

/// Puts `first` of them, drawn at random, at the front in random order. How many these are.
pub(crate) fn draw<T>(starts: &mut [T], first: usize, rng: &mut Rng) -> usize {
    let n = starts.len();
    for i in 0..first.min(n) {
        starts.swap(i, i + rng.below(n - i));
    }
    first.min(n)
}

/// Windows of whatever is learnt from.
pub(crate) trait Source: Sync {
    /// How many there are.
    fn len(&self) -> usize;

    /// Puts `first` of them, drawn at random, at the front in random order: those of a pass. How many these are.
    fn shuffle(&mut self, first: usize, rng: &mut Rng) -> usize;

    /// Some windows, with what follows.
    fn batch(&self, which: Range<usize>) -> Values;

    /// Changes what a model sees in training, so that it learns to do without.
    fn disturb(&self, values: &mut Values, rng: &mut Rng);
}
