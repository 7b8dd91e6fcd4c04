//! The metrics: what each is called, what of it is worth a person's time, and how it is watched.

use osd_detect::stream::Form;

/// One metric.
#[derive(Clone, Debug)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) form: Form,
    /// Least rise that matters, in the unit; see [`osd_detect::stream::Config`].
    pub(crate) floor: f64,
    pub(crate) relative_floor: f64,
    pub(crate) fall: Option<f64>,
    /// May open a window. The others only describe one: they follow what the rest of the host does.
    pub(crate) drives: bool,
}

const fn metric(
    name: &'static str,
    title: &'static str,
    unit: &'static str,
    floor: f64,
    relative_floor: f64,
) -> Metric {
    Metric { name, title, unit, form: Form::Rate, floor, relative_floor, fall: None, drives: true }
}

impl Metric {
    const fn level(mut self) -> Self {
        self.form = Form::Level;
        self
    }
    const fn falls(mut self, share: f64) -> Self {
        self.fall = Some(share);
        self
    }
    const fn describes(mut self) -> Self {
        self.drives = false;
        self
    }
}

const MIB: f64 = 1_048_576.0;

pub(crate) const CPU: usize = 0;
pub(crate) const RSS: usize = 1;
pub(crate) const NET_RX: usize = 2;
pub(crate) const NET_TX: usize = 3;
pub(crate) const SYSCALLS: usize = 4;
pub(crate) const RUNQ: usize = 5;
pub(crate) const ERRORS: usize = 6;
pub(crate) const WRITE: usize = 7;
pub(crate) const READ: usize = 8;
pub(crate) const FAULTS: usize = 9;
pub(crate) const CTX: usize = 10;
pub(crate) const THREADS: usize = 11;
pub(crate) const FDS: usize = 12;
pub(crate) const PROCESSES_STARTED: usize = 13;
pub(crate) const CALLS_SYNC: usize = 14;
pub(crate) const CALLS_FILES: usize = 15;
pub(crate) const CALLS_LOCKS: usize = 16;
pub(crate) const CALLS_MEMORY: usize = 17;
pub(crate) const CALLS_CONNECTIONS: usize = 18;

/// All metrics, the headline first. The constants above are their places.
pub(crate) const METRICS: [Metric; 19] = [
    metric("cpu", "CPU", "cores", 0.2, 0.6),
    metric("rss", "Memory", "bytes", 6.0 * MIB, 0.04).level(),
    metric("net_rx", "Network in", "bytes/s", 0.25 * MIB, 1.0).falls(0.75),
    metric("net_tx", "Network out", "bytes/s", 0.25 * MIB, 1.0).falls(0.75),
    metric("syscalls", "System calls", "calls/s", 300.0, 0.8).falls(0.75),
    metric("runq", "Waiting for CPU", "s/s", 0.3, 1.0).describes(),
    metric("errors", "Failed calls", "calls/s", 50.0, 1.5),
    metric("write", "Storage writes", "bytes/s", MIB, 2.0),
    metric("read", "Storage reads", "bytes/s", MIB, 2.0),
    metric("faults", "Page faults", "faults/s", 500.0, 1.0).describes(),
    metric("ctx", "Context switches", "switches/s", 500.0, 1.0).describes(),
    metric("threads", "Threads", "threads", 8.0, 0.5).level(),
    metric("fds", "Open files", "fds", 20.0, 0.3).level(),
    metric("processes_started", "Processes started", "starts/s", 4.0, 2.0),
    metric("calls_sync", "Flushing calls", "calls/s", 20.0, 2.0),
    metric("calls_files", "File name calls", "calls/s", 200.0, 2.0),
    metric("calls_locks", "Locking calls", "calls/s", 300.0, 2.0),
    metric("calls_memory", "Memory mapping calls", "calls/s", 200.0, 3.0),
    metric("calls_connections", "Connection calls", "calls/s", 50.0, 2.0),
];

/// The class metric that counts `syscall`, if it is in a class.
pub(crate) fn class_of(syscall: &str) -> Option<usize> {
    Some(match syscall {
        "fsync" | "fdatasync" | "sync" | "syncfs" | "sync_file_range" | "msync" => CALLS_SYNC,
        "open" | "openat" | "openat2" | "creat" | "stat" | "lstat" | "newfstatat" | "statx" | "access"
        | "faccessat" | "faccessat2" | "readlink" | "readlinkat" | "getdents" | "getdents64" | "unlink"
        | "unlinkat" | "rename" | "renameat" | "renameat2" | "mkdir" | "mkdirat" | "rmdir" | "link" | "linkat"
        | "symlink" | "symlinkat" | "chmod" | "fchmodat" | "utimensat" | "truncate" => CALLS_FILES,
        "futex" | "futex_wait" | "futex_wake" | "futex_requeue" | "futex_waitv" | "flock" | "semop" | "semtimedop"
        | "sched_yield" => CALLS_LOCKS,
        "mmap" | "munmap" | "brk" | "mremap" | "madvise" | "mprotect" => CALLS_MEMORY,
        "socket" | "connect" | "accept" | "accept4" => CALLS_CONNECTIONS,
        _ => return None,
    })
}

/// Calls whose duration is mostly the caller's choice: time in them says little.
pub(crate) fn waits(syscall: &str) -> bool {
    matches!(
        syscall,
        "epoll_wait"
            | "epoll_pwait"
            | "epoll_pwait2"
            | "poll"
            | "ppoll"
            | "select"
            | "pselect6"
            | "nanosleep"
            | "clock_nanosleep"
            | "pause"
            | "rt_sigsuspend"
            | "rt_sigtimedwait"
            | "wait4"
            | "waitid"
            | "accept"
            | "accept4"
            | "futex"
            | "futex_wait"
            | "restart_syscall"
            | "io_getevents"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_right() {
        for (place, name) in [
            (CPU, "cpu"),
            (RSS, "rss"),
            (NET_RX, "net_rx"),
            (NET_TX, "net_tx"),
            (SYSCALLS, "syscalls"),
            (RUNQ, "runq"),
            (ERRORS, "errors"),
            (WRITE, "write"),
            (READ, "read"),
            (FAULTS, "faults"),
            (CTX, "ctx"),
            (THREADS, "threads"),
            (FDS, "fds"),
            (PROCESSES_STARTED, "processes_started"),
            (CALLS_SYNC, "calls_sync"),
            (CALLS_FILES, "calls_files"),
            (CALLS_LOCKS, "calls_locks"),
            (CALLS_MEMORY, "calls_memory"),
            (CALLS_CONNECTIONS, "calls_connections"),
        ] {
            assert_eq!(METRICS[place].name, name);
        }
    }
}
