//! Running totals of every (process, system call), counted as events are read.
//!
//! The kernel side tallies only the calls that did not become events, so a total is the sum of the two and exact whatever was lost. It
//! used to tally all of them; doing it here costs a call that is recorded nothing.

use osd_bpf::wire::{HIST_BUCKETS, NO_DURATION, call, tally, tally_key};
use std::collections::HashMap;

/// The totals.
#[derive(Default)]
pub(crate) struct Counts {
    processes: Vec<OneProcess>,
    by_seq: HashMap<u32, usize>,
    /// Index of the process of the last call: most calls are of the same one.
    last: usize,
}

/// A process makes a few dozen different calls at most: a list is faster than a map, and the calls it repeats come first.
struct OneProcess {
    seq: u32,
    numbers: Vec<u32>,
    tallies: Vec<tally>,
}

impl Counts {
    /// Counts a call.
    pub(crate) fn add(&mut self, call: &call) {
        if self.processes.get(self.last).is_none_or(|p| p.seq != call.process_seq) {
            self.last = *self.by_seq.entry(call.process_seq).or_insert_with(|| {
                self.processes.push(OneProcess { seq: call.process_seq, numbers: Vec::new(), tallies: Vec::new() });
                self.processes.len() - 1
            });
        }
        let process = &mut self.processes[self.last];
        let i = process.numbers.iter().position(|nr| *nr == call.nr).unwrap_or_else(|| {
            process.numbers.push(call.nr);
            process.tallies.push(tally::default());
            process.numbers.len() - 1
        });
        let tally = &mut process.tallies[i];
        tally.count += 1;
        tally.errors += u64::from(failed(call.ret));
        if call.dur_ns == NO_DURATION {
            return;
        }
        tally.total_ns += call.dur_ns;
        let bucket = &mut tally.hist[log2_bucket(call.dur_ns)];
        *bucket = bucket.wrapping_add(1);
    }

    /// Adds `kernel`, the totals of the calls that did not become events, in as many parts as there are, and gives the sums.
    pub(crate) fn with(&self, kernel: impl IntoIterator<Item = (tally_key, tally)>) -> Vec<(tally_key, tally)> {
        let mut in_kernel: HashMap<(u32, u32), tally> = HashMap::new();
        for (key, part) in kernel {
            add(in_kernel.entry((key.process_seq, key.nr)).or_default(), &part);
        }
        let mut totals = Vec::new();
        for process in &self.processes {
            for (nr, tally) in process.numbers.iter().zip(&process.tallies) {
                let mut sum = *tally;
                if let Some(more) = in_kernel.remove(&(process.seq, *nr)) {
                    add(&mut sum, &more);
                }
                totals.push((tally_key { process_seq: process.seq, nr: *nr }, sum));
            }
        }
        totals.extend(in_kernel.into_iter().map(|((process_seq, nr), tally)| (tally_key { process_seq, nr }, tally)));
        totals
    }

    /// Forgets a process that has ended.
    pub(crate) fn forget(&mut self, process_seq: u32) {
        let Some(i) = self.by_seq.remove(&process_seq) else { return };
        self.processes.swap_remove(i);
        if let Some(moved) = self.processes.get(i) {
            self.by_seq.insert(moved.seq, i);
        }
        self.last = 0;
    }
}

/// Adds `more` to `sum`.
pub(crate) fn add(sum: &mut tally, more: &tally) {
    sum.count += more.count;
    sum.errors += more.errors;
    sum.total_ns += more.total_ns;
    sum.hist.iter_mut().zip(more.hist).for_each(|(a, b)| *a = a.wrapping_add(b));
}

/// As in `syscalls.bpf.h`: an error, and not one of the numbers that say that a signal interrupted the call.
fn failed(ret: i64) -> bool {
    (-4095..0).contains(&ret) && !(-516..=-512).contains(&ret)
}

/// As in `tally.bpf.h`.
fn log2_bucket(ns: u64) -> usize {
    (ns.max(1).ilog2() as usize).min(HIST_BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_call(process_seq: u32, nr: u32, dur_ns: u64, ret: i64) -> call {
        call { process_seq, nr, dur_ns, ret, ..call::default() }
    }

    fn sorted(mut totals: Vec<(tally_key, tally)>) -> Vec<(u32, u32, u64, u64, u64)> {
        totals.sort_by_key(|(key, _)| (key.process_seq, key.nr));
        totals.iter().map(|(k, t)| (k.process_seq, k.nr, t.count, t.errors, t.total_ns)).collect()
    }

    #[test]
    fn events_and_what_the_kernel_counted_add_up() {
        let mut counts = Counts::default();
        for call in [a_call(7, 0, 5, -2), a_call(9, 1, 3, 4), a_call(7, 0, 100, 0), a_call(7, 39, 1, -4096)] {
            counts.add(&call);
        }
        let lost = tally { count: 10, errors: 1, total_ns: 50, ..tally::default() };
        let kernel = [(7, 0), (8, 2), (8, 2)].map(|(process_seq, nr)| (tally_key { process_seq, nr }, lost));
        assert_eq!(
            sorted(counts.with(kernel)),
            [(7, 0, 12, 2, 155), (7, 39, 1, 0, 1), (8, 2, 20, 2, 100), (9, 1, 1, 0, 3)]
        );
    }

    #[test]
    fn a_forgotten_process_leaves_the_others_alone() {
        let mut counts = Counts::default();
        for seq in 1..=3 {
            counts.add(&a_call(seq, 0, 1, 0));
        }
        counts.forget(1);
        counts.forget(1);
        counts.add(&a_call(3, 0, 1, 0));
        counts.add(&a_call(2, 0, 1, 0));
        assert_eq!(sorted(counts.with([])), [(2, 0, 2, 0, 2), (3, 0, 2, 0, 2)]);
    }

    #[test]
    fn buckets_are_powers_of_two_of_a_nanosecond() {
        let buckets = [0, 1, 2, 3, 4, 1 << 39, u64::MAX].map(log2_bucket);
        assert_eq!(buckets, [0, 0, 1, 1, 2, 39, 39]);
    }
}
