//! `missed_job`: the sweep that the timer makes every two seconds is not made.
//!
//! At strength 1 and above none, below it every other. Nothing rises: what shows it is that a regular rise does not come.

use std::sync::atomic::Ordering;

use super::site::{Done, Site};
use crate::workload::Error;

pub(super) fn run(site: &Site, done: &mut Done) -> Result<(), Error> {
    let one_of = if site.strength >= 1.0 { u32::MAX } else { 2 };
    let before = site.levers.skipped.load(Ordering::Relaxed);
    site.levers.sweep_one_of.store(one_of, Ordering::Relaxed);
    site.stop.sleep_until(site.end);
    site.levers.sweep_one_of.store(1, Ordering::Relaxed);
    done.0 = u64::from(site.levers.skipped.load(Ordering::Relaxed) - before);
    Ok(())
}
