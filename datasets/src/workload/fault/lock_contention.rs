//! `lock_contention`: threads that all need one lock, whose holder sleeps, as a pool around one
//! slow resource does.
//!
//! At strength 1, 8 threads; each hold is a nap of 50 us (about 110 us with the timer's slack), and hardly a hold begins
//! or ends without a thread to wait or to wake. Shows in `futex` calls, in voluntary switches and in run-queue time; in
//! CPU time less than one would think. Requests of the service are not slowed: the lock is not theirs.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::site::{Done, Site};
use crate::workload::Error;

const N_THREADS: f64 = 8.0;
const HOLD: Duration = Duration::from_micros(50);

pub(super) fn run(site: &Site, done: &mut Done) -> Result<(), Error> {
    let n_threads = (N_THREADS * site.strength).round().max(2.0) as usize;
    let holds = Mutex::new(0_u64);
    let started = thread::scope(|scope| {
        for i in 0..n_threads {
            thread::Builder::new().name(format!("pool-{i}")).spawn_scoped(scope, || contend(site, &holds))?;
        }
        Ok(())
    });
    done.0 = holds.into_inner().unwrap_or_else(PoisonError::into_inner);
    started.map_err(Error::of("start a thread of the pool"))
}

fn contend(site: &Site, holds: &Mutex<u64>) {
    while !site.is_over() {
        let mut holds = holds.lock().unwrap_or_else(PoisonError::into_inner);
        *holds += 1;
        thread::sleep(HOLD);
    }
}
