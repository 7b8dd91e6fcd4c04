//! What has been counted so far: of each process, of the host, of each system call, and what was
//! lost.
//!
//! Memory is bounded: [`MOST_PROCESSES`] processes have series of their own. When there is no room for one more, those that ended long ago lose
//! theirs; without such, what a process counts is that of the others until there is room.

use crate::metric::{BUCKETS, Columns, HOST, PROCESS, Type};
use std::collections::{BTreeMap, HashMap};

/// Processes with series of their own.
pub(super) const MOST_PROCESSES: usize = 500;
/// An ended process keeps its series for so long: a scrape or two.
pub(super) const KEPT_NS: i64 = 300_000_000_000;

/// A process with series of its own.
pub(super) struct Known {
    pub(super) pid: u32,
    pub(super) comm: String,
    /// One a part of [`PROCESS`].
    pub(super) values: Vec<Option<u64>>,
    pub(super) ended_ns: Option<i64>,
}

/// Calls of one name.
#[derive(Default)]
pub(super) struct Calls {
    pub(super) count: u64,
    pub(super) errors: u64,
    /// ns; without latencies there is none.
    pub(super) total_ns: Option<u64>,
    /// As the buckets are exported, and all above.
    pub(super) buckets: Vec<u64>,
}

/// The counts of a recording.
pub(super) struct Counts {
    /// By identity.
    pub(super) processes: HashMap<u64, Known>,
    /// Of those without series of their own: who is alive.
    pub(super) names: HashMap<u64, (u32, String)>,
    pub(super) others: Vec<Option<u64>>,
    /// One a part of [`HOST`].
    pub(super) host: Vec<Option<u64>>,
    pub(super) calls: BTreeMap<String, Calls>,
    /// By stream and reason.
    pub(super) lost: BTreeMap<(String, String), u64>,
}

impl Counts {
    /// Nothing was counted yet.
    pub(super) fn new() -> Self {
        let parts = |all: &[Columns]| vec![None; all.iter().map(|c| c.parts.len()).sum()];
        Self {
            processes: HashMap::new(),
            names: HashMap::new(),
            others: parts(&PROCESS),
            host: parts(&HOST),
            calls: BTreeMap::new(),
            lost: BTreeMap::new(),
        }
    }

    /// Something in the life of a process, which is called `comm` and may have ended.
    pub(super) fn process(&mut self, (proc, pid): (u64, u32), comm: &str, ended_ns: Option<i64>) {
        match self.processes.get_mut(&proc) {
            Some(known) => {
                comm.clone_into(&mut known.comm);
                known.ended_ns = ended_ns;
            }
            None if ended_ns.is_some() => drop(self.names.remove(&proc)),
            None => drop(self.names.insert(proc, (pid, comm.to_owned()))),
        }
    }

    /// A sample of a process of this time and with so many threads: what it has of the parts of [`PROCESS`].
    pub(super) fn sample(
        &mut self,
        (proc, pid): (u64, u32),
        (ts_ns, n_threads): (i64, u64),
        now: impl Iterator<Item = Option<u64>>,
    ) {
        if !self.processes.contains_key(&proc) && self.make_room(ts_ns) {
            let (pid, comm) = self.names.remove(&proc).unwrap_or_else(|| (pid, "unknown".to_owned()));
            let values = vec![None; self.others.len()];
            // A sample of one that has no life any more is the last.
            let ended_ns = (n_threads == 0).then_some(ts_ns);
            self.processes.insert(proc, Known { pid, comm, values, ended_ns });
        }
        match self.processes.get_mut(&proc) {
            Some(known) => count(&PROCESS, now, &mut known.values, true),
            None => count(&PROCESS, now, &mut self.others, false),
        }
    }

    /// Whether there is room for one more.
    fn make_room(&mut self, now_ns: i64) -> bool {
        if self.processes.len() >= MOST_PROCESSES {
            let is_kept = |known: &Known| known.ended_ns.is_none_or(|ns| now_ns.saturating_sub(ns) < KEPT_NS);
            self.processes.retain(|_, known| is_kept(known));
        }
        self.processes.len() < MOST_PROCESSES
    }

    /// What the host has of the parts of [`HOST`].
    pub(super) fn system(&mut self, now: impl Iterator<Item = Option<u64>>) {
        count(&HOST, now, &mut self.host, true);
    }

    /// Calls, errors and time (ns) of one name; without a time they were not timed.
    pub(super) fn calls(
        &mut self,
        name: &str,
        (count, errors, total_ns): (u64, u64, Option<u64>),
        latency_log2: &[u64],
    ) {
        if !self.calls.contains_key(name) {
            self.calls.insert(name.to_owned(), Calls::default());
        }
        let Some(own) = self.calls.get_mut(name) else { return };
        own.count = own.count.saturating_add(count);
        own.errors = own.errors.saturating_add(errors);
        let Some(total_ns) = total_ns else { return };
        own.total_ns = Some(own.total_ns.unwrap_or(0).saturating_add(total_ns));
        own.buckets.resize(BUCKETS.clone().count() + 1, 0);
        let last = own.buckets.len() - 1;
        for (bucket, n) in latency_log2.iter().enumerate() {
            let at = bucket.saturating_sub(*BUCKETS.start()).min(last);
            own.buckets[at] = own.buckets[at].saturating_add(*n);
        }
    }

    /// What was lost.
    pub(super) fn lost(&mut self, stream: &str, reason: &str, count: u64) {
        let own = self.lost.entry((stream.to_owned(), reason.to_owned())).or_default();
        *own = own.saturating_add(count);
    }
}

/// Adds what a row has `now` of the columns of `all` to `values`, and with `levels` takes what holds in it.
fn count(all: &[Columns], now: impl Iterator<Item = Option<u64>>, values: &mut [Option<u64>], levels: bool) {
    let parts = all.iter().flat_map(|c| std::iter::repeat_n(c.family.ty, c.parts.len()));
    for ((ty, now), value) in parts.zip(now).zip(values) {
        match (now, ty) {
            (None, _) => {}
            (Some(now), Type::Gauge) => *value = if levels { Some(now) } else { None },
            (Some(n), _) => *value = Some(value.unwrap_or(0).saturating_add(n)),
        }
    }
}
