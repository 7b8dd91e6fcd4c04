//! Typed rows, one struct a kind. Field names are the column names; units are in them.
//!
//! `ts_ns` is always the *start* of what the row is about, in UTC nanoseconds, and `dur_ns` its length.

use super::schema::Kind;
use crate::about::ProcId;

/// The process a row belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Stable identity.
    pub proc: ProcId,
    /// Thread group id, the "PID" of `ps`, in the initial namespace.
    pub pid: u32,
    /// Inode of the cgroup (v2) it was in; 0 if unknown.
    pub cgroup_id: u64,
}

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
    /// Requests taken from io_uring queues, where the kernel tells.
    pub n_io_uring_sqes: Option<u64>,
    /// Columns that are null, whatever the fields above say.
    pub unseen: Unseen,
}

/// As a duration: not measured. The column is null.
pub const NO_DURATION: u64 = u64::MAX;

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
}

/// One (process, syscall) in one interval, counted in the kernel and exact whatever was shed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Start of the interval.
    pub ts_ns: i64,
    /// Length of the interval.
    pub dur_ns: u64,
    /// Whose.
    pub owner: Owner,
    /// System call number on the recorded architecture, see [`crate::syscall::Arch::syscall_label`]; the file holds its name.
    pub nr: u16,
    /// Calls that returned in the interval.
    pub count: u64,
    /// Of these, with an error.
    pub errors: u64,
    /// Sum of their durations, or [`NO_DURATION`]: then `latency_log2` is null too.
    pub total_ns: u64,
    /// Bucket `i` counts durations in `[2^i, 2^(i+1))` ns, bucket 0 those below 2 ns; trailing zeros cut. Sums to `count`.
    pub latency_log2: Vec<u64>,
}

/// One system call, written when it returned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Syscall {
    /// When it was entered; when it returned if it has no duration.
    pub ts_ns: i64,
    /// How long it took, or [`NO_DURATION`].
    pub dur_ns: u64,
    /// Whose.
    pub owner: Owner,
    /// Which thread.
    pub tid: u32,
    /// System call number; the file holds its name.
    pub nr: u16,
    /// What it returned: the value, or minus the error number.
    pub ret: i64,
    /// First argument, for the calls whose first argument is a file descriptor.
    pub fd: Option<i32>,
    /// Path argument, for the calls that have one; may be cut at 255 bytes.
    pub path: Option<Box<str>>,
}

impl Syscall {
    /// The error number, if `ret` is one: the kernel's convention is `-4095..=-1`.
    ///
    /// Not so for -512 to -516: a signal interrupted the call, and only after this the kernel
    /// decides whether it starts again or the program gets `EINTR`.
    pub fn errno(&self) -> Option<i32> {
        errno_of(self.ret)
    }
}

/// See [`Syscall::errno`].
pub(crate) fn errno_of(ret: i64) -> Option<i32> {
    ((-4095..0).contains(&ret) && !(-516..=-512).contains(&ret)).then_some(-ret as i32)
}

/// What happened in the life of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessEvent {
    /// It was there when the recording began.
    Running,
    /// It was forked (or cloned as a process).
    Fork,
    /// It replaced its program.
    Exec,
    /// Its last thread ended.
    Exit,
}

impl ProcessEvent {
    /// The text in the `event` column.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Fork => "fork",
            Self::Exec => "exec",
            Self::Exit => "exit",
        }
    }
}

/// One event in the life of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// When.
    pub ts_ns: i64,
    /// Who.
    pub owner: Owner,
    /// The thread that did it.
    pub tid: u32,
    /// What.
    pub event: ProcessEvent,
    /// PID of the parent.
    pub ppid: u32,
    /// Identity of the parent, if it is known.
    pub parent: Option<ProcId>,
    /// Name of the main thread, at most 15 bytes.
    pub comm: String,
    /// Path of the program, if known.
    pub exe: Option<String>,
    /// Arguments, shell-quoted, joined by spaces; may be cut.
    pub argv: Option<String>,
    /// Real user id.
    pub uid: u32,
    /// What it passed to `exit`; for [`ProcessEvent::Exit`] without a signal.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub exit_signal: Option<i32>,
    /// When it was started.
    pub start_ts_ns: i64,
    /// Its PID in the innermost PID namespace it is in.
    pub ns_pid: Option<u32>,
    /// Inode of that namespace, as in `/proc/PID/ns/pid`.
    pub pid_ns: Option<u32>,
}

/// The host in one interval. `None`: this kernel does not say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct System {
    /// Start of the interval.
    pub ts_ns: i64,
    /// Length of the interval.
    pub dur_ns: u64,
    /// Processor time not idle, all processors.
    pub host_busy_ns: Option<u64>,
    /// All processor time.
    pub host_total_ns: Option<u64>,
    /// Time in which some task waited for a processor (PSI `some`).
    pub psi_cpu_ns: Option<u64>,
    /// Likewise for memory.
    pub psi_memory_ns: Option<u64>,
    /// Likewise for storage.
    pub psi_io_ns: Option<u64>,
    /// Load average over a minute.
    pub load1: Option<f64>,
    /// Memory that could be had without swapping.
    pub mem_available_bytes: Option<u64>,
    /// Physical memory.
    pub mem_total_bytes: Option<u64>,
    /// Received on all interfaces but loopback.
    pub host_rx_bytes: Option<u64>,
    /// Sent on them.
    pub host_tx_bytes: Option<u64>,
}

/// Something not recorded: counted instead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Start of the time in which it was lost.
    pub ts_ns: i64,
    /// Length of that time.
    pub dur_ns: u64,
    /// What: `syscall`, `path`, `process`, `tally`, `network` ...
    pub stream: String,
    /// Why: `ring_full`, `map_full`, `copy_fault`, `truncated` ...
    pub reason: String,
    /// How many.
    pub count: u64,
}

/// A span with a name: ground truth of an injected fault, or a person's mark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// Start.
    pub ts_ns: i64,
    /// Length.
    pub dur_ns: u64,
    /// Short name, e.g. `fsync_storm`.
    pub name: String,
    /// Anything else.
    pub note: String,
}

/// A row of any kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    /// See [`Sample`].
    Sample(Sample),
    /// See [`Tally`].
    Tally(Tally),
    /// See [`Syscall`].
    Syscall(Syscall),
    /// See [`Process`].
    Process(Process),
    /// See [`System`].
    System(System),
    /// See [`Loss`].
    Loss(Loss),
    /// See [`Label`].
    Label(Label),
}

impl Row {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Sample(_) => Kind::Sample,
            Self::Tally(_) => Kind::Tally,
            Self::Syscall(_) => Kind::Syscall,
            Self::Process(_) => Kind::Process,
            Self::System(_) => Kind::System,
            Self::Loss(_) => Kind::Loss,
            Self::Label(_) => Kind::Label,
        }
    }
}

macro_rules! into_row {
    ($($kind:ident)*) => {$(
        impl From<$kind> for Row {
            fn from(row: $kind) -> Self {
                Self::$kind(row)
            }
        }
    )*};
}
into_row!(Sample Tally Syscall Process System Loss Label);
