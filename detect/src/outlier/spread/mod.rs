//! Detectors that learn how rows are spread, and how far out of that one lies.

pub(crate) mod gmm;
pub(crate) mod hbos;
pub(crate) mod kde;
pub(crate) mod loda;
pub(crate) mod mad;
pub(crate) mod mcd;
pub(crate) mod ocsvm;
pub(crate) mod pca;
pub(crate) mod tails;
