//! Some rows of a batch, from windows to loss and back to the gradient: what one thread does at a
//! time.
//!
//! Time-major: step `t` of all rows lies together, so that each step is one product of everything that a layer sees, input and state side
//! by side, with its one matrix. On the way back each step is one product too, and the gradient of a layer's matrix is a single one over
//! all steps at the end.

use super::batch::Batch;
use super::cell::{self, Backward, Forward};
use super::gemm::{View, product};
use super::loss::{self, Loss};
use super::shape::Shape;

/// Weights as the products want them.
pub(crate) struct Prepared<'a> {
    pub(crate) shape: Shape,
    pub(crate) weights: &'a [f32],
    /// By layer, `[input + hidden, 4 * hidden]`.
    transposed: Vec<Vec<f32>>,
}

impl<'a> Prepared<'a> {
    pub(crate) fn new(shape: Shape, weights: &'a [f32]) -> Self {
        let transpose = |layer: usize| {
            let (rows, columns) = (shape.gates(), shape.joined(layer));
            let mut out = vec![0.0; rows * columns];
            for (r, row) in weights[shape.layer(layer).0].chunks_exact(columns).enumerate() {
                row.iter().enumerate().for_each(|(c, v)| out[c * rows + r] = *v);
            }
            out
        };
        Self { shape, weights, transposed: (0..shape.layers).map(transpose).collect() }
    }
}

/// What a layer keeps of the way there for the way back.
#[derive(Default)]
struct Kept {
    /// `[window, rows, input + hidden]`: what it saw.
    seen: Vec<f32>,
    /// `[window, rows, 4 * hidden]`: its gates, later their gradients.
    gates: Vec<f32>,
    /// `[window, rows, hidden]`: its cells.
    cells: Vec<f32>,
    /// tanh of them.
    squashed: Vec<f32>,
    /// `[window, rows, input + hidden]`: gradient of what it saw.
    d_seen: Vec<f32>,
}

/// Room for a block, used again for the next.
#[derive(Default)]
pub(crate) struct Scratch {
    layers: Vec<Kept>,
    /// `[steps, rows, hidden]`: what the last layer says that counts.
    said: Vec<f32>,
    d_said: Vec<f32>,
    d_cell: Vec<f32>,
    /// `[steps, rows, outputs]`: the forecasts, later their gradient.
    forecast: Vec<f32>,
    zeros: Vec<f32>,
}

fn room(buffer: &mut Vec<f32>, wanted: usize) {
    if buffer.len() < wanted {
        buffer.resize(wanted, 0.0);
    }
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scratch")
    }
}

impl Scratch {
    fn fit(&mut self, shape: Shape, rows: usize) {
        self.layers.resize_with(shape.layers, Kept::default);
        let steps = shape.window * rows;
        for (l, kept) in self.layers.iter_mut().enumerate() {
            // The state after the last step has no step that sees it.
            room(&mut kept.seen, steps * shape.joined(l));
            room(&mut kept.gates, steps * shape.gates());
            room(&mut kept.cells, steps * shape.hidden);
            room(&mut kept.squashed, steps * shape.hidden);
            room(&mut kept.d_seen, steps * shape.joined(l));
        }
        for buffer in [&mut self.said, &mut self.d_said] {
            room(buffer, shape.steps * rows * shape.hidden);
        }
        room(&mut self.d_cell, rows * shape.hidden);
        room(&mut self.forecast, shape.steps * rows * shape.outputs());
        room(&mut self.zeros, shape.hidden);
    }
}

/// The forecasts of `rows` windows that count, into `scratch.forecast`.
///
/// `windows` is `[rows, window, metrics]`.
fn forecast(prepared: &Prepared<'_>, windows: &[f32], rows: usize, scratch: &mut Scratch) {
    let shape = prepared.shape;
    scratch.fit(shape, rows);
    let hidden = shape.hidden;
    let Scratch { layers, said, zeros, forecast, .. } = scratch;
    let first = shape.window - shape.steps;
    // In: time-major, beside the state, which begins as zeros.
    let joined = shape.joined(0);
    let of_metrics = if shape.symbols > 0 { &[] } else { windows };
    for (r, window) in of_metrics.chunks_exact(shape.window * shape.metrics).enumerate() {
        for (t, values) in window.chunks_exact(shape.metrics).enumerate() {
            let at = (t * rows + r) * joined;
            layers[0].seen[at..at + shape.metrics].copy_from_slice(values);
        }
    }
    for (l, kept) in layers.iter_mut().enumerate() {
        let joined = shape.joined(l);
        for row in kept.seen[..rows * joined].chunks_exact_mut(joined) {
            row[shape.input(l)..].fill(0.0);
        }
    }
    for l in 0..shape.layers {
        let (below, above) = layers.split_at_mut(l + 1);
        let (kept, mut above) = (&mut below[l], above.first_mut());
        let (joined, input, gates) = (shape.joined(l), shape.input(l), shape.gates());
        let bias = &prepared.weights[shape.layer(l).1];
        for t in 0..shape.window {
            let seen = View::rows(&kept.seen[t * rows * joined..], joined);
            let step = &mut kept.gates[t * rows * gates..(t + 1) * rows * gates];
            product([rows, joined, gates], seen, View::rows(&prepared.transposed[l], gates), step, gates);
            let (past, now) = kept.cells.split_at_mut(t * rows * hidden);
            // What does not count has the place of what counts first.
            let said = &mut said[t.saturating_sub(first) * rows * hidden..];
            for (r, gates) in step.chunks_exact_mut(gates).enumerate() {
                let of = r * hidden..(r + 1) * hidden;
                if l == 0 && shape.symbols > 0 {
                    let row = &prepared.weights[symbol(shape, windows[r * shape.window + t])];
                    gates.iter_mut().zip(row).for_each(|(sum, v)| *sum += v);
                }
                let before = if t == 0 { &zeros[..hidden] } else { &past[(t - 1) * rows * hidden..][of.clone()] };
                let squashed = &mut kept.squashed[t * rows * hidden..][of.clone()];
                let (cell, out) = (&mut now[of.clone()], &mut said[of.clone()]);
                cell::forward(Forward { gates, bias, before, cell, squashed, out });
                // What it says is seen by itself a step later, and by the layer above now.
                if t + 1 < shape.window {
                    kept.seen[((t + 1) * rows + r) * joined + input..][..hidden].copy_from_slice(out);
                }
                if let Some(above) = &mut above {
                    let joined = shape.joined(l + 1);
                    above.seen[(t * rows + r) * joined..][..hidden].copy_from_slice(out);
                }
            }
        }
    }
    let (matrix, bias) = shape.head();
    let (matrix, outputs) = (View::rows(&prepared.weights[matrix], hidden), shape.outputs());
    let n = shape.steps * rows;
    product([n, hidden, outputs], View::rows(said, hidden), matrix.transposed(), forecast, outputs);
    for row in forecast[..n * outputs].chunks_exact_mut(outputs) {
        row.iter_mut().zip(&prepared.weights[bias.clone()]).for_each(|(v, b)| *v += b);
    }
}

/// Where the table has the symbol of this number.
fn symbol(shape: Shape, number: f32) -> std::ops::Range<usize> {
    let at = (number as usize).min(shape.symbols - 1) * shape.gates();
    at..at + shape.gates()
}

/// The sum of losses of forecasts that are `[steps, rows, outputs]`, each of which becomes `scale` times its slope.
fn judge(shape: Shape, batch: Batch<'_>, rows: usize, scale: f32, forecast: &mut [f32]) -> f64 {
    let (steps, outputs) = (shape.steps, shape.outputs());
    let mut loss = 0.0;
    for (at, values) in forecast[..steps * rows * outputs].chunks_exact_mut(outputs).enumerate() {
        let place = (at % rows) * steps + at / rows;
        let known = batch.known[place];
        if shape.symbols > 0 {
            loss += f64::from(known * loss::of_symbol(values, batch.targets[place] as usize, scale * known));
            continue;
        }
        for (value, target) in values.iter_mut().zip(&batch.targets[place * outputs..]) {
            let error = *value - target;
            loss += f64::from(known * Loss::value(error));
            *value = scale * known * Loss::slope(error);
        }
    }
    loss
}

/// The sum of losses of a block.
pub(crate) fn loss(prepared: &Prepared<'_>, batch: Batch<'_>, rows: usize, scratch: &mut Scratch) -> f64 {
    forecast(prepared, batch.windows, rows, scratch);
    judge(prepared.shape, batch, rows, 0.0, &mut scratch.forecast)
}

/// The sum of losses of a block, and the gradient of `scale` times it into `gradient`, which is as long as the weights and overwritten.
pub(crate) fn loss_and_gradient(
    prepared: &Prepared<'_>,
    batch: Batch<'_>,
    rows: usize,
    scale: f32,
    scratch: &mut Scratch,
    gradient: &mut [f32],
) -> f64 {
    let shape = prepared.shape;
    forecast(prepared, batch.windows, rows, scratch);
    let (hidden, outputs, gates) = (shape.hidden, shape.outputs(), shape.gates());
    let Scratch { layers, said, d_said, d_cell, forecast, zeros } = scratch;
    let loss = judge(shape, batch, rows, scale, forecast);
    let (n, first) = (shape.steps * rows, shape.window - shape.steps);
    let d_forecast = View::rows(forecast, outputs);
    let (matrix, bias) = shape.head();
    let d_matrix = &mut gradient[matrix.clone()];
    product([outputs, n, hidden], d_forecast.transposed(), View::rows(said, hidden), d_matrix, hidden);
    let d_bias = &mut gradient[bias];
    d_bias.fill(0.0);
    for row in forecast[..n * outputs].chunks_exact(outputs) {
        d_bias.iter_mut().zip(row).for_each(|(d, v)| *d += v);
    }
    let matrix = View::rows(&prepared.weights[matrix], hidden);
    product([n, outputs, hidden], d_forecast, matrix, d_said, hidden);
    gradient[shape.table()].fill(0.0);
    for l in (0..shape.layers).rev() {
        let (below, above) = layers.split_at_mut(l + 1);
        let (kept, above) = (&mut below[l], above.first());
        let (joined, input) = (shape.joined(l), shape.input(l));
        let (matrix, bias) = shape.layer(l);
        // The lowest layer's input has no gradient that anybody wants.
        let skip = if l == 0 { input } else { 0 };
        d_cell[..rows * hidden].fill(0.0);
        gradient[bias.clone()].fill(0.0);
        for t in (0..shape.window).rev() {
            let (now, after) = kept.d_seen[t * rows * joined..].split_at_mut(rows * joined);
            let (past, _) = kept.cells.split_at(t * rows * hidden);
            let step = &mut kept.gates[t * rows * gates..(t + 1) * rows * gates];
            for (r, gates) in step.chunks_exact_mut(gates).enumerate() {
                let of = r * hidden..(r + 1) * hidden;
                let before = if t == 0 { &zeros[..hidden] } else { &past[(t - 1) * rows * hidden..][of.clone()] };
                let above = match above {
                    Some(above) => &above.d_seen[(t * rows + r) * shape.joined(l + 1)..][..hidden],
                    None if t >= first => &d_said[(t - first) * rows * hidden..][of.clone()],
                    None => &zeros[..hidden],
                };
                let after =
                    if t + 1 == shape.window { &zeros[..hidden] } else { &after[r * joined + input..][..hidden] };
                cell::backward(Backward {
                    gates: &mut *gates,
                    before,
                    squashed: &kept.squashed[t * rows * hidden..][of.clone()],
                    above,
                    after,
                    d_cell: &mut d_cell[of],
                    d_bias: &mut gradient[bias.clone()],
                });
                if l == 0 && shape.symbols > 0 {
                    let row = &mut gradient[symbol(shape, batch.windows[r * shape.window + t])];
                    row.iter_mut().zip(&*gates).for_each(|(sum, v)| *sum += v);
                }
            }
            if t > 0 || l > 0 {
                let matrix = View::rows(&prepared.weights[matrix.clone()][skip..], joined);
                product([rows, gates, joined - skip], View::rows(step, gates), matrix, &mut now[skip..], joined);
            }
        }
        let steps = shape.window * rows;
        let d_gates = View::rows(&kept.gates, gates).transposed();
        product([gates, steps, joined], d_gates, View::rows(&kept.seen, joined), &mut gradient[matrix], joined);
    }
    loss
}
