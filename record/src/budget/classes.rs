//! What each system call is worth when not all can be recorded: from which level of shedding on it is counted and no longer listed.
//!
//! First to go is what says how a program waits and looks at itself, then what it moves through files and sockets that it has open, last
//! what is left. Never: what an investigation asks for. Which program ran, who was called, what was opened, deleted, changed or
//! mounted, who became whom, who touched another process or the kernel.

use osd_bpf::wire;
use osd_recording::names::{Arch, COMPAT};

/// Clocks, waits, locks, and what a program asks about itself.
#[rustfmt::skip]
const FIRST: &[&str] = &[
    "futex", "futex_wait", "futex_wake", "futex_requeue", "futex_waitv", "sched_yield", "nanosleep", "clock_nanosleep",
    "clock_gettime", "gettimeofday", "time", "clock_getres", "times", "getrusage", "getpid", "getppid", "gettid",
    "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getpgrp", "getpgid", "getsid", "getgroups",
    "getcpu", "getitimer", "poll", "ppoll", "select", "pselect6", "epoll_wait", "epoll_pwait", "epoll_pwait2",
    "rt_sigprocmask", "rt_sigreturn", "rt_sigaction", "rt_sigpending", "rt_sigtimedwait", "rt_sigsuspend",
    "sigaltstack", "restart_syscall", "madvise", "brk", "timer_gettime", "timer_settime", "timer_getoverrun",
    "timerfd_gettime", "timerfd_settime", "setitimer", "alarm", "pause", "membarrier", "rseq", "set_robust_list",
    "get_robust_list", "set_tid_address", "sched_getaffinity", "sched_getparam", "sched_getscheduler", "sched_getattr",
    "uname", "sysinfo", "getrandom", "umask", "get_mempolicy", "mincore", "getpriority", "getrlimit",
];

/// Bytes and positions of what is open already.
#[rustfmt::skip]
const SECOND: &[&str] = &[
    "read", "write", "pread64", "pwrite64", "readv", "writev", "preadv", "pwritev", "preadv2", "pwritev2", "sendto",
    "recvfrom", "sendmsg", "recvmsg", "sendmmsg", "recvmmsg", "sendfile", "splice", "tee", "vmsplice",
    "copy_file_range", "lseek", "fstat", "getdents", "getdents64", "io_uring_enter", "io_submit", "io_getevents",
    "io_pgetevents", "msgsnd", "msgrcv", "semop", "semtimedop", "mq_timedsend", "mq_timedreceive", "epoll_ctl", "fcntl",
    "getsockopt", "setsockopt", "getsockname", "getpeername", "readahead", "fadvise64", "sync_file_range",
];

/// What stays an event at any level.
#[rustfmt::skip]
const NEVER: &[&str] = &[
    "execve", "execveat", "exit", "exit_group", "fork", "vfork", "clone", "clone3", "kill", "tkill", "tgkill",
    "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_open", "pidfd_send_signal", "pidfd_getfd", "ptrace",
    "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "socket", "socketpair", "connect", "accept",
    "accept4", "bind", "listen", "shutdown", "socketcall", "open", "openat", "openat2", "creat", "open_by_handle_at",
    "name_to_handle_at", "truncate", "ftruncate", "unlink", "unlinkat", "rmdir", "rename", "renameat", "renameat2",
    "link", "linkat", "symlink", "symlinkat", "mkdir", "mkdirat", "mknod", "mknodat", "chmod", "fchmod", "fchmodat",
    "fchmodat2", "chown", "fchown", "lchown", "fchownat", "utime", "utimes", "futimesat", "utimensat", "setxattr",
    "lsetxattr", "fsetxattr", "setxattrat", "removexattr", "lremovexattr", "fremovexattr", "removexattrat", "dup2",
    "dup3", "memfd_create", "memfd_secret", "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid",
    "setfsuid", "setfsgid", "setgroups", "capset", "setsid", "setpgid", "setrlimit", "prlimit64", "prctl", "arch_prctl",
    "personality", "seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "setns",
    "unshare", "chroot", "pivot_root", "mount", "umount2", "move_mount", "mount_setattr", "open_tree", "open_tree_attr",
    "fsopen", "fsconfig", "fsmount", "fspick", "quotactl", "quotactl_fd", "acct", "swapon", "swapoff", "init_module",
    "finit_module", "delete_module", "kexec_load", "kexec_file_load", "bpf", "perf_event_open", "userfaultfd",
    "io_uring_setup", "io_uring_register", "keyctl", "add_key", "request_key", "fanotify_init", "fanotify_mark", "iopl",
    "ioperm", "modify_ldt", "reboot", "sethostname", "setdomainname", "settimeofday", "clock_settime", "clock_adjtime",
    "adjtimex", "syslog", "vhangup", "stime", "umount", "setuid32", "setgid32", "setreuid32", "setregid32",
    "setresuid32", "setresgid32", "setfsuid32", "setfsgid32", "setgroups32", "chown32", "fchown32", "lchown32",
    "truncate64", "ftruncate64",
];

/// The class of the call `name`, without the name of its ABI: the level from which on it is shed; 0: never. Calls that nobody has sorted
/// go last.
fn class(name: &str) -> u8 {
    match name {
        _ if NEVER.contains(&name) => 0,
        _ if FIRST.contains(&name) => 1,
        _ if SECOND.contains(&name) => 2,
        _ => 3,
    }
}

/// The class of each call by number, those of the 32-bit ABI included, where numbers mean other calls.
pub(crate) fn classes(arch: Arch) -> [u8; wire::NR_TABLE] {
    std::array::from_fn(|nr| {
        let label = arch.syscall_label(nr as u16);
        class(label.split_once(':').filter(|_| nr >= usize::from(COMPAT)).map_or(label.as_str(), |(_, name)| name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use osd_recording::names::UNKNOWN;

    fn class_of(arch: Arch, name: &str) -> u8 {
        classes(arch)[usize::from(arch.syscall_nr(name).unwrap())]
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
            assert_eq!(classes(arch)[usize::from(UNKNOWN)], 3);
        }
    }

    #[test]
    fn the_32_bit_abi_is_sorted_by_its_own_names() {
        let classes = classes(Arch::X86_64);
        // 11 is execve there and munmap in the 64-bit table, 3 is read there and close.
        assert_eq!((classes[usize::from(COMPAT) + 11], classes[11]), (0, 3));
        assert_eq!((classes[usize::from(COMPAT) + 3], classes[3]), (2, 3));
        // Without a table of names nothing can be told apart.
        assert!(super::classes(Arch::Aarch64)[usize::from(COMPAT)..].iter().all(|c| *c == 3));
    }

    #[test]
    fn the_lists_name_calls_that_exist() {
        let known = |name: &&str| {
            let compat = (COMPAT..=COMPAT + 470).map(|nr| Arch::X86_64.syscall_label(nr));
            Arch::X86_64.syscall_nr(name).is_some()
                || Arch::Aarch64.syscall_nr(name).is_some()
                || compat.into_iter().any(|label| label.strip_prefix("i386:") == Some(*name))
        };
        let strange: Vec<_> = [FIRST, SECOND, NEVER].concat().into_iter().filter(|n| !known(n)).collect();
        assert!(strange.is_empty(), "{strange:?}");
    }
}
