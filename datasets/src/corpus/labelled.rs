//! A series of numbers with its truth.

use osd_detect::series::Table;
use std::ops::Range;

/// One series with its truth.
#[derive(Clone, Debug)]
pub struct Labelled {
    /// Unique in the corpus.
    pub name: String,
    /// Names of the columns.
    pub metrics: Vec<String>,
    /// Time between points, seconds. Nominal: NAB's traffic files are irregular.
    pub interval_s: f64,
    /// A part before the test, believed normal.
    pub train: Option<Table>,
    /// The part that is scored.
    pub test: Table,
    /// True inside anomalies, one for each row of `test`.
    pub labels: Vec<bool>,
    /// The anomalies in order, as rows of `test`.
    pub windows: Vec<Range<usize>>,
}

/// Rows inside of `windows`.
pub(super) fn labels(windows: &[Range<usize>], rows: usize) -> Vec<bool> {
    let mut out = vec![false; rows];
    windows.iter().for_each(|w| out[w.clone()].fill(true));
    out
}
