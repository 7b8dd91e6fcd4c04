//! A batch of windows, and its cuts into blocks of rows.

use super::shape::Shape;

/// Rows that are worked on together: enough for the products, few enough for what a step touches to stay in the second-level cache.
pub(super) const BLOCK: usize = 64;

/// A batch: windows `[rows, window, metrics]`, what followed each of their last rows, `[rows, steps, horizon * metrics]`, and whether that
/// is known, 1 or 0, `[rows, steps]`. Of symbols both are their numbers, `[rows, window, 1]` and `[rows, steps, 1]`.
#[derive(Clone, Copy)]
pub(crate) struct Batch<'a> {
    pub(crate) windows: &'a [f32],
    pub(crate) targets: &'a [f32],
    pub(crate) known: &'a [f32],
}

impl<'a> Batch<'a> {
    /// Windows.
    pub(super) fn rows(&self, shape: Shape) -> usize {
        self.known.len() / shape.steps
    }

    /// One by the numbers that are forecast and known.
    pub(super) fn scale(&self, shape: Shape) -> f64 {
        let known: f64 = self.known.iter().map(|k| f64::from(*k)).sum();
        1.0 / (known * shape.targets() as f64).max(1.0)
    }

    /// The rows of one block, and how many.
    pub(super) fn block(&self, shape: Shape, block: usize) -> (Self, usize) {
        let rows = (self.rows(shape) - block * BLOCK).min(BLOCK);
        let of = |all: &'a [f32], width: usize| &all[block * BLOCK * width..][..rows * width];
        let windows = of(self.windows, shape.window * shape.metrics);
        let targets = of(self.targets, shape.steps * shape.targets());
        (Self { windows, targets, known: of(self.known, shape.steps) }, rows)
    }
}
