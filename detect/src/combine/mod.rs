//! From many scores to one, and from scores to alarms and windows.
//!
//! [`ensemble`] joins detectors. [`alarms`] are runs of points that alarm; [`alarm_rate`] gives the threshold for a stated rate of
//! false ones. [`windows`] joins hits on many metrics into windows with sharp edges.

use crate::detector::Entry;

pub mod alarm_rate;
pub mod alarms;
pub mod ensemble;
pub mod windows;

/// A line a detector.
pub(crate) const ENTRIES: &[Entry] = &[ensemble::ENTRY];
