//! The tallies that the kernel side keeps, which are those of calls that are not events, read and
//! forgotten.
//!
//! They lie in three places, tried in this order: a table of each processor, mapped here; a hash with a part for each processor, whose memory
//! the kernel takes when it is needed; and a hash that all processors share, whose memory was taken beforehand. One (process, call) may have
//! parts in each: a total is their sum.

use crate::account::counts;
use crate::error::{Error, Result};
use osd_bpf::libbpf_rs::{self, MapMut, libbpf_sys};
use osd_bpf::tallies::TallySlots;
use osd_bpf::wire::{Wire, tally, tally_key};
use std::collections::HashSet;
use std::os::fd::{AsFd, AsRawFd, RawFd};

/// What is needed to read them, but for the maps.
pub(crate) struct KernelTallies {
    slots: TallySlots,
    n_cpus: usize,
    reader: MapReader,
    /// Which were in either hash when they were last read.
    held: [HashSet<(u32, u32)>; 2],
}

impl KernelTallies {
    pub(crate) fn new(slots: TallySlots, n_cpus: usize) -> Self {
        Self { slots, n_cpus, reader: MapReader::default(), held: Default::default() }
    }

    /// All of them.
    ///
    /// # Errors
    /// [`Error::Bpf`] if a map cannot be read.
    pub(crate) fn read(
        &mut self,
        hash: &MapMut<'_>,
        spilled: &MapMut<'_>,
        mut each: impl FnMut(tally_key, tally),
    ) -> Result<()> {
        self.slots.read(&mut each);
        for ((map, n_parts), held) in [(hash, self.n_cpus), (spilled, 1)].into_iter().zip(&mut self.held) {
            held.clear();
            self.reader.read(map.as_fd().as_raw_fd(), n_parts, |key, sum| {
                held.insert((key.process_seq, key.nr));
                each(key, sum);
            })?;
        }
        Ok(())
    }

    /// Forgets those of `keys`, whose processes have ended.
    pub(crate) fn delete(&mut self, hash: &MapMut<'_>, spilled: &MapMut<'_>, keys: &[(u32, u32)]) {
        if keys.is_empty() {
            return;
        }
        let ended: HashSet<(u32, u32)> = keys.iter().copied().collect();
        self.slots.free(|key| ended.contains(&(key.process_seq, key.nr)));
        for (map, held) in [hash, spilled].into_iter().zip(&self.held) {
            // The kernel stops at a key that it does not have, and most calls are tallied by the recorder: only those it has.
            let there = held.intersection(&ended).map(|&(process_seq, nr)| tally_key { process_seq, nr });
            delete_all(map.as_fd().as_raw_fd(), there.collect());
        }
    }
}

/// Reads a map of tallies part by part, into memory that it keeps.
#[derive(Default)]
struct MapReader {
    keys: Vec<u8>,
    values: Vec<u8>,
}

impl MapReader {
    /// Hands over all entries of `map`, each the sum of its `n_parts` values.
    fn read(&mut self, map: RawFd, n_parts: usize, mut each: impl FnMut(tally_key, tally)) -> Result<()> {
        let stride = size_of::<tally>() * n_parts;
        let count = (2 * 1024 * 1024 / stride).clamp(64, 4096);
        self.keys.resize(count * size_of::<tally_key>(), 0);
        self.values.resize(count * stride, 0);
        let mut position = 0_u32;
        let mut first = true;
        loop {
            let mut n = count as u32;
            let from = if first { std::ptr::null_mut() } else { (&raw mut position).cast() };
            let mut next = position;
            // SAFETY: keys and values have room for `count` entries of the map's sizes (values: `n_parts` each, of a multiple of 8
            // bytes), positions are the 4 bytes a hash map wants, `n` says the room and returns the number.
            let ret = unsafe {
                libbpf_sys::bpf_map_lookup_batch(
                    map,
                    from,
                    (&raw mut next).cast(),
                    self.keys.as_mut_ptr().cast(),
                    self.values.as_mut_ptr().cast(),
                    &raw mut n,
                    std::ptr::null(),
                )
            };
            let done = ret == -libc::ENOENT;
            if ret != 0 && !done {
                let source = libbpf_rs::Error::from_raw_os_error(-ret);
                return Err(Error::Bpf { action: "read the tallies".into(), source });
            }
            let keys = self.keys.chunks_exact(size_of::<tally_key>());
            for (key, parts) in keys.zip(self.values.chunks_exact(stride)).take(n as usize) {
                let Some(key) = tally_key::read(key) else { continue };
                let mut sum = tally::default();
                for one in parts.chunks_exact(size_of::<tally>()).filter_map(tally::read) {
                    counts::add(&mut sum, &one);
                }
                each(key, sum);
            }
            if done {
                return Ok(());
            }
            position = next;
            first = false;
        }
    }
}

/// Deletes `keys`, which the map has.
fn delete_all(map: RawFd, mut keys: Vec<tally_key>) {
    while !keys.is_empty() {
        let mut n = keys.len() as u32;
        // SAFETY: `n` keys of the map's size, read only; the call returns the number it has deleted in `n`.
        let ret = unsafe { libbpf_sys::bpf_map_delete_batch(map, keys.as_ptr().cast(), &raw mut n, std::ptr::null()) };
        if ret == 0 {
            return;
        }
        // It stops at one that is not there, which is as good as deleted. Any other refusal costs an entry each, no more.
        keys.drain(..(n as usize + 1).min(keys.len()));
    }
}
