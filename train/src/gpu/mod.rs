//! Loss and gradient of the forecaster on a GPU, in kernels written for it: a dozen launches a
//! batch, where Burn's layers are thousands.
//!
//! The rows of a batch lie in blocks of four, step by step: `[window, blocks, width]` of four numbers each, so that a thread reads and
//! writes sixteen bytes at a time. In order: `pack` lays out weights and windows; `layer` takes each layer through the whole window and,
//! after `judge` has made the loss, `back` takes it back; `gradient` multiplies what they left into the gradient by the weights. A batch that is too
//! large for a buffer is worked on in parts; `plan` says how.

mod back;
mod four;
mod gradient;
mod judge;
mod launch;
mod layer;
mod pack;
mod plan;

use crate::kernel::Shape;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Cube, DispatchDevice};
use burn::tensor::{DType, Device};
use burn_cubecl::cubecl::client::Client;
use burn_cubecl::cubecl::prelude::BufferArg;
use burn_cubecl::cubecl::server::Handle;
use burn_cubecl::kernel::into_contiguous;
use plan::Plan;

type CubeTensor = FloatTensor<Cube>;

/// Whether a device has room for what the kernels keep of a shape; what is no GPU has.
pub(crate) fn fits(device: &Device, shape: Shape) -> bool {
    match device.as_dispatch() {
        // Symbols go by Burn's layers there.
        DispatchDevice::Cube(_) if shape.symbols > 0 => false,
        DispatchDevice::Cube(device) => Plan::new(shape, usize::MAX, device.client().properties()).is_some(),
        _ => true,
    }
}

/// A batch on the device: windows, targets and known as [`crate::op::ForecastLoss`] has them, and the weights.
pub(crate) fn loss(batch: [CubeTensor; 4], shape: Shape) -> CubeTensor {
    Work::new(batch, shape).loss()
}

pub(crate) fn loss_and_gradient(batch: [CubeTensor; 4], shape: Shape) -> (CubeTensor, CubeTensor) {
    Work::new(batch, shape).loss_and_gradient()
}

/// What is bound to a kernel: a buffer, and how many numbers, or fours of them, it has.
#[derive(Clone)]
struct Buffer {
    handle: Handle,
    length: usize,
}

impl Buffer {
    fn arg(&self) -> BufferArg {
        // SAFETY: the length is what it was made with.
        unsafe { BufferArg::from_raw_parts(self.handle.clone(), self.length) }
    }
}

struct Work {
    plan: Plan,
    client: Client,
    rows: usize,
    windows: Buffer,
    targets: Buffer,
    known: Buffer,
    weights: Buffer,
    /// As [`pack::weights()`] leaves them, and where each layer's begin.
    packed: Buffer,
    starts: Vec<u32>,
    like: CubeTensor,
}

/// Rows worked on together.
#[derive(Clone, Copy)]
struct Part {
    first: usize,
    rows: usize,
    blocks: usize,
}

/// What comes of all parts: pairs of a loss and a number of forecasts, and gradients in slices.
struct Sums {
    pairs: Buffer,
    from: usize,
    slices: Buffer,
    to: usize,
}

impl Work {
    fn new(batch: [CubeTensor; 4], shape: Shape) -> Self {
        let [windows, targets, known, weights] = batch.map(into_contiguous);
        let client = weights.client.clone();
        let rows = known.meta.num_elements() / shape.steps;
        let plan = Plan::new(shape, rows, client.properties()).expect("asked for by `fits` before");
        let of = |t: &CubeTensor| Buffer { handle: t.handle.clone(), length: t.meta.num_elements() };
        let (windows, targets, known) = (of(&windows), of(&targets), of(&known));
        let mut length = 0;
        let mut starts = vec![];
        for layer in 0..shape.layers {
            starts.push(length as u32);
            length += plan.packed(layer);
        }
        let packed = Buffer { handle: client.empty(16 * length), length };
        let work =
            Self { plan, client, rows, windows, targets, known, weights: of(&weights), packed, starts, like: weights };
        work.pack();
        work
    }

    /// Room for numbers.
    fn room(&self, length: usize) -> Buffer {
        Buffer { handle: self.client.empty(4 * length), length }
    }

    /// Room for fours of numbers; the least there is if it is not wanted.
    fn fours(&self, length: usize, wanted: bool) -> Buffer {
        let length = if wanted { length } else { 1 };
        Buffer { handle: self.client.empty(16 * length), length }
    }

    fn tensor(&self, buffer: Buffer) -> CubeTensor {
        let (client, device) = (self.client.clone(), self.like.device.clone());
        CubeTensor::new_contiguous(client, device, [buffer.length].into(), buffer.handle, DType::F32)
    }

    fn loss(self) -> CubeTensor {
        let sums = self.all_parts(false);
        self.tensor(self.mean(&sums).0)
    }

    fn loss_and_gradient(self) -> (CubeTensor, CubeTensor) {
        let sums = self.all_parts(true);
        let (loss, scale) = self.mean(&sums);
        let gradient = self.total(&sums, &scale);
        (self.tensor(loss), self.tensor(gradient))
    }

    /// Works on all rows, a part after another.
    fn all_parts(&self, wanted: bool) -> Sums {
        let most = 4 * self.plan.blocks;
        let parts = (0..self.rows).step_by(most).map(|first| {
            let rows = most.min(self.rows - first);
            Part { first, rows, blocks: rows.div_ceil(4) }
        });
        let pairs = parts.clone().map(|p| 2 * self.plan.judges(p.blocks)).sum();
        let slices = if wanted { parts.len() * self.plan.slices * self.plan.shape.weights() } else { 1 };
        let mut sums = Sums { pairs: self.room(pairs), from: 0, slices: self.room(slices), to: 0 };
        for part in parts {
            self.part(part, wanted, &sums);
            sums.from += 2 * self.plan.judges(part.blocks);
            sums.to += self.plan.slices * self.plan.shape.weights();
        }
        sums
    }

    fn part(&self, part: Part, wanted: bool, sums: &Sums) {
        let Shape { hidden, layers, window, steps, .. } = self.plan.shape;
        let all = window * part.blocks;
        // What each layer sees of the one below, and at last what the head does.
        let mut seen = vec![self.windows(part)];
        let mut kept = vec![];
        for layer in 0..layers {
            let states = self.fours(all * hidden, true);
            let cells = self.fours(all * hidden, wanted);
            let gates = self.fours(all * 4 * hidden, wanted);
            self.forward(layer, part, wanted, [&seen[layer], &states, &cells, &gates]);
            seen.push(states);
            kept.push((cells, gates));
        }
        let d_forecast = self.fours(steps * part.blocks * self.plan.shape.outputs(), wanted);
        let mut above = self.fours(steps * part.blocks * hidden, wanted);
        self.judge(part, wanted, sums, [&seen[layers], &d_forecast, &above]);
        if !wanted {
            return;
        }
        self.product(None, part, sums, [&d_forecast, &seen[layers], &seen[layers]]);
        for (layer, (cells, gates)) in kept.into_iter().enumerate().rev() {
            let below = self.fours(all * hidden, layer > 0);
            self.backward(layer, part, [&above, &cells, &gates, &below]);
            self.product(Some(layer), part, sums, [&gates, &seen[layer], &seen[layer + 1]]);
            above = below;
        }
    }
}
