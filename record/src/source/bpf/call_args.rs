//! What the arguments of each system call are, as far as the recorder keeps them: a file descriptor first, a path somewhere. And, in the
//! same byte, what it is worth (`classes`).

use crate::budget::classes::classes;
use osd_bpf::wire;
use osd_recording::names::Arch;

/// For each system call number: is its first argument a file descriptor, which argument is a path, from which level on it is shed.
pub(crate) fn call_args(arch: Arch) -> [u8; wire::NR_TABLE] {
    const FD: &[&str] = &[
        "read",
        "write",
        "pread64",
        "pwrite64",
        "readv",
        "writev",
        "preadv",
        "pwritev",
        "preadv2",
        "pwritev2",
        "close",
        "fstat",
        "lseek",
        "ioctl",
        "fcntl",
        "flock",
        "fsync",
        "fdatasync",
        "ftruncate",
        "getdents",
        "getdents64",
        "fchdir",
        "fchmod",
        "fchown",
        "fallocate",
        "sync_file_range",
        "syncfs",
        "dup",
        "dup2",
        "dup3",
        "connect",
        "accept",
        "accept4",
        "bind",
        "listen",
        "shutdown",
        "getsockname",
        "getpeername",
        "setsockopt",
        "getsockopt",
        "sendto",
        "recvfrom",
        "sendmsg",
        "recvmsg",
        "sendmmsg",
        "recvmmsg",
        "sendfile",
        "splice",
        "tee",
        "epoll_ctl",
        "epoll_wait",
        "epoll_pwait",
        "epoll_pwait2",
        "timerfd_settime",
        "timerfd_gettime",
        "signalfd",
        "inotify_add_watch",
        "inotify_rm_watch",
        "fadvise64",
        "readahead",
        "copy_file_range",
        "fstatfs",
        "fgetxattr",
        "fsetxattr",
        "flistxattr",
        "fremovexattr",
        "io_uring_enter",
        "finit_module",
        "setns",
        "pidfd_send_signal",
        "pidfd_getfd",
    ];
    const PATH_FIRST: &[&str] = &[
        "open",
        "creat",
        "stat",
        "lstat",
        "access",
        "execve",
        "chdir",
        "rename",
        "mkdir",
        "rmdir",
        "link",
        "unlink",
        "symlink",
        "readlink",
        "chmod",
        "chown",
        "lchown",
        "truncate",
        "statfs",
        "mknod",
        "utime",
        "utimes",
        "swapon",
        "chroot",
        "getxattr",
        "lgetxattr",
        "setxattr",
        "lsetxattr",
        "listxattr",
        "llistxattr",
        "removexattr",
        "mq_open",
        "mq_unlink",
        "acct",
        "umount2",
        "memfd_create",
    ];
    const PATH_SECOND: &[&str] = &[
        "openat",
        "openat2",
        "newfstatat",
        "statx",
        "faccessat",
        "faccessat2",
        "execveat",
        "mkdirat",
        "mknodat",
        "unlinkat",
        "renameat",
        "renameat2",
        "linkat",
        "readlinkat",
        "fchmodat",
        "fchmodat2",
        "fchownat",
        "futimesat",
        "utimensat",
        "name_to_handle_at",
        "open_tree",
    ];
    // Those of the 32-bit ABI have no arguments here: theirs are in other registers.
    let mut table = classes(arch).map(|class| class << wire::CALL_CLASS_SHIFT);
    for (nr, name) in arch.syscalls() {
        let entry = &mut table[usize::from(*nr) & (wire::NR_TABLE - 1)];
        if FD.contains(name) {
            *entry |= wire::CALL_FD;
        }
        if PATH_FIRST.contains(name) {
            *entry |= 1;
        } else if PATH_SECOND.contains(name) {
            *entry |= 2;
        }
    }
    table
}

/// Which calls take a file descriptor first, by number.
pub(crate) fn takes_fd(arch: Arch) -> [bool; wire::NR_TABLE] {
    call_args(arch).map(|a| a & wire::CALL_FD != 0)
}
