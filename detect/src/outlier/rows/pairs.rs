//! A row against all others: squared distances, and sums of kernels of them. What KDE, OCSVM, SOS
//! and LOCI are made of.
//!
//! Every value is summed in an order that is fixed, without fused instructions, so that results are the same on every processor; wider
//! vector instructions only make more of them at once.

use crate::data::parallel;
use crate::data::series::Table;
use crate::stats::wide::wide;

/// Rows of a block: their sums stay in registers.
const WIDTH: usize = 64;
/// Partial sums of a long sum.
const LANES: usize = 16;

/// Rows in blocks, column after column in each.
pub(crate) struct Rows {
    n: usize,
    values: Vec<f64>,
}

impl Rows {
    pub(crate) fn new(x: &Table) -> Self {
        let (n, columns) = (x.len(), x.columns());
        let mut values = vec![0.0; n.next_multiple_of(WIDTH) * columns];
        for (i, row) in x.rows().enumerate() {
            let start = i / WIDTH * WIDTH * columns + i % WIDTH;
            row.iter().enumerate().for_each(|(c, v)| values[start + c * WIDTH] = *v);
        }
        Self { n, values }
    }

    pub(crate) fn len(&self) -> usize {
        self.n
    }

    /// Squared distances of `row` to all rows.
    pub(crate) fn squares(&self, row: &[f64], out: &mut [f64]) {
        squares(&self.values, row, out);
    }

    /// What `value` makes of the squared distances of each row of `queries` to all rows.
    pub(crate) fn by_row<T: Send>(&self, queries: &Table, value: impl Fn(&mut [f64]) -> T + Sync) -> Vec<T> {
        let parts = parallel::in_parts(queries.len(), 16, |rows| {
            let mut squares = vec![0.0; self.n];
            let one = |row: usize| {
                self.squares(queries.row(row), &mut squares);
                value(&mut squares)
            };
            rows.map(one).collect::<Vec<T>>()
        });
        parts.into_iter().flatten().collect()
    }
}

wide! {
    /// Of blocks of rows to one row.
    fn squares(values: &[f64], row: &[f64], out: &mut [f64]) {
        for (block, out) in values.chunks_exact(WIDTH * row.len().max(1)).zip(out.chunks_mut(WIDTH)) {
            let mut sums = [0.0; WIDTH];
            for (column, v) in block.as_chunks::<WIDTH>().0.iter().zip(row) {
                for lane in 0..WIDTH {
                    let off = v - column[lane];
                    sums[lane] += off * off;
                }
            }
            out.copy_from_slice(&sums[..out.len()]);
        }
    }
}

/// Rows of a [`Strip`].
pub(crate) const STRIP: usize = 8;

/// Up to [`STRIP`] rows, column after column: for a few rows that many are compared with.
pub(crate) type Strip = Vec<[f64; STRIP]>;

/// Of up to [`STRIP`] rows; what is missing is infinitely far.
pub(crate) fn strip<'a>(rows: impl Iterator<Item = &'a [f64]>, columns: usize) -> Strip {
    let mut out = vec![[f64::INFINITY; STRIP]; columns];
    for (lane, row) in rows.take(STRIP).enumerate() {
        out.iter_mut().zip(row).for_each(|(column, v)| column[lane] = *v);
    }
    out
}

wide! {
    /// Squared distances of the rows of a strip to one row.
    pub(crate) fn to_strip(strip: &[[f64; STRIP]], row: &[f64]) -> [f64; STRIP] {
        let mut sums = [0.0; STRIP];
        for (column, v) in strip.iter().zip(row) {
            for lane in 0..STRIP {
                let off = v - column[lane];
                sums[lane] += off * off;
            }
        }
        sums
    }
}

/// e^x for x from -700 to 0; below that what it is at -700, which is nothing beside 1. Relative error below 1e-14 (a test).
#[inline(always)]
fn exp(x: f64) -> f64 {
    // Adding 1.5 * 2^52 leaves the nearest whole number in the low bits.
    const MAGIC: f64 = 6_755_399_441_055_744.0;
    // ln 2 in two parts (Cody & Waite): n times the first is exact.
    const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    let x = x.max(-700.0);
    let shifted = x * std::f64::consts::LOG2_E + MAGIC;
    let n = shifted - MAGIC;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    let mut p = 1.0 / 479_001_600.0;
    for c in [
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        p = p * r + c;
    }
    p * f64::from_bits(shifted.to_bits().wrapping_add(1_023) << 52)
}

wide! {
    /// e^(scale * v) in the place of each v; the product is at most 0.
    pub(crate) fn exp_of(values: &mut [f64], scale: f64) {
        values.iter_mut().for_each(|v| *v = exp(*v * scale));
    }
}

/// The sum of e^v; no v is above 0. Overwrites them.
pub(crate) fn sum_of_exp(values: &mut [f64]) -> f64 {
    exp_of(values, 1.0);
    sum(values)
}

wide! {
    /// The sum, by partial sums in a fixed order.
    pub(crate) fn sum(values: &[f64]) -> f64 {
        let mut sums = [0.0; LANES];
        let (chunks, rest) = values.as_chunks::<LANES>();
        for chunk in chunks {
            for lane in 0..LANES {
                sums[lane] += chunk[lane];
            }
        }
        sums.iter().sum::<f64>() + rest.iter().sum::<f64>()
    }
}

wide! {
    /// The sum of products, by partial sums in a fixed order.
    pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
        let mut sums = [0.0; LANES];
        let ((a, end_a), (b, end_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
        for (a, b) in a.iter().zip(b) {
            for lane in 0..LANES {
                sums[lane] += a[lane] * b[lane];
            }
        }
        sums.iter().sum::<f64>() + end_a.iter().zip(end_b).map(|(x, y)| x * y).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::rng::Rng;
    use crate::outlier::rows::neighbours::squared;

    #[test]
    fn exponentials_are_exact_to_thirteen_digits() {
        let mut rng = Rng(1);
        let values: Vec<f64> = (0..10_000).map(|i| -rng.unit() * f64::from(i % 650)).chain([0.0, -1e-300]).collect();
        let mut got = values.clone();
        exp_of(&mut got, 1.0);
        for (v, got) in values.iter().zip(&got) {
            assert!((got / v.exp() - 1.0).abs() < 1e-14, "{v}: {got} {}", v.exp());
        }
        let mut far = [f64::NEG_INFINITY, -1e6];
        exp_of(&mut far, 1.0);
        assert!(far.iter().all(|v| *v < 1e-300));
        assert!((sum_of_exp(&mut [0.0; 37]) - 37.0).abs() < 1e-12);
    }

    #[test]
    fn squares_are_those_of_one_row_at_a_time_whatever_the_instructions() {
        let mut rng = Rng(2);
        let mut x = Table::new(5);
        (0..300).for_each(|_| x.push(&[(); 5].map(|()| rng.normal())));
        let got = Rows::new(&x).by_row(&x.slice(0..3), |squares| squares.to_vec());
        for (query, squares) in got.iter().enumerate() {
            let wanted: Vec<f64> = x.rows().map(|row| squared(x.row(query), row)).collect();
            assert_eq!(*squares, wanted);
        }
        assert_eq!(dot(&[2.0; 33], &[3.0; 33]), 198.0);
    }
}
