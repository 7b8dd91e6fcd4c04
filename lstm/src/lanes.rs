//! Several `f32` at once: AVX-512, AVX2 with FMA, or four lanes that the compiler maps to what
//! every processor of the architecture has (SSE2, NEON). Which is decided when the program runs, so
//! one binary does well everywhere.
//!
//! Results of the three differ by rounding only: fused multiply-add rounds once where multiply and add round twice.

/// A register's worth of values.
///
/// # Safety
/// Every function may be called only on a processor that has the instructions, and from a function compiled for them; pointers must be
/// good for [`Lanes::N`] values.
pub(super) trait Lanes: Copy {
    /// Values in one.
    const N: usize;
    /// All the same.
    unsafe fn splat(v: f32) -> Self;
    /// Reads `N` values, at any alignment.
    unsafe fn load(from: *const f32) -> Self;
    /// Writes `N` values, at any alignment.
    unsafe fn store(self, to: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn div(self, other: Self) -> Self;
    unsafe fn min(self, other: Self) -> Self;
    unsafe fn max(self, other: Self) -> Self;
    /// `self * by + plus`.
    unsafe fn fma(self, by: Self, plus: Self) -> Self;
    /// `self * 2^n`, `n` being the low bits of `n + 1.5 * 2^23`.
    unsafe fn scale(self, n: Self) -> Self;
}

/// e^x for x within ±40; the caller keeps to it. Relative error below 2e-7 (a test).
#[inline(always)]
unsafe fn exp<L: Lanes>(x: L) -> L {
    // Adding 1.5 * 2^23 leaves the nearest whole number in the low bits.
    const MAGIC: f32 = 12_582_912.0;
    // ln 2 in two parts (Cody & Waite): the first has so few digits that n times it is exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // SAFETY: the caller has the instructions.
    unsafe {
        let shifted = x.fma(L::splat(std::f32::consts::LOG2_E), L::splat(MAGIC));
        let n = shifted.sub(L::splat(MAGIC));
        let r = n.fma(L::splat(-LN_2_LOW), n.fma(L::splat(-LN_2_HIGH), x));
        // The polynomial of Cephes' expf.
        let mut p = L::splat(1.987_569_2e-4);
        for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
            p = p.fma(r, L::splat(c));
        }
        p.fma(r.mul(r), r).add(L::splat(1.0)).scale(shifted)
    }
}

/// e^-x, x cut at ±40: beyond, sigmoid and tanh are at their ends to the last digit of an `f32`.
#[inline(always)]
unsafe fn exp_minus<L: Lanes>(x: L, factor: f32) -> L {
    // SAFETY: the caller has the instructions.
    unsafe { exp(x.mul(L::splat(-factor)).max(L::splat(-40.0)).min(L::splat(40.0))) }
}

/// The LSTM's cell: from the sums at the four gates and the old state to the new state and the output. Absolute error below 1e-6 of
/// the output, of the state relative to it (a test).
#[inline(always)]
pub(super) unsafe fn cell<L: Lanes>([i, f, g, o]: [L; 4], c: L) -> (L, L) {
    // SAFETY: the caller has the instructions.
    unsafe {
        let one = L::splat(1.0);
        let (i, f, g, o) = (exp_minus(i, 1.0), exp_minus(f, 1.0), exp_minus(g, 2.0), exp_minus(o, 1.0));
        // tanh(x) = (1 - e^-2x) / (1 + e^-2x), so sigmoid times tanh takes one division. 2 x 40 is far from the largest exponent, 88.
        let c = c.div(one.add(f)).add(one.sub(g).div(one.add(i).mul(one.add(g))));
        let t = exp_minus(c, 2.0);
        (c, one.sub(t).div(one.add(o).mul(one.add(t))))
    }
}

/// Four values, by plain arithmetic.
#[derive(Clone, Copy)]
pub(super) struct Plain([f32; 4]);

impl Plain {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|k| f(self.0[k], other.0[k])))
    }
}

impl Lanes for Plain {
    const N: usize = 4;
    #[inline(always)]
    unsafe fn splat(v: f32) -> Self {
        Self([v; 4])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: good for four values.
        Self(unsafe { from.cast::<[f32; 4]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: good for four values.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(self.0) };
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn fma(self, by: Self, plus: Self) -> Self {
        // Every aarch64 fuses; on x86-64 without FMA a fused one is a call into a library.
        let one = |a: f32, b, c| if cfg!(target_arch = "aarch64") { a.mul_add(b, c) } else { a * b + c };
        Self(std::array::from_fn(|k| one(self.0[k], by.0[k], plus.0[k])))
    }
    #[inline(always)]
    unsafe fn scale(self, n: Self) -> Self {
        self.zip(n, |v, n| f32::from_bits(v.to_bits().wrapping_add(n.to_bits() << 23)))
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Lanes;
    use std::arch::x86_64::*;

    /// Eight values: AVX2 and FMA.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Avx2(__m256);

    /// Sixteen values: AVX-512F.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Avx512(__m512);

    macro_rules! lanes {
        ($name:ident, $n:literal, $splat:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident, $div:ident, $min:ident,
         $max:ident, $fma:ident, $bits:ident, $float:ident, $add_bits:ident, $shift:ident) => {
            // SAFETY (all): the caller has the instructions, and its pointers are good.
            impl Lanes for $name {
                const N: usize = $n;
                #[inline(always)]
                unsafe fn splat(v: f32) -> Self {
                    // SAFETY: see above.
                    Self(unsafe { $splat(v) })
                }
                #[inline(always)]
                unsafe fn load(from: *const f32) -> Self {
                    // SAFETY: see above.
                    Self(unsafe { $load(from) })
                }
                #[inline(always)]
                unsafe fn store(self, to: *mut f32) {
                    // SAFETY: see above.
                    unsafe { $store(to, self.0) }
                }
                #[inline(always)]
                unsafe fn add(self, other: Self) -> Self {
                    // SAFETY: see above.
                    Self(unsafe { $add(self.0, other.0) })
                }
                #[inline(always)]
                unsafe fn sub(self, other: Self) -> Self {
                    // SAFETY: see above.
                    Self(unsafe { $sub(self.0, other.0) })
                }
                #[inline(always)]
                unsafe fn mul(self, other: Self) -> Self {
                    // SAFETY: see above.
                    Self(unsafe { $mul(self.0, other.0) })
                }
                #[inline(always)]
                unsafe fn div(self, other: Self) -> Self {
                    // SAFETY: see above.
                    Self(unsafe { $div(self.0, other.0) })
                }
                #[inline(always)]
                unsafe fn min(self, other: Self) -> Self {
                    // SAFETY: see above.
                    Self(unsafe { $min(self.0, other.0) })
                }
                #[inline(always)]
                unsafe fn max(self, other: Self) -> Self {
                    // SAFETY: see above.
                    Self(unsafe { $max(self.0, other.0) })
                }
                #[inline(always)]
                unsafe fn fma(self, by: Self, plus: Self) -> Self {
                    // SAFETY: see above.
                    Self(unsafe { $fma(self.0, by.0, plus.0) })
                }
                #[inline(always)]
                unsafe fn scale(self, n: Self) -> Self {
                    // SAFETY: see above.
                    Self(unsafe { $float($add_bits($bits(self.0), $shift($bits(n.0), 23))) })
                }
            }
        };
    }

    lanes!(
        Avx2,
        8,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_add_ps,
        _mm256_sub_ps,
        _mm256_mul_ps,
        _mm256_div_ps,
        _mm256_min_ps,
        _mm256_max_ps,
        _mm256_fmadd_ps,
        _mm256_castps_si256,
        _mm256_castsi256_ps,
        _mm256_add_epi32,
        shift_256
    );
    lanes!(
        Avx512,
        16,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_add_ps,
        _mm512_sub_ps,
        _mm512_mul_ps,
        _mm512_div_ps,
        _mm512_min_ps,
        _mm512_max_ps,
        _mm512_fmadd_ps,
        _mm512_castps_si512,
        _mm512_castsi512_ps,
        _mm512_add_epi32,
        shift_512
    );

    // The two take their count as constants of different types.
    #[inline(always)]
    unsafe fn shift_256(v: __m256i, _: u8) -> __m256i {
        // SAFETY: the caller has AVX2.
        unsafe { _mm256_slli_epi32::<23>(v) }
    }
    #[inline(always)]
    unsafe fn shift_512(v: __m512i, _: u8) -> __m512i {
        // SAFETY: the caller has AVX-512F.
        unsafe { _mm512_slli_epi32::<23>(v) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cell: impl Fn([f32; 4], f32) -> (f32, f32)) {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let values = [-100.0, -41.0, -20.0, -9.0, -3.3, -1.0, -0.1, -1e-4, 0.0, 1e-6, 0.02, 0.7, 2.0, 8.0, 30.0, 90.0];
        for (n, i) in values.into_iter().enumerate() {
            for (m, g) in values.into_iter().enumerate() {
                let (f, o, c) = (values[(n + m) % 16], values[(n * 3 + m) % 16], values[(n + 5 * m) % 16] / 10.0);
                let [di, df, dg, d_o, dc] = [i, f, g, o, c].map(f64::from);
                let wanted = sigmoid(df) * dc + sigmoid(di) * dg.tanh();
                let (state, out) = cell([i, f, g, o], c);
                assert!((f64::from(state) - wanted).abs() < 1e-6 * wanted.abs().max(1.0), "{i} {f} {g} {c}");
                assert!((f64::from(out) - sigmoid(d_o) * wanted.tanh()).abs() < 1e-6, "{i} {f} {g} {o} {c}");
            }
        }
    }

    /// The cell of the first lane.
    #[inline(always)]
    unsafe fn first<L: Lanes>(gates: [f32; 4], c: f32) -> (f32, f32) {
        let (mut state, mut out) = ([0.0; 16], [0.0; 16]);
        // SAFETY: the caller has the instructions; no register holds more than sixteen values.
        unsafe {
            let (c, h) = super::cell(gates.map(|g| L::splat(g)), L::splat(c));
            c.store(state.as_mut_ptr());
            h.store(out.as_mut_ptr());
        }
        (state[0], out[0])
    }

    #[test]
    fn the_cell_is_that_of_the_equations_on_every_kind_of_lanes() {
        // SAFETY: plain arithmetic.
        check(|gates, c| unsafe { first::<Plain>(gates, c) });
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "avx2,fma")]
            fn avx2(gates: [f32; 4], c: f32) -> (f32, f32) {
                // SAFETY: compiled for them.
                unsafe { first::<Avx2>(gates, c) }
            }
            #[target_feature(enable = "avx512f")]
            fn avx512(gates: [f32; 4], c: f32) -> (f32, f32) {
                // SAFETY: compiled for it.
                unsafe { first::<Avx512>(gates, c) }
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                // SAFETY: it was asked for.
                check(|gates, c| unsafe { avx2(gates, c) });
            }
            if is_x86_feature_detected!("avx512f") {
                // SAFETY: it was asked for.
                check(|gates, c| unsafe { avx512(gates, c) });
            }
        }
    }

    #[test]
    fn the_exponential_is_right_to_the_last_digits() {
        let worst = (-400_000..400_000)
            .map(|i| {
                let x = i as f32 / 10_000.0;
                let mut out = [0.0; 4];
                // SAFETY: plain arithmetic.
                unsafe { exp(Plain([x; 4])).store(out.as_mut_ptr()) };
                (f64::from(out[0]) / f64::from(x).exp() - 1.0).abs()
            })
            .fold(0.0, f64::max);
        assert!(worst < 2e-7, "{worst}");
    }
}
