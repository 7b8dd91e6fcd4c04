//! From a recording to what is judged: a [`Table`] of its metrics, calls and processes on a regular
//! grid.
//!
//! A recording is rows of many processes, each over a span of its own. Detectors and comparisons want series: one value
//! for each metric and each interval, and a gap where nothing was recorded. [`Table::read`] makes them, [`losses`] says
//! what is missing from them, [`failures`] which errors are failures.
//!
//! The modules from the bottom up: [`metric`], [`grid`] and [`parallel`] → [`coverage`] of bins →
//! [`samples`], [`calls`], [`processes`] → [`table`] → [`failures`] and [`losses`] → [`roles`].

pub mod calls;
pub mod containers;
pub mod coverage;
mod error;
pub mod failures;
pub mod grid;
pub mod losses;
pub mod metric;
pub mod parallel;
pub mod processes;
pub mod roles;
pub mod samples;
pub mod shared;
pub mod table;
pub mod threads;

pub use error::{Error, Result};
pub use table::Table;
