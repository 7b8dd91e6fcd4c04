//! What threads use while they end: from the last tick before `sched_process_exit`, to their last
//! moment on a processor.
//!
//! A thread says what it has used when its end begins, by numbers as old as the last tick, and then takes down its memory and files. What
//! that came to is read when it has left its processor for good (`read_held_tasks` in `held.bpf.h`). So a process may use something after its
//! `exit`, and its books stay open until the last totals of all its threads have been read.

use super::Ledger;
use super::thread::{End, FORGET_NS, Thread};
use osd_bpf::wire::{ended_thread, usage};
use osd_recording::rows::Sample;
use std::collections::HashSet;

impl Ledger {
    /// A thread has said what it had used when its end began.
    pub(super) fn end_begun(&mut self, u: &usage, ts_ns: i64) {
        match self.threads.get_mut(&u.thread_seq).map(|t| (t.end, &mut t.end)) {
            Some((End::Not, end)) => {
                *end = End::Begun(ts_ns);
                self.n_ending += 1;
                if let Some(process) = self.processes.get_mut(&u.process_seq) {
                    process.ending += 1;
                }
            }
            // All is known of it now.
            Some((End::Known(_), _)) => {
                self.threads.remove(&u.thread_seq);
            }
            _ => {}
        }
    }

    /// What a thread has used that has ended, or is taking down what it had. `again`: it may be said once more. False if it cannot be
    /// charged yet, because the records of its beginning and its end are still to come.
    pub(crate) fn thread_gone(&mut self, e: &ended_thread, again: bool) -> bool {
        if !self.processes.contains_key(&e.process_seq) {
            // Or they were lost. For so many intervals it is asked again.
            const PATIENCE: u64 = 3;
            let since = *self.unclaimed.entry(e.thread_seq).or_insert(self.pass);
            return self.pass > since + PATIENCE;
        }
        let known = self.threads.get(&e.thread_seq);
        let end = known.map_or(End::Not, |t| t.end);
        let is_final = e.r#final != 0;
        if end == End::Not && !is_final {
            return false;
        }
        let last = known.map_or_else(usage::default, |t| t.last);
        let (thread_seq, process_seq, totals) = (e.thread_seq, e.process_seq, e.totals);
        self.charge(&usage { thread_seq, process_seq, totals, ..last });
        if !is_final {
            return false;
        }
        if let End::Begun(_) = end {
            self.settled(e.process_seq);
        }
        if end == End::Not || again {
            let now_ns = self.end_ns;
            self.threads.entry(e.thread_seq).and_modify(|t| t.end = End::Known(now_ns));
        } else {
            self.threads.remove(&e.thread_seq);
        }
        true
    }

    /// One thread fewer whose last totals are to come.
    fn settled(&mut self, process_seq: u32) {
        self.n_ending -= 1;
        if let Some(process) = self.processes.get_mut(&process_seq) {
            process.ending = process.ending.saturating_sub(1);
        }
    }

    /// Threads that have ended and whose last totals are to come.
    pub(crate) fn n_ending(&self) -> usize {
        self.n_ending
    }

    /// They, as they were met last.
    pub(crate) fn ending(&self) -> impl Iterator<Item = &usage> + '_ {
        self.threads.values().filter(|t| t.is_ending()).map(|t| &t.last)
    }

    /// What came to light after the last interval, which ended at `end_ns`: samples of processes that had ended by then. Nobody waits for
    /// more.
    pub(crate) fn late_samples(&mut self, end_ns: i64) -> Vec<Sample> {
        self.given_up += self.n_ending as u64;
        let late = self.processes.values_mut().filter(|p| p.gone_for > 0 && p.grew);
        let mut samples: Vec<Sample> = late.map(|p| p.sample(end_ns, self.counts_io_uring)).collect();
        samples.sort_by_key(|s| (s.ts_ns, s.owner.pid));
        samples
    }

    /// Threads whose last totals nobody waited for any longer, so far.
    pub(crate) fn n_given_up(&self) -> u64 {
        self.given_up
    }

    /// The processes with a thread that takes long to take down what it had.
    pub(super) fn busy_ending(&self) -> HashSet<u32> {
        let busy = self.threads.values().filter(|t| t.is_ending() && t.met(self.pass));
        busy.map(|t| t.last.process_seq).collect()
    }

    /// Forgets the threads of the processes in `gone`, and those that ended long ago and that no pass meets: the record of their end was
    /// lost.
    pub(super) fn forget_threads(&mut self, gone: &HashSet<u32>, now_ns: i64) {
        let pass = self.pass;
        let forget = |t: &Thread| match t.end {
            _ if gone.contains(&t.last.process_seq) => true,
            End::Not => false,
            End::Begun(ns) | End::Known(ns) => now_ns - ns > FORGET_NS && !t.met(pass),
        };
        let given_up: Vec<u32> = self
            .threads
            .extract_if(|_, t| forget(t))
            .filter(|(_, t)| t.is_ending())
            .map(|(_, t)| t.last.process_seq)
            .collect();
        self.given_up += given_up.len() as u64;
        given_up.into_iter().for_each(|process_seq| self.settled(process_seq));
        self.unclaimed.retain(|_, since| pass <= *since + 10);
    }
}
