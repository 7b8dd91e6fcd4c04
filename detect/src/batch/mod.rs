//! Detectors that learn from a part believed normal, and then score another.
//!
//! A [`residual`] says how far each metric is from what it should be; [`scoring`] makes one score of
//! many residuals as osd does, [`plain`] as the literature does.

pub mod plain;
pub mod residual;
pub mod scoring;
