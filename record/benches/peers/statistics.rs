//! Medians, quartiles, and how far a ratio of two medians can be trusted. Pure.

/// The value that a fraction `q` of `values` lies below, interpolated. NaN if there are none.
pub(crate) fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = q * last as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    low + (high - low) * at.fract()
}

/// The middle value.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The ratio of the medians of pairs `(over, under)`, one pair a round, and the range that holds nine of ten such ratios when the rounds are
/// drawn again from those there were (bootstrap; seeded, so the same rounds give the same range). `None` if for one drawing in twenty
/// there is nothing to divide by: the noise is as large.
pub(crate) fn ratio(pairs: &[(f64, f64)]) -> Option<(f64, f64, f64)> {
    let of = |pairs: &[(f64, f64)]| {
        let (over, under): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        let under = median(&under);
        if under > 0.0 { median(&over) / under } else { f64::NAN }
    };
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        pairs[(state % pairs.len() as u64) as usize]
    };
    let redrawn = if pairs.is_empty() { 0 } else { 2000 };
    let ratios: Vec<f64> = (0..redrawn).map(|_| of(&pairs.iter().map(|_| draw()).collect::<Vec<_>>())).collect();
    let told: Vec<f64> = ratios.iter().copied().filter(|r| r.is_finite()).collect();
    let stands = !told.is_empty() && told.len() * 20 >= ratios.len() * 19 && of(pairs).is_finite();
    stands.then(|| (of(pairs), quantile(&told, 0.05), quantile(&told, 0.95)))
}
