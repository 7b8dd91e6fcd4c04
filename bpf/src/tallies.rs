//! Reader of `tally_slots` (`tally.bpf.h`): the tables of each processor, mapped.
//!
//! A processor's slots are written by its programs alone. What is read of one while a call is being counted there may have the call in one
//! number and not yet in the other; the totals only grow, so the next look has it. User space writes to a slot only when its process has
//! ended, and so nobody else will.

use crate::ring::{Mapping, page_bytes};
use crate::wire::{TALLY_SLOTS, tally, tally_key, tally_slot};
use std::io::Result;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

/// The tables.
pub struct TallySlots {
    slots: Mapping,
    n: usize,
}

impl TallySlots {
    /// Maps the tables of `n_cpus` processors.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn new(map: &impl AsFd, n_cpus: usize) -> Result<Self> {
        let n = n_cpus * TALLY_SLOTS;
        let len = (n * size_of::<tally_slot>()).next_multiple_of(page_bytes());
        Ok(Self { slots: Mapping::new(map.as_fd(), 0, len, true)?, n })
    }

    /// Hands over what is counted, a processor at a time: a key may come as often as there are processors.
    pub fn read(&self, mut each: impl FnMut(tally_key, tally)) {
        for i in 0..self.n {
            let offset = i * size_of::<tally_slot>();
            if self.slots.position(offset).load(Ordering::Acquire) != 0 {
                // SAFETY: in bounds of the mapping, and aligned, since a slot is a multiple of 8 bytes. Integers only, so any bytes
                // are a slot, also while the kernel side writes.
                let slot = unsafe { self.slots.start.as_ptr().add(offset).cast::<tally_slot>().read_volatile() };
                each(slot.key, slot.tally);
            }
        }
    }

    /// Frees the slots of keys that will not be counted any more, because their process has ended.
    pub fn free(&mut self, has_ended: impl Fn(tally_key) -> bool) {
        for i in 0..self.n {
            let offset = i * size_of::<tally_slot>();
            // SAFETY: as above.
            let slot = unsafe { self.slots.start.as_ptr().add(offset).cast::<tally_slot>() };
            // SAFETY: likewise.
            let key = unsafe { (&raw const (*slot).key).read_volatile() };
            if key.process_seq != 0 && has_ended(key) {
                // SAFETY: likewise; nobody counts for a process that has ended.
                unsafe { (&raw mut (*slot).tally).write_volatile(tally::default()) };
                // Last: from here on it may be another's.
                self.slots.position(offset).store(0, Ordering::Release);
            }
        }
    }
}
