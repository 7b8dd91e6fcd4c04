//! What is observed of a recording, and the time in which.

use osd_findings::{About, SideRecording};
use std::collections::BTreeMap;

/// What a number is about, and which.
pub(crate) type Key = (About, String);

/// A recording, observed.
pub(crate) struct Observed {
    pub(crate) side: SideRecording,
    /// Bins of counts, a second each, or longer in a recording of more than 4 096 seconds.
    pub(crate) bins: usize,
    /// Length of each, seconds.
    pub(crate) bin_s: f64,
    /// Values of each metric, by interval; empty where the recording does not have it.
    pub(crate) values: BTreeMap<String, Vec<f64>>,
    /// The same with gaps and times since the start, for pictures.
    pub(crate) series: BTreeMap<String, Vec<(f64, Option<f64>)>>,
    /// Intervals a second.
    pub(crate) per_s: f64,
    /// Counts by bin. A key that is missing was not seen.
    pub(crate) counts: BTreeMap<Key, Vec<f64>>,
    /// Of calls: histograms of latencies by bin.
    pub(crate) latencies: BTreeMap<String, Vec<Vec<u64>>>,
    /// Of calls: seconds in them.
    pub(crate) time_s: BTreeMap<String, f64>,
    /// What this recording could not have seen.
    pub(crate) blind: Vec<About>,
}

/// The time that is compared.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    pub(super) from_ns: i64,
    pub(super) bin_ns: i64,
    pub(super) bins: usize,
}

impl Span {
    /// The bin in which this is.
    pub(super) fn bin(self, ts_ns: i64) -> Option<usize> {
        let since = ts_ns.checked_sub(self.from_ns).filter(|ns| *ns >= 0)?;
        let bin = usize::try_from(since / self.bin_ns.max(1)).ok()?;
        (bin < self.bins).then_some(bin)
    }
}
