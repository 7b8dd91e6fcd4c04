//! `stall`: holds what every request needs, so that the service answers next to nothing.
//!
//! At strength 1 for 95 of every 100 ms, at 0.5 for 90, at 2 for 97.5. Shows in the calls and the traffic that are missing, and in the
//! workers' waiting for one lock (`futex`); what clients could not ask in time is not asked later.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::site::{Done, Site};
use crate::workload::Error;

const CYCLE: Duration = Duration::from_millis(100);
/// Of a cycle, not held.
const FREE: f64 = 0.05;

pub(super) fn run(site: &Site, done: &mut Done) -> Result<(), Error> {
    let held = CYCLE.mul_f64((1.0 - FREE / site.strength).max(0.0));
    while !site.is_over() {
        let began = Instant::now();
        let lock = site.levers.gate.lock().unwrap_or_else(PoisonError::into_inner);
        site.stop.sleep_until((began + held).min(site.end));
        drop(lock);
        done.0 += held.as_millis() as u64;
        site.stop.sleep_until((began + CYCLE).min(site.end));
    }
    Ok(())
}
