//! Reader of `flow_slots` (`flow.bpf.h`): what each process does with each socket, mapped.
//!
//! The kernel side writes to a slot as long as its socket is there, whole numbers at a time; what is read while a call is being counted
//! may have its bytes and not yet the call, which the next look has. User space frees a slot when nobody writes to it any more.

use crate::ring::{Mapping, page_bytes};
use crate::wire::flow;
use std::io::Result;
use std::os::fd::AsFd;

/// The slots.
pub struct FlowSlots {
    slots: Mapping,
    n: usize,
}

impl FlowSlots {
    /// Maps the `n` slots of the map.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn new(map: &impl AsFd, n: usize) -> Result<Self> {
        let len = (n * size_of::<flow>()).next_multiple_of(page_bytes());
        Ok(Self { slots: Mapping::new(map.as_fd(), 0, len, true)?, n })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.n
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// What is in slot `i`, if it is in use.
    pub fn read(&self, i: usize) -> Option<flow> {
        let slot = self.slot(i)?;
        // SAFETY: in bounds of the mapping, and aligned, since a slot is a multiple of 8 bytes. Integers only, so any bytes are a flow, also
        // while the kernel side writes.
        let live = || unsafe { (&raw const (*slot).live).read_volatile() } != 0;
        // SAFETY: as above.
        live().then(|| unsafe { slot.read_volatile() })
    }

    /// Empties slot `i`, whose socket is gone.
    pub fn free(&mut self, i: usize) {
        if let Some(slot) = self.slot(i) {
            // SAFETY: as in `read`; the kernel side does not know the slot any more.
            unsafe { slot.write_volatile(flow::default()) };
        }
    }

    fn slot(&self, i: usize) -> Option<*mut flow> {
        // SAFETY: the mapping has `n` slots.
        (i < self.n).then(|| unsafe { self.slots.start.as_ptr().cast::<flow>().add(i) })
    }
}
