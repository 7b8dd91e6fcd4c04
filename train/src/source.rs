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
