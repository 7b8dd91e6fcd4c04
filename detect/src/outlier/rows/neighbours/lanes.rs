//! Bounds on distances, of four rows to a block of thirty-two at a time, by what vector
//! instructions the processor has.
//!
//! With `h = |r|^2 / 2 - q.r`, the squared distance of rows `q` and `r` is `|q|^2 + 2 h`: one multiplication a column. The values here
//! are `f32` and differ between processors by rounding. They only say which rows are worth an exact look, so no result does.

/// Rows of a block.
pub(super) const WIDTH: usize = 32;
/// Rows asked about at once.
pub(super) const GROUP: usize = 4;

/// What is to be told of one block.
pub(super) struct Block<'a> {
    /// Column after column, [`WIDTH`] rows each.
    pub(super) values: &'a [f32],
    /// Half the squared lengths of the rows.
    pub(super) half: &'a [f32],
}

/// Sets a bit for each row of the block whose `h` may be at most that row's limit: not if it is above, so that what is no number any more
/// is worth a look. `queries` has [`GROUP`] values a column.
fn near_plain(queries: &[f32], block: &Block<'_>, limits: [f32; GROUP]) -> [u32; GROUP] {
    let mut out = [0; GROUP];
    for (group, (out, limit)) in out.iter_mut().zip(limits).enumerate() {
        let mut h = [0.0_f32; WIDTH];
        h.copy_from_slice(&block.half[..WIDTH]);
        for (column, q) in block.values.chunks_exact(WIDTH).zip(queries.chunks_exact(GROUP)) {
            h.iter_mut().zip(column).for_each(|(h, r)| *h -= q[group] * r);
        }
        h.iter()
            .enumerate()
            .for_each(|(lane, h)| *out |= u32::from(*h <= limit || h.is_nan() || limit.is_nan()) << lane);
    }
    out
}

/// Which instructions there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    pub(super) fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let fused = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if fused && is_x86_feature_detected!("avx512f") {
                return Self::Avx512;
            }
            if fused {
                return Self::Avx2;
            }
        }
        Self::Plain
    }

    /// [`near`] by these instructions.
    #[inline]
    pub(super) fn near(self, queries: &[f32], block: &Block<'_>, limits: [f32; GROUP]) -> [u32; GROUP] {
        match self {
            Self::Plain => near_plain(queries, block, limits),
            // SAFETY: `best` has seen that the processor has them.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { near_avx2(queries, block, limits) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { near_avx512(queries, block, limits) },
        }
    }
}

/// As [`near_plain`], two registers of `$n` rows at a time. Written with the instructions' names, because the compiler makes single values
/// of the loops.
#[cfg(target_arch = "x86_64")]
macro_rules! near {
    ($name:ident, $features:literal, $n:literal, $load:ident, $all:ident, $fnmadd:ident, $is_near:ident) => {
        #[target_feature(enable = $features)]
        fn $name(queries: &[f32], block: &Block<'_>, limits: [f32; GROUP]) -> [u32; GROUP] {
            use std::arch::x86_64::*;
            let mut out = [0; GROUP];
            assert!(block.half.len() == WIDTH, "half a length a row");
            for part in (0..WIDTH).step_by(2 * $n) {
                let half = block.half.as_ptr();
                // SAFETY: `part + 2 n <= WIDTH`, which is the length.
                let start = unsafe { [$load(half.add(part)), $load(half.add(part + $n))] };
                let mut h = [start; GROUP];
                for (column, q) in block.values.chunks_exact(WIDTH).zip(queries.chunks_exact(GROUP)) {
                    let column = column.as_ptr();
                    // SAFETY: as above.
                    let r = unsafe { [$load(column.add(part)), $load(column.add(part + $n))] };
                    for group in 0..GROUP {
                        let q = $all(q[group]);
                        h[group] = [$fnmadd(q, r[0], h[group][0]), $fnmadd(q, r[1], h[group][1])];
                    }
                }
                for group in 0..GROUP {
                    let limit = $all(limits[group]);
                    let near = $is_near(h[group][0], limit) | $is_near(h[group][1], limit) << $n;
                    out[group] |= near << part;
                }
            }
            out
        }
    };
}

/// A bit for each value that is not above the limit.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
#[inline]
fn is_near_avx2(h: std::arch::x86_64::__m256, limit: std::arch::x86_64::__m256) -> u32 {
    use std::arch::x86_64::{_CMP_NGT_UQ, _mm256_cmp_ps, _mm256_movemask_ps};
    _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NGT_UQ>(h, limit)).cast_unsigned()
}

/// Likewise.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
#[inline]
fn is_near_avx512(h: std::arch::x86_64::__m512, limit: std::arch::x86_64::__m512) -> u32 {
    use std::arch::x86_64::{_CMP_NGT_UQ, _mm512_cmp_ps_mask};
    u32::from(_mm512_cmp_ps_mask::<_CMP_NGT_UQ>(h, limit))
}

#[cfg(target_arch = "x86_64")]
near!(near_avx2, "avx2,fma", 8, _mm256_loadu_ps, _mm256_set1_ps, _mm256_fnmadd_ps, is_near_avx2);

#[cfg(target_arch = "x86_64")]
near!(near_avx512, "avx512f,avx2,fma", 16, _mm512_loadu_ps, _mm512_set1_ps, _mm512_fnmadd_ps, is_near_avx512);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::rng::Rng;

    #[test]
    fn all_instructions_see_the_same_rows() {
        let mut rng = Rng(1);
        for columns in [1, 16, 38] {
            let mut value = || rng.normal() as f32;
            let values: Vec<f32> = (0..columns * WIDTH).map(|_| value()).collect();
            let queries: Vec<f32> = (0..columns * GROUP).map(|_| value()).collect();
            let mut half: Vec<f32> = (0..WIDTH).map(|_| value().abs()).collect();
            half[3] = f32::INFINITY;
            half[4] = f32::NAN;
            let block = Block { values: &values, half: &half };
            let limits = [-1.0, 0.3, f32::NEG_INFINITY, f32::INFINITY];
            let wanted = near_plain(&queries, &block, limits);
            assert!(wanted[2] == 1 << 4 && wanted[3] == u32::MAX && wanted[0] & 1 << 3 == 0);
            // Values this far from the limits are the same whatever the rounding.
            assert_eq!(Level::best().near(&queries, &block, limits), wanted, "{columns}");
        }
    }
}
