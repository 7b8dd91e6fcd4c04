//! The control charts and change detectors of the textbooks, one metric each.
//!
//! They are what a new detector has to beat, and for some metrics they are all that is needed. The charts ([`ewma`], [`cusum`],
//! [`second_difference`], [`chi_square`]) compare with what the metric was while they learnt ([`Reference`]); [`z_score`] with what it was of
//! late; [`bocpd`] and [`matrix_profile`] with all before.

use crate::detector::Entry;

mod bocpd;
mod chi_square;
mod cusum;
mod ewma;
mod matrix_profile;
mod reference;
mod second_difference;
mod z_score;

use reference::Reference;

/// A line a detector.
pub(crate) const ENTRIES: &[Entry] = &[
    z_score::ENTRY,
    ewma::ENTRY,
    cusum::ENTRY,
    second_difference::ENTRY,
    chi_square::ENTRY,
    bocpd::ENTRY,
    matrix_profile::ENTRY,
];
