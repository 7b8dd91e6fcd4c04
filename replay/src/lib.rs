//! A recording as a stream: the rows in the order in which they were known, and what is made of
//! them as they come.
//!
//! Two clocks run in a replay. *Recording time* is what rows say; everything that is computed of rows knows this one only.
//! *Now* is the time of whoever watches; only [`pace`] is told it, and no file here reads it. So a replay at any speed, with any
//! pauses, gives the same rows in the same order, and tests need not wait.
//!
//! The rooms, from the bottom up; a room uses only those before it:
//!
//! - [`rows`]: a cursor over one or many recordings.
//! - [`pace`]: when a row is due, at which speed; pauses, steps, laps.
//! - [`table`]: the metrics of a recording, bin by bin, as its rows come.
//! - [`alarms`]: what a live detector says of them.
//! - [`screen`]: the state of a screen, what is on it at a moment, and how it is drawn.

pub mod alarms;
mod error;
pub mod pace;
pub mod rows;
pub mod screen;
pub mod table;

pub use error::{Error, Result};
