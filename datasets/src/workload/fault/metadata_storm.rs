//! `metadata_storm`: walks files without reading them, as an indexer or a careless cache check
//! does.
//!
//! At strength 1, 5000 rounds a second of `stat`, `open` and `close`: 15000 calls. Shows in the count of system calls and
//! of `statx`, `openat`, `close`; in kernel CPU time a little; in read or written bytes not at all.

use std::fs::{self, File};

use super::site::{Done, Site};
use crate::workload::Error;

const ROUNDS_PER_S: f64 = 5000.0;
const CALLS_PER_ROUND: u64 = 3;

pub(super) fn run(site: &Site, done: &mut Done) -> Result<(), Error> {
    let mut paths = site.files.iter().cycle();
    site.pace(ROUNDS_PER_S * site.strength, |_| {
        let Some(path) = paths.next() else { return Ok(()) };
        fs::metadata(path).map_err(Error::at("look up", path))?;
        drop(File::open(path).map_err(Error::at("open", path))?);
        done.0 += CALLS_PER_ROUND;
        Ok(())
    })
}
