//! `slow_peer`: the dependency that the service asks twenty times a second takes longer to answer.
//!
//! At strength 1, 80 ms instead of 1 ms. No rate changes: what shows it is how long a `recvfrom` takes.

use std::sync::atomic::Ordering;

use super::site::{Done, Site};
use crate::workload::Error;
use crate::workload::levers::USUAL_US;

const SLOW_US: f64 = 80_000.0;

pub(super) fn run(site: &Site, done: &mut Done) -> Result<(), Error> {
    let before = site.levers.answers.load(Ordering::Relaxed);
    site.levers.delay_us.store((SLOW_US * site.strength) as u32, Ordering::Relaxed);
    site.stop.sleep_until(site.end);
    site.levers.delay_us.store(USUAL_US, Ordering::Relaxed);
    done.0 = site.levers.answers.load(Ordering::Relaxed) - before;
    Ok(())
}
