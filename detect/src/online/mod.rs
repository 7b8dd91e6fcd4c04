//! Detectors of one metric that judge each point as it comes, by what came before.
//!
//! [`stream`], for sudden changes, [`climb`], for slow ones, and [`gaps`], for what does not happen, are made for samples of tenths of a
//! second that start at rest: [`watch`] is the three together, and what `osd analyze` uses. [`novelty`] is made for series with a rhythm, such as days.
//! `classic` has the charts of the textbooks.

use crate::detector::Entry;

mod classic;
pub mod climb;
pub mod gaps;
pub mod novelty;
pub mod shape;
pub mod stream;
pub mod watch;

/// A line a detector.
pub(crate) const ENTRIES: &[&[Entry]] = &[&[watch::ENTRY, novelty::ENTRY], classic::ENTRIES];
