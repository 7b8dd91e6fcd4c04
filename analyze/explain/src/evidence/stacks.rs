//! Stacks: how much time each has, over the grid.

use super::bins::Bin;
use osd_detect::grid::Grid;
use osd_recording::{Columns, Kind, Recording, Result};
use osd_signals::grid::query;
use std::collections::BTreeMap;
use std::ops::Range;

/// Different stacks that are kept; what comes after them is one more, of a name that says so.
const MOST: usize = 200_000;
/// Its name.
const OTHERS: &str = "[others]";

/// Time of one stack: in each window, and in the baseline.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    /// By the number of the window; `None`: the baseline.
    pub(crate) by: BTreeMap<Option<usize>, Sum>,
    /// The file that each function is in, as the row says it.
    pub(crate) modules: String,
}

/// A sum of stacks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    pub(crate) n: u64,
    pub(crate) ns: u64,
    /// Of `n`, those that were followed to their end.
    pub(crate) complete: u64,
}

impl Sum {
    pub(crate) fn add(&mut self, other: &Self) {
        self.n = self.n.saturating_add(other.n);
        self.ns = self.ns.saturating_add(other.ns);
        self.complete = self.complete.saturating_add(other.complete);
    }
}

/// Those on a processor, by their functions.
#[derive(Debug, Default)]
pub(crate) struct Stacks(pub(crate) BTreeMap<String, Times>);

impl Stacks {
    /// Of the rows that begin in `range`.
    pub(crate) fn read(recording: &Recording, grid: Grid, bins: &[Bin], range: Option<&Range<i64>>) -> Result<Self> {
        let mut out = Self::default();
        if recording.kind_rows(Kind::Stack) == 0 {
            return Ok(out);
        }
        let columns = ["ts", "count", "total_ns", "event", "frames", "modules", "stack_end"];
        for batch in recording.read(&query(Kind::Stack, &columns, range))? {
            let batch = batch?;
            let columns = Columns::of(&batch, recording.path());
            let (count, ns) = (columns.u64("count")?, columns.u64("total_ns")?);
            let (event, frames) = (columns.text("event")?, columns.text("frames")?);
            let (modules, end) = (columns.text("modules")?, columns.text("stack_end")?);
            for (row, ts) in columns.ts()?.iter().enumerate() {
                let Some(bin) = grid.bin(*ts).filter(|_| event.at(row) == Some("cpu")) else { continue };
                let key = match bins[bin] {
                    Bin::Window(w) => Some(w),
                    Bin::Baseline => None,
                    Bin::Neither => continue,
                };
                let n = count.at(row).unwrap_or(0);
                let complete = if end.at(row) == Some("complete") { n } else { 0 };
                let frames = frames.at(row).unwrap_or_default();
                let times = match out.0.get_mut(frames) {
                    Some(known) => known,
                    None => {
                        let name = if out.0.len() < MOST { frames } else { OTHERS };
                        let times = out.0.entry(name.to_owned()).or_default();
                        times.modules = modules.at(row).unwrap_or_default().to_owned();
                        times
                    }
                };
                times.by.entry(key).or_default().add(&Sum { n, ns: ns.at(row).unwrap_or(0), complete });
            }
        }
        Ok(out)
    }
}
