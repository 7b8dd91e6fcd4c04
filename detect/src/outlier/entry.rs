//! A detector's line in the family: what it is called, where it comes from, how far its scores can
//! be those of PyOD, and how one is made.

use super::contract::{Detector, Error};
use super::parameters::ByName;

/// How equal to PyOD a detector's scores are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing is random: the same scores but for rounding.
    Exact,
    /// It draws random numbers, which are osd's own: as good, and the rows in nearly the same order.
    Seeded,
    /// PyOD has no such detector.
    Own,
}

/// Makes a detector of parameters by name.
pub type Make = fn(&[(&str, &str)]) -> Result<Box<dyn Detector>, Error>;

/// A detector of the family.
#[derive(Clone, Copy)]
pub struct Entry {
    /// As on the command line.
    pub name: &'static str,
    /// What is strange to it, in one line.
    pub about: &'static str,
    /// Who had the idea.
    pub paper: &'static str,
    /// Its parameters and what they are.
    pub parameters: &'static str,
    /// Whether its scores can be compared with PyOD's.
    pub kind: Kind,
    /// Whether it learns from one feature only.
    pub single: bool,
    /// Rows from which it takes too long: it looks at all pairs, or worse.
    pub at_most: usize,
    /// Makes one of parameters by name.
    pub make: Make,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("name", &self.name).finish()
    }
}

/// A detector with the parameters given and the defaults of the others.
pub(super) fn make<D: Detector + ByName + Default + 'static>(
    parameters: &[(&str, &str)],
) -> Result<Box<dyn Detector>, Error> {
    let mut detector = D::default();
    parameters.iter().try_for_each(|(name, value)| detector.set(name, value))?;
    Ok(Box::new(detector))
}

/// What most entries have in common.
macro_rules! entry {
    ($detector:ty) => {
        $crate::outlier::entry::Entry {
            name: "",
            about: "",
            paper: "",
            parameters: "",
            kind: $crate::outlier::entry::Kind::Exact,
            single: false,
            at_most: usize::MAX,
            make: $crate::outlier::entry::make::<$detector>,
        }
    };
}

pub(super) use entry;
