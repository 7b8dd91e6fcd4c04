//! A row of the comparison.

use super::cost::Cost;

/// One detector on one corpus.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) corpus: String,
    pub(super) detector: String,
    pub(super) series: usize,
    pub(super) vus_pr: f64,
    pub(super) auc_pr: f64,
    /// NAB's score of the profile `standard`, of a detector of one metric.
    pub(super) nab: Option<f64>,
    pub(super) cost: Cost,
}
