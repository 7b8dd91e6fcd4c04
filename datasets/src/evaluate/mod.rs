//! How good detectors are: what `osd eval` prints.
//!
//! [`metrics`] measures a score against labels point by point, [`nab`] as the Numenta Anomaly Benchmark does, [`incidents`] by the
//! clock, as an operator counts. `detectors` runs osd's detectors and the baselines over a [`crate::corpus`].

mod detectors;
pub mod incidents;
pub mod metrics;
pub mod nab;

pub use detectors::{
    Boxed, Error, NabRow, PUBLISHED, Row, detectors, learn, machine, nab as on_nab, novelty_scores, period,
};
