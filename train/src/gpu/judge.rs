//! From the last layer to the loss and back: the head, Huber's loss, and the gradients of forecasts
//! and states.

use super::four::Four;
use burn_cubecl::cubecl;
use cubecl::prelude::*;

/// What the head is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Head {
    pub(super) hidden: usize,
    pub(super) outputs: usize,
    pub(super) window: usize,
    pub(super) steps: usize,
    /// Where its matrix and its bias lie in the vector of weights.
    pub(super) matrix: usize,
    pub(super) bias: usize,
    /// Blocks a cube.
    pub(super) places: usize,
    /// Whether gradients are wanted.
    pub(super) wanted: bool,
}

/// Threads of this and of the cubes that add up; a power of two.
pub(super) const THREADS: usize = 256;

impl Head {
    /// Shared memory, in bytes.
    pub(super) fn shared(&self) -> usize {
        self.places * self.outputs * 16 + 2 * THREADS * 4
    }
}

/// Rows of a batch that are worked on at a time.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Rows {
    /// Of the whole batch.
    pub(super) first: u32,
    pub(super) count: u32,
    /// Four each.
    pub(super) blocks: u32,
}

/// `states` is `[window, blocks, hidden]` of the last layer; `targets` and `known` are of the whole batch. Each cube, of some blocks at
/// one step, adds up its losses and how many forecasts are known, into `sums[from..]`, two a cube.
#[cube(launch_unchecked)]
pub(super) fn judge(
    states: &[Four],
    weights: &[f32],
    targets: &[f32],
    known: &[f32],
    d_forecast: &mut [Four],
    d_states: &mut [Four],
    sums: &mut [f32],
    from: u32,
    rows: Rows,
    #[comptime] head: Head,
) {
    let step = CUBE_POS_Y as usize;
    let first = CUBE_POS_X as usize * head.places;
    let blocks = rows.blocks as usize;
    let hidden = comptime!(head.hidden);
    let outputs = comptime!(head.outputs);
    let mut slopes = Shared::<[Four]>::new_slice(comptime!(head.places * head.outputs));
    let mut loss = 0.0f32;
    let mut count = 0.0f32;
    let mut at = UNIT_POS as usize;
    while at < head.places * outputs {
        let (block, output) = (first + at / outputs, at % outputs);
        let mut slope = Four::new(0.0f32);
        if block < blocks {
            let state = ((head.window - head.steps + step) * blocks + block) * hidden;
            let row = head.matrix + output * hidden;
            let mut forecast = Four::new(weights[head.bias + output]);
            for k in 0..hidden {
                forecast += states[state + k] * Four::new(weights[row + k]);
            }
            #[unroll]
            for r in 0..4usize {
                let row = block * 4 + r;
                if row < rows.count as usize {
                    let place = (rows.first as usize + row) * head.steps + step;
                    let known = known[place];
                    let error = forecast.extract(r) - targets[place * outputs + output];
                    let size = error.abs();
                    let small = min(size, 1.0f32);
                    loss += known * small * (size - small * 0.5f32);
                    count += known;
                    slope.insert(r, known * clamp(error, -1.0f32, 1.0f32));
                }
            }
            if comptime!(head.wanted) {
                d_forecast[(step * blocks + block) * outputs + output] = slope;
            }
        }
        slopes[at] = slope;
        at += THREADS;
    }
    let mut losses = Shared::<[f32]>::new_slice(THREADS);
    let mut counts = Shared::<[f32]>::new_slice(THREADS);
    losses[UNIT_POS as usize] = loss;
    counts[UNIT_POS as usize] = count;
    sync_cube();
    if comptime!(head.wanted) {
        let mut at = UNIT_POS as usize;
        while at < head.places * hidden {
            let (place, k) = (at / hidden, at % hidden);
            if first + place < blocks {
                let mut sum = Four::new(0.0f32);
                for output in 0..outputs {
                    let weight = weights[head.matrix + output * hidden + k];
                    sum += slopes[place * outputs + output] * Four::new(weight);
                }
                d_states[(step * blocks + first + place) * hidden + k] = sum;
            }
            at += THREADS;
        }
    }
    add_up(&mut losses, &mut counts);
    if UNIT_POS == 0 {
        let cube = from as usize + 2 * CUBE_POS;
        sums[cube] = losses[0];
        sums[cube + 1] = counts[0];
    }
}

/// Adds up what each thread has put into both, into the first. Begins after a barrier and ends with one.
#[cube]
fn add_up(a: &mut Shared<[f32]>, b: &mut Shared<[f32]>) {
    let unit = UNIT_POS as usize;
    let mut half = CUBE_DIM as usize / 2;
    while half > 0 {
        if unit < half {
            let (other_a, other_b) = (a[unit + half], b[unit + half]);
            a[unit] += other_a;
            b[unit] += other_b;
        }
        sync_cube();
        half /= 2;
    }
}

/// The mean loss of a batch, from the `n` pairs that the cubes of [`judge()`] left, and what its gradient has to be multiplied by. One cube.
#[cube(launch_unchecked)]
pub(super) fn mean(sums: &[f32], loss: &mut [f32], scale: &mut [f32], n: u32) {
    let unit = UNIT_POS as usize;
    let mut losses = Shared::<[f32]>::new_slice(THREADS);
    let mut counts = Shared::<[f32]>::new_slice(THREADS);
    let mut sum = 0.0f32;
    let mut count = 0.0f32;
    let mut at = unit;
    while at < n as usize {
        sum += sums[2 * at];
        count += sums[2 * at + 1];
        at += THREADS;
    }
    losses[unit] = sum;
    counts[unit] = count;
    sync_cube();
    add_up(&mut losses, &mut counts);
    if unit == 0 {
        let by = 1.0f32 / max(counts[0], 1.0f32);
        loss[0] = losses[0] * by;
        scale[0] = by;
    }
}
