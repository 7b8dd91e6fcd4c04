//! Novelty of one metric as it streams by: is this unlike anything before? For series with a
//! rhythm, where a network is weak.
//!
//! [`Views`] says how unlike the past a point is, in three ways; [`Reports`] makes one score of them, silences what follows a higher one
//! and believes a series less that reports often; [`Novelty`] is the two together. What can be chosen otherwise is in [`Tuning`].

mod config;
mod detector;
mod reports;
mod views;

pub use config::{Config, MOST, NEIGHBOURS, PAST, Tuning};
pub(crate) use detector::ENTRY;
pub use detector::Novelty;
pub use reports::Reports;
pub use views::Views;
