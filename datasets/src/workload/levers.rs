//! What a fault can do to the service itself, beside what it does beside it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// The dependency usually takes this long to answer.
pub(crate) const USUAL_US: u32 = 1_000;

/// One set for a service.
#[derive(Debug)]
pub struct Levers {
    /// Every request passes it.
    pub(crate) gate: Mutex<()>,
    /// Of so many sweeps that are due, one is made.
    pub(crate) sweep_one_of: AtomicU32,
    /// Sweeps that were not made.
    pub(crate) skipped: AtomicU32,
    /// How long the dependency is asked to take.
    pub(crate) delay_us: AtomicU32,
    /// Answers of the dependency.
    pub(crate) answers: AtomicU64,
}

impl Default for Levers {
    fn default() -> Self {
        Self {
            gate: Mutex::new(()),
            sweep_one_of: AtomicU32::new(1),
            skipped: AtomicU32::new(0),
            delay_us: AtomicU32::new(USUAL_US),
            answers: AtomicU64::new(0),
        }
    }
}
