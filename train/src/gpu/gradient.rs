//! The gradient of a matrix from that of what it gave and from what it saw: one product over all
//! rows and steps.
//!
//! Long and thin: hundreds of columns, and up to a million rows to add up. So the rows are cut into slices that are added up at once, each
//! into a gradient of its own, and those are added in order at the end: no atomics, the same bits each time.

use super::four::Four;
use burn_cubecl::cubecl;
use cubecl::prelude::*;

/// What a product is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Size {
    /// Columns of the gradient of what the matrix gave: rows of the matrix.
    pub(super) slopes: usize,
    /// Width of the input, and of the state beside it, 0 for the head.
    pub(super) input: usize,
    pub(super) state: usize,
    /// Columns of the matrix that a thread does.
    pub(super) each: usize,
}

/// A cube is so many threads either way; each does [`DOWN`] rows of the matrix.
pub(super) const SIDE: usize = 16;
pub(super) const DOWN: usize = 4;
/// Blocks of four rows that are in shared memory at a time.
const DEEP: usize = 4;

impl Size {
    pub(super) fn joined(&self) -> usize {
        self.input + self.state
    }

    /// Cubes down and across.
    pub(super) fn cubes(&self) -> (usize, usize) {
        (self.slopes.div_ceil(SIDE * DOWN), self.joined().div_ceil(SIDE * self.each))
    }

    /// Shared memory, in bytes.
    pub(super) fn shared(&self) -> usize {
        DEEP * SIDE * (DOWN + self.each) * 16
    }
}

/// Where things are.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Places {
    /// Blocks of four rows at all steps, and at one.
    pub(super) all: u32,
    pub(super) blocks: u32,
    /// How many of `all` are a slice.
    pub(super) slice: u32,
    /// How many of the input come before the first.
    pub(super) skipped: u32,
    /// Where the first slice's gradient begins, and how long each is.
    pub(super) to: u32,
    pub(super) weights: u32,
    /// Matrix and bias in it.
    pub(super) matrix: u32,
    pub(super) bias: u32,
}

/// `slopes` is `[all, slopes]`, `inputs` `[skipped + all, input]`, `states` `[all, state]`, of which a step sees what the one before said.
#[cube(launch_unchecked)]
pub(super) fn product(
    slopes: &[Four],
    inputs: &[Four],
    states: &[Four],
    parts: &mut [f32],
    places: Places,
    #[comptime] size: Size,
) {
    let unit = UNIT_POS as usize;
    let (across, down) = (unit % SIDE, unit / SIDE);
    let (left, top) = (CUBE_POS_Y as usize * (SIDE * size.each), CUBE_POS_X as usize * (SIDE * DOWN));
    let width = comptime!(SIDE * size.each);
    let joined = comptime!(size.joined());
    let blocks = places.blocks as usize;
    let mut at = CUBE_POS_Z as usize * places.slice as usize;
    let end = min(at + places.slice as usize, places.all as usize);
    let mut a = Shared::<[Four]>::new_slice(comptime!(DEEP * SIDE * DOWN));
    let mut b = Shared::<[Four]>::new_slice(comptime!(DEEP * SIDE * size.each));
    let mut sums = Array::<f32>::new(comptime!(DOWN * size.each));
    let mut biases = Array::<Four>::new(DOWN);
    #[unroll]
    for i in 0..comptime!(DOWN * size.each) {
        sums[i] = 0.0f32;
    }
    #[unroll]
    for i in 0..DOWN {
        biases[i] = Four::new(0.0f32);
    }
    while at < end {
        let mut i = unit;
        while i < DEEP * SIDE * DOWN {
            let (n, column) = (at + i / (SIDE * DOWN), top + i % (SIDE * DOWN));
            let mut value = Four::new(0.0f32);
            if n < end && column < size.slopes {
                value = slopes[n * size.slopes + column];
            }
            a[i] = value;
            i += SIDE * SIDE;
        }
        let mut i = unit;
        while i < DEEP * width {
            let (n, column) = (at + i / width, left + i % width);
            let mut value = Four::new(0.0f32);
            if n < end {
                if column < size.input {
                    value = inputs[(places.skipped as usize + n) * size.input + column];
                } else if column < joined && n >= blocks {
                    value = states[(n - blocks) * size.state + column - size.input];
                }
            }
            b[i] = value;
            i += SIDE * SIDE;
        }
        sync_cube();
        for n in 0..DEEP {
            let mut tall = Array::<Four>::new(DOWN);
            #[unroll]
            for i in 0..DOWN {
                tall[i] = a[n * (SIDE * DOWN) + i * SIDE + down];
                biases[i] += tall[i];
            }
            #[unroll]
            for j in 0..size.each {
                let wide = b[n * width + j * SIDE + across];
                #[unroll]
                for i in 0..DOWN {
                    #[unroll]
                    for r in 0..4usize {
                        sums[j * DOWN + i] += tall[i].extract(r) * wide.extract(r);
                    }
                }
            }
        }
        sync_cube();
        at += DEEP;
    }
    let to = places.to as usize + CUBE_POS_Z as usize * places.weights as usize;
    #[unroll]
    for i in 0..DOWN {
        let row = top + i * SIDE + down;
        if row < size.slopes {
            #[unroll]
            for j in 0..size.each {
                let column = left + j * SIDE + across;
                if column < joined {
                    parts[to + places.matrix as usize + row * joined + column] = sums[j * DOWN + i];
                }
            }
            if left + across == 0 {
                let four = biases[i];
                parts[to + places.bias as usize + row] =
                    (four.extract(0usize) + four.extract(1usize)) + (four.extract(2usize) + four.extract(3usize));
            }
        }
    }
}

/// The sum of all slices' gradients, times `scale`.
#[cube(launch_unchecked)]
pub(super) fn total(parts: &[f32], scale: &[f32], gradient: &mut [f32], slices: u32, weights: u32) {
    let at = ABSOLUTE_POS;
    if at < weights as usize {
        let mut sum = 0.0f32;
        for slice in 0..slices as usize {
            sum += parts[slice * weights as usize + at];
        }
        gradient[at] = sum * scale[0];
    }
}
