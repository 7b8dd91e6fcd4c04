//! Outlier detectors: they learn from rows of features and say of any row how strange it is.
//!
//! A detector is one file with an [`Entry`], and its line in [`ENTRIES`]. [`contract`] is what all of them promise, which is what PyOD
//! promises; [`parameters`] are set by name. The rooms: `rows` is what several stand on; `near` has detectors that compare a row with those
//! near to it, `spread` those that learn how rows are spread, `many` those made of many small ones. [`combination`] makes one score of many. `docs/adr/0013-a-family-of-detectors.md` says why
//! these are written here.

pub mod combination;
pub mod contract;
mod entry;
mod many;
mod near;
pub mod parameters;
mod rows;
mod spread;

pub use contract::{CONTAMINATION, Detector, Error, Fitted, Learnt, Probability, fit};
pub use entry::{Entry, Kind, Make};

#[cfg(test)]
mod tests;

/// A line a detector.
pub const ENTRIES: &[Entry] = &[
    near::knn::ENTRY,
    near::lof::ENTRY,
    near::cof::ENTRY,
    near::loci::ENTRY,
    near::abod::ENTRY,
    near::cblof::ENTRY,
    many::forest::IFOREST,
    many::forest::EIFOREST,
    near::inne::ENTRY,
    spread::hbos::ENTRY,
    spread::loda::ENTRY,
    spread::tails::ECOD,
    spread::tails::COPOD,
    spread::mad::ENTRY,
    spread::pca::ENTRY,
    spread::mcd::ENTRY,
    spread::gmm::ENTRY,
    spread::kde::ENTRY,
    spread::ocsvm::ENTRY,
    near::sos::ENTRY,
    near::sod::ENTRY,
    many::bagging::ENTRY,
    many::lscp::ENTRY,
];

/// The detector of this name.
///
/// # Errors
/// If there is none.
pub fn find(name: &str) -> Result<&'static Entry, Error> {
    let unknown = || Error::Unknown { name: name.to_owned(), known: ENTRIES.iter().map(|e| e.name).collect() };
    ENTRIES.iter().find(|e| e.name == name).ok_or_else(unknown)
}

/// The line of this name; a name that there is not does not compile in a constant.
///
/// # Panics
/// If there is none.
pub(crate) const fn entry_of(name: &str) -> &'static Entry {
    let mut at = 0;
    while at < ENTRIES.len() {
        if same(ENTRIES[at].name.as_bytes(), name.as_bytes()) {
            return &ENTRIES[at];
        }
        at += 1;
    }
    panic!("there is no such detector")
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
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
