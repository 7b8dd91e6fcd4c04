//! Streams of symbols side by side: a step of the forward pass for several at once, each from the
//! state that it is in.

use super::{Forecaster, Packed, Step};

impl Forecaster {
    /// The first layer's product with each row that is 1 in one place, bias added, by the place.
    pub(crate) fn table(&self) -> Vec<f32> {
        let n = self.metrics;
        let rows: Vec<f32> = (0..n * n).map(|i| f32::from(u8::from(i / n == i % n))).collect();
        let mut out = vec![0.0; n * 4 * self.layers[0].units];
        self.project(&rows, &mut out);
        out
    }
}

/// Where several streams of symbols are, side by side.
pub(crate) struct Side {
    /// Of each layer: outputs, and the buffer for the next; `rows x units`.
    outputs: Vec<[Vec<f32>; 2]>,
    states: Vec<Vec<f32>>,
}

impl Side {
    /// So many streams before their first row.
    pub(crate) fn new(forecaster: &Forecaster, rows: usize) -> Self {
        let zeros = |l: &Packed| vec![0.0; rows * l.units];
        Self {
            outputs: forecaster.layers.iter().map(|l| [zeros(l), zeros(l)]).collect(),
            states: forecaster.layers.iter().map(zeros).collect(),
        }
    }

    /// Takes the next symbol of each of the first streams, as the places of `table` ([`Forecaster::table`]).
    pub(crate) fn step(&mut self, forecaster: &Forecaster, table: &[f32], symbols: &[usize]) {
        let rows = symbols.len();
        let at: Vec<usize> = symbols.iter().map(|s| s * 4 * forecaster.layers[0].units).collect();
        let from_bias = vec![0; rows];
        for (l, layer) in forecaster.layers.iter().enumerate() {
            let (lower, upper) = self.outputs.split_at_mut(l);
            let [old, new] = &mut upper[0];
            let below = lower.last().map(|[_, new]| (new.as_slice(), forecaster.layers[l - 1].units));
            let (init, init_at) = if l == 0 { (table, &at) } else { (layer.bias.as_slice(), &from_bias) };
            forecaster.step(Step { layer, rows, init, init_at, below, old, new, state: &mut self.states[l] });
        }
        self.outputs.iter_mut().for_each(|[old, new]| std::mem::swap(old, new));
    }

    /// Bits of surprise that `symbol` comes next in stream `row`. `scores` is room for one forecast.
    pub(crate) fn bits(&self, forecaster: &Forecaster, row: usize, symbol: usize, scores: &mut [f32]) -> f32 {
        let (Some([done, _]), Some(last)) = (self.outputs.last(), forecaster.layers.last()) else { return 0.0 };
        forecaster.head(&done[row * last.units..][..last.hidden], scores);
        let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = scores.iter().map(|s| (s - largest).exp()).sum();
        (sum.ln() + largest - scores[symbol]) * std::f32::consts::LOG2_E
    }
}
