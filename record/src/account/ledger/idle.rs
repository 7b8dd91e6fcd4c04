//! Processes that do nothing, where all of a host is recorded and most do.
//!
//! A stretch of intervals in which a process did nothing is one sample, so that it costs next to nothing and still says that there was
//! nothing. It is told when it is over: the process does something, it has lasted for [`LONGEST_NS`], or the file ends.

use super::Ledger;
use super::known::Known;
use osd_recording::rows::Sample;

/// So long a stretch has a sample of its own.
const LONGEST_NS: i64 = 10_000_000_000;

/// Levels that a sample has beside the memory: threads, those that are stopped, those in uninterruptible sleep.
pub(super) type States = (u32, Option<u32>, Option<u32>);

impl Known {
    /// Whether nothing of it has changed since its last sample, and nothing need be said.
    pub(super) fn is_idle(&self, states: States, end_ns: i64) -> bool {
        let Some(last) = &self.last else { return false };
        let memory = |s: &Sample| [s.rss_anon_bytes, s.rss_file_bytes, s.rss_shmem_bytes, s.swap_bytes];
        !self.grew
            && self.exited_ns.is_none()
            && states == (last.n_threads, last.n_stopped, last.n_uninterruptible)
            && memory(&self.used) == memory(last)
            && end_ns - self.since_ns < LONGEST_NS
    }

    /// The sample of a stretch in which it did nothing, until `until_ns`, if there was one.
    pub(super) fn idle_until(&mut self, until_ns: i64) -> Option<Sample> {
        let last = self.last.as_ref()?;
        let dur_ns = u64::try_from(until_ns - self.since_ns).ok().filter(|ns| *ns > 0)?;
        let nothing = Sample {
            ts_ns: self.since_ns,
            dur_ns,
            owner: self.owner,
            rss_anon_bytes: last.rss_anon_bytes,
            rss_file_bytes: last.rss_file_bytes,
            rss_shmem_bytes: last.rss_shmem_bytes,
            swap_bytes: last.swap_bytes,
            n_threads: last.n_threads,
            n_fds: last.n_fds,
            n_stopped: last.n_stopped,
            n_uninterruptible: last.n_uninterruptible,
            n_io_uring_sqes: last.n_io_uring_sqes.map(|_| 0),
            ..Sample::default()
        };
        self.since_ns = until_ns;
        Some(nothing)
    }
}

impl Ledger {
    /// From now on stretches without anything are one sample.
    pub(crate) fn join_idle(&mut self) {
        self.joins_idle = true;
    }

    /// The samples of all stretches that are not over, which end now: the file does.
    pub(crate) fn end_idle(&mut self) -> Vec<Sample> {
        let end_ns = self.end_ns;
        let live = self.processes.values_mut().filter(|p| p.exited_ns.is_none());
        let mut samples: Vec<Sample> = live
            .filter_map(|p| {
                let idle = p.idle_until(end_ns);
                // Its levels are in the next file from the first interval on.
                p.last = None;
                idle
            })
            .collect();
        samples.sort_by_key(|s| (s.ts_ns, s.owner.pid));
        samples
    }
}
