//! The sizes of a forecaster, and where each matrix lies in its one vector of weights.
//!
//! One vector, as cuDNN has it: the optimiser steps once, a gradient is clipped by the norm of all of it, and a product of a layer takes
//! input and state at once. By layer, then the head:
//!
//! ```text
//! [4 * hidden, input + hidden]   w_ih and w_hh side by side, gates in the order i, f, g, o
//! [4 * hidden]                   bias: PyTorch's b_ih and b_hh added
//! ...
//! [horizon * metrics, hidden]    head
//! [horizon * metrics]
//! ```

use osd_detect::rng::Rng;
use osd_lstm::{Layer, Lstm, Unfit};
use std::ops::Range;

/// Sizes of a forecaster and of the windows it learns from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Columns of the series.
    pub(crate) metrics: usize,
    /// Units of each layer.
    pub(crate) hidden: usize,
    /// Layers.
    pub(crate) layers: usize,
    /// Rows of a window.
    pub(crate) window: usize,
    /// Forecasts of a window that count: those after its last `steps` rows. The rows before only warm the state.
    pub(crate) steps: usize,
    /// Rows forecast.
    pub(crate) horizon: usize,
}

impl Shape {
    /// Width of what comes into a layer.
    pub(crate) fn input(&self, layer: usize) -> usize {
        if layer == 0 { self.metrics } else { self.hidden }
    }

    /// Width of what a layer multiplies: its input and its own state.
    pub(crate) fn joined(&self, layer: usize) -> usize {
        self.input(layer) + self.hidden
    }

    /// Gates of a layer, all four.
    pub(crate) fn gates(&self) -> usize {
        4 * self.hidden
    }

    /// Numbers of a forecast.
    pub(crate) fn outputs(&self) -> usize {
        self.horizon * self.metrics
    }

    /// A layer's matrix, then its bias.
    pub(crate) fn layer(&self, layer: usize) -> (Range<usize>, Range<usize>) {
        let start = (0..layer).map(|l| self.gates() * (self.joined(l) + 1)).sum::<usize>();
        let middle = start + self.gates() * self.joined(layer);
        (start..middle, middle..middle + self.gates())
    }

    /// The head's matrix, then its bias.
    pub(crate) fn head(&self) -> (Range<usize>, Range<usize>) {
        let start = self.layer(self.layers - 1).1.end;
        let middle = start + self.outputs() * self.hidden;
        (start..middle, middle..middle + self.outputs())
    }

    /// All weights.
    pub(crate) fn weights(&self) -> usize {
        self.head().1.end
    }

    /// Weights in PyTorch's layout.
    ///
    /// # Errors
    /// [`Unfit`] if one is not finite.
    pub(crate) fn to_lstm(self, weights: &[f32]) -> Result<Lstm, Unfit> {
        let layer = |l: usize| {
            let (matrix, bias) = self.layer(l);
            let rows = weights[matrix].chunks_exact(self.joined(l));
            let split: Vec<_> = rows.map(|row| row.split_at(self.input(l))).collect();
            Layer {
                input: self.input(l),
                hidden: self.hidden,
                w_ih: split.iter().flat_map(|(ih, _)| ih.iter().copied()).collect(),
                w_hh: split.iter().flat_map(|(_, hh)| hh.iter().copied()).collect(),
                b_ih: weights[bias].to_vec(),
                b_hh: vec![0.0; self.gates()],
            }
        };
        let (matrix, bias) = self.head();
        let (matrix, bias) = (weights[matrix].to_vec(), weights[bias].to_vec());
        Lstm::new((0..self.layers).map(layer).collect(), matrix, bias, self.metrics, self.horizon)
    }

    /// Fresh weights: uniform within ±1/√hidden, as PyTorch's, with the forget gates' bias raised by one so that a state is kept until
    /// the layer knows better (Jozefowicz et al., ICML 2015).
    pub(crate) fn initial(&self, rng: &mut Rng) -> Vec<f32> {
        let bound = 1.0 / (self.hidden as f64).sqrt();
        let mut weights: Vec<f32> = (0..self.weights()).map(|_| ((2.0 * rng.unit() - 1.0) * bound) as f32).collect();
        for layer in 0..self.layers {
            let start = self.layer(layer).1.start + self.hidden;
            weights[start..start + self.hidden].iter_mut().for_each(|b| *b += 1.0);
        }
        weights
    }
}
