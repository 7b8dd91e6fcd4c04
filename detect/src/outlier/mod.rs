//! Outlier detectors: they learn from rows of features and say of any row how strange it is.
//!
//! A detector is one file with an [`Entry`], and its line in [`ENTRIES`]. [`contract`] is what all of them promise, which is what PyOD
//! promises; [`parameters`] are set by name. What several stand on: `neighbours` nearest rows, `pairs` a row against all others,
//! `kmeans`, `histogram`, `scaled`; and [`combination`] makes one score of many. `docs/adr/0013-a-family-of-detectors.md` says why
//! these are written here.

mod abod;
mod bagging;
mod cblof;
mod cof;
pub mod combination;
pub mod contract;
mod entry;
mod forest;
mod gmm;
mod hbos;
mod histogram;
mod inne;
mod kde;
mod kmeans;
mod knn;
mod loci;
mod loda;
mod lof;
mod lscp;
mod mad;
mod mcd;
mod neighbours;
mod ocsvm;
mod pairs;
pub mod parameters;
mod pca;
mod scaled;
mod sod;
mod sos;
mod tails;

pub use contract::{CONTAMINATION, Detector, Error, Fitted, Learnt, Probability, fit};
pub use entry::{Entry, Kind, Make};

#[cfg(test)]
mod tests;

/// A line a detector.
pub const ENTRIES: &[Entry] = &[
    knn::ENTRY,
    lof::ENTRY,
    cof::ENTRY,
    loci::ENTRY,
    abod::ENTRY,
    cblof::ENTRY,
    forest::IFOREST,
    forest::EIFOREST,
    inne::ENTRY,
    hbos::ENTRY,
    loda::ENTRY,
    tails::ECOD,
    tails::COPOD,
    mad::ENTRY,
    pca::ENTRY,
    mcd::ENTRY,
    gmm::ENTRY,
    kde::ENTRY,
    ocsvm::ENTRY,
    sos::ENTRY,
    sod::ENTRY,
    bagging::ENTRY,
    lscp::ENTRY,
];

/// The detector of this name.
///
/// # Errors
/// If there is none.
pub fn find(name: &str) -> Result<&'static Entry, Error> {
    let unknown = || Error::Unknown { name: name.to_owned(), known: ENTRIES.iter().map(|e| e.name).collect() };
    ENTRIES.iter().find(|e| e.name == name).ok_or_else(unknown)
}

/// A detector as text says it: a name, and parameters where they are not the usual ones, as in `knn:n_neighbors=10,method=mean`.
///
/// # Errors
/// If there is no such detector or parameter, or it cannot have that value.
pub fn make(text: &str) -> Result<Box<dyn Detector>, Error> {
    let (name, parameters) = text.split_once(':').unwrap_or((text, ""));
    let parts = parameters.split(',').filter(|part| !part.is_empty());
    let pairs: Vec<(&str, &str)> = parts.map(|part| part.split_once('=').unwrap_or((part, ""))).collect();
    (find(name)?.make)(&pairs)
}
