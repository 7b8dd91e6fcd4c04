//! Detectors that compare a row with the rows near to it.

pub(crate) mod abod;
pub(crate) mod cblof;
pub(crate) mod cof;
pub(crate) mod inne;
pub(crate) mod knn;
pub(crate) mod loci;
pub(crate) mod lof;
pub(crate) mod sod;
pub(crate) mod sos;
