//! How good detectors are: what `osd eval` prints.
//!
//! [`metrics`] measures a score against labels point by point, [`nab`] as the Numenta Anomaly Benchmark does, [`incidents`] by the
//! clock, as an operator counts. `by_machine.rs` and `leaderboard.rs` run the registry's detectors over a [`crate::corpus`],
//! `by_trace.rs` those of sequences;
//! [`live`] sums up what commands said of labelled recordings.

mod by_machine;
mod by_trace;
mod error;
pub mod incidents;
mod leaderboard;
pub mod live;
pub mod metrics;
pub mod nab;

pub use by_machine::{Boxed, Row, learn, machine, period};
pub use by_trace::{TraceRow, on_traces};
pub use error::Error;
pub use leaderboard::{NabRow, PUBLISHED, on_nab};
