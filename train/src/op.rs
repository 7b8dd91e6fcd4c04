//! The kernel as an operation of Burn: registered with its dispatch, with a backward pass of its
//! own, so that to Burn's automatic differentiation and optimisers a network that uses it is like
//! any other.
//!
//! Loss and gradient come from one pass over the batch: on the CPU block by block, while what a block needs is still in the cache, on a GPU
//! in a dozen launches. The gradient waits in the state of the node, and the backward pass only multiplies it by what comes from above.

#[cfg(feature = "wgpu")]
use crate::gpu;
use crate::kernel::{self, Batch, Shape, Workers};
#[cfg(feature = "wgpu")]
use burn::backend::Cube;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Device, Tensor, TensorData};
use std::sync::Arc;

/// Operations that osd has of its own. `workers` are for the CPU.
#[backend_extension(Flex, Cube: cfg(feature = "wgpu"), Autodiff)]
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

/// The same with the gradient by the weights, which is as long as they are.
trait Descent: ForecastLoss {
    fn loss_and_gradient(
        batch: [FloatTensor<Self>; 4],
        shape: Shape,
        workers: &Workers,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

type FlexTensor = FloatTensor<Flex>;

/// Calls `with` on the values of windows, targets, known and weights.
fn values<T>(tensors: &[FlexTensor; 4], with: impl FnOnce(Batch<'_>, &[f32]) -> T) -> T {
    let tensors = tensors.each_ref().map(|t| t.to_contiguous());
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
        values(&[windows, targets, known, weights], |batch, weights| {
            vector(vec![kernel::loss(shape, batch, weights, &workers) as f32])
        })
    }
}

impl Descent for Flex {
    fn loss_and_gradient(batch: [FlexTensor; 4], shape: Shape, workers: &Workers) -> (FlexTensor, FlexTensor) {
        values(&batch, |batch, weights| {
            let (loss, gradient) = kernel::loss_and_gradient(shape, batch, weights, workers);
            (vector(vec![loss as f32]), vector(gradient))
        })
    }
}

#[cfg(feature = "wgpu")]
impl ForecastLoss for Cube {
    fn forecast_loss(
        windows: FloatTensor<Self>,
        targets: FloatTensor<Self>,
        known: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        shape: Shape,
        _: Arc<Workers>,
    ) -> FloatTensor<Self> {
        gpu::loss([windows, targets, known, weights], shape)
    }
}

#[cfg(feature = "wgpu")]
impl Descent for Cube {
    fn loss_and_gradient(
        batch: [FloatTensor<Self>; 4],
        shape: Shape,
        _: &Workers,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        gpu::loss_and_gradient(batch, shape)
    }
}

/// The way back; its state is the gradient by the weights.
#[derive(Debug)]
struct Ready;

impl<B: Backend> Backward<B, 1> for Ready {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<FloatTensor<B>, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let above = grads.consume::<B>(&ops.node);
        let [weights] = ops.parents;
        if let Some(node) = weights {
            grads.register::<B>(node.id, B::float_mul(ops.state, above));
        }
    }
}

impl<B: Descent, C: CheckpointStrategy> ForecastLoss for Autodiff<B, C> {
    fn forecast_loss(
        windows: FloatTensor<Self>,
        targets: FloatTensor<Self>,
        known: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        shape: Shape,
        workers: Arc<Workers>,
    ) -> FloatTensor<Self> {
        let (weights, node) = weights.into_parts();
        let [windows, targets, known] = [windows, targets, known].map(|t| t.into_parts().0);
        match Ready.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (loss, gradient) = B::loss_and_gradient([windows, targets, known, weights], shape, &workers);
                prep.finish(gradient, loss)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::forecast_loss(windows, targets, known, weights, shape, workers)),
        }
    }
}

/// Whether a device has the operation for a shape: a GPU may lack room for a very large one.
#[cfg(feature = "wgpu")]
pub(crate) fn fits(device: &Device, shape: Shape) -> bool {
    gpu::fits(device, shape)
}

#[cfg(not(feature = "wgpu"))]
pub(crate) fn fits(_: &Device, _: Shape) -> bool {
    true
}

/// Mean loss of a batch, `[1]`; see [`ForecastLoss::forecast_loss`].
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
