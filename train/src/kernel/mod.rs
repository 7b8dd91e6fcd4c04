//! Loss and gradient of the forecaster on the CPU, written for it: products by a tuned crate, everything between them in vectors, and
//! back-propagation through time by hand. `docs/adr/0008-training-on-burn.md` says why and what it gains.
//!
//! A batch is cut into blocks of [`BLOCK`] rows whatever the number of threads, and their results are added in order: the same batch
//! gives the same bits on one thread and on many.

mod block;
mod cell;
mod gemm;
mod shape;

pub(crate) use shape::Shape;

use block::{Prepared, Scratch};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Rows that are worked on together: enough for the products, few enough for what a step touches to stay in the second-level cache.
const BLOCK: usize = 64;

/// Huber's loss: half the square of a small error, linear beyond 1, so that a burst in the training data does not lead.
pub(crate) struct Loss;

impl Loss {
    #[inline(always)]
    fn value(error: f32) -> f32 {
        let size = error.abs();
        if size <= 1.0 { 0.5 * error * error } else { size - 0.5 }
    }

    #[inline(always)]
    fn slope(error: f32) -> f32 {
        error.clamp(-1.0, 1.0)
    }
}

/// Threads, and the room they work in, kept from batch to batch.
#[derive(Debug)]
pub(crate) struct Workers {
    threads: usize,
    free: Mutex<Vec<Scratch>>,
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scratch")
    }
}

impl Workers {
    pub(crate) fn new(threads: usize) -> Self {
        Self { threads: threads.max(1), free: Mutex::new(vec![]) }
    }

    /// How many.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Does `work` on each of `blocks`, on all threads; results in the order of the blocks.
    fn each<T: Send>(&self, blocks: usize, work: impl Fn(usize, &mut Scratch) -> T + Sync) -> Vec<T> {
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::with_capacity(blocks));
        let run = || {
            let mut scratch = held(&self.free).pop().unwrap_or_default();
            loop {
                let block = next.fetch_add(1, Ordering::Relaxed);
                if block >= blocks {
                    break;
                }
                let result = work(block, &mut scratch);
                held(&done).push((block, result));
            }
            held(&self.free).push(scratch);
        };
        std::thread::scope(|scope| {
            for _ in 1..self.threads.min(blocks) {
                scope.spawn(run);
            }
            run();
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(block, _)| *block);
        done.into_iter().map(|(_, result)| result).collect()
    }
}

/// Nothing that is locked here can be left half done.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A batch: windows `[rows, window, metrics]`, what followed each of their last rows, `[rows, steps, horizon * metrics]`, and whether that
/// is known, 1 or 0, `[rows, steps]`.
#[derive(Clone, Copy)]
pub(crate) struct Batch<'a> {
    pub(crate) windows: &'a [f32],
    pub(crate) targets: &'a [f32],
    pub(crate) known: &'a [f32],
}

impl<'a> Batch<'a> {
    fn rows(&self, shape: Shape) -> usize {
        self.known.len() / shape.steps
    }

    /// One by the numbers that are forecast and known.
    fn scale(&self, shape: Shape) -> f64 {
        let known: f64 = self.known.iter().map(|k| f64::from(*k)).sum();
        1.0 / (known * shape.outputs() as f64).max(1.0)
    }

    fn block(&self, shape: Shape, block: usize) -> (Self, usize) {
        let rows = (self.rows(shape) - block * BLOCK).min(BLOCK);
        let of = |all: &'a [f32], width: usize| &all[block * BLOCK * width..][..rows * width];
        let windows = of(self.windows, shape.window * shape.metrics);
        let targets = of(self.targets, shape.steps * shape.outputs());
        (Self { windows, targets, known: of(self.known, shape.steps) }, rows)
    }
}

/// Mean loss of a batch over all that is forecast and known.
pub(crate) fn loss(shape: Shape, batch: Batch<'_>, weights: &[f32], workers: &Workers) -> f64 {
    let prepared = Prepared::new(shape, weights);
    let blocks = batch.rows(shape).div_ceil(BLOCK);
    let sums = workers.each(blocks, |block, scratch| {
        let (part, rows) = batch.block(shape, block);
        block::loss(&prepared, part, rows, scratch)
    });
    sums.into_iter().sum::<f64>() * batch.scale(shape)
}

/// Mean loss of a batch, and its gradient by the weights.
pub(crate) fn loss_and_gradient(shape: Shape, batch: Batch<'_>, weights: &[f32], workers: &Workers) -> (f64, Vec<f32>) {
    let prepared = Prepared::new(shape, weights);
    let blocks = batch.rows(shape).div_ceil(BLOCK);
    let scale = batch.scale(shape);
    let parts = workers.each(blocks, |block, scratch| {
        let (part, rows) = batch.block(shape, block);
        let mut gradient = vec![0.0; weights.len()];
        let loss = block::loss_and_gradient(&prepared, part, rows, scale as f32, scratch, &mut gradient);
        (loss, gradient)
    });
    let mut total = (0.0, vec![0.0; weights.len()]);
    for (loss, gradient) in parts {
        total.0 += loss;
        total.1.iter_mut().zip(gradient).for_each(|(t, g)| *t += g);
    }
    (total.0 * scale, total.1)
}
