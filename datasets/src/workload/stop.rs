//! A flag that ends threads soon, and sleeping that respects it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The longest a sleeping or polling thread goes without a look at its [`Stop`].
pub const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Set once, seen by every clone.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Tells all holders to end.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether holders should end.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Sleeps until `until`, or less if told to stop. Returns whether to go on.
    pub fn sleep_until(&self, until: Instant) -> bool {
        loop {
            if self.is_set() {
                return false;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            thread::sleep(left.min(LOOK_EVERY));
        }
    }
}
