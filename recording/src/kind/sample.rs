//! `sample`: one process in one interval.

use super::common::{Owner, cgroup_id, dur_ns, kind, pid, proc, ts};
use super::field::{Field, Number, RowField};
use super::waiting::{ByRow, Rowed, number};

/// One process in one interval. Counters are differences over the interval, `rss_*`, `swap_bytes`, `n_threads`, `n_fds` are levels at
/// its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Start of the interval.
    pub ts_ns: i64,
    /// Length of the interval.
    pub dur_ns: u64,
    /// Whose.
    pub owner: Owner,
    /// Time on a processor, all threads.
    pub cpu_ns: u64,
    /// Time ready to run but waiting for a processor.
    pub runq_ns: u64,
    /// Context switches because it waited.
    pub ctx_voluntary: u64,
    /// Context switches because it was preempted.
    pub ctx_involuntary: u64,
    /// Resident anonymous memory (heap, stacks).
    pub rss_anon_bytes: u64,
    /// Resident file mappings.
    pub rss_file_bytes: u64,
    /// Resident shared memory.
    pub rss_shmem_bytes: u64,
    /// Swapped out.
    pub swap_bytes: u64,
    /// Page faults served without disk.
    pub minor_faults: u64,
    /// Page faults that waited for disk.
    pub major_faults: u64,
    /// Payload received from internet sockets.
    pub net_rx_bytes: u64,
    /// Payload sent to internet sockets.
    pub net_tx_bytes: u64,
    /// Successful receive calls on them.
    pub net_rx_msgs: u64,
    /// Successful send calls on them.
    pub net_tx_msgs: u64,
    /// Fetched from storage.
    pub read_bytes: u64,
    /// Sent to storage.
    pub write_bytes: u64,
    /// Returned by `read`-like calls, whatever served them.
    pub read_chars: u64,
    /// Passed to `write`-like calls.
    pub write_chars: u64,
    /// System calls that returned.
    pub n_syscalls: u64,
    /// Of these, with an error.
    pub n_syscall_errors: u64,
    /// Time inside them, waiting included.
    pub syscall_ns: u64,
    /// Threads at the end.
    pub n_threads: u32,
    /// Open file descriptors at the end, where the kernel tells cheaply (6.2 and later).
    pub n_fds: Option<u32>,
    /// Threads that a signal or a debugger had stopped, at the end, where the kernel tells.
    pub n_stopped: Option<u32>,
    /// Threads in uninterruptible sleep, at the end: most wait for storage.
    pub n_uninterruptible: Option<u32>,
    /// Requests taken from io_uring queues, where the kernel tells.
    pub n_io_uring_sqes: Option<u64>,
    /// Columns that are null, whatever the fields above say.
    pub unseen: Unseen,
}

/// Columns of a [`Sample`] that its source could not see: null in the file, which 0 is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unseen {
    /// `runq_ns`, `ctx_voluntary`, `ctx_involuntary`.
    pub scheduling: bool,
    /// `read_bytes`, `write_bytes`, `read_chars`, `write_chars`.
    pub io: bool,
    /// `net_*`.
    pub network: bool,
    /// `n_syscalls`, `n_syscall_errors`, `syscall_ns`.
    pub syscalls: bool,
    /// `syscall_ns`.
    pub latency: bool,
    /// `cpu_ns`, `rss_*`, `swap_bytes`, faults, `n_threads`: of what came from a list of calls, which says nothing of them.
    pub usage: bool,
    /// Columns one by one, a bit each, in the order of the schema from `cpu_ns` on. See [`Unseen::all_but`].
    pub columns: u32,
}

impl Rowed for Sample {
    const NAME: &'static str = "sample";
    const TABLE: &'static str = "samples";
    type Waiting = Vec<Self>;
}

impl ByRow for Sample {
    const FIELDS: &'static [RowField<Self>] = &[
        kind(),
        ts(),
        dur_ns(|r| Some(r.dur_ns)),
        proc(|r| Some(r.owner.proc.0)),
        pid(|r| Some(r.owner.pid)),
        cgroup_id(|r| r.owner.cgroup()),
        Field::u64("cpu_ns", "ns", "time on a processor, all threads", |r| r.usage(At::CpuNs, r.cpu_ns)),
        Field::u64("runq_ns", "ns", "ready, but waiting for a processor", |r| r.scheduling(At::RunqNs, r.runq_ns)),
        Field::u64("ctx_voluntary", "switches", "it waited", |r| r.scheduling(At::CtxVoluntary, r.ctx_voluntary)),
        Field::u64("ctx_involuntary", "switches", "it was preempted", |r| {
            r.scheduling(At::CtxInvoluntary, r.ctx_involuntary)
        }),
        Field::u64("rss_anon_bytes", "bytes", "resident anonymous memory, at the end", |r| {
            r.usage(At::RssAnonBytes, r.rss_anon_bytes)
        }),
        Field::u64("rss_file_bytes", "bytes", "resident file mappings, at the end", |r| {
            r.usage(At::RssFileBytes, r.rss_file_bytes)
        }),
        Field::u64("rss_shmem_bytes", "bytes", "resident shared memory, at the end", |r| {
            r.usage(At::RssShmemBytes, r.rss_shmem_bytes)
        }),
        Field::u64("swap_bytes", "bytes", "swapped out, at the end", |r| r.usage(At::SwapBytes, r.swap_bytes)),
        Field::u64("minor_faults", "faults", "page faults without disk", |r| r.usage(At::MinorFaults, r.minor_faults)),
        Field::u64("major_faults", "faults", "page faults with disk", |r| r.usage(At::MajorFaults, r.major_faults)),
        Field::u64("net_rx_bytes", "bytes", "payload received from internet sockets", |r| {
            r.network(At::NetRxBytes, r.net_rx_bytes)
        }),
        Field::u64("net_tx_bytes", "bytes", "payload sent to internet sockets", |r| {
            r.network(At::NetTxBytes, r.net_tx_bytes)
        }),
        Field::u64("net_rx_msgs", "calls", "successful receive calls on them", |r| {
            r.network(At::NetRxMsgs, r.net_rx_msgs)
        }),
        Field::u64("net_tx_msgs", "calls", "successful send calls on them", |r| {
            r.network(At::NetTxMsgs, r.net_tx_msgs)
        }),
        Field::u64("read_bytes", "bytes", "fetched from storage", |r| r.io(At::ReadBytes, r.read_bytes)),
        Field::u64("write_bytes", "bytes", "sent to storage", |r| r.io(At::WriteBytes, r.write_bytes)),
        Field::u64("read_chars", "bytes", "returned by read-like calls", |r| r.io(At::ReadChars, r.read_chars)),
        Field::u64("write_chars", "bytes", "passed to write-like calls", |r| r.io(At::WriteChars, r.write_chars)),
        Field::u64("n_syscalls", "calls", "system calls that returned", |r| r.calls(At::NSyscalls, r.n_syscalls)),
        Field::u64("n_syscall_errors", "calls", "of these, with an error", |r| {
            r.calls(At::NSyscallErrors, r.n_syscall_errors)
        }),
        Field::u64("syscall_ns", "ns", "time inside them, waiting included", |r| {
            r.calls(At::SyscallNs, r.syscall_ns).filter(|_| !r.unseen.latency)
        }),
        Field::u32("n_threads", "threads", "at the end", |r| r.usage(At::NThreads, r.n_threads)),
        Field::u32("n_fds", "descriptors", "open files, at the end", |r| r.n_fds),
        Field::u32("n_stopped", "threads", "stopped by a signal or a debugger, at the end", |r| r.n_stopped),
        Field::u32("n_uninterruptible", "threads", "in uninterruptible sleep, at the end", |r| r.n_uninterruptible),
        Field::u64("n_io_uring_sqes", "requests", "taken from io_uring queues", |r| r.n_io_uring_sqes),
    ];

    fn ts_ns(&self) -> i64 {
        self.ts_ns
    }
}

impl Sample {
    /// How the number of `column` is got out of a row; `None` if it has no such column.
    pub fn number(column: &str) -> Option<impl Fn(&Self) -> Option<Number> + Copy + Send + 'static> {
        number(column)
    }

    fn scheduling(&self, at: At, value: u64) -> Option<u64> {
        self.seen(at, self.unseen.scheduling, value)
    }

    fn usage<T>(&self, at: At, value: T) -> Option<T> {
        self.seen(at, self.unseen.usage, value)
    }

    fn network(&self, at: At, value: u64) -> Option<u64> {
        self.seen(at, self.unseen.network, value)
    }

    fn io(&self, at: At, value: u64) -> Option<u64> {
        self.seen(at, self.unseen.io, value)
    }

    fn calls(&self, at: At, value: u64) -> Option<u64> {
        self.seen(at, self.unseen.syscalls, value)
    }

    fn seen<T>(&self, at: At, group_is_not: bool, value: T) -> Option<T> {
        (!group_is_not && self.unseen.columns & 1 << at as u32 == 0).then_some(value)
    }
}

/// The columns that may be null, in the order of the schema; the rest are options.
#[derive(Clone, Copy)]
enum At {
    CpuNs,
    RunqNs,
    CtxVoluntary,
    CtxInvoluntary,
    RssAnonBytes,
    RssFileBytes,
    RssShmemBytes,
    SwapBytes,
    MinorFaults,
    MajorFaults,
    NetRxBytes,
    NetTxBytes,
    NetRxMsgs,
    NetTxMsgs,
    ReadBytes,
    WriteBytes,
    ReadChars,
    WriteChars,
    NSyscalls,
    NSyscallErrors,
    SyscallNs,
    NThreads,
}

impl Unseen {
    /// Everything but `columns`, for a source that has a few of them one by one. Names of other columns change nothing.
    pub fn all_but(columns: &[&str]) -> Self {
        let of = Sample::FIELDS.iter().skip_while(|f| f.about.name != "cpu_ns").enumerate();
        let columns = of.filter(|(_, f)| !columns.contains(&f.about.name)).fold(0, |bits, (at, _)| bits | 1 << at);
        Self { columns, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    #[test]
    fn each_column_is_null_by_itself() {
        let whole = Sample::default();
        let nullable: Vec<&str> = Kind::Sample.columns().map(|c| c.name).skip_while(|name| *name != "cpu_ns").collect();
        for column in &nullable[..22] {
            let row = Sample { unseen: Unseen::all_but(&[column]), ..whole.clone() };
            for other in &nullable[..22] {
                let value = Sample::number(other).unwrap()(&row);
                assert_eq!(value.is_some(), column == other, "{other}, where only {column} is seen");
            }
        }
    }
}
