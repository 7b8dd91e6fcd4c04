//! How two recordings, or two sets of them, differ: metrics by their distribution, calls by rate
//! and by latency, errors, files, programs, threads and processes.
//!
//! From the bottom up: `error`, `observe` (a recording as numbers over its seconds) → `estimate` (each number, and how well it is known)
//! → `compare` (both sides, corrected for how many numbers there are) → `condition` (what a caller asked for) → `words` → [`diff`].
//! Nothing here prints, and nothing here knows SQL. The statistics are [`osd_detect::difference`].

mod compare;
mod condition;
mod diff;
mod error;
mod estimate;
mod observe;
mod words;

pub use condition::Wanted;
pub use diff::{Config, diff};
pub use error::{Error, Result};
