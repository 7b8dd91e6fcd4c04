//! Before the first step: weights and windows as the other kernels read them, neighbouring units by
//! neighbouring threads.

use super::four::Four;
use burn_cubecl::cubecl;
use cubecl::prelude::*;

/// A layer's weights from the one vector, twice: `[input + hidden + 1, hidden]` for the way there, whose last row is the bias, and behind
/// it `[hidden, input + hidden]` for the way back. Each number is four, one a gate.
#[cube(launch_unchecked)]
pub(super) fn weights(
    from: &[f32],
    to: &mut [Four],
    matrix: u32,
    bias: u32,
    start: u32,
    #[comptime] joined: usize,
    #[comptime] hidden: usize,
) {
    let at = ABSOLUTE_POS;
    if at < (joined + 1) * hidden {
        let column = at / hidden;
        let unit = at % hidden;
        let start = start as usize;
        let mut four = Four::new(0.0f32);
        if column < joined {
            #[unroll]
            for gate in 0..4usize {
                four.insert(gate, from[matrix as usize + (gate * hidden + unit) * joined + column]);
            }
            to[start + (joined + 1) * hidden + unit * joined + column] = four;
        } else {
            #[unroll]
            for gate in 0..4usize {
                four.insert(gate, from[bias as usize + gate * hidden + unit]);
            }
        }
        to[start + at] = four;
    }
}

/// Windows `[all rows, window, metrics]` as `[window, blocks, metrics]` of four rows each. What is beyond the last row is the last row: it
/// has no say in the loss, but must not be what is no number.
#[cube(launch_unchecked)]
pub(super) fn windows(
    from: &[f32],
    to: &mut [Four],
    first_row: u32,
    rows: u32,
    blocks: u32,
    #[comptime] window: usize,
    #[comptime] metrics: usize,
) {
    let at = ABSOLUTE_POS_X as usize;
    let step = CUBE_POS_Y as usize;
    if at < blocks as usize * metrics {
        let (block, metric) = (at / metrics, at % metrics);
        let mut four = Four::new(0.0f32);
        #[unroll]
        for r in 0..4usize {
            let row = min(block * 4 + r, rows as usize - 1) + first_row as usize;
            four.insert(r, from[(row * window + step) * metrics + metric]);
        }
        to[step * blocks as usize * metrics + at] = four;
    }
}
