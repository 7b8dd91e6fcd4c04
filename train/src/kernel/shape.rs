//! The sizes of a forecaster, and where each matrix lies in its one vector of weights.
//!
//! A forecaster of symbols sees one of so many at a time. What the lowest layer's gates get of each is a row of a table, in the place of a
//! product: the table is `w_ih` for inputs that are 1 in one place and 0 elsewhere. The head says how likely each symbol is next.
//!
//! One vector, as cuDNN has it: the optimiser steps once, a gradient is clipped by the norm of all of it, and a product of a layer takes
//! input and state at once. The table, by layer, then the head:
//!
//! ```text
//! [symbols, 4 * hidden]          of a forecaster of symbols, whose lowest layer has an input of 0 beside it
//! [4 * hidden, input + hidden]   w_ih and w_hh side by side, gates in the order i, f, g, o
//! [4 * hidden]                   bias: PyTorch's b_ih and b_hh added
//! ...
//! [horizon * metrics, hidden]    head; [symbols, hidden] of symbols
//! [horizon * metrics]
//! ```

use osd_detect::rng::Rng;
use osd_lstm::{Layer, Lstm, Unfit};
use std::ops::Range;

/// Sizes of a forecaster and of the windows it learns from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Columns of the series; 1 of symbols, which are given by their numbers.
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
    /// Different symbols; 0 of metrics.
    pub(crate) symbols: usize,
}

impl Shape {
    /// Width of what comes into a layer.
    pub(crate) fn input(&self, layer: usize) -> usize {
        match layer {
            0 if self.symbols > 0 => 0,
            0 => self.metrics,
            _ => self.hidden,
        }
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
        if self.symbols > 0 { self.symbols } else { self.horizon * self.metrics }
    }

    /// Numbers that a forecast is judged by: as many as it has, or the one of the symbol that came.
    pub(crate) fn targets(&self) -> usize {
        if self.symbols > 0 { 1 } else { self.outputs() }
    }

    /// The table of symbols; empty without.
    pub(crate) fn table(&self) -> Range<usize> {
        0..self.symbols * self.gates()
    }

    /// A layer's matrix, then its bias.
    pub(crate) fn layer(&self, layer: usize) -> (Range<usize>, Range<usize>) {
        let below = (0..layer).map(|l| self.gates() * (self.joined(l) + 1)).sum::<usize>();
        let start = self.table().end + below;
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
        // PyTorch's matrix has a column a symbol.
        let table = |weights: &[f32]| {
            let column = |row: usize| (0..self.symbols).map(move |s| weights[s * self.gates() + row]);
            (0..self.gates()).flat_map(column).collect::<Vec<f32>>()
        };
        let layer = |l: usize| {
            let (matrix, bias) = self.layer(l);
            let rows = weights[matrix].chunks_exact(self.joined(l));
            let split: Vec<_> = rows.map(|row| row.split_at(self.input(l))).collect();
            Layer {
                input: if l == 0 { self.symbols.max(self.metrics) } else { self.hidden },
                hidden: self.hidden,
                w_ih: match l {
                    0 if self.symbols > 0 => table(weights),
                    _ => split.iter().flat_map(|(ih, _)| ih.iter().copied()).collect(),
                },
                w_hh: split.iter().flat_map(|(_, hh)| hh.iter().copied()).collect(),
                b_ih: weights[bias].to_vec(),
                b_hh: vec![0.0; self.gates()],
            }
        };
        let (matrix, bias) = self.head();
        let (matrix, bias) = (weights[matrix].to_vec(), weights[bias].to_vec());
        Lstm::new((0..self.layers).map(layer).collect(), matrix, bias, self.symbols.max(self.metrics), self.horizon)
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
