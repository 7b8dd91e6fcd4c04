//! The measures of the picture that its parts share: width, margins, and where on it a time is.

use crate::words::units;

/// Width of the picture, px.
pub(crate) const WIDTH: f64 = 1600.0;
pub(crate) const MARGIN: f64 = 48.0;
/// Left and right end of the time axis.
pub(crate) const LEFT: f64 = 150.0;
pub(crate) const RIGHT: f64 = 1400.0;

/// Seconds since the start to px.
#[derive(Clone, Copy)]
pub(crate) struct TimeAxis {
    pub(crate) span_s: f64,
}

impl TimeAxis {
    pub(crate) fn x(self, at_s: f64) -> f64 {
        LEFT + (at_s / self.span_s).clamp(0.0, 1.0) * (RIGHT - LEFT)
    }
    pub(crate) fn ticks(self) -> Vec<f64> {
        units::time_ticks(self.span_s, 13)
    }
}
