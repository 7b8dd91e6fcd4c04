//! One process in the books: who it is, what it used since its last sample, and how far it is with
//! its end.

use osd_recording::ProcId;
use osd_recording::rows::{Owner, Process, ProcessEvent, Sample};

/// A process that no pass has met for so long has ended, and the record of that was lost.
const ABSENT_NS: i64 = 1_000_000_000;

/// What was moved through sockets that have no flow of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rest {
    pub(crate) rest_tx_bytes: u64,
    pub(crate) rest_rx_bytes: u64,
    pub(crate) rest_tx_msgs: u64,
    pub(crate) rest_rx_msgs: u64,
}

/// A process, as far as it is known.
pub(super) struct Known {
    pub(super) owner: Owner,
    pub(super) ppid: u32,
    pub(super) parent: Option<ProcId>,
    pub(super) comm: String,
    pub(super) exe: Option<String>,
    pub(super) argv: Option<String>,
    pub(super) uid: u32,
    pub(super) start_ts_ns: i64,
    pub(super) ns_pid: Option<u32>,
    pub(super) pid_ns: Option<u32>,
    /// Used since the last interval ended.
    pub(super) used: Sample,
    /// Likewise; apart, because not every kernel can tell.
    pub(super) n_io_uring_sqes: u64,
    /// Moved through sockets that have no flow, likewise.
    pub(super) rest: Rest,
    /// Used something since its last sample.
    pub(super) grew: bool,
    /// CPU time and waiting for a processor that were charged after its exit and have not been in a sample yet.
    pub(super) after_exit_ns: u64,
    /// Threads of it that have ended and whose last totals are to come.
    pub(super) ending: u32,
    /// Its last sample, where stretches without anything are joined.
    pub(super) last: Option<Box<Sample>>,
    /// Start of what `used` covers.
    pub(super) since_ns: i64,
    pub(super) exited_ns: Option<i64>,
    /// Since when no pass has met a thread of it.
    pub(super) absent_ns: Option<i64>,
    /// Intervals since its exit: late events still find their owner for a while.
    pub(super) gone_for: u8,
}

impl Known {
    /// An entry that says nothing of a process yet.
    pub(super) fn nobody(since_ns: i64) -> Self {
        Self {
            owner: Owner::default(),
            ppid: 0,
            parent: None,
            comm: String::new(),
            exe: None,
            argv: None,
            uid: 0,
            start_ts_ns: since_ns,
            ns_pid: None,
            pid_ns: None,
            used: Sample::default(),
            n_io_uring_sqes: 0,
            rest: Rest::default(),
            grew: false,
            after_exit_ns: 0,
            ending: 0,
            last: None,
            since_ns,
            exited_ns: None,
            absent_ns: None,
            gone_for: 0,
        }
    }

    /// Ends a process that has not been met for [`ABSENT_NS`]: the record of its exit was lost.
    pub(super) fn notice_absence(&mut self, met: bool, now_ns: i64) {
        if self.exited_ns.is_some() {
            return;
        }
        if met {
            self.absent_ns = None;
            return;
        }
        let since_ns = *self.absent_ns.get_or_insert(now_ns);
        if now_ns - since_ns >= ABSENT_NS {
            self.exited_ns = Some(now_ns);
        }
    }

    /// What it used since its last sample, as one that ends at `end_ns`, or at its exit if that was before.
    pub(super) fn sample(&mut self, end_ns: i64, counts_io_uring: bool) -> Sample {
        self.grew = false;
        // What it used after its exit takes it at least that long. Then it has no memory any more.
        let after_exit_ns = i64::try_from(std::mem::take(&mut self.after_exit_ns)).unwrap_or(i64::MAX);
        let end = match self.exited_ns {
            Some(exited_ns) => exited_ns.max(self.since_ns).saturating_add(after_exit_ns).min(end_ns.max(exited_ns)),
            None => end_ns,
        };
        let end = end.max(self.since_ns + i64::from(self.gone_for > 0));
        let mut sample = std::mem::take(&mut self.used);
        if self.gone_for > 0 {
            (sample.rss_anon_bytes, sample.rss_file_bytes) = (0, 0);
            (sample.rss_shmem_bytes, sample.swap_bytes) = (0, 0);
        }
        // Levels carry over: the next interval may not see memory that is still there.
        self.used.rss_anon_bytes = sample.rss_anon_bytes;
        self.used.rss_file_bytes = sample.rss_file_bytes;
        self.used.rss_shmem_bytes = sample.rss_shmem_bytes;
        self.used.swap_bytes = sample.swap_bytes;
        sample.ts_ns = self.since_ns;
        sample.dur_ns = (end - self.since_ns).unsigned_abs();
        sample.owner = self.owner;
        let n_io_uring_sqes = std::mem::take(&mut self.n_io_uring_sqes);
        sample.n_io_uring_sqes = counts_io_uring.then_some(n_io_uring_sqes);
        self.since_ns = end;
        sample
    }

    pub(super) fn row(&self, ts_ns: i64, tid: u32, event: ProcessEvent) -> Process {
        Process {
            ts_ns,
            owner: self.owner,
            tid,
            event,
            ppid: self.ppid,
            parent: self.parent,
            comm: self.comm.clone(),
            exe: self.exe.clone(),
            argv: self.argv.clone(),
            uid: self.uid,
            exit_code: None,
            exit_signal: None,
            start_ts_ns: self.start_ts_ns,
            ns_pid: self.ns_pid,
            pid_ns: self.pid_ns,
        }
    }
}
