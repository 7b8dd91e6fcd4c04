//! The threads that work on the blocks of a batch, and the room they work in.

use super::block::Scratch;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Threads, and the room they work in, kept from batch to batch.
#[derive(Debug)]
pub(crate) struct Workers {
    threads: usize,
    free: Mutex<Vec<Scratch>>,
}

impl Workers {
    pub(crate) fn new(threads: usize) -> Self {
        Self { threads: threads.max(1), free: Mutex::new(vec![]) }
    }

    /// How many.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Does `work` on each of `blocks`, on all threads; results in the order of the blocks.
    pub(super) fn each<T: Send>(&self, blocks: usize, work: impl Fn(usize, &mut Scratch) -> T + Sync) -> Vec<T> {
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::with_capacity(blocks));
        let run = || {
            let mut scratch = held(&self.free).pop().unwrap_or_default();
            loop {
                let block = next.fetch_add(1, Ordering::Relaxed);
                if block >= blocks {
                    break;
                }
                let result = work(block, &mut scratch);
                held(&done).push((block, result));
            }
            held(&self.free).push(scratch);
        };
        std::thread::scope(|scope| {
            for _ in 1..self.threads.min(blocks) {
                scope.spawn(run);
            }
            run();
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(block, _)| *block);
        done.into_iter().map(|(_, result)| result).collect()
    }
}

/// Nothing that is locked here can be left half done.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
