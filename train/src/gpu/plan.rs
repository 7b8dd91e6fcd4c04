//! How a batch is worked on: sizes of cubes and parts, by the shape, the number of rows and what
//! the device allows.

use super::gradient::{self, Size};
use super::judge::{self, Head};
use super::layer::Layer;
use crate::kernel::Shape;
use burn_cubecl::cubecl::ir::DeviceProperties;

/// Most blocks of four rows worked on at a time: more fill no card better.
const MOST_BLOCKS: usize = 1_024;
/// From so many blocks on a cube takes two: the card is full, and weights are read half as often.
const MANY_BLOCKS: usize = 512;
/// Most slices of a product, and most bytes of the gradients that all of them are.
const SLICES: usize = 64;
const SLICES_BYTES: usize = 64 << 20;

/// How a batch is worked on.
pub(super) struct Plan {
    pub(super) shape: Shape,
    /// Blocks a cube.
    pub(super) group: usize,
    /// Threads of a layer's cubes.
    pub(super) threads: usize,
    /// Blocks of the head's.
    pub(super) places: usize,
    /// Most blocks at a time.
    pub(super) blocks: usize,
    /// Slices that the products of each part are cut into.
    pub(super) slices: usize,
}

impl Plan {
    /// Nothing if a device cannot do it.
    pub(super) fn new(shape: Shape, rows: usize, device: &DeviceProperties) -> Option<Self> {
        let (hardware, most_bytes) = (&device.hardware, device.memory.max_page_size);
        let widest = shape.gates().max(shape.metrics).max(shape.outputs());
        let bytes = (shape.window * widest * 16) as u64;
        let blocks = rows.div_ceil(4).min(MOST_BLOCKS).min((most_bytes / bytes) as usize);
        let threads = shape.hidden.next_multiple_of(32).min(judge::THREADS);
        let places = (8_192 / (16 * shape.outputs())).clamp(1, 16);
        let group = if blocks > MANY_BLOCKS { 2 } else { 1 };
        let parts = rows.div_ceil(4).div_ceil(blocks.max(1));
        let most = (SLICES_BYTES / (4 * shape.weights()) / parts).clamp(1, SLICES);
        let slices = (shape.window * blocks).div_ceil(16).min(most);
        let mut plan = Self { shape, group, threads, places, blocks, slices };
        if plan.shared() > hardware.max_shared_memory_size {
            plan.group = 1;
        }
        let fits = plan.shared() <= hardware.max_shared_memory_size
            && hardware.max_units_per_cube as usize >= judge::THREADS
            && hardware.max_bindings >= 8
            && (shape.weights() * 4) as u64 <= most_bytes
            && blocks > 0;
        fits.then_some(plan)
    }

    pub(super) fn layer(&self, layer: usize, wanted: bool) -> Layer {
        let Shape { hidden, window, .. } = self.shape;
        let above_from = if layer + 1 == self.shape.layers { window - self.shape.steps } else { 0 };
        let input = self.shape.input(layer);
        Layer { input, hidden, window, group: self.group, threads: self.threads, wanted, above_from }
    }

    pub(super) fn head(&self, wanted: bool) -> Head {
        let Shape { hidden, window, steps, .. } = self.shape;
        let (matrix, bias) = self.shape.head();
        let outputs = self.shape.outputs();
        Head { hidden, outputs, window, steps, matrix: matrix.start, bias: bias.start, places: self.places, wanted }
    }

    /// Of a layer's matrix, or the head's if it is none.
    pub(super) fn product(&self, layer: Option<usize>) -> Size {
        let (slopes, input, state) = match layer {
            Some(layer) => (self.shape.gates(), self.shape.input(layer), self.shape.hidden),
            None => (self.shape.outputs(), self.shape.hidden, 0),
        };
        let tiles = (input + state).div_ceil(8 * gradient::SIDE);
        Size { slopes, input, state, each: (input + state).div_ceil(tiles * gradient::SIDE) }
    }

    /// Most shared memory of all kernels.
    fn shared(&self) -> usize {
        let layers = (0..self.shape.layers).map(|l| self.layer(l, true).shared().max(self.product(Some(l)).shared()));
        layers.max().unwrap_or(0).max(self.head(true).shared())
    }

    /// Length of a layer's weights as [`super::pack`] leaves them.
    pub(super) fn packed(&self, layer: usize) -> usize {
        (2 * self.shape.joined(layer) + 1) * self.shape.hidden
    }

    /// Cubes of the head for so many blocks.
    pub(super) fn judges(&self, blocks: usize) -> usize {
        blocks.div_ceil(self.places) * self.shape.steps
    }
}
