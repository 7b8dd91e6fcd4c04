//! `enoent_storm`: opens files that do not exist, as a search along a wrong path does.
//!
//! At strength 1, 5000 opens a second. Shows in failed system calls: `openat` with `ENOENT`, of which the steady service
//! has a dozen a second.

use std::fs::File;
use std::io;

use super::site::{Done, Site};
use crate::workload::Error;

const PER_S: f64 = 5000.0;
const N_NAMES: u64 = 64;

pub(super) fn run(site: &Site, done: &mut Done) -> Result<(), Error> {
    let missing: Vec<_> = (0..N_NAMES).map(|i| site.folder.join(format!("plugins/lib{i:02}.so"))).collect();
    let mut paths = missing.iter().cycle();
    site.pace(PER_S * site.strength, |_| {
        let Some(path) = paths.next() else { return Ok(()) };
        match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => done.0 += 1,
            Err(error) => return Err(Error::at("look for", path)(error)),
            Ok(_) => {
                let found = io::Error::new(io::ErrorKind::AlreadyExists, "a file that should be missing is there");
                return Err(Error::at("miss", path)(found));
            }
        }
        Ok(())
    })
}
