//! `memory_growth`: takes memory and writes to all of it, as a leak or an unbounded queue does.
//!
//! At strength 1, 256 MiB in equal steps over the window, all freed at its end. Shows in the anonymous resident set as a
//! ramp and a cliff, and in minor faults (65536 in all); among calls in `mmap` (or `brk`), one a step, and `munmap`.

use super::site::{Done, Site};
use crate::workload::{Error, sys};

const TOTAL_MIB: f64 = 256.0;
const STEP_MIB: u64 = 1;

pub(super) fn run(site: &Site, done: &mut Done) -> Result<(), Error> {
    let n_steps = (TOTAL_MIB * site.strength) as u64 / STEP_MIB;
    let per_s = n_steps as f64 / (site.end - site.start).as_secs_f64();
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let result = site.pace(per_s, |i| {
        if i < n_steps {
            // Any byte but zero: zeroes are allocated without being written.
            kept.push(vec![0x5a; (STEP_MIB as usize) << 20]);
            done.0 += STEP_MIB;
        }
        Ok(())
    });
    drop(kept);
    sys::trim_heap();
    result
}
