//! `slow_leak`: keeps a little more memory all the time, as a cache without a bound does.
//!
//! At strength 1, 2 MiB/s in steps of 64 KiB, all of it written to, given back when the window ends. Slower by far than `memory_growth`: no
//! moment differs from the one before, and only the slope shows it.

use super::site::{Done, Site};
use crate::workload::{Error, sys};

const STEP_KIB: u64 = 64;
const KIB_PER_S: f64 = 2_048.0;

pub(super) fn run(site: &Site, done: &mut Done) -> Result<(), Error> {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let result = site.pace(KIB_PER_S / STEP_KIB as f64 * site.strength, |_| {
        // Any byte but zero: zeroes are allocated without being written.
        kept.push(vec![0x5a; (STEP_KIB as usize) << 10]);
        done.0 += STEP_KIB;
        Ok(())
    });
    drop(kept);
    sys::trim_heap();
    result
}
