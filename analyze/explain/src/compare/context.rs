//! A window beside its baseline: the bins of each, and counts of one thing in both.

use crate::evidence::{Bin, Events, Latency, Reference, Sparse};
use osd_detect::rates::Counts;
use osd_detect::windows::Group;
use osd_recording::Recording;
use osd_signals::Table;
use std::ops::Range;

/// What a window is compared by.
pub(crate) struct Context<'a> {
    pub(crate) recording: &'a Recording,
    pub(crate) table: &'a Table,
    pub(crate) bins: &'a [Bin],
    pub(crate) events: &'a Events,
    pub(crate) latency: &'a Latency,
}

/// A window, and the baseline cut into blocks as long as it.
pub(crate) struct Frame {
    /// Bins of the window.
    pub(crate) inside: Range<usize>,
    pub(super) inside_s: f64,
    /// Length of the baseline.
    pub(crate) outside_s: f64,
    /// Block of each bin; `u32::MAX` for none.
    block_of: Vec<u32>,
    n_blocks: usize,
    /// Its number among the windows.
    pub(super) index: usize,
}

impl Context<'_> {
    /// The frame of `group`, the window with this index.
    pub(crate) fn frame(&self, index: usize, group: &Group) -> Frame {
        let grid = self.table.grid;
        let length = group.end - group.start;
        let mut block_of = vec![u32::MAX; self.bins.len()];
        let mut n_blocks = 0;
        let mut run = 0;
        for bin in 0..self.bins.len() {
            run = if self.bins[bin] == Bin::Baseline { run + 1 } else { 0 };
            if run == length {
                block_of[bin + 1 - length..=bin].fill(n_blocks);
                n_blocks += 1;
                run = 0;
            }
        }
        let outside = self.bins.iter().filter(|b| **b == Bin::Baseline).count();
        Frame {
            inside: group.start..group.end,
            inside_s: grid.seconds(length),
            outside_s: grid.seconds(outside),
            block_of,
            n_blocks: n_blocks as usize,
            index,
        }
    }

    /// Counts of one thing, as values of bins.
    pub(super) fn counts(&self, frame: &Frame, values: impl Iterator<Item = (usize, f64)>) -> Counts {
        let mut counts = Counts {
            inside_s: frame.inside_s,
            outside_s: frame.outside_s,
            blocks: vec![0.0; frame.n_blocks],
            ..Counts::default()
        };
        for (bin, value) in values {
            if frame.inside.contains(&bin) {
                counts.inside += value;
            } else if self.bins[bin] == Bin::Baseline {
                counts.outside += value;
                if let Some(block) = counts.blocks.get_mut(frame.block_of[bin] as usize) {
                    *block += value;
                }
            }
        }
        counts
    }

    pub(super) fn dense(&self, frame: &Frame, values: &[f64]) -> Counts {
        self.counts(frame, values.iter().copied().enumerate())
    }

    pub(super) fn sparse(&self, frame: &Frame, values: &Sparse) -> Counts {
        self.counts(frame, values.0.iter().map(|(bin, n)| (*bin as usize, f64::from(*n))))
    }

    /// The baseline near a window: before it, or where there is too little, after it.
    pub(crate) fn reference(&self, group: &Group) -> Reference<'_> {
        let grid = self.table.grid;
        let length = group.end - group.start;
        // With the margin beside the window, which is no baseline.
        let reach = (4 * length).max(grid.bins(5.0)) + grid.bins(1.0).max(1);
        let baseline = |span: &Range<usize>| self.bins[span.clone()].iter().filter(|b| **b == Bin::Baseline).count();
        let before = group.start.saturating_sub(reach)..group.start;
        let after = group.end..(group.end + reach).min(grid.len);
        let span = if baseline(&before) * 2 >= baseline(&after) { before } else { after };
        let n = baseline(&span);
        let weight = if n > 0 { length as f64 / n as f64 } else { 0.0 };
        Reference { span: grid.time(span.start)..grid.time(span.end), grid, bins: self.bins, weight }
    }
}

/// A count by the second; 0 in no time.
pub(super) fn per_s(count: f64, seconds: f64) -> f64 {
    if seconds > 0.0 { count / seconds } else { 0.0 }
}
