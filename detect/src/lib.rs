//! Pure algorithms on series and counts. No I/O, no clock, no unseeded randomness: the same input
//! gives the same output.
//!
//! The rooms, each of which uses only those before it:
//!
//! - [`stats`] robust statistics, tails, rates and histograms;
//! - [`data`] tables, grids, scales, and the seeded generator;
//! - [`detector`] what a detector is;
//! - [`online`] detectors of one metric, point by point;
//! - [`outlier`] detectors that learn from rows of features, equal to PyOD's;
//! - [`batch`] detectors of many metrics that learn first;
//! - [`sequence`] sequences of symbols: what two have in common, which belong together;
//! - [`combine`] many scores to one, scores to alarms, alarms to windows;
//! - [`whole`] a recording that is there as a whole, read both ways or against others;
//! - [`registry`] every detector by its name;
//! - [`judge`] any of them over the metrics of a recording;
//! - [`second_look`] what others say of the windows that one found.
//!
//! Each module of a room is reachable from the root, too: `osd_detect::stream` is `osd_detect::online::stream`.

pub mod batch;
pub mod combine;
pub mod data;
pub mod detector;
pub mod judge;
pub mod online;
pub mod outlier;
pub mod registry;
pub mod second_look;
pub mod sequence;
pub mod stats;
pub mod whole;

pub use batch::{plain, residual, scoring};
pub use combine::{alarm_rate, alarms, ensemble, windows};
pub use data::{grid, metric, rng, scaler, series};
pub use online::shape::Shape;
pub use online::{novelty, stream, watch};
pub use stats::{difference, histogram, rates, robust, tail, trend};
