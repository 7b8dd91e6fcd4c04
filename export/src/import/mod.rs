//! The door in: recordings made of what other tools wrote.
//!
//! `strace/` and `perf/` read the output of these; `read.rs` is a capture by lines, `gather.rs` makes rows, tallies and samples of calls, whoever saw
//! them. What a source does not have is null, and named as a blind spot.

mod gather;
mod perf;
mod read;
mod strace;

use crate::Result;
pub use gather::{Imported, Options};
use std::path::Path;

/// Lines at the beginning that say who wrote a capture.
const FIRST: u64 = 1_000;

/// Makes a recording of the capture `path`, by whichever tool; `progress` hears how many of how many bytes are read.
///
/// # Errors
/// [`crate::Error::Import`] if it is no capture with times; if the recording cannot be written.
pub fn import(path: &Path, options: &Options, progress: impl FnMut(u64, u64)) -> Result<Imported> {
    if read::begins(path, FIRST, perf::is_line) {
        perf::import(path, options, progress)
    } else {
        strace::import(path, options, progress)
    }
}
