//! Memory that processes share, counted once.
//!
//! The kernel's resident size of a process holds what it shares with others: a parent of 300 MiB
//! that forks six workers has 2.1 GiB in sum and 300 MiB in truth. What each process has alone is
//! in no counter that can be read cheaply (`smaps_rollup` walks all pages, and needs rights that the
//! recorder has given up), so it is estimated from what is recorded:
//!
//! - a process that was forked and has executed nothing since has the memory of its parent. Of what it had at first it
//!   counts as much as it has faulted in, since writing to a shared page takes a fault; what it has beyond that counts whole;
//! - files and shared memory count once among the processes of one program: as much as the one has that has most.
//!
//! A worker that writes to all it inherited by huge pages is taken for smaller than it is, and so are two servers of one program that
//! share nothing but the program.

use std::collections::HashMap;

/// So many programs are told apart; the shared memory of others counts in each process.
const MOST_PROGRAMS: usize = 256;

/// What a forked process had at first, and how much it has faulted in since; bytes.
#[derive(Clone, Copy, Debug)]
pub struct Inherited {
    at_first: f64,
    faulted: f64,
}

impl Inherited {
    /// Of a process that is first seen with so much anonymous memory.
    pub fn new(anon: f64) -> Self {
        Self { at_first: anon, faulted: 0.0 }
    }

    /// Of `anon` bytes of anonymous memory, those that it has for itself, when it has faulted in `more` since the last time.
    pub fn own(&mut self, anon: f64, more: f64) -> f64 {
        self.faulted += more;
        (anon - self.at_first).max(0.0) + self.at_first.min(anon).min(self.faulted)
    }
}

/// The bins of one program: the most that one of its processes shares.
#[derive(Debug, Default)]
struct Program {
    most: Vec<f64>,
}

/// The sums over processes.
#[derive(Debug)]
pub(crate) struct Shared {
    page_bytes: f64,
    len: usize,
    copies: HashMap<u64, Inherited>,
    programs: HashMap<String, Program>,
}

impl Shared {
    /// For `len` bins.
    pub(crate) fn new(page_bytes: u64, len: usize) -> Self {
        Self { page_bytes: page_bytes as f64, len, copies: HashMap::new(), programs: HashMap::new() }
    }

    /// Of `anon` bytes of anonymous memory of the forked process `proc`, those that it has for itself; it took `faults` since the last time.
    pub(crate) fn own(&mut self, proc: u64, anon: f64, faults: u64) -> f64 {
        let copy = self.copies.entry(proc).or_insert_with(|| Inherited::new(anon));
        copy.own(anon, faults as f64 * self.page_bytes)
    }

    /// A process of `program` shares `bytes` in `bin`. What of that is to be counted with the process.
    pub(crate) fn put(&mut self, program: &str, bin: usize, bytes: f64) -> f64 {
        if !self.programs.contains_key(program) {
            if self.programs.len() >= MOST_PROGRAMS {
                return bytes;
            }
            self.programs.insert(program.to_owned(), Program { most: vec![0.0; self.len] });
        }
        let Some(most) = self.programs.get_mut(program).and_then(|p| p.most.get_mut(bin)) else { return bytes };
        // What it adds to what was counted of its program before.
        let more = (bytes - *most).max(0.0);
        *most = most.max(bytes);
        more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: f64 = 1_048_576.0;

    #[test]
    fn what_was_inherited_counts_as_it_is_written_to_and_growth_counts_whole() {
        let mut shared = Shared::new(4_096, 1);
        assert!(shared.own(1, 300.0 * MIB, 20) < MIB, "just forked");
        let own = shared.own(1, 300.0 * MIB, 25_600);
        assert!((own / MIB - 100.0).abs() < 1.0, "100 MiB of pages were written to: {own}");
        let own = shared.own(1, 350.0 * MIB, 10);
        assert!((own / MIB - 150.0).abs() < 1.0, "and 50 MiB more were taken, by huge pages: {own}");
        let own = shared.own(1, 10.0 * MIB, 0);
        assert!((own / MIB - 10.0).abs() < 1e-9, "no more than it has: {own}");
    }

    #[test]
    fn shared_memory_of_one_program_counts_as_that_of_its_largest_process() {
        let mut shared = Shared::new(4_096, 2);
        let sizes = [40.0, 128.0, 100.0, 128.0];
        let sum: f64 = sizes.iter().map(|mib| shared.put("postgres", 1, mib * MIB)).sum();
        assert_eq!(sum, 128.0 * MIB);
        assert_eq!(shared.put("redis", 1, 5.0 * MIB), 5.0 * MIB);
        assert_eq!(shared.put("postgres", 0, 7.0 * MIB), 7.0 * MIB, "another bin");
    }
}
