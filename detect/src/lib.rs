//! Pure algorithms on series and counts.
//!
//! [`stream`] decides, point by point, what is unusual in one metric; [`threshold`] gives it a limit for a stated rate of false
//! alarms; [`windows`] turns hits on many metrics into windows with sharp edges; [`rates`] and [`histogram`] compare what happened
//! inside a window with what happens outside.
//!
//! What learns first has one interface, [`detector`]: residuals ([`baseline`]), scored by a recipe ([`scoring`]), joined in an
//! [`ensemble`], with a threshold from [`alarm_rate`]. [`scaler`] is what a trained forecaster (`osd-lstm`) sees metrics
//! through. [`novelty`] is for one metric with a rhythm. [`metrics`] and [`nab`] say how good
//! a score is, [`incidents`] how good alarms are. No I/O, no clock, no unseeded randomness: the same input gives the same output.

pub mod alarm_rate;
pub mod baseline;
pub mod detector;
pub mod ensemble;
pub mod grid;
pub mod histogram;
pub mod incidents;
pub mod metrics;
pub mod nab;
pub mod novelty;
pub mod rates;
pub mod rng;
pub mod robust;
pub mod scaler;
pub mod scoring;
pub mod series;
pub mod stream;
pub mod threshold;
pub mod windows;
