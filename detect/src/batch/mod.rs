//! Detectors that learn from a part believed normal, and then score another.
//!
//! A [`residual`] says how far each metric is from what it should be; [`scoring`] makes one score of
//! many residuals as osd does, [`plain`] as the literature does. [`pelt`] looks for change points, and
//! [`family`] lets the outlier detectors judge the points of a series.

use crate::detector::Entry;

pub mod family;
pub mod pelt;
pub mod plain;
pub mod residual;
pub mod scoring;

/// A line a detector.
pub(crate) const ENTRIES: &[&[Entry]] = &[residual::ENTRIES, &[pelt::ENTRY], family::ENTRIES];
