//! Which bins belong to which window, and which are the baseline that windows are compared with.

use osd_detect::grid::Grid;
use std::ops::Range;

/// What the bins of the grid are: in a window, in the baseline, or neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bin {
    /// By index.
    Window(usize),
    Baseline,
    /// Next to a window, or before the recording settled.
    Neither,
}

/// Baseline near a window, which the objects in it are compared with.
pub(crate) struct Reference<'a> {
    pub(crate) span: Range<i64>,
    pub(crate) grid: Grid,
    pub(crate) bins: &'a [Bin],
    /// Length of the window over that of the baseline in `span`; 0 without any.
    pub(crate) weight: f64,
}

impl Reference<'_> {
    /// Whether a row of that time belongs to it.
    pub(crate) fn holds(&self, ts_ns: i64) -> bool {
        let baseline = |bin: usize| self.bins[bin] == Bin::Baseline;
        self.span.contains(&ts_ns) && self.grid.bin(ts_ns).is_some_and(baseline)
    }
}
