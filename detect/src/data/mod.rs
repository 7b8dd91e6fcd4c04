//! What detectors are given: a table of metrics over time ([`series`]), time in equal bins
//! ([`grid`]), what is known of a metric beforehand ([`metric`]), metrics of any unit made
//! comparable ([`scaler`]), the one source of randomness ([`rng`]), and rows shared between
//! processors ([`parallel`]).

pub mod grid;
pub mod metric;
pub mod parallel;
pub mod rng;
pub mod scaler;
pub mod series;
