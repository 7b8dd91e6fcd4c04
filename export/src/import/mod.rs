//! The door in: recordings made of what other tools wrote.
//!
//! `strace/`, `perf/` and `sysdig/` read the output of these, `csv/` tables of metrics; `read.rs` is a capture by lines, `time.rs` are times,
//! `gather.rs` makes rows, tallies and samples of calls, whoever saw them, `lives.rs` those of processes. What a source does not have is null, and named as a blind spot.

mod csv;
mod gather;
mod lives;
mod perf;
mod read;
mod strace;
mod sysdig;
mod time;

use crate::Result;
pub use csv::{Column, Table};
pub use gather::{Imported, Options};
use std::path::Path;
pub use time::TimeUnit;

/// Lines at the beginning that say who wrote a capture.
const FIRST: u64 = 1_000;

/// Makes a recording of the capture `path`, by whichever tool, or of a table, of which `table` may say more; `progress` hears how many of how
/// many bytes are read.
///
/// # Errors
/// [`crate::Error::Import`] if it is no capture with times; if the recording cannot be written.
pub fn import(path: &Path, table: &Table, options: &Options, progress: impl FnMut(u64, u64)) -> Result<Imported> {
    let by_name = path.extension().is_some_and(|e| e == "csv" || e == "tsv");
    if table.is_told() || by_name || read::begins(path, 1, csv::is_header) {
        csv::import(path, table, options, progress)
    } else if read::begins(path, FIRST, sysdig::is_line) {
        sysdig::import(path, options, progress)
    } else if read::begins(path, FIRST, perf::is_line) {
        perf::import(path, options, progress)
    } else {
        strace::import(path, options, progress)
    }
}
