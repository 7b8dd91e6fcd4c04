//! Calls by the names that sysdig has for them, which are not always the kernel's.

use osd_recording::names::Arch;

/// Events that are no calls.
const NO_CALLS: &[&str] = &[
    "NA",
    "asyncevent",
    "container",
    "cpu_hotplug",
    "drop",
    "group_added",
    "group_deleted",
    "infra",
    "k8s",
    "mesos",
    "notification",
    "page_fault",
    "pluginevent",
    "procexit",
    "procinfo",
    "signaldeliver",
    "switch",
    "sysdigevent",
    "tracer",
    "user_added",
    "user_deleted",
];

/// What the kernel calls what sysdig calls otherwise. Several calls of the kernel may be one of sysdig's (`pipe` and `pipe2`); of those the
/// first that the architecture has is told.
const OTHERWISE: &[(&str, &[&str])] = &[
    ("accept", &["accept4"]),
    ("dup", &["dup3"]),
    ("epoll_create", &["epoll_create1"]),
    ("epoll_wait", &["epoll_pwait"]),
    ("eventfd", &["eventfd2"]),
    ("fork", &["clone"]),
    ("inotify_init", &["inotify_init1"]),
    ("llseek", &["lseek"]),
    ("lstat", &["newfstatat"]),
    ("mmap2", &["mmap"]),
    ("open", &["openat"]),
    ("pipe", &["pipe2"]),
    ("poll", &["ppoll"]),
    ("pread", &["pread64"]),
    ("prlimit", &["prlimit64"]),
    ("pwrite", &["pwrite64"]),
    ("select", &["pselect6"]),
    ("sigreturn", &["rt_sigreturn"]),
    ("signalfd", &["signalfd4"]),
    ("stat", &["newfstatat"]),
    ("umount", &["umount2"]),
    ("vfork", &["clone"]),
];

/// Whether an event is of a call.
pub(super) fn is_call(event: &str) -> bool {
    !NO_CALLS.contains(&event)
}

/// The number of a call; `None` if the architecture has none of this name.
pub(super) fn number(arch: Arch, event: &str) -> Option<u16> {
    let others = OTHERWISE.iter().find(|(name, _)| *name == event).map_or(&[][..], |(_, others)| others);
    std::iter::once(&event).chain(others).find_map(|name| arch.syscall_nr(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_have_the_numbers_of_the_architecture() {
        assert_eq!(number(Arch::X86_64, "open"), Some(2));
        assert_eq!(number(Arch::Aarch64, "open"), Arch::Aarch64.syscall_nr("openat"));
        assert_eq!(number(Arch::X86_64, "pread"), Arch::X86_64.syscall_nr("pread64"));
        assert_eq!(number(Arch::X86_64, "umount"), Arch::X86_64.syscall_nr("umount2"));
        assert_eq!(number(Arch::X86_64, "made_up"), None);
        for (_, others) in OTHERWISE {
            assert!(others.iter().all(|name| Arch::X86_64.syscall_nr(name).is_some()), "{others:?}");
        }
        assert!(is_call("open") && !is_call("switch"));
    }
}
