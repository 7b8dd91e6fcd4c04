//! What an LSTM does to each number between two products: gates, cell and output of one row, and
//! their way back.
//!
//! Plain loops over sixteen numbers at a time that the compiler makes vectors of, compiled three times: for AVX-512, for AVX2, and for
//! anything. No multiplication is fused with an addition, so the three give the same bits.

/// Numbers at a time: copied out and back, so that the compiler need not ask which slices overlap.
const LANES: usize = 16;

#[inline(always)]
fn load(from: &[f32], at: usize, n: usize) -> [f32; LANES] {
    let mut lanes = [0.0; LANES];
    lanes[..n].copy_from_slice(&from[at..at + n]);
    lanes
}

#[inline(always)]
fn store(lanes: &[f32; LANES], to: &mut [f32], at: usize, n: usize) {
    to[at..at + n].copy_from_slice(&lanes[..n]);
}

/// e^x with a relative error below 3e-7, for x within ±87; cut there. No branch and no call, so a loop of it becomes vectors.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    const MAGIC: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to a whole number, which lies in the low bits
    let x = x.clamp(-87.0, 87.0);
    let shifted = x * std::f32::consts::LOG2_E + MAGIC;
    let n = shifted - MAGIC;
    // Cody and Waite: ln 2 in two parts, so that what is subtracted is exact.
    let r = x - n * 0.693_359_4 - n * -2.121_944_4e-4;
    let p = 1.987_569_2e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_6e-1;
    let p = p * r + 0.5;
    let power = (shifted.to_bits().wrapping_sub(MAGIC.to_bits()).wrapping_add(127)) << 23;
    (p * r * r + r + 1.0) * f32::from_bits(power)
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[inline(always)]
fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (1.0 + exp(2.0 * x))
}

/// One row at one step, `hidden` values each, gates four times as many in the order i, f, g, o.
pub(crate) struct Forward<'a> {
    /// In: the products; out: the gates, after their functions.
    pub(crate) gates: &'a mut [f32],
    /// Of the gates.
    pub(crate) bias: &'a [f32],
    /// Cell of the step before.
    pub(crate) before: &'a [f32],
    /// Out: cell.
    pub(crate) cell: &'a mut [f32],
    /// Out: tanh of the cell.
    pub(crate) squashed: &'a mut [f32],
    /// Out: what the layer says.
    pub(crate) out: &'a mut [f32],
}

#[inline(always)]
fn forward_lanes(row: &mut Forward<'_>, at: usize, n: usize, width: usize) {
    let mut i = load(row.gates, at, n);
    let mut f = load(row.gates, width + at, n);
    let mut g = load(row.gates, 2 * width + at, n);
    let mut o = load(row.gates, 3 * width + at, n);
    let bi = load(row.bias, at, n);
    let bf = load(row.bias, width + at, n);
    let bg = load(row.bias, 2 * width + at, n);
    let bo = load(row.bias, 3 * width + at, n);
    let before = load(row.before, at, n);
    let (mut cell, mut squashed, mut out) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
    for j in 0..LANES {
        i[j] = sigmoid(i[j] + bi[j]);
        f[j] = sigmoid(f[j] + bf[j]);
        g[j] = tanh(g[j] + bg[j]);
        o[j] = sigmoid(o[j] + bo[j]);
        cell[j] = f[j] * before[j] + i[j] * g[j];
        squashed[j] = tanh(cell[j]);
        out[j] = o[j] * squashed[j];
    }
    store(&i, row.gates, at, n);
    store(&f, row.gates, width + at, n);
    store(&g, row.gates, 2 * width + at, n);
    store(&o, row.gates, 3 * width + at, n);
    store(&cell, row.cell, at, n);
    store(&squashed, row.squashed, at, n);
    store(&out, row.out, at, n);
}

#[inline(always)]
fn forward_row(mut row: Forward<'_>) {
    let width = row.out.len();
    let mut at = 0;
    while at + LANES <= width {
        forward_lanes(&mut row, at, LANES, width);
        at += LANES;
    }
    if at < width {
        forward_lanes(&mut row, at, width - at, width);
    }
}

/// One row at one step on the way back.
pub(crate) struct Backward<'a> {
    /// In: the gates; out: the gradient before their functions.
    pub(crate) gates: &'a mut [f32],
    /// Cell of the step before.
    pub(crate) before: &'a [f32],
    /// tanh of the cell.
    pub(crate) squashed: &'a [f32],
    /// Gradient of the output, from the layer above and from the step after.
    pub(crate) above: &'a [f32],
    /// As `above`.
    pub(crate) after: &'a [f32],
    /// In: gradient of the cell from the step after; out: for the step before.
    pub(crate) d_cell: &'a mut [f32],
    /// The gradients of the gates are added here.
    pub(crate) d_bias: &'a mut [f32],
}

#[inline(always)]
fn backward_lanes(row: &mut Backward<'_>, at: usize, n: usize, width: usize) {
    let mut i = load(row.gates, at, n);
    let mut f = load(row.gates, width + at, n);
    let mut g = load(row.gates, 2 * width + at, n);
    let mut o = load(row.gates, 3 * width + at, n);
    let mut bi = load(row.d_bias, at, n);
    let mut bf = load(row.d_bias, width + at, n);
    let mut bg = load(row.d_bias, 2 * width + at, n);
    let mut bo = load(row.d_bias, 3 * width + at, n);
    let (before, squashed) = (load(row.before, at, n), load(row.squashed, at, n));
    let (above, after) = (load(row.above, at, n), load(row.after, at, n));
    let mut d_cell = load(row.d_cell, at, n);
    for j in 0..LANES {
        let d_out = above[j] + after[j];
        let dc = d_cell[j] + d_out * o[j] * (1.0 - squashed[j] * squashed[j]);
        let di = dc * g[j] * i[j] * (1.0 - i[j]);
        let df = dc * before[j] * f[j] * (1.0 - f[j]);
        let dg = dc * i[j] * (1.0 - g[j] * g[j]);
        let d_o = d_out * squashed[j] * o[j] * (1.0 - o[j]);
        d_cell[j] = dc * f[j];
        (i[j], f[j], g[j], o[j]) = (di, df, dg, d_o);
        bi[j] += di;
        bf[j] += df;
        bg[j] += dg;
        bo[j] += d_o;
    }
    store(&i, row.gates, at, n);
    store(&f, row.gates, width + at, n);
    store(&g, row.gates, 2 * width + at, n);
    store(&o, row.gates, 3 * width + at, n);
    store(&bi, row.d_bias, at, n);
    store(&bf, row.d_bias, width + at, n);
    store(&bg, row.d_bias, 2 * width + at, n);
    store(&bo, row.d_bias, 3 * width + at, n);
    store(&d_cell, row.d_cell, at, n);
}

#[inline(always)]
fn backward_row(mut row: Backward<'_>) {
    let width = row.d_cell.len();
    let mut at = 0;
    while at + LANES <= width {
        backward_lanes(&mut row, at, LANES, width);
        at += LANES;
    }
    if at < width {
        backward_lanes(&mut row, at, width - at, width);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Backward, Forward, backward_row, forward_row};

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) fn forward_512(row: Forward<'_>) {
        forward_row(row);
    }
    #[target_feature(enable = "avx2")]
    pub(super) fn forward_256(row: Forward<'_>) {
        forward_row(row);
    }
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) fn backward_512(row: Backward<'_>) {
        backward_row(row);
    }
    #[target_feature(enable = "avx2")]
    pub(super) fn backward_256(row: Backward<'_>) {
        backward_row(row);
    }

    pub(super) fn has_512() -> bool {
        is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
    }

    pub(super) fn has_256() -> bool {
        is_x86_feature_detected!("avx2")
    }
}

/// The gates, the cell and the output of one row.
pub(crate) fn forward(row: Forward<'_>) {
    #[cfg(target_arch = "x86_64")]
    if x86::has_512() {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { x86::forward_512(row) };
    } else if x86::has_256() {
        // SAFETY: as above.
        return unsafe { x86::forward_256(row) };
    }
    forward_row(row);
}

/// The gradient of one row.
pub(crate) fn backward(row: Backward<'_>) {
    #[cfg(target_arch = "x86_64")]
    if x86::has_512() {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { x86::backward_512(row) };
    } else if x86::has_256() {
        // SAFETY: as above.
        return unsafe { x86::backward_256(row) };
    }
    backward_row(row);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_close_to_the_true_ones() {
        let mut worst = [0.0_f64; 3];
        for k in -20_000..=20_000 {
            let x = k as f32 / 1_000.0;
            let true_x = f64::from(x);
            worst[0] = worst[0].max((f64::from(exp(x)) / true_x.exp() - 1.0).abs());
            worst[1] = worst[1].max((f64::from(sigmoid(x)) - 1.0 / (1.0 + (-true_x).exp())).abs());
            worst[2] = worst[2].max((f64::from(tanh(x)) - true_x.tanh()).abs());
        }
        assert!(worst[0] < 3e-7 && worst[1] < 2e-7 && worst[2] < 3e-7, "{worst:?}");
        assert!(sigmoid(-1e9) < 1e-37 && (sigmoid(1e9), tanh(1e9), tanh(-1e9)) == (1.0, 1.0, -1.0));
        assert!(exp(f32::NAN).is_nan(), "what is not a number must not hide");
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let n = 37;
        let value = |i: usize| ((i * 2_654_435_761) % 1_000) as f32 / 250.0 - 2.0;
        let run = |forward: &dyn Fn(Forward<'_>), backward: &dyn Fn(Backward<'_>)| {
            let mut gates: Vec<f32> = (0..4 * n).map(value).collect();
            let bias: Vec<f32> = (0..4 * n).map(|i| value(i + 7)).collect();
            let before: Vec<f32> = (0..n).map(|i| value(i + 3)).collect();
            let [mut cell, mut squashed, mut out] = [(); 3].map(|()| vec![0.0; n]);
            forward(Forward {
                gates: &mut gates,
                bias: &bias,
                before: &before,
                cell: &mut cell,
                squashed: &mut squashed,
                out: &mut out,
            });
            let (mut d_cell, mut d_bias) = (before.clone(), vec![0.0; 4 * n]);
            backward(Backward {
                gates: &mut gates,
                before: &before,
                squashed: &squashed,
                above: &out,
                after: &before,
                d_cell: &mut d_cell,
                d_bias: &mut d_bias,
            });
            [gates, cell, squashed, out, d_cell, d_bias].concat().iter().map(|v| v.to_bits()).collect::<Vec<_>>()
        };
        assert_eq!(run(&forward_row, &backward_row), run(&forward, &backward));
    }
}
