//! What is known of a metric before any of its values is seen.

/// What the values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Something per second: its mean over a scale is watched.
    Rate,
    /// A level that may drift, e.g. memory: its growth over a scale is watched, so a jump and a ramp are caught, a height is not.
    Level,
}

/// What matters of a metric, in its own unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// What the values are.
    pub form: Form,
    /// Least rise over the median that matters, in the metric's unit (for a level: growth over a scale).
    pub floor: f64,
    /// Least rise that matters as a share of the median (for a level: of the level itself).
    pub relative_floor: f64,
    /// Least fall that matters as a share of the median, below 1; `None` watches rises only. Rates only.
    pub fall: Option<f64>,
}

impl Metric {
    /// Of which nothing is known: a rate whose every rise and fall may matter.
    pub const UNKNOWN: Self = Self { form: Form::Rate, floor: 0.0, relative_floor: 0.0, fall: Some(0.0) };

    /// Whether a rise (or a fall) of a rate from `level` to `height` matters. One of a level always does: what is watched is its growth.
    pub fn matters(&self, level: f64, height: f64, rising: bool) -> bool {
        match (self.form, rising, self.fall) {
            (Form::Level, ..) | (Form::Rate, false, None) => true,
            (Form::Rate, true, _) => height - level >= self.floor.max(self.relative_floor * level),
            (Form::Rate, false, Some(share)) => level - height >= share * level,
        }
    }
}
