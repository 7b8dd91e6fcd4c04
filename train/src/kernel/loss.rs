//! Huber's loss, of one error; and of a symbol how unlikely it was called.

use super::cell::exp;

/// Huber's loss: half the square of a small error, linear beyond 1, so that a burst in the training data does not lead.
pub(crate) struct Loss;

impl Loss {
    /// Of an error.
    #[inline(always)]
    pub(super) fn value(error: f32) -> f32 {
        let size = error.abs();
        if size <= 1.0 { 0.5 * error * error } else { size - 0.5 }
    }

    /// Its derivative.
    #[inline(always)]
    pub(super) fn slope(error: f32) -> f32 {
        error.clamp(-1.0, 1.0)
    }
}

/// The surprise in nats at symbol `came`, whose `scores` say how likely each is, as logarithms that are off by a constant; each of them
/// becomes `scale` times its slope.
pub(super) fn of_symbol(scores: &mut [f32], came: usize, scale: f32) -> f32 {
    let came = came.min(scores.len() - 1);
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let own = scores[came] - largest;
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = exp(*score - largest);
        sum += *score;
    }
    scores.iter_mut().for_each(|p| *p *= scale / sum);
    scores[came] -= scale;
    sum.ln() - own
}
