//! Huber's loss, of one error.

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
