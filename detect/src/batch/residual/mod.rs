//! The cheap forecasts of each metric that anything trained has to beat.
//!
//! - [`LastValue`]: each metric should be what it was a moment ago;
//! - [`Level`]: each metric should be what it was on average (`l2`: the distance from there);
//! - [`Pca`]: the metrics should lie in the plane in which they lay;
//! - [`Linear`]: each metric should follow from what all metrics were;
//! - [`SquaredDifference`] and [`MovingVariance`]: baselines of one line;
//! - [`Recurrence`]: each metric should be near something it was lately, or at this time of other days.
//!
//! [`Scale`] makes metrics of different units comparable for all of them.

use crate::detector::Entry;

mod last_value;
mod level;
mod linear;
mod moving_variance;
mod pca;
mod recurrence;
mod scale;
mod squared_difference;

pub use last_value::LastValue;
pub use level::Level;
pub use linear::Linear;
pub use moving_variance::MovingVariance;
pub use pca::Pca;
pub use recurrence::Recurrence;
pub use scale::Scale;
pub use squared_difference::SquaredDifference;

/// A line a detector.
pub(crate) const ENTRIES: &[Entry] =
    &[level::ENTRY, pca::ENTRY, last_value::ENTRY, linear::ENTRY, squared_difference::ENTRY, moving_variance::ENTRY];
