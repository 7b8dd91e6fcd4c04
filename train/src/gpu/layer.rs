//! A layer over a whole window, in one launch. The way back ([`super::back`]) is made the same way.
//!
//! A cube takes a few blocks of four rows through all steps; no cube needs what another does. A thread does a unit (or every so many), all
//! four gates of it, so that nothing but what a layer sees and, on the way back, the gradients of the gates pass between threads, by
//! shared memory. Cells and the gradients carried from step to step stay with the thread.

use super::four::Four;
use burn_cubecl::cubecl;
use cubecl::prelude::*;

/// How often the longest loops are unrolled: enough for loads of weights to be under way while others are used.
pub(super) const UNROLLED: usize = 8;

/// What a layer is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Layer {
    pub(super) input: usize,
    pub(super) hidden: usize,
    pub(super) window: usize,
    /// Blocks a cube.
    pub(super) group: usize,
    /// Threads a cube.
    pub(super) threads: usize,
    /// On the way there, whether there is a way back; on the way back, whether the input's gradient is wanted.
    pub(super) wanted: bool,
    /// First step whose output's gradient is given.
    pub(super) above_from: usize,
}

impl Layer {
    pub(super) fn joined(&self) -> usize {
        self.input + self.hidden
    }

    /// Units a thread.
    pub(super) fn units(&self) -> usize {
        self.hidden.div_ceil(self.threads)
    }

    /// Shared memory of the way there and of the way back, in bytes.
    pub(super) fn shared(&self) -> usize {
        (2 * self.joined()).max(4 * self.hidden) * self.group * 16
    }
}

#[cube]
fn sigmoid(x: Four) -> Four {
    Four::new(1.0f32) / (Four::new(1.0f32) + (Four::new(0.0f32) - x).exp())
}

/// Without the overflow that a quotient of two exponentials has.
#[cube]
pub(super) fn tanh(x: Four) -> Four {
    Four::new(1.0f32) - Four::new(2.0f32) / (Four::new(1.0f32) + (x + x).exp())
}

/// The block a cube's `g`-th is; what is beyond the last does the last again, unseen.
#[cube]
pub(super) fn block_of(g: usize, blocks: usize, #[comptime] group: usize) -> usize {
    min(CUBE_POS * group + g, blocks - 1)
}

/// Puts the input of a step where the cube sees it.
#[cube]
fn stage(input: &[Four], seen: &mut Shared<[Four]>, step: usize, blocks: usize, #[comptime] layer: Layer) {
    let half = (step % 2) * comptime!(layer.joined() * layer.group);
    let mut k = UNIT_POS as usize;
    while k < layer.input {
        #[unroll]
        for g in 0..layer.group {
            let block = block_of(g, blocks, layer.group);
            seen[half + k * layer.group + g] = input[(step * blocks + block) * layer.input + k];
        }
        k += layer.threads;
    }
}

/// Adds what one of the numbers seen has to say to the gates of a unit, four a block.
#[cube]
fn see(
    weights: &[Four],
    seen: &Shared<[Four]>,
    gates: &mut Array<Four>,
    weight: usize,
    at: usize,
    #[comptime] group: usize,
) {
    let weight = weights[weight];
    #[unroll]
    for g in 0..group {
        let value = seen[at + g];
        #[unroll]
        for q in 0..4usize {
            gates[g * 4 + q] += value * Four::new(weight.extract(q));
        }
    }
}

/// `input` is `[window, blocks, input]`, `weights` as packed for the way there; out come `states` and `cells`, `[window, blocks, hidden]`,
/// and `gates`, `[window, blocks, 4 * hidden]`, the last two only if wanted.
#[cube(launch_unchecked)]
pub(super) fn forward(
    input: &[Four],
    weights: &[Four],
    states: &mut [Four],
    cells: &mut [Four],
    gates: &mut [Four],
    start: u32,
    blocks: u32,
    #[comptime] layer: Layer,
) {
    let (start, blocks) = (start as usize, blocks as usize);
    let hidden = comptime!(layer.hidden);
    let group = comptime!(layer.group);
    let joined = comptime!(layer.joined());
    let whole = comptime!(layer.joined() / UNROLLED * UNROLLED);
    // Twice: what this step sees, and what the next will.
    let mut seen = Shared::<[Four]>::new_slice(comptime!(2 * layer.joined() * layer.group));
    let mut carried = Array::<Four>::new(comptime!(layer.units() * layer.group));
    #[unroll]
    for u in 0..comptime!(layer.units()) {
        #[unroll]
        for g in 0..group {
            carried[u * group + g] = Four::new(0.0f32);
        }
    }
    let mut at = UNIT_POS as usize;
    while at < hidden * group {
        seen[comptime!(layer.input * layer.group) + at] = Four::new(0.0f32);
        at += layer.threads;
    }
    stage(input, &mut seen, 0usize, blocks, layer);
    for step in 0..layer.window {
        // Nobody is still reading what is written from here on, and all that is read has been written.
        sync_cube();
        let now = (step % 2) * joined * group;
        let next = joined * group - now;
        #[unroll]
        for u in 0..comptime!(layer.units()) {
            let unit = UNIT_POS as usize + u * layer.threads;
            if unit < hidden {
                let bias = weights[start + joined * hidden + unit];
                let mut four = Array::<Four>::new(comptime!(4 * layer.group));
                #[unroll]
                for g in 0..group {
                    #[unroll]
                    for q in 0..4usize {
                        four[g * 4 + q] = Four::new(bias.extract(q));
                    }
                }
                for part in 0..comptime!(whole / UNROLLED) {
                    #[unroll]
                    for i in 0..UNROLLED {
                        let k = part * UNROLLED + i;
                        see(weights, &seen, &mut four, start + k * hidden + unit, now + k * group, group);
                    }
                }
                #[unroll]
                for k in whole..joined {
                    see(weights, &seen, &mut four, start + k * hidden + unit, now + k * group, group);
                }
                #[unroll]
                for g in 0..group {
                    let i = sigmoid(four[g * 4]);
                    let f = sigmoid(four[g * 4 + 1]);
                    let c = tanh(four[g * 4 + 2]);
                    let o = sigmoid(four[g * 4 + 3]);
                    let cell = f * carried[u * group + g] + i * c;
                    let state = o * tanh(cell);
                    carried[u * group + g] = cell;
                    seen[next + (layer.input + unit) * group + g] = state;
                    if CUBE_POS * group + g < blocks {
                        let place = step * blocks + block_of(g, blocks, group);
                        states[place * hidden + unit] = state;
                        if comptime!(layer.wanted) {
                            cells[place * hidden + unit] = cell;
                            gates[place * 4 * hidden + unit] = i;
                            gates[(place * 4 + 1) * hidden + unit] = f;
                            gates[(place * 4 + 2) * hidden + unit] = c;
                            gates[(place * 4 + 3) * hidden + unit] = o;
                        }
                    }
                }
            }
        }
        if step + 1 < layer.window {
            stage(input, &mut seen, step + 1, blocks, layer);
        }
    }
}
