//! The way back through a layer, over a whole window in one launch: its gates' gradients, and its
//! input's.
//!
//! As on the way there a thread does a unit. It carries the gradients of the unit's cell and output from step to step, and only those of the
//! gates are what all threads want of each other.

use super::four::Four;
use super::layer::{Layer, UNROLLED, block_of, tanh};
use burn_cubecl::cubecl;
use cubecl::prelude::*;

/// Adds what the gates of unit `from` want of one that they see, four a block.
#[cube]
fn blame(
    weight: Four,
    slopes: &Shared<[Four]>,
    sums: &mut Array<Four>,
    u: usize,
    from: usize,
    #[comptime] group: usize,
) {
    #[unroll]
    for g in 0..group {
        #[unroll]
        for q in 0..4usize {
            sums[u * group + g] += slopes[(from * 4 + q) * group + g] * Four::new(weight.extract(q));
        }
    }
}

/// `above` is the gradient of the output, `[steps, blocks, hidden]`, `weights` as packed for the way back. The gradients before the gates'
/// functions take the place of `gates`; `below` is that of the input, if wanted.
#[cube(launch_unchecked)]
pub(super) fn backward(
    above: &[Four],
    cells: &[Four],
    weights: &[Four],
    gates: &mut [Four],
    below: &mut [Four],
    start: u32,
    blocks: u32,
    #[comptime] layer: Layer,
) {
    let (start, blocks) = (start as usize, blocks as usize);
    let hidden = comptime!(layer.hidden);
    let group = comptime!(layer.group);
    let joined = comptime!(layer.joined());
    let whole = comptime!(layer.hidden / UNROLLED * UNROLLED);
    let mut slopes = Shared::<[Four]>::new_slice(comptime!(4 * layer.hidden * layer.group));
    let mut d_cell = Array::<Four>::new(comptime!(layer.units() * layer.group));
    let mut d_state = Array::<Four>::new(comptime!(layer.units() * layer.group));
    let mut d_input = Array::<Four>::new(comptime!(layer.units() * layer.group));
    #[unroll]
    for u in 0..comptime!(layer.units()) {
        #[unroll]
        for g in 0..group {
            d_cell[u * group + g] = Four::new(0.0f32);
            d_state[u * group + g] = Four::new(0.0f32);
        }
    }
    for back in 0..layer.window {
        let step = layer.window - 1 - back;
        #[unroll]
        for u in 0..comptime!(layer.units()) {
            let unit = UNIT_POS as usize + u * layer.threads;
            if unit < hidden {
                #[unroll]
                for g in 0..group {
                    let place = step * blocks + block_of(g, blocks, group);
                    let one = Four::new(1.0f32);
                    let i = gates[place * 4 * hidden + unit];
                    let f = gates[(place * 4 + 1) * hidden + unit];
                    let c = gates[(place * 4 + 2) * hidden + unit];
                    let o = gates[(place * 4 + 3) * hidden + unit];
                    let mut before = Four::new(0.0f32);
                    if step > 0 {
                        before = cells[(place - blocks) * hidden + unit];
                    }
                    let mut d_out = d_state[u * group + g];
                    if step >= layer.above_from {
                        d_out += above[(place - layer.above_from * blocks) * hidden + unit];
                    }
                    let squashed = tanh(cells[place * hidden + unit]);
                    let d = d_cell[u * group + g] + d_out * o * (one - squashed * squashed);
                    d_cell[u * group + g] = d * f;
                    let d_i = d * c * i * (one - i);
                    let d_f = d * before * f * (one - f);
                    let d_c = d * i * (one - c * c);
                    let d_o = d_out * squashed * o * (one - o);
                    slopes[unit * 4 * group + g] = d_i;
                    slopes[(unit * 4 + 1) * group + g] = d_f;
                    slopes[(unit * 4 + 2) * group + g] = d_c;
                    slopes[(unit * 4 + 3) * group + g] = d_o;
                    if CUBE_POS * group + g < blocks {
                        gates[place * 4 * hidden + unit] = d_i;
                        gates[(place * 4 + 1) * hidden + unit] = d_f;
                        gates[(place * 4 + 2) * hidden + unit] = d_c;
                        gates[(place * 4 + 3) * hidden + unit] = d_o;
                    }
                }
            }
        }
        sync_cube();
        #[unroll]
        for u in 0..comptime!(layer.units()) {
            let unit = UNIT_POS as usize + u * layer.threads;
            if unit < hidden {
                #[unroll]
                for g in 0..group {
                    d_state[u * group + g] = Four::new(0.0f32);
                    d_input[u * group + g] = Four::new(0.0f32);
                }
                for part in 0..comptime!(whole / UNROLLED) {
                    #[unroll]
                    for i in 0..UNROLLED {
                        let from = part * UNROLLED + i;
                        let row = start + from * joined + unit;
                        blame(weights[row + layer.input], &slopes, &mut d_state, u, from, group);
                        // Of a layer above another: its input is as wide as its state, so a thread has one of each.
                        if comptime!(layer.wanted) {
                            blame(weights[row], &slopes, &mut d_input, u, from, group);
                        }
                    }
                }
                #[unroll]
                for from in whole..hidden {
                    let row = start + from * joined + unit;
                    blame(weights[row + layer.input], &slopes, &mut d_state, u, from, group);
                    if comptime!(layer.wanted) {
                        blame(weights[row], &slopes, &mut d_input, u, from, group);
                    }
                }
                if comptime!(layer.wanted) {
                    #[unroll]
                    for g in 0..group {
                        if CUBE_POS * group + g < blocks {
                            let place = step * blocks + block_of(g, blocks, group);
                            below[place * hidden + unit] = d_input[u * group + g];
                        }
                    }
                }
            }
        }
        // The next step overwrites what has been read here.
        sync_cube();
    }
}
