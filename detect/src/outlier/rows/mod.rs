//! What several detectors ask of rows: the nearest ones, all pairs, centres, histograms, scales.

pub(crate) mod histogram;
pub(crate) mod kmeans;
pub(crate) mod neighbours;
pub(crate) mod pairs;
pub(crate) mod scaled;
