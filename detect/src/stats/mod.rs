//! Statistics that know nothing of detectors: [`robust`] location and scale, the upper [`tail`] of
//! a distribution, [`rates`] of events compared, [`difference`]s of runs, [`histogram`]s of
//! durations, [`trend`]s.

pub mod difference;
pub mod histogram;
pub(crate) mod matrix;
pub mod rates;
pub mod robust;
pub(crate) mod special;
pub mod tail;
pub mod trend;
pub(crate) mod wide;
