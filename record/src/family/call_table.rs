//! What is known of each system call: which of its arguments are recorded, and what it is worth
//! when not all calls can be.
//!
//! Of arguments there are a file descriptor, if it is the first, and a path or a socket address. Of worth there are classes: the level of shedding from which on a
//! call is counted and no longer listed. First to go is what says how a program waits and looks at itself, then what it moves through files
//! and sockets that it has open, last what is left. Never: what an investigation asks for. Which program ran, who was called, what was
//! opened, deleted, changed or mounted, who became whom, who touched another process or the kernel.

use osd_bpf::wire::{self, NR_TABLE, tell};
use osd_recording::names::{Arch, COMPAT};

/// The level from which on a call is shed; 0: never.
type Class = u8;
const NEVER: Class = 0;
const FIRST: Class = 1;
const SECOND: Class = 2;
/// Calls that nobody has sorted are of this one too.
const LAST: Class = 3;

/// What of the arguments is recorded, as the kernel side is told: a bit for the descriptor, or 1 + the index of the path.
type Args = u8;
const PLAIN: Args = 0;
const FD: Args = wire::CALL_FD;
const PATH_1: Args = 1;
const PATH_2: Args = 2;
const FD_AND_ADDRESS: Args = wire::CALL_FD | wire::CALL_ADDRESS;

/// Each call once, without the name of its ABI.
#[rustfmt::skip]
const CALLS: &[(Class, Args, &[&str])] = &[
    // Clocks, waits, locks, and what a program asks about itself.
    (FIRST, PLAIN, &[
        "futex", "futex_wait", "futex_wake", "futex_requeue", "futex_waitv", "sched_yield", "nanosleep",
        "clock_nanosleep", "clock_gettime", "gettimeofday", "time", "clock_getres", "times", "getrusage", "getpid",
        "getppid", "gettid", "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getpgrp", "getpgid",
        "getsid", "getgroups", "getcpu", "getitimer", "poll", "ppoll", "select", "pselect6", "rt_sigprocmask",
        "rt_sigreturn", "rt_sigaction", "rt_sigpending", "rt_sigtimedwait", "rt_sigsuspend", "sigaltstack",
        "restart_syscall", "madvise", "brk", "timer_gettime", "timer_settime", "timer_getoverrun", "setitimer", "alarm",
        "pause", "membarrier", "rseq", "set_robust_list", "get_robust_list", "set_tid_address", "sched_getaffinity",
        "sched_getparam", "sched_getscheduler", "sched_getattr", "uname", "sysinfo", "getrandom", "umask",
        "get_mempolicy", "mincore", "getpriority", "getrlimit",
    ]),
    (FIRST, FD, &[
        "epoll_wait", "epoll_pwait", "epoll_pwait2", "timerfd_gettime", "timerfd_settime",
    ]),
    // Bytes and positions of what is open already.
    (SECOND, PLAIN, &[
        "vmsplice", "io_submit", "io_getevents", "io_pgetevents", "msgsnd", "msgrcv", "semop", "semtimedop",
        "mq_timedsend", "mq_timedreceive",
    ]),
    (SECOND, FD, &[
        "read", "write", "pread64", "pwrite64", "readv", "writev", "preadv", "pwritev", "preadv2", "pwritev2", "sendto",
        "recvfrom", "sendmsg", "recvmsg", "sendmmsg", "recvmmsg", "sendfile", "splice", "tee", "copy_file_range",
        "lseek", "fstat", "getdents", "getdents64", "io_uring_enter", "epoll_ctl", "fcntl", "getsockopt", "setsockopt",
        "getsockname", "getpeername", "readahead", "fadvise64", "sync_file_range",
    ]),
    // What is left, as far as its arguments are known.
    (LAST, FD, &[
        "close", "ioctl", "flock", "fsync", "fdatasync", "fchdir", "fallocate", "syncfs", "dup", "signalfd",
        "inotify_add_watch", "inotify_rm_watch", "fstatfs", "fgetxattr", "flistxattr",
    ]),
    (LAST, PATH_1, &[
        "stat", "lstat", "access", "chdir", "readlink", "statfs", "getxattr", "lgetxattr", "listxattr", "llistxattr",
        "mq_open", "mq_unlink",
    ]),
    (LAST, PATH_2, &[
        "newfstatat", "statx", "faccessat", "faccessat2", "readlinkat",
    ]),
    // What stays an event at any level.
    (NEVER, PLAIN, &[
        "exit", "exit_group", "fork", "vfork", "clone", "clone3", "kill", "tkill", "tgkill", "rt_sigqueueinfo",
        "rt_tgsigqueueinfo", "pidfd_open", "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp",
        "socket", "socketpair", "socketcall", "open_by_handle_at", "symlinkat", "setxattrat", "lremovexattr",
        "removexattrat", "memfd_secret", "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid",
        "setfsuid", "setfsgid", "setgroups", "capset", "setsid", "setpgid", "setrlimit", "prlimit64", "prctl",
        "arch_prctl", "personality", "seccomp", "landlock_create_ruleset", "landlock_add_rule",
        "landlock_restrict_self", "unshare", "pivot_root", "mount", "move_mount", "mount_setattr", "open_tree_attr",
        "fsopen", "fsconfig", "fsmount", "fspick", "quotactl", "quotactl_fd", "swapoff", "init_module", "delete_module",
        "kexec_load", "kexec_file_load", "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_register",
        "keyctl", "add_key", "request_key", "fanotify_init", "fanotify_mark", "iopl", "ioperm", "modify_ldt", "reboot",
        "sethostname", "setdomainname", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "syslog",
        "vhangup", "stime", "umount", "setuid32", "setgid32", "setreuid32", "setregid32", "setresuid32", "setresgid32",
        "setfsuid32", "setfsgid32", "setgroups32", "chown32", "fchown32", "lchown32", "truncate64", "ftruncate64",
    ]),
    (NEVER, FD, &[
        "pidfd_send_signal", "pidfd_getfd", "accept", "accept4", "listen", "shutdown", "ftruncate", "fchmod", "fchown",
        "fsetxattr", "fremovexattr", "dup2", "dup3", "setns", "finit_module",
    ]),
    (NEVER, FD_AND_ADDRESS, &["connect", "bind"]),
    (NEVER, PATH_1, &[
        "execve", "open", "creat", "truncate", "unlink", "rmdir", "rename", "link", "symlink", "mkdir", "mknod",
        "chmod", "chown", "lchown", "utime", "utimes", "setxattr", "lsetxattr", "removexattr", "memfd_create", "chroot",
        "umount2", "acct", "swapon",
    ]),
    (NEVER, PATH_2, &[
        "execveat", "openat", "openat2", "name_to_handle_at", "unlinkat", "renameat", "renameat2", "linkat", "mkdirat",
        "mknodat", "fchmodat", "fchmodat2", "fchownat", "futimesat", "utimensat", "open_tree",
    ]),
];

/// What is known of the call `name`.
fn known(name: &str) -> (Class, Args) {
    CALLS.iter().find(|(.., names)| names.contains(&name)).map_or((LAST, PLAIN), |(class, args, _)| (*class, *args))
}

/// Of each call its byte for the kernel side, by number, those of the 32-bit ABI included, where numbers mean other calls: what it takes,
/// and its class. With `objects`, calls that change what descriptors are stop at their return, too.
pub(crate) fn call_args(arch: Arch, objects: bool) -> [u8; NR_TABLE] {
    let tells = call_objects(arch, objects);
    std::array::from_fn(|nr| {
        let label = arch.syscall_label(nr as u16);
        let (class, args) = match label.split_once(':').filter(|_| nr >= usize::from(COMPAT)) {
            // The arguments of the 32-bit ABI are in other registers.
            Some((_, name)) => (known(name).0, PLAIN),
            None => known(&label),
        };
        let without_path = tells[nr] != 0 && args & wire::CALL_PATH == 0;
        args | class << wire::CALL_CLASS_SHIFT | if without_path { wire::CALL_NO_PATH } else { 0 }
    })
}

/// What calls do to descriptors, of those of which the kernel side tells it.
#[rustfmt::skip]
const TELLS: &[(tell, &[&str])] = &[
    (tell::TELL_RETURNED, &[
        "open", "openat", "openat2", "creat", "open_by_handle_at", "open_tree", "memfd_create", "memfd_secret", "socket",
        "accept", "accept4", "dup", "dup2", "dup3", "epoll_create", "epoll_create1", "eventfd", "eventfd2",
        "timerfd_create", "inotify_init", "inotify_init1", "signalfd", "signalfd4", "userfaultfd", "perf_event_open",
        "io_uring_setup", "pidfd_open", "pidfd_getfd", "fanotify_init", "fsopen", "fsmount", "fspick", "mq_open",
        "landlock_create_ruleset",
    ]),
    (tell::TELL_FIRST, &["connect", "bind", "listen"]),
    (tell::TELL_PAIR, &["pipe", "pipe2"]),
    (tell::TELL_PAIR_AT_4, &["socketpair"]),
    (tell::TELL_RECEIVED, &["recvmsg"]),
    (tell::TELL_FCNTL, &["fcntl"]),
    (tell::TELL_FOLDER, &["chdir", "fchdir"]),
    (tell::TELL_RANGE, &["close_range"]),
    (tell::TELL_MOVED_2, &["sendfile", "tee"]),
    (tell::TELL_MOVED_3, &["splice", "copy_file_range"]),
];

/// For each call by number, what the kernel side tells of it; nothing of any, unless `objects`.
pub(crate) fn call_objects(arch: Arch, objects: bool) -> [u8; NR_TABLE] {
    let mut table = [0; NR_TABLE];
    for (what, names) in TELLS.iter().filter(|_| objects) {
        for nr in names.iter().filter_map(|name| arch.syscall_nr(name)) {
            table[usize::from(nr)] = what.0 as u8;
        }
    }
    table
}

/// What a call is to the account of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Nothing,
    /// Returns a descriptor for a path.
    Opens,
    Closes,
    /// Returns how many bytes it read.
    Reads,
    /// Returns how many bytes it wrote.
    Writes,
    /// Reads and returns how many messages.
    ReadsMany,
    WritesMany,
    /// Reads from one and writes to another; both are told apart from it.
    Moves,
    /// Likewise, and its first argument is where bytes go to.
    MovesToFirst,
    Syncs,
    /// Is on a descriptor, and nothing that is counted.
    Looks,
    Renames,
    RenamesAt,
    Unlinks,
    UnlinksAt,
}

#[rustfmt::skip]
const USES: &[(Use, &[&str])] = &[
    (Use::Opens, &["open", "openat", "openat2", "creat"]),
    (Use::Closes, &["close"]),
    (Use::Reads, &["read", "pread64", "readv", "preadv", "preadv2", "recvfrom", "recvmsg"]),
    (Use::Writes, &["write", "pwrite64", "writev", "pwritev", "pwritev2", "sendto", "sendmsg"]),
    (Use::ReadsMany, &["recvmmsg"]),
    (Use::WritesMany, &["sendmmsg"]),
    (Use::Moves, &["tee", "splice", "copy_file_range"]),
    (Use::MovesToFirst, &["sendfile"]),
    (Use::Syncs, &["fsync", "fdatasync", "sync_file_range", "syncfs"]),
    (Use::Renames, &["rename"]),
    (Use::RenamesAt, &["renameat", "renameat2"]),
    (Use::Unlinks, &["unlink", "rmdir"]),
    (Use::UnlinksAt, &["unlinkat"]),
];

/// What each call is to it, by number. Calls of the 32-bit ABI are nothing: what they are on is not known.
pub(crate) fn uses(arch: Arch) -> [Use; NR_TABLE] {
    let mut table = takes_fd(arch).map(|takes| if takes { Use::Looks } else { Use::Nothing });
    for (does, names) in USES {
        for nr in names.iter().filter_map(|name| arch.syscall_nr(name)) {
            table[usize::from(nr)] = *does;
        }
    }
    table
}

impl Use {
    /// Whether the call is counted as a read, and whether as a write.
    pub(crate) fn counts_as(self) -> (bool, bool) {
        match self {
            Self::Reads | Self::ReadsMany => (true, false),
            Self::Writes | Self::WritesMany => (false, true),
            Self::Moves | Self::MovesToFirst => (true, true),
            _ => (false, false),
        }
    }
}

/// Which calls take a file descriptor first, by number.
pub(crate) fn takes_fd(arch: Arch) -> [bool; NR_TABLE] {
    call_args(arch, false).map(|a| a & wire::CALL_FD != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use osd_recording::names::UNKNOWN;

    fn class_of(arch: Arch, name: &str) -> u8 {
        call_args(arch, false)[usize::from(arch.syscall_nr(name).unwrap())] >> wire::CALL_CLASS_SHIFT & 3
    }

    #[test]
    fn what_an_investigation_asks_for_is_never_shed_and_waiting_goes_first() {
        for arch in [Arch::X86_64, Arch::Aarch64] {
            for name in [
                "execve",
                "exit_group",
                "connect",
                "accept4",
                "openat",
                "unlinkat",
                "kill",
                "ptrace",
                "setuid",
                "bpf",
                "clone",
            ] {
                assert_eq!(class_of(arch, name), 0, "{name}");
            }
            for (name, class) in [("futex", 1), ("getppid", 1), ("read", 2), ("sendto", 2), ("mmap", 3), ("close", 3)] {
                assert_eq!(class_of(arch, name), class, "{name}");
            }
            assert_eq!(call_args(arch, false)[usize::from(UNKNOWN)], LAST << wire::CALL_CLASS_SHIFT);
        }
    }

    #[test]
    fn the_32_bit_abi_is_sorted_by_its_own_names() {
        let classes = call_args(Arch::X86_64, false).map(|a| a >> wire::CALL_CLASS_SHIFT & 3);
        // 11 is execve there and munmap in the 64-bit table, 3 is read there and close.
        assert_eq!((classes[usize::from(COMPAT) + 11], classes[11]), (0, 3));
        assert_eq!((classes[usize::from(COMPAT) + 3], classes[3]), (2, 3));
        // Without a table of names nothing can be told apart.
        assert!(
            call_args(Arch::Aarch64, false)[usize::from(COMPAT)..].iter().all(|a| *a == LAST << wire::CALL_CLASS_SHIFT)
        );
    }

    #[test]
    fn arguments_are_where_the_abi_has_them() {
        let args = |name: &str| {
            let args = call_args(Arch::X86_64, false)[usize::from(Arch::X86_64.syscall_nr(name).unwrap())];
            args & !(3 << wire::CALL_CLASS_SHIFT)
        };
        assert_eq!(["read", "open", "openat", "getpid"].map(args), [FD, PATH_1, PATH_2, PLAIN]);
        assert_eq!(args("connect"), FD_AND_ADDRESS);
        // 3 is read in the 32-bit ABI, whose arguments are elsewhere.
        assert!(!takes_fd(Arch::X86_64)[usize::from(COMPAT) + 3]);
    }

    #[test]
    fn every_call_is_named_once_and_exists() {
        let exists = |name: &&str| {
            let compat = (COMPAT..=COMPAT + 470).map(|nr| Arch::X86_64.syscall_label(nr));
            Arch::X86_64.syscall_nr(name).is_some()
                || Arch::Aarch64.syscall_nr(name).is_some()
                || compat.into_iter().any(|label| label.strip_prefix("i386:") == Some(*name))
        };
        let mut names: Vec<&str> = CALLS.iter().flat_map(|(.., names)| *names).copied().collect();
        let strange: Vec<_> = names.iter().copied().filter(|n| !exists(n)).collect();
        assert!(strange.is_empty(), "{strange:?}");
        let n = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), n);
    }

    #[test]
    fn calls_of_which_objects_are_told_exist_and_say_so_to_the_kernel_side_only_if_they_are_told() {
        let names: Vec<&str> =
            TELLS.iter().flat_map(|(_, n)| *n).chain(USES.iter().flat_map(|(_, n)| *n)).copied().collect();
        for name in &names {
            assert!(Arch::X86_64.syscall_nr(name).is_some(), "{name}");
        }
        let (on, off) = (call_args(Arch::X86_64, true), call_args(Arch::X86_64, false));
        let nr = |name: &str| usize::from(Arch::X86_64.syscall_nr(name).unwrap());
        assert_eq!(on[nr("accept4")] & wire::CALL_PATH, wire::CALL_NO_PATH);
        assert_eq!(
            (off[nr("accept4")] & wire::CALL_PATH, on[nr("read")], on[nr("openat")]),
            (0, off[nr("read")], off[nr("openat")])
        );
        assert!(call_objects(Arch::X86_64, false).iter().all(|t| *t == 0));
        assert!(uses(Arch::X86_64)[usize::from(COMPAT)..].iter().all(|u| *u == Use::Nothing));
    }
}
