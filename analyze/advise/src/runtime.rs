//! What a container runtime itself calls under the filter that it has set, before the program and
//! until the program is there. A profile that lacks one of these starts nothing.

/// Who sets the filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// runc, which podman, containerd and CRI-O start.
    Runc,
    /// Nobody whose calls come under it: systemd, or the program itself.
    None,
}

/// Of runc 1.1.5 between setting a filter and its `execve`, recorded by osd, for a process that may gain privileges; for one that may not,
/// the filter is set later, and fewer come under it. `close_range` and `openat2` are of later ones, `fchown` of processes of other users.
const RUNC: &[&str] = &[
    "capget",
    "capset",
    "chdir",
    "close",
    "close_range",
    "epoll_ctl",
    "execve",
    "faccessat2",
    "fchown",
    "fcntl",
    "fstat",
    "fstatfs",
    "getcwd",
    "getdents64",
    "getppid",
    "newfstatat",
    "openat",
    "openat2",
    "prctl",
    "read",
    "setgid",
    "setgroups",
    "setuid",
    "write",
];

/// What the Go runtime under it may do at any moment (`runtime/sys_linux_amd64.s`, `os_linux.go`), whether it did then or not: start a
/// thread, wake one, stop one for its collector, take memory.
const GO: &[&str] = &[
    "clone",
    "epoll_pwait",
    "futex",
    "getpid",
    "gettid",
    "madvise",
    "mmap",
    "munmap",
    "nanosleep",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sched_yield",
    "sigaltstack",
    "tgkill",
];

impl Runtime {
    /// The names of the calls.
    pub fn calls(self) -> impl Iterator<Item = &'static str> {
        let own = match self {
            Self::Runc => [RUNC, GO],
            Self::None => [&[][..]; 2],
        };
        own.into_iter().flatten().copied()
    }
}
