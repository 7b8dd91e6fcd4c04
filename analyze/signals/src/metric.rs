//! The metrics: one entry each says what it is called, what it is made of, and how it is judged.
//!
//! A metric is one number of each interval, over all recorded processes. Whoever adds one adds an entry to [`METRICS`] and
//! its name to [`MetricId`]: the table, the detector, models, sentences and the page take everything from here.
//!
//! **Where the floors come from.** A floor is the least change that is worth a person's time, whatever the statistics say.
//! They were set by hand, on recordings of the labelled workload with and without its ten faults; what holds them is that
//! quiet minutes stay quiet and each fault is found (`tests/it/live.rs`). `model_floor` is what quiet recordings vary by
//! without a cause: a scaler that believed in less would make a model shout at a trifle.

use osd_detect::metric::Form;
use std::ops::{Index, IndexMut};

/// Which metric; its place in [`METRICS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MetricId {
    /// CPU time.
    Cpu,
    /// Resident memory.
    Rss,
    /// Bytes received.
    NetRx,
    /// Bytes sent.
    NetTx,
    /// System calls.
    Syscalls,
    /// Time runnable without a processor.
    Runq,
    /// Calls that failed.
    Errors,
    /// Bytes written to storage.
    Write,
    /// Bytes read from storage.
    Read,
    /// Page faults.
    Faults,
    /// Context switches.
    Ctx,
    /// Threads.
    Threads,
    /// Open files.
    Fds,
    /// Forks and execs.
    ProcessesStarted,
    /// Calls that flush to storage.
    CallsSync,
    /// Calls that take a file's name.
    CallsFiles,
    /// Calls that lock.
    CallsLocks,
    /// Calls that map memory.
    CallsMemory,
    /// Calls that make connections.
    CallsConnections,
    /// Time of a call that flushes to storage.
    LatencySync,
    /// Time of a call that reads.
    LatencyReads,
    /// Time of a call that receives.
    LatencyReceives,
    /// Time of a call that writes.
    LatencyWrites,
    /// Time of a call that connects.
    LatencyConnects,
}

/// What a metric is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Source {
    /// Columns of `sample` rows that count, added up, times a factor; per second.
    Counter(&'static [&'static str], f64),
    /// Columns of `sample` rows that hold until the next sample, added up.
    Level(&'static [&'static str]),
    /// Calls of these names, from `tally` rows; per second.
    Calls(&'static [&'static str]),
    /// Forks and execs, from `process` rows; per second.
    Starts,
    /// How long a call of these names takes, from the histograms of `tally` rows: the geometric mean, which one call that waited for long
    /// does not move, seconds.
    ///
    /// A call that waits for whoever calls takes longer when there is less to do. So where there are fewer calls than there were so
    /// far, it counts for as much less: what is judged is what all of them together cost.
    Latency(&'static [&'static str]),
}

/// One metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Which.
    pub id: MetricId,
    /// In findings, in `--features`, in a model's files.
    pub name: &'static str,
    /// Over a picture.
    pub title: &'static str,
    /// In a sentence.
    pub noun: &'static str,
    /// Of its values.
    pub unit: &'static str,
    /// What it is made of.
    pub source: Source,
    /// Whether it is a level or a rate, and which changes of it matter.
    pub matters: osd_detect::metric::Metric,
    /// May open a window. The others only describe one: they follow what the rest of the host does.
    pub opens_windows: bool,
    /// Least spread that a model's scaler believes, in the unit; `None`: models do not see it.
    pub model_floor: Option<f64>,
}

impl Metric {
    const fn new(
        (id, name, unit): (MetricId, &'static str, &'static str),
        (title, noun): (&'static str, &'static str),
        source: Source,
        (floor, relative_floor): (f64, f64),
    ) -> Self {
        let form = if let Source::Level(_) = source { Form::Level } else { Form::Rate };
        let matters = osd_detect::metric::Metric { form, floor, relative_floor, fall: None };
        Self { id, name, title, noun, unit, source, matters, opens_windows: true, model_floor: None }
    }

    const fn falls(mut self, share: f64) -> Self {
        self.matters.fall = Some(share);
        self
    }

    const fn only_describes(mut self) -> Self {
        self.opens_windows = false;
        self
    }

    const fn seen_by_models(mut self, floor: f64) -> Self {
        self.model_floor = Some(floor);
        self
    }

    /// Whether it is a level; else it is a rate.
    pub fn is_level(&self) -> bool {
        self.matters.form == Form::Level
    }

    /// The columns of `sample` rows that it is made of.
    pub fn columns(&self) -> &'static [&'static str] {
        match self.source {
            Source::Counter(columns, _) | Source::Level(columns) => columns,
            Source::Calls(_) | Source::Starts | Source::Latency(_) => &[],
        }
    }

    /// From the columns' unit to its own, before it is divided by time.
    pub fn factor(&self) -> f64 {
        if let Source::Counter(_, factor) = self.source { factor } else { 1.0 }
    }
}

const MIB: f64 = 1_048_576.0;
const KIB: f64 = 1_024.0;
const NS: f64 = 1e-9;

/// All metrics, in the order of [`MetricId`]; the first five are the headline.
pub static METRICS: [Metric; 24] = {
    use MetricId::{
        CallsConnections, CallsFiles, CallsLocks, CallsMemory, CallsSync, Cpu, Ctx, Errors, Faults, Fds,
        LatencyConnects, LatencyReads, LatencyReceives, LatencySync, LatencyWrites, NetRx, NetTx, ProcessesStarted,
        Read, Rss, Runq, Syscalls, Threads, Write,
    };
    use Source::{Calls, Counter, Latency, Level, Starts};
    [
        Metric::new((Cpu, "cpu", "cores"), ("CPU", "CPU"), Counter(&["cpu_ns"], NS), (0.2, 0.6)).seen_by_models(0.02),
        Metric::new(
            (Rss, "rss", "bytes"),
            ("Memory", "memory"),
            Level(&["rss_anon_bytes", "rss_file_bytes", "rss_shmem_bytes"]),
            (6.0 * MIB, 0.04),
        )
        .seen_by_models(MIB),
        Metric::new(
            (NetRx, "net_rx", "bytes/s"),
            ("Network in", "incoming network traffic"),
            Counter(&["net_rx_bytes"], 1.0),
            (0.25 * MIB, 1.0),
        )
        .falls(0.75)
        .seen_by_models(4.0 * KIB),
        Metric::new(
            (NetTx, "net_tx", "bytes/s"),
            ("Network out", "outgoing network traffic"),
            Counter(&["net_tx_bytes"], 1.0),
            (0.25 * MIB, 1.0),
        )
        .falls(0.75)
        .seen_by_models(4.0 * KIB),
        Metric::new(
            (Syscalls, "syscalls", "calls/s"),
            ("System calls", "system calls"),
            Counter(&["n_syscalls"], 1.0),
            (300.0, 0.8),
        )
        .falls(0.75)
        .seen_by_models(20.0),
        Metric::new(
            (Runq, "runq", "s/s"),
            ("Waiting for CPU", "waiting for a processor"),
            Counter(&["runq_ns"], NS),
            (0.3, 1.0),
        )
        .only_describes()
        .seen_by_models(0.01),
        Metric::new(
            (Errors, "errors", "calls/s"),
            ("Failed calls", "failed calls"),
            Counter(&["n_syscall_errors"], 1.0),
            (50.0, 1.5),
        )
        .seen_by_models(5.0),
        Metric::new(
            (Write, "write", "bytes/s"),
            ("Storage writes", "writes to storage"),
            Counter(&["write_bytes"], 1.0),
            (MIB, 2.0),
        )
        .seen_by_models(64.0 * KIB),
        Metric::new(
            (Read, "read", "bytes/s"),
            ("Storage reads", "reads from storage"),
            Counter(&["read_bytes"], 1.0),
            (MIB, 2.0),
        )
        .seen_by_models(64.0 * KIB),
        Metric::new(
            (Faults, "faults", "faults/s"),
            ("Page faults", "page faults"),
            Counter(&["minor_faults", "major_faults"], 1.0),
            (500.0, 1.0),
        )
        .only_describes()
        .seen_by_models(20.0),
        Metric::new(
            (Ctx, "ctx", "switches/s"),
            ("Context switches", "context switches"),
            Counter(&["ctx_voluntary", "ctx_involuntary"], 1.0),
            (500.0, 1.0),
        )
        .only_describes()
        .seen_by_models(20.0),
        Metric::new((Threads, "threads", "threads"), ("Threads", "threads"), Level(&["n_threads"]), (8.0, 0.5))
            .seen_by_models(4.0),
        Metric::new((Fds, "fds", "fds"), ("Open files", "open files"), Level(&["n_fds"]), (20.0, 0.3))
            .seen_by_models(8.0),
        Metric::new(
            (ProcessesStarted, "processes_started", "starts/s"),
            ("Processes started", "process starts"),
            Starts,
            (4.0, 2.0),
        ),
        Metric::new(
            (CallsSync, "calls_sync", "calls/s"),
            ("Flushing calls", "flushes to storage"),
            Calls(&["fsync", "fdatasync", "sync", "syncfs", "sync_file_range", "msync"]),
            (20.0, 2.0),
        ),
        Metric::new(
            (CallsFiles, "calls_files", "calls/s"),
            ("File name calls", "file name calls (open, stat ...)"),
            Calls(&[
                "open",
                "openat",
                "openat2",
                "creat",
                "stat",
                "lstat",
                "newfstatat",
                "statx",
                "access",
                "faccessat",
                "faccessat2",
                "readlink",
                "readlinkat",
                "getdents",
                "getdents64",
                "unlink",
                "unlinkat",
                "rename",
                "renameat",
                "renameat2",
                "mkdir",
                "mkdirat",
                "rmdir",
                "link",
                "linkat",
                "symlink",
                "symlinkat",
                "chmod",
                "fchmodat",
                "utimensat",
                "truncate",
            ]),
            (200.0, 2.0),
        ),
        Metric::new(
            (CallsLocks, "calls_locks", "calls/s"),
            ("Locking calls", "locking calls"),
            Calls(&[
                "futex",
                "futex_wait",
                "futex_wake",
                "futex_requeue",
                "futex_waitv",
                "flock",
                "semop",
                "semtimedop",
                "sched_yield",
            ]),
            (300.0, 2.0),
        ),
        Metric::new(
            (CallsMemory, "calls_memory", "calls/s"),
            ("Memory mapping calls", "memory mapping calls"),
            Calls(&["mmap", "munmap", "brk", "mremap", "madvise", "mprotect"]),
            (200.0, 3.0),
        ),
        Metric::new(
            (CallsConnections, "calls_connections", "calls/s"),
            ("Connection calls", "connection calls"),
            Calls(&["socket", "connect", "accept", "accept4"]),
            (50.0, 2.0),
        ),
        // Four times as long is news, whatever the device; below these floors a person feels nothing.
        Metric::new(
            (LatencySync, "latency_sync", "s"),
            ("Time of a flush", "the time of a flush to storage"),
            Latency(&["fsync", "fdatasync", "sync_file_range", "msync"]),
            (0.02, 3.0),
        ),
        Metric::new(
            (LatencyReads, "latency_reads", "s"),
            ("Time of a read", "the time of a read"),
            Latency(&["read", "pread64", "readv", "preadv", "preadv2"]),
            (0.002, 3.0),
        ),
        Metric::new(
            (LatencyReceives, "latency_receives", "s"),
            ("Time of a receive", "the time of a receive"),
            Latency(&["recvfrom", "recvmsg", "recvmmsg"]),
            (0.002, 3.0),
        ),
        Metric::new(
            (LatencyWrites, "latency_writes", "s"),
            ("Time of a write", "the time of a write"),
            Latency(&["write", "pwrite64", "writev", "pwritev", "pwritev2"]),
            (0.002, 3.0),
        ),
        Metric::new(
            (LatencyConnects, "latency_connects", "s"),
            ("Time of a connect", "the time of a connect"),
            Latency(&["connect"]),
            (0.02, 3.0),
        ),
    ]
};

/// How many of them are levels.
pub(crate) const N_LEVELS: usize = {
    let (mut n, mut i) = (0, 0);
    while i < METRICS.len() {
        n += matches!(METRICS[i].source, Source::Level(_)) as usize;
        i += 1;
    }
    n
};

impl MetricId {
    /// Its entry.
    pub fn metric(self) -> &'static Metric {
        &METRICS[self as usize]
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.metric().name
    }

    /// The metric of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        METRICS.iter().find(|m| m.name == name).map(|m| m.id)
    }

    /// The metric at this place, as detectors number them.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn at(place: usize) -> Self {
        METRICS[place].id
    }

    /// Whether a report can count on its being there.
    pub fn is_headline(self) -> bool {
        self <= Self::Syscalls
    }

    /// The metric that counts `syscall` with its kin, if one does.
    pub fn of_call(syscall: &str) -> Option<Self> {
        let counts = |m: &&Metric| matches!(m.source, Source::Calls(names) if names.contains(&syscall));
        METRICS.iter().find(counts).map(|m| m.id)
    }
}

/// One value for each metric.
#[derive(Clone, Debug, PartialEq)]
pub struct PerMetric<T>([T; METRICS.len()]);

impl<T> PerMetric<T> {
    /// The value of each by `value`.
    pub fn from_fn(value: impl Fn(&'static Metric) -> T) -> Self {
        Self(std::array::from_fn(|i| value(&METRICS[i])))
    }

    /// The same of each, made into something else.
    pub fn map<U>(self, mut change: impl FnMut(&'static Metric, T) -> U) -> PerMetric<U> {
        let mut metrics = METRICS.iter();
        PerMetric(self.0.map(|value| change(metrics.next().expect("as many as values"), value)))
    }

    /// With the metrics, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Metric, &T)> {
        METRICS.iter().zip(&self.0)
    }
}

impl<T> Index<MetricId> for PerMetric<T> {
    type Output = T;

    fn index(&self, id: MetricId) -> &T {
        &self.0[id as usize]
    }
}

impl<T> IndexMut<MetricId> for PerMetric<T> {
    fn index_mut(&mut self, id: MetricId) -> &mut T {
        &mut self.0[id as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_metric_is_at_its_place_and_has_a_name_of_its_own() {
        for (place, metric) in METRICS.iter().enumerate() {
            assert_eq!(metric.id as usize, place, "{}", metric.name);
            assert_eq!(MetricId::from_name(metric.name), Some(metric.id));
        }
        let names: HashSet<_> = METRICS.iter().map(|m| m.name).collect();
        assert_eq!(names.len(), METRICS.len());
    }

    #[test]
    fn columns_are_those_of_samples_and_no_call_counts_twice() {
        let known: HashSet<&str> = osd_recording::Kind::Sample.columns().map(|c| c.name).collect();
        assert!(METRICS.iter().flat_map(Metric::columns).all(|column| known.contains(column)));
        let calls = METRICS.iter().filter_map(|m| if let Source::Calls(names) = m.source { Some(names) } else { None });
        let calls: Vec<&str> = calls.flatten().copied().collect();
        assert_eq!(calls.iter().collect::<HashSet<_>>().len(), calls.len());
        assert_eq!(MetricId::of_call("fsync"), Some(MetricId::CallsSync));
        assert_eq!(MetricId::of_call("getppid"), None);
    }
}
