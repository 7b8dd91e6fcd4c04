//! Scenarios: what threads called in windows, as sequences that are put into groups, kept in a
//! library of plain files, and known again when they recur.
//!
//! From the bottom up: `error`, `words` (a call as a word, a sequence without its repetitions) → `scenario` (a group, as a file a person can
//! read) → `sequences` (those of windows) → `library` (a folder of them) → [`learn`] (from sequences to scenarios) and [`name`]
//! (which known one a window is). After Wang et al., Journal of Software 31(10), 2020. Distances and linkage are
//! [`osd_detect::sequence`].

mod error;
mod learn;
mod library;
mod name;
mod scenario;
mod sequences;
mod words;

pub use error::{Error, Result};
pub use learn::{Learnt, learn};
pub use library::Library;
pub use name::name;
pub use scenario::{Scenario, TimesOfDay};
pub use sequences::{Sequence, read};
