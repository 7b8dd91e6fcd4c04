//! Distribution functions: beta, Student's t, and the tail of the normal distribution.
//!
//! The gamma and error functions are `libm`'s. The rest is by hand (`docs/adr/0012-by-hand-or-by-crate.md`), and held to forty-digit
//! arithmetic by the tests.

/// P(T > t) for Student's t with `freedom` degrees, `t >= 0`.
pub(super) fn student_tail(t: f64, freedom: f64) -> f64 {
    if !t.is_finite() {
        return 0.0;
    }
    0.5 * beta_cdf(freedom / (freedom + t * t), freedom / 2.0, 0.5)
}

/// The value of Student's t that is exceeded with probability `1 - p`.
pub(super) fn student_quantile(p: f64, freedom: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1_000.0);
    for _ in 0..80 {
        let middle = 0.5 * (low + high);
        if student_tail(middle, freedom) > 1.0 - p { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// Where the regularised incomplete beta function is `p`.
pub(super) fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if beta_cdf(middle, a, b) < p { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// Regularised incomplete beta function, by Lentz's continued fraction.
pub(super) fn beta_cdf(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = (libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b) + a * x.ln() + b * (-x).ln_1p()).exp();
    if x < (a + 1.0) / (a + b + 2.0) {
        front * fraction(x, a, b) / a
    } else {
        1.0 - front * fraction(1.0 - x, b, a) / b
    }
}

fn fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let guard = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut h = d;
    // Converges in O(sqrt(max(a, b))) steps; counts of a whole recording need some thousands.
    for m in 1..20_000 {
        let m = f64::from(m);
        for step in [
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        ] {
            d = 1.0 / guard(1.0 + step * d);
            c = guard(1.0 + step / c);
            h *= d * c;
        }
        if (d * c - 1.0).abs() < 1e-12 {
            break;
        }
    }
    h
}

/// P(X <= x) for chi-square with `freedom` degrees: the regularised lower incomplete gamma function.
pub(crate) fn chi_square_cdf(x: f64, freedom: f64) -> f64 {
    let (a, x) = (freedom / 2.0, x / 2.0);
    if x <= 0.0 {
        return 0.0;
    }
    let front = (a * x.ln() - x - libm::lgamma(a)).exp();
    if x < a + 1.0 {
        // The series.
        let (mut term, mut sum) = (1.0 / a, 1.0 / a);
        for n in 1..10_000 {
            term *= x / (a + f64::from(n));
            sum += term;
            if term < sum * 1e-16 {
                break;
            }
        }
        front * sum
    } else {
        // Lentz's continued fraction of the upper one.
        let mut b = x + 1.0 - a;
        let (mut c, mut d) = (1e300, 1.0 / b);
        let mut h = d;
        for i in 1..10_000 {
            let i = f64::from(i);
            let an = -i * (i - a);
            b += 2.0;
            d = 1.0 / (an * d + b);
            c = b + an / c;
            h *= d * c;
            if (d * c - 1.0).abs() < 1e-16 {
                break;
            }
        }
        1.0 - front * h
    }
}

/// What chi-square with `freedom` degrees exceeds with probability `1 - p`.
pub(crate) fn chi_square_quantile(p: f64, freedom: f64) -> f64 {
    let (mut low, mut high) = (0.0, freedom + 10.0);
    while chi_square_cdf(high, freedom) < p && high < 1e9 {
        high *= 2.0;
    }
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if chi_square_cdf(middle, freedom) < p { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// -log10 of the probability that a normal value exceeds `z`; 0.30 at 0.
pub(crate) fn normal_tail(z: f64) -> f64 {
    if z < 37.0 {
        return -(0.5 * libm::erfc(z * std::f64::consts::FRAC_1_SQRT_2)).log10();
    }
    // The asymptotic series, where the probability is no number any more (Abramowitz & Stegun 26.2.12).
    let series = 1.0 - 1.0 / (z * z) + 3.0 / z.powi(4) - 15.0 / z.powi(6);
    (z * z / 2.0 + (z * std::f64::consts::TAU.sqrt()).ln() - series.ln()) / std::f64::consts::LN_10
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wanted values are mpmath's with 40 digits.
    #[test]
    fn incomplete_beta_is_exact_to_eleven_digits() {
        for (x, a, b, wanted) in [
            (0.3, 2.0, 5.0, 0.579_825),
            (0.5, 10.5, 0.5, 1.614_601_288_771_729_4e-4),
            (0.001, 1.0, 2_000.0, 0.864_800_074_602_500_3),
            (0.25, 300.0, 900.5, 0.507_757_598_923_820_3),
            (0.01, 40.0, 3_000.0, 5.303_776_678_036_36e-2),
        ] {
            let got = beta_cdf(x, a, b);
            assert!((got / wanted - 1.0).abs() < 1e-11, "{x} {a} {b}: {got}");
            assert!((beta_quantile(got, a, b) - x).abs() < 1e-9, "{x} {a} {b}");
        }
    }

    /// Wanted values are SciPy's.
    #[test]
    fn chi_square_and_its_quantiles_are_exact_to_ten_digits() {
        for (x, freedom, wanted) in [
            (3.841_458_820_694_124, 1.0, 0.95),
            (18.307_038_053_275_146, 10.0, 0.95),
            (0.5, 4.0, 0.026_499_021_160_743_91),
        ] {
            let got = chi_square_cdf(x, freedom);
            assert!((got - wanted).abs() < 1e-10, "{x} {freedom}: {got}");
            assert!((chi_square_quantile(got, freedom) - x).abs() < 1e-8, "{x} {freedom}");
        }
    }

    #[test]
    fn students_quantiles() {
        for (freedom, wanted) in [(7.0, 2.364_624), (9.0, 2.262_157), (30.0, 2.042_272), (1e6, 1.959_966)] {
            assert!((student_quantile(0.975, freedom) - wanted).abs() < 1e-4, "{freedom}");
        }
    }

    #[test]
    fn normal_tail_is_exact_to_twelve_digits() {
        for (z, wanted) in [
            (-3.0, 5.866_493_137_900_667e-4),
            (0.0, std::f64::consts::LOG10_2),
            (1.0, 0.799_545_541_491_970_5),
            (4.9, 6.319_498_347_153_131),
            (5.0, 6.542_645_672_390_655),
            (10.0, 23.118_053_405_486_076),
            (20.0, 88.560_095_343_075_59),
            (37.0, 299.242_181_178_609_9),
        ] {
            assert!((normal_tail(z) / wanted - 1.0).abs() < 1e-11, "{z}: {}", normal_tail(z));
        }
        assert!((normal_tail(36.999_999) - normal_tail(37.0)).abs() < 1e-4);
    }
}
