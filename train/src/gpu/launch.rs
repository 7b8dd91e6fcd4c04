//! The launches, one function a kernel: how many cubes, and what they are given.

use super::gradient::{self, PlacesLaunch};
use super::judge::{self, RowsLaunch};
use super::{Buffer, Part, Sums, Work, back, layer, pack};
use crate::kernel::Shape;
use burn_cubecl::cubecl::prelude::{CubeCount, CubeDim};

const THREADS: CubeDim = CubeDim::new_1d(judge::THREADS as u32);

fn cubes(x: usize, y: usize, z: usize) -> CubeCount {
    CubeCount::Static(x as u32, y as u32, z as u32)
}

impl Work {
    pub(super) fn pack(&self) {
        let shape = self.plan.shape;
        for layer in 0..shape.layers {
            let (matrix, bias) = shape.layer(layer);
            let (joined, hidden) = (shape.joined(layer), shape.hidden);
            let n = (joined + 1) * hidden;
            // SAFETY: threads beyond `n` do nothing; the others stay in the layer's part of both.
            unsafe {
                pack::weights::launch_unchecked(
                    &self.client,
                    cubes(n.div_ceil(judge::THREADS), 1, 1),
                    THREADS,
                    self.weights.arg(),
                    self.packed.arg(),
                    matrix.start as u32,
                    bias.start as u32,
                    self.starts[layer],
                    joined,
                    hidden,
                );
            }
        }
    }

    pub(super) fn windows(&self, part: Part) -> Buffer {
        let Shape { metrics, window, .. } = self.plan.shape;
        let to = self.fours(window * part.blocks * metrics, true);
        // SAFETY: threads beyond the step do nothing; rows beyond the last are the last.
        unsafe {
            pack::windows::launch_unchecked(
                &self.client,
                cubes((part.blocks * metrics).div_ceil(judge::THREADS), window, 1),
                THREADS,
                self.windows.arg(),
                to.arg(),
                part.first as u32,
                part.rows as u32,
                part.blocks as u32,
                window,
                metrics,
            );
        }
        to
    }

    pub(super) fn forward(&self, layer: usize, part: Part, wanted: bool, [input, states, cells, gates]: [&Buffer; 4]) {
        // SAFETY: units beyond the layer and blocks beyond the part are not written; cells and gates are there if wanted.
        unsafe {
            layer::forward::launch_unchecked(
                &self.client,
                cubes(part.blocks.div_ceil(self.plan.group), 1, 1),
                CubeDim::new_1d(self.plan.threads as u32),
                input.arg(),
                self.packed.arg(),
                states.arg(),
                cells.arg(),
                gates.arg(),
                self.starts[layer],
                part.blocks as u32,
                self.plan.layer(layer, wanted),
            );
        }
    }

    pub(super) fn judge(&self, part: Part, wanted: bool, sums: &Sums, [states, d_forecast, d_states]: [&Buffer; 3]) {
        // SAFETY: blocks beyond the part and rows beyond its last are left out; gradients are there if wanted.
        unsafe {
            judge::judge::launch_unchecked(
                &self.client,
                cubes(part.blocks.div_ceil(self.plan.places), self.plan.shape.steps, 1),
                THREADS,
                states.arg(),
                self.weights.arg(),
                self.targets.arg(),
                self.known.arg(),
                d_forecast.arg(),
                d_states.arg(),
                sums.pairs.arg(),
                sums.from as u32,
                RowsLaunch::new(part.first as u32, part.rows as u32, part.blocks as u32),
                self.plan.head(wanted),
            );
        }
    }

    pub(super) fn backward(&self, layer: usize, part: Part, [above, cells, gates, below]: [&Buffer; 4]) {
        let joined = self.plan.shape.joined(layer);
        let start = self.starts[layer] as usize + (joined + 1) * self.plan.shape.hidden;
        // SAFETY: as on the way there.
        unsafe {
            back::backward::launch_unchecked(
                &self.client,
                cubes(part.blocks.div_ceil(self.plan.group), 1, 1),
                CubeDim::new_1d(self.plan.threads as u32),
                above.arg(),
                cells.arg(),
                self.packed.arg(),
                gates.arg(),
                below.arg(),
                start as u32,
                part.blocks as u32,
                self.plan.layer(layer, layer > 0),
            );
        }
    }

    /// The gradient of a layer's matrix and bias, or of the head's, in slices.
    pub(super) fn product(
        &self,
        layer: Option<usize>,
        part: Part,
        sums: &Sums,
        [slopes, inputs, states]: [&Buffer; 3],
    ) {
        let shape = self.plan.shape;
        let ((matrix, bias), steps) = match layer {
            Some(layer) => (shape.layer(layer), shape.window),
            None => (shape.head(), shape.steps),
        };
        let (all, slices, size) = (steps * part.blocks, self.plan.slices, self.plan.product(layer));
        let (down, across) = size.cubes();
        let places = PlacesLaunch::new(
            all as u32,
            part.blocks as u32,
            all.div_ceil(slices) as u32,
            ((shape.window - steps) * part.blocks) as u32,
            sums.to as u32,
            shape.weights() as u32,
            matrix.start as u32,
            bias.start as u32,
        );
        // SAFETY: what is beyond the matrix or the slice counts as 0 and is not written.
        unsafe {
            gradient::product::launch_unchecked(
                &self.client,
                cubes(down, across, slices),
                THREADS,
                slopes.arg(),
                inputs.arg(),
                states.arg(),
                sums.slices.arg(),
                places,
                size,
            );
        }
    }

    /// The mean loss, and what its gradient is to be multiplied by.
    pub(super) fn mean(&self, sums: &Sums) -> (Buffer, Buffer) {
        let (loss, scale) = (self.room(1), self.room(1));
        let n = sums.pairs.length / 2;
        // SAFETY: one cube, which reads `n` pairs.
        unsafe {
            judge::mean::launch_unchecked(
                &self.client,
                cubes(1, 1, 1),
                THREADS,
                sums.pairs.arg(),
                loss.arg(),
                scale.arg(),
                n as u32,
            );
        }
        (loss, scale)
    }

    /// The gradient by the weights, from its slices.
    pub(super) fn total(&self, sums: &Sums, scale: &Buffer) -> Buffer {
        let weights = self.plan.shape.weights();
        let gradient = self.room(weights);
        // SAFETY: threads beyond the weights do nothing; every slice has been written to its end.
        unsafe {
            gradient::total::launch_unchecked(
                &self.client,
                cubes(weights.div_ceil(judge::THREADS), 1, 1),
                THREADS,
                sums.slices.arg(),
                scale.arg(),
                gradient.arg(),
                (sums.slices.length / weights) as u32,
                weights as u32,
            );
        }
        gradient
    }
}
