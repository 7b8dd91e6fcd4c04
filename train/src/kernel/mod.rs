//! Loss and gradient of the forecaster on the CPU, written for it: products by a tuned crate,
//! everything between them in vectors, and back-propagation through time by hand.
//! `docs/adr/0008-training-on-burn.md` says why and what it gains.
//!
//! A batch is cut into blocks of [`BLOCK`] rows whatever the number of threads, and their results are added in order: the same batch
//! gives the same bits on one thread and on many.

mod batch;
mod block;
mod cell;
mod gemm;
mod loss;
mod shape;
mod workers;

pub(crate) use batch::Batch;
pub(crate) use shape::Shape;
pub(crate) use workers::Workers;

use batch::BLOCK;
use block::Prepared;

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
