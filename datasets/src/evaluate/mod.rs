//! How good detectors are: what `osd eval` prints.
//!
//! [`metrics`] measures a score against labels point by point, [`nab`] as the Numenta Anomaly Benchmark does, [`incidents`] by the
//! clock, as an operator counts. `by_machine.rs` and `leaderboard.rs` run the registry's detectors over a [`crate::corpus`],
//! `by_trace.rs` those of sequences, `causes.rs` looks for the component that caused an issue, [`left_out`] chooses parameters without the file;
//! [`live`] sums up what commands said of labelled recordings.

mod by_machine;
mod by_trace;
mod causes;
mod error;
pub mod incidents;
mod leaderboard;
pub mod left_out;
pub mod live;
pub mod metrics;
pub mod nab;

pub use by_machine::{Boxed, Row, detectors, learn, machine, period};
pub use by_trace::{Learned, TraceRow, on_traces};
pub use causes::{CauseRow, FIRST, on_causes};
pub use error::Error;
pub use leaderboard::{NabQuality, NabRow, PUBLISHED, on_nab, online_scores, quality_on_nab};
