//! `fsync_storm`: writes a small block and forces it to the disk, over and over, as a journal
//! without batching does.
//!
//! At strength 1, 4 KiB + `fsync`, up to 500 a second; a disk that is slower sets the rate. Shows in written bytes and,
//! above all, in the count and total time of `fsync`, which the steady service calls once a second.

use std::fs::{self, File};
use std::io::{Seek, Write};

use super::site::{Done, Site};
use crate::workload::Error;

const BLOCK_BYTES: usize = 4 << 10;
/// The file is overwritten from its start after this many blocks (16 MiB).
const BLOCKS_MAX: u64 = 4096;
const PER_S: f64 = 500.0;

pub(super) fn run(site: &Site, done: &mut Done) -> Result<(), Error> {
    let path = site.folder.join("journal");
    let mut file = File::create(&path).map_err(Error::at("create", &path))?;
    let block = [0x4a; BLOCK_BYTES];
    let result = site.pace(PER_S * site.strength, |i| {
        if i % BLOCKS_MAX == 0 {
            file.rewind().map_err(Error::at("rewind", &path))?;
        }
        file.write_all(&block).map_err(Error::at("write", &path))?;
        file.sync_all().map_err(Error::at("fsync", &path))?;
        done.0 += 1;
        Ok(())
    });
    drop(file);
    // The folder goes at the end of the run anyway.
    let _ = fs::remove_file(&path);
    result
}
