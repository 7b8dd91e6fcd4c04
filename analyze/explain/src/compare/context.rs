//! A window beside its baseline: the bins of each, and counts of one thing in both.

use crate::Result;
use crate::evidence::{Bin, Elsewhere, Events, Files, Latency, Reference, Sparse, Stacks};
use crate::usual::Usual;
use osd_detect::rates::Counts;
use osd_detect::windows::Group;
use osd_recording::Recording;
use osd_signals::Table;
use osd_signals::calls::CallSeries;
use std::cell::OnceCell;
use std::ops::Range;

/// What a window is compared by.
pub(crate) struct Context<'a> {
    pub(crate) recording: &'a Recording,
    pub(crate) table: &'a Table,
    pub(crate) bins: &'a [Bin],
    pub(crate) events: &'a Events,
    pub(crate) latency: &'a Latency,
    pub(crate) stacks: &'a Stacks,
    /// Only its rows are looked at, if it is not all of the recording.
    pub(crate) range: Option<&'a Range<i64>>,
    /// Read when the first descriptor is to be named.
    pub(crate) files: OnceCell<Files>,
    /// Other recordings that are the baseline, in the place of the recording's own.
    pub(crate) usual: &'a [Usual<'a>],
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
    /// The same of each of the other recordings.
    usual_block_of: Vec<Vec<u32>>,
    n_blocks: usize,
    /// Its number among the windows.
    pub(super) index: usize,
}

impl Context<'_> {
    /// The frame of `group`, the window with this index.
    pub(crate) fn frame(&self, index: usize, group: &Group) -> Frame {
        let grid = self.table.grid;
        let length = group.end - group.start;
        let mut n_blocks = 0;
        let block_of = blocks(self.bins, length, &mut n_blocks);
        let usual_block_of = self.usual.iter().map(|usual| blocks(&usual.bins, length, &mut n_blocks)).collect();
        let outside = self.bins.iter().filter(|b| **b == Bin::Baseline).count();
        Frame {
            inside: group.start..group.end,
            inside_s: grid.seconds(length),
            outside_s: grid.seconds(outside) + self.usual.iter().map(Usual::seconds).sum::<f64>(),
            block_of,
            usual_block_of,
            n_blocks: n_blocks as usize,
            index,
        }
    }

    /// Counts of one thing, as values of bins; those of other recordings are to be added.
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

    /// The same of all values.
    pub(super) fn dense(&self, frame: &Frame, values: &[f64]) -> Counts {
        self.counts(frame, values.iter().copied().enumerate())
    }

    /// The same where there are any.
    pub(super) fn sparse(&self, frame: &Frame, values: &Sparse) -> Counts {
        self.counts(frame, of_sparse(values))
    }

    /// Adds to `counts` what was counted of the same thing in the other recording that is number `which`.
    pub(super) fn add_usual(
        &self,
        counts: &mut Counts,
        frame: &Frame,
        which: usize,
        values: impl Iterator<Item = (usize, f64)>,
    ) {
        let bins = &self.usual[which].bins;
        for (bin, value) in values.filter(|(bin, _)| bins.get(*bin) == Some(&Bin::Baseline)) {
            counts.outside += value;
            if let Some(block) = counts.blocks.get_mut(frame.usual_block_of[which][bin] as usize) {
                *block += value;
            }
        }
    }

    /// The counts of a call, here and in the other recordings.
    pub(super) fn of_call(&self, frame: &Frame, name: &str, values: impl Fn(&CallSeries) -> &[f64]) -> Counts {
        let named = |calls: &'_ [CallSeries]| calls.iter().position(|c| c.name == name);
        let here = named(&self.table.calls).map(|i| values(&self.table.calls[i]));
        let mut counts = self.dense(frame, here.unwrap_or_default());
        for (which, usual) in self.usual.iter().enumerate() {
            if let Some(i) = named(&usual.table.calls) {
                let then = values(&usual.table.calls[i]).iter().copied().enumerate();
                self.add_usual(&mut counts, frame, which, then);
            }
        }
        counts
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

impl<'a> Context<'a> {
    /// What objects are compared with in the other recordings, and how many seconds that is.
    pub(crate) fn elsewhere(&self) -> (Vec<Elsewhere<'a>>, f64) {
        let middles = self.usual.iter().map(|usual| (usual.recording, usual.middle()));
        let (mut all, mut sum) = (vec![], 0.0);
        for (recording, (span, seconds)) in middles {
            sum += seconds;
            all.push(Elsewhere { recording, span });
        }
        (all, sum)
    }

    /// What descriptors were.
    pub(crate) fn files(&self) -> Result<&Files> {
        if let Some(files) = self.files.get() {
            return Ok(files);
        }
        // Opened before the time that is looked at counts, too.
        let until = self.range.map(|range| i64::MIN..range.end);
        let read = Files::read(self.recording, until.as_ref())?;
        Ok(self.files.get_or_init(|| read))
    }

    /// What the descriptor `fd` of `proc` was at that time, if the recording says so.
    pub(crate) fn path(&self, proc: u64, fd: i64, ts_ns: i64) -> Result<Option<&str>> {
        Ok(self.files()?.path(proc, fd, ts_ns))
    }

    /// The process that is called like `proc` of the other recording `which`; that one, if none is.
    pub(crate) fn same_process(&self, which: usize, proc: u64) -> u64 {
        let comm = self.usual[which].table.processes.get(&proc).map(|l| l.comm.as_str());
        let alike = self.table.processes.iter().find(|(_, life)| comm == Some(life.comm.as_str()));
        alike.map_or(proc, |(own, _)| *own)
    }
}

/// Number of the block of `length` baseline bins that each bin belongs to; `u32::MAX` for none.
fn blocks(bins: &[Bin], length: usize, n_blocks: &mut u32) -> Vec<u32> {
    let mut block_of = vec![u32::MAX; bins.len()];
    let mut run = 0;
    for bin in 0..bins.len() {
        run = if bins[bin] == Bin::Baseline { run + 1 } else { 0 };
        if run == length {
            block_of[bin + 1 - length..=bin].fill(*n_blocks);
            *n_blocks += 1;
            run = 0;
        }
    }
    block_of
}

/// The values of a sparse series, by bin.
pub(super) fn of_sparse(values: &Sparse) -> impl Iterator<Item = (usize, f64)> + '_ {
    values.0.iter().map(|(bin, n)| (*bin as usize, f64::from(*n)))
}

/// A count by the second; 0 in no time.
pub(super) fn per_s(count: f64, seconds: f64) -> f64 {
    if seconds > 0.0 { count / seconds } else { 0.0 }
}
