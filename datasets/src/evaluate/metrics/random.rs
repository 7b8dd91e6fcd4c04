//! The floor under every measure.

use osd_detect::rng::Rng;

/// A random score: uniform, always the same for `n`.
pub fn uniform(n: usize) -> Vec<f64> {
    let mut rng = Rng(0x05d0_5d05);
    std::iter::repeat_with(|| rng.unit()).take(n).collect()
}
