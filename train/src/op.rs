//! The kernel as an operation of Burn: registered with its dispatch, with a backward pass of its own, so that to Burn's automatic
//! differentiation and optimisers a network that uses it is like any other.
//!
//! Loss and gradient come from one pass over the batch, block by block, while what a block needs is still in the cache. The gradient waits
//! in the state of the node, and the backward pass only multiplies it by what comes from above.

use crate::kernel::{self, Batch, Shape, Workers};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Tensor, TensorData};
use std::sync::Arc;

/// Operations that only the CPU backend has.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait ForecastLoss: Backend {
    /// Mean loss of a batch, `[1]`.
    ///
    /// `windows` is `[rows, window, metrics]`, `targets` `[rows, steps, horizon * metrics]`, `known` `[rows, steps]`, `weights` one
    /// vector as [`Shape`] has it.
    fn forecast_loss(
        windows: FloatTensor<Self>,
        targets: FloatTensor<Self>,
        known: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        shape: Shape,
        workers: Arc<Workers>,
    ) -> FloatTensor<Self>;
}

type FlexTensor = FloatTensor<Flex>;

/// Calls `with` on the values of windows, targets, known and weights.
fn values<T>(tensors: [&FlexTensor; 4], with: impl FnOnce(Batch<'_>, &[f32]) -> T) -> T {
    let tensors = tensors.map(|t| t.to_contiguous());
    let [windows, targets, known, weights] = tensors.each_ref().map(|t| t.as_slice::<f32>().unwrap_or_default());
    with(Batch { windows, targets, known }, weights)
}

fn vector(values: Vec<f32>) -> FlexTensor {
    let n = values.len();
    FlexTensor::from_data(TensorData::new(values, [n]))
}

impl ForecastLoss for Flex {
    fn forecast_loss(
        windows: FlexTensor,
        targets: FlexTensor,
        known: FlexTensor,
        weights: FlexTensor,
        shape: Shape,
        workers: Arc<Workers>,
    ) -> FlexTensor {
        values([&windows, &targets, &known, &weights], |batch, weights| {
            vector(vec![kernel::loss(shape, batch, weights, &workers) as f32])
        })
    }
}

/// The way back; its state is the gradient by the weights.
#[derive(Debug)]
struct Ready;

impl Backward<Flex, 1> for Ready {
    type State = FlexTensor;

    fn backward(self, ops: Ops<FlexTensor, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let above = grads.consume::<Flex>(&ops.node);
        let [weights] = ops.parents;
        if let Some(node) = weights {
            grads.register::<Flex>(node.id, Flex::float_mul(ops.state, above));
        }
    }
}

impl<C: CheckpointStrategy> ForecastLoss for Autodiff<Flex, C> {
    fn forecast_loss(
        windows: FloatTensor<Self>,
        targets: FloatTensor<Self>,
        known: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        shape: Shape,
        workers: Arc<Workers>,
    ) -> FloatTensor<Self> {
        let (weights, node) = weights.into_parts();
        let tensors = [windows.primitive(), targets.primitive(), known.primitive(), &weights];
        match Ready.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (loss, gradient) =
                    values(tensors, |batch, weights| kernel::loss_and_gradient(shape, batch, weights, &workers));
                prep.finish(vector(gradient), vector(vec![loss as f32]))
            }
            OpsKind::UnTracked(prep) => {
                let loss = values(tensors, |batch, weights| kernel::loss(shape, batch, weights, &workers));
                prep.finish(vector(vec![loss as f32]))
            }
        }
    }
}

/// Mean loss of a batch on the CPU, `[1]`; see [`ForecastLoss::forecast_loss`].
pub(crate) fn forecast_loss(
    windows: Tensor<3>,
    targets: Tensor<3>,
    known: Tensor<2>,
    weights: Tensor<1>,
    shape: Shape,
    workers: &Arc<Workers>,
) -> Tensor<1> {
    Tensor::from_dispatch(<Dispatch as ForecastLoss>::forecast_loss(
        windows.into_dispatch(),
        targets.into_dispatch(),
        known.into_dispatch(),
        weights.into_dispatch(),
        shape,
        Arc::clone(workers),
    ))
}
