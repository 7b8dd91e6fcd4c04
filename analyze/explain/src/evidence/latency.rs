//! How long calls took, in each window and in the baseline, from the histograms of `tally` rows.

use super::bins::Bin;
use osd_detect::grid::Grid;
use osd_detect::histogram;
use osd_recording::{Kind, Recording, Result};
use osd_signals::columns::{Histograms, Numbers, Texts, times};
use osd_signals::grid::query;
use std::collections::HashMap;
use std::ops::Range;

/// Latency histograms of each call, in each window and in the baseline.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    pub(crate) inside: HashMap<(usize, String), Vec<u64>>,
    pub(crate) outside: HashMap<String, Vec<u64>>,
}

impl Latency {
    /// Adds up the histograms of the `tally` rows that begin in `range`.
    pub(crate) fn read(recording: &Recording, grid: Grid, bins: &[Bin], range: Option<&Range<i64>>) -> Result<Self> {
        let mut out = Self::default();
        for batch in recording.read(&query(Kind::Tally, &["ts", "dur_ns", "syscall", "latency_log2"], range))? {
            let batch = batch?;
            let (dur, histograms) = (Numbers::of(&batch, "dur_ns"), Histograms::of(&batch, "latency_log2"));
            let names = Texts::of(&batch, "syscall");
            for (row, ts) in times(&batch).iter().enumerate() {
                let Some(name) = names.text(row) else { continue };
                let half = dur.u64(row).unwrap_or(0) / 2;
                let Some(bin) = grid.bin(ts.saturating_add_unsigned(half)) else { continue };
                let sum = match bins[bin] {
                    Bin::Window(w) => out.inside.entry((w, name.to_owned())).or_default(),
                    Bin::Baseline => {
                        if !out.outside.contains_key(name) {
                            out.outside.insert(name.to_owned(), vec![]);
                        }
                        let Some(sum) = out.outside.get_mut(name) else { continue };
                        sum
                    }
                    Bin::Neither => continue,
                };
                if let Some(counts) = histograms.counts(row) {
                    histogram::merge(sum, counts);
                }
            }
        }
        Ok(out)
    }
}
