//! The forecaster as a module of Burn: one vector of weights, and two ways from it to a loss.
//!
//! The loss is osd's own operation ([`crate::op`]). For a model too large for that on a GPU, and as what the operation is tested against,
//! it is built of Burn's stock `nn::Lstm` and `nn::Linear`, whose matrices are slices of the same vector.

use crate::kernel::{Shape, Workers};
use crate::op;
use burn::module::{Module, Param, ParamId};
use burn::nn::{GateController, Linear, Lstm, LstmConfig};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};
use std::sync::Arc;

/// A batch as tensors: windows `[rows, window, metrics]`, targets `[rows, steps, horizon * metrics]`, and 1 where they are known,
/// `[rows, steps]`.
#[derive(Clone, Debug)]
pub(crate) struct Tensors {
    pub(crate) windows: Tensor<3>,
    pub(crate) targets: Tensor<3>,
    pub(crate) known: Tensor<2>,
}

/// The weights, all of them.
#[derive(Module, Debug)]
pub(crate) struct Network {
    weights: Param<Tensor<1>>,
}

impl Network {
    pub(crate) fn new(weights: Vec<f32>, device: &Device) -> Self {
        let n = weights.len();
        Self { weights: Param::from_data(TensorData::new(weights, [n]), device) }
    }

    /// The same weights, where nothing is recorded for a way back.
    pub(crate) fn plain(&self) -> Self {
        Self { weights: Param::initialized(self.weights.id, self.weights.val().inner()) }
    }

    /// The weights, off the device.
    pub(crate) fn weights(&self) -> Vec<f32> {
        self.weights.val().into_data().iter::<f32>().collect()
    }

    /// Of the one parameter.
    #[cfg(test)]
    pub(crate) fn id(&self) -> ParamId {
        self.weights.id
    }

    /// Mean loss of a batch by osd's operation: `[1]`.
    pub(crate) fn fused_loss(&self, batch: Tensors, shape: Shape, workers: &Arc<Workers>) -> Tensor<1> {
        op::forecast_loss(batch.windows, batch.targets, batch.known, self.weights.val(), shape, workers)
    }

    /// The same by Burn's own layers, for any device.
    pub(crate) fn stock_loss(&self, batch: Tensors, shape: Shape) -> Tensor<1> {
        if shape.symbols > 0 {
            return self.stock_symbol_loss(batch, shape);
        }
        let error = self.stock_forecast(batch.windows, shape) - batch.targets;
        // Huber's loss without a branch: with s = min(|e|, 1), s (|e| - s / 2).
        let size = error.abs();
        let small = size.clone().clamp_max(1.0);
        let loss = small.clone() * (size - small.mul_scalar(0.5));
        let known = batch.known.unsqueeze_dim::<3>(2);
        (loss * known.clone()).sum() / known.sum().mul_scalar(shape.outputs() as f32)
    }

    /// Mean surprise in nats at the symbols that came. Their numbers become rows that are 1 in one place.
    fn stock_symbol_loss(&self, batch: Tensors, shape: Shape) -> Tensor<1> {
        let seen = batch.windows.squeeze_dim::<2>(2).int().one_hot::<3>(shape.symbols).float();
        let came = batch.targets.squeeze_dim::<2>(2).int().one_hot::<3>(shape.symbols).float();
        let likely = log_softmax(self.stock_forecast(seen, shape), 2);
        let known = batch.known.unsqueeze_dim::<3>(2);
        (likely * came * known.clone()).sum().neg() / known.sum()
    }

    /// Forecasts `[rows, steps, horizon * metrics]` by Burn's own layers.
    fn stock_forecast(&self, windows: Tensor<3>, shape: Shape) -> Tensor<3> {
        let weights = self.weights.val();
        let mut state = windows;
        for layer in 0..shape.layers {
            state = stock_layer(&weights, shape, layer).forward(state, None).0;
        }
        let [rows, window, hidden] = state.dims();
        let said = state.slice([0..rows, window - shape.steps..window, 0..hidden]);
        let (matrix, bias) = shape.head();
        let matrix = weights.clone().slice(matrix).reshape([shape.outputs(), hidden]);
        let bias = weights.slice(bias).reshape([1, 1, shape.outputs()]);
        said.matmul(matrix.transpose().unsqueeze::<3>()) + bias
    }
}

/// Burn's LSTM with slices of the weights for matrices.
fn stock_layer(weights: &Tensor<1>, shape: Shape, layer: usize) -> Lstm {
    let (matrix, bias) = shape.layer(layer);
    let (input, hidden, joined) = (shape.input(layer), shape.hidden, shape.joined(layer));
    let matrix = weights.clone().slice(matrix).reshape([shape.gates(), joined]);
    let table = (layer == 0 && shape.symbols > 0)
        .then(|| weights.clone().slice(shape.table()).reshape([shape.symbols, shape.gates()]));
    let bias = weights.clone().slice(bias);
    // Not a parameter of its own: the gradient flows through to the vector.
    let view = |tensor: Tensor<2>| Param::initialized(ParamId::new(), tensor);
    let gate = |k: usize| {
        let rows = k * hidden..(k + 1) * hidden;
        let bias = Param::initialized(ParamId::new(), bias.clone().slice(rows.clone()));
        let below = table.clone().map(|t| t.slice([0..shape.symbols, rows.clone()]));
        let rows = matrix.clone().slice([rows, 0..joined]).transpose();
        let below = below.unwrap_or_else(|| rows.clone().slice([0..input, 0..hidden]));
        GateController {
            input_transform: Linear { weight: view(below), bias: Some(bias) },
            hidden_transform: Linear { weight: view(rows.slice([input..joined, 0..hidden])), bias: None },
        }
    };
    let mut lstm = LstmConfig::new(1, 1, false).init(&weights.device());
    lstm.d_hidden = hidden;
    (lstm.input_gate, lstm.forget_gate, lstm.cell_gate, lstm.output_gate) = (gate(0), Some(gate(1)), gate(2), gate(3));
    lstm
}
