//! Products of matrices, by the `gemm` crate: a safe door with the sizes checked.
//!
//! One thread each: whoever calls has already split the work, and a product's order of addition must not depend on how many threads
//! there are.

/// A matrix in a slice: element `(row, column)` lies at `row * row_stride + column * column_stride`.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    values: &'a [f32],
    row_stride: usize,
    column_stride: usize,
}

impl<'a> View<'a> {
    /// Row after row, `stride` values from one to the next.
    pub(crate) fn rows(values: &'a [f32], stride: usize) -> Self {
        Self { values, row_stride: stride, column_stride: 1 }
    }

    /// Its transpose; nothing is moved.
    pub(crate) fn transposed(self) -> Self {
        Self { row_stride: self.column_stride, column_stride: self.row_stride, ..self }
    }

    fn covers(&self, rows: usize, columns: usize) -> bool {
        last(rows, self.row_stride, columns, self.column_stride) < self.values.len()
    }
}

fn last(rows: usize, row_stride: usize, columns: usize, column_stride: usize) -> usize {
    (rows - 1) * row_stride + (columns - 1) * column_stride
}

/// `out = left * right`: `[m, k]` times `[k, n]`, rows of `out` `stride` apart. What `out` held is not read.
///
/// # Panics
/// If a slice is too short for its size, or a size is 0.
pub(crate) fn product([m, k, n]: [usize; 3], left: View<'_>, right: View<'_>, out: &mut [f32], stride: usize) {
    assert!(m > 0 && k > 0 && n > 0 && n <= stride, "matrices of {m} x {k} x {n}");
    assert!(left.covers(m, k) && right.covers(k, n), "an input shorter than {m} x {k} x {n}");
    assert!(last(m, stride, n, 1) < out.len(), "an output shorter than {m} x {n}");
    let s = |stride: usize| stride as isize;
    // SAFETY: every element that these sizes and strides reach lies in its slice, as asserted above; `out` is borrowed alone, and rows
    // of it do not overlap, since `n <= stride`.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            s(stride),
            false,
            left.values.as_ptr(),
            s(left.column_stride),
            s(left.row_stride),
            right.values.as_ptr(),
            s(right.column_stride),
            s(right.row_stride),
            0.0_f32,
            1.0_f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_the_textbook() {
        for [m, k, n] in [[1, 1, 1], [3, 5, 7], [64, 69, 256], [17, 200, 33]] {
            let value = |i: usize| ((i * 2_654_435_761) % 1_000) as f32 / 500.0 - 1.0;
            let left: Vec<f32> = (0..m * k).map(value).collect();
            let right: Vec<f32> = (0..k * n).map(|i| value(i + 99)).collect();
            let wanted = |r: usize, c: usize| (0..k).map(|i| left[r * k + i] * right[i * n + c]).sum::<f32>();
            let mut flipped = vec![0.0; k * n];
            (0..k * n).for_each(|i| flipped[i % n * k + i / n] = right[i]);
            // A wider output: what lies between the rows stays.
            for right in [View::rows(&right, n), View::rows(&flipped, k).transposed()] {
                let mut out = vec![7.0; m * (n + 2)];
                product([m, k, n], View::rows(&left, k), right, &mut out, n + 2);
                for (i, found) in out.iter().enumerate() {
                    let (r, c) = (i / (n + 2), i % (n + 2));
                    let wanted = if c < n { wanted(r, c) } else { 7.0 };
                    assert!((found - wanted).abs() < 1e-3, "{m} {k} {n}: {found} {wanted}");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "an input shorter than 2 x 2 x 2")]
    fn a_slice_that_is_too_short_is_refused() {
        product([2, 2, 2], View::rows(&[0.0; 3], 2), View::rows(&[0.0; 4], 2), &mut [0.0; 4], 2);
    }
}
