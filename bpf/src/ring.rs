//! Readers of the two kinds of rings between kernel and user space, without a copy and with every
//! page mapped once.
//!
//! libbpf's reader maps the data of a BPF ring twice in a row, so that a record that wraps is in one piece; those pages count twice in
//! the reader's memory. Here they are mapped once and the rare record that wraps is put together.
//!
//! All positions only grow; what is at position `p` lies at `p` modulo the size. Who writes a position publishes with it all that it
//! wrote before: stores with release order, loads of the other side's with acquire order.

use crate::wire::{call, call_ring};
use std::io::{Error, Result};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A mapping that ends with its owner.
pub(crate) struct Mapping {
    pub(crate) start: NonNull<u8>,
    len: usize,
}

impl Mapping {
    pub(crate) fn new(fd: BorrowedFd<'_>, offset: usize, len: usize, writable: bool) -> Result<Self> {
        let prot = if writable { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
        let offset = libc::off_t::try_from(offset).map_err(Error::other)?;
        // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, prot, libc::MAP_SHARED, fd.as_raw_fd(), offset) };
        if start == libc::MAP_FAILED {
            return Err(Error::last_os_error());
        }
        NonNull::new(start.cast()).map(|start| Self { start, len }).ok_or_else(|| Error::other("mapped at address 0"))
    }

    /// A position `offset` bytes into the mapping.
    pub(crate) fn position(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.len);
        // SAFETY: in bounds and aligned (mappings start on pages); lives as long as `self`; the other side is the kernel, which
        // accesses positions whole.
        unsafe { AtomicU64::from_ptr(self.start.as_ptr().add(offset).cast()) }
    }
}

// SAFETY: the mapping is its owner's alone on this side, wherever that runs; the kernel's side is reached through positions, which are atomic.
unsafe impl Send for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and nothing borrowed from it outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// Bytes of a page, which is also where a BPF ring's layout changes.
pub(crate) fn page_bytes() -> usize {
    // SAFETY: plain call.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// The reader of a `BPF_MAP_TYPE_RINGBUF`: records of any length, one after the other, each with a header of 8 bytes.
pub struct RecordRing {
    /// One page, ours to write: how far we have read.
    consumer: Mapping,
    /// One page, how far producers have reserved; then the data.
    producer: Mapping,
    data_offset: usize,
    data_len: usize,
    wrapped: Vec<u8>,
}

/// In a header: the producer is still writing.
const BUSY: u32 = 1 << 31;
/// In a header: the producer thought better of it.
const DISCARDED: u32 = 1 << 30;
const HEADER_BYTES: usize = 8;

impl RecordRing {
    /// Maps the ring of `fd`, whose data are `data_len` bytes.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn new(map: &impl AsFd, data_len: u32) -> Result<Self> {
        let (page, data_len) = (page_bytes(), data_len as usize);
        Ok(Self {
            consumer: Mapping::new(map.as_fd(), 0, page, true)?,
            producer: Mapping::new(map.as_fd(), page, page + data_len, false)?,
            data_offset: page,
            data_len,
            wrapped: Vec::new(),
        })
    }

    /// Hands over at most `limit` records, oldest first, and says how many it took; fewer than `limit` mean that the ring was empty,
    /// or that its next record is still being written.
    pub fn read(&mut self, limit: usize, mut each: impl FnMut(&[u8])) -> usize {
        let end = self.producer.position(0).load(Ordering::Acquire);
        let mut at = self.consumer.position(0).load(Ordering::Relaxed);
        let mut taken = 0;
        while at < end && taken < limit {
            let offset = at as usize & (self.data_len - 1);
            // SAFETY: records and the ring are multiples of 8 bytes, so a header never wraps and is aligned.
            let header = unsafe { AtomicU32::from_ptr(self.data(offset).cast()) }.load(Ordering::Acquire);
            if header & BUSY != 0 {
                break;
            }
            let len = (header & !DISCARDED) as usize;
            if header & DISCARDED == 0 {
                let start = (offset + HEADER_BYTES) & (self.data_len - 1);
                let in_one_piece = len.min(self.data_len - start);
                // SAFETY: in bounds of the data; the producer is done with this record and will not touch its bytes again until
                // our position, stored below, has passed them.
                let first = unsafe { std::slice::from_raw_parts(self.data(start), in_one_piece) };
                if in_one_piece == len {
                    each(first);
                } else {
                    self.wrapped.clear();
                    self.wrapped.extend_from_slice(first);
                    // SAFETY: as above; a record is never longer than the ring.
                    let rest = unsafe { std::slice::from_raw_parts(self.data(0), len - in_one_piece) };
                    self.wrapped.extend_from_slice(rest);
                    each(&self.wrapped);
                }
                taken += 1;
            }
            at += (len + HEADER_BYTES).next_multiple_of(8) as u64;
            self.consumer.position(0).store(at, Ordering::Release);
        }
        taken
    }

    fn data(&self, offset: usize) -> *mut u8 {
        debug_assert!(offset < self.data_len);
        // SAFETY: the mapping is `data_offset + data_len` long.
        unsafe { self.producer.start.as_ptr().add(self.data_offset + offset) }
    }
}

/// The reader of `call_rings` (`syscalls.bpf.h`): one ring of fixed slots a processor.
pub struct CallRings {
    rings: Mapping,
    n_rings: usize,
    n_slots: usize,
}

impl CallRings {
    /// Bytes of a ring of `n_slots`, which must be a power of two: the size of a value of the map.
    pub fn ring_bytes(n_slots: usize) -> usize {
        size_of::<call_ring>() + n_slots * size_of::<call>()
    }

    /// Maps the `n_rings` rings of `map`, of `n_slots` each.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn new(map: &impl AsFd, n_rings: usize, n_slots: usize) -> Result<Self> {
        if !n_slots.is_power_of_two() {
            return Err(Error::other(format!("{n_slots} slots are not a power of two")));
        }
        let len = (n_rings * Self::ring_bytes(n_slots)).next_multiple_of(page_bytes());
        Ok(Self { rings: Mapping::new(map.as_fd(), 0, len, true)?, n_rings, n_slots })
    }

    /// Hands over at most `limit` calls of each ring, oldest first. If any ring has more: until when all calls have been handed over.
    pub fn read(&mut self, limit: usize, mut each: impl FnMut(call)) -> Option<u64> {
        let mut read_until: Option<u64> = None;
        for ring in 0..self.n_rings {
            let base = ring * Self::ring_bytes(self.n_slots);
            let head = self.rings.position(base + std::mem::offset_of!(call_ring, head)).load(Ordering::Acquire);
            let tail = self.rings.position(base + std::mem::offset_of!(call_ring, tail));
            let start = tail.load(Ordering::Relaxed);
            let end = head.min(start + limit as u64);
            for at in start..end {
                let slot = at as usize & (self.n_slots - 1);
                let offset = base + size_of::<call_ring>() + slot * size_of::<call>();
                // SAFETY: in bounds of the mapping, and aligned, since all the sizes are multiples of 8. The kernel side wrote the
                // slot before `head` and leaves it alone until `tail` has passed it. Integers only, so any bytes are a call.
                let call = unsafe { self.rings.start.as_ptr().add(offset).cast::<call>().read() };
                if at + 1 == end && end < head {
                    read_until = Some(read_until.map_or(call.exit_ns, |other| other.min(call.exit_ns)));
                }
                each(call);
            }
            tail.store(end, Ordering::Release);
        }
        read_until
    }
}
