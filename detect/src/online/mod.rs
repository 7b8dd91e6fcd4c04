//! Detectors of one metric that judge each point as it comes, by what came before.
//!
//! [`stream`] is made for samples of tenths of a second that start at rest: it is what `osd analyze` uses. [`novelty`] is made for
//! series with a rhythm, such as days.

use crate::detector::Entry;

pub mod novelty;
pub mod stream;

/// A line a detector.
pub(crate) const ENTRIES: &[Entry] = &[stream::ENTRY, novelty::ENTRY];
