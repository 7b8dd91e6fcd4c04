//! What a recording has of the arguments of a call: a descriptor, a path, whom a call started, and
//! which program with which arguments.

use super::line::end_of_text;

/// As many bytes of a path are kept as a recorder keeps.
const MOST_PATH: usize = 255;
/// And of the arguments of a program.
const MOST_ARGV: usize = 4096;

/// Calls whose first argument is a descriptor.
const FDS: &[&str] = &[
    "bind",
    "close",
    "connect",
    "accept",
    "accept4",
    "copy_file_range",
    "dup",
    "dup2",
    "dup3",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "fadvise64",
    "fallocate",
    "fchdir",
    "fchmod",
    "fchown",
    "fcntl",
    "fdatasync",
    "fgetxattr",
    "finit_module",
    "flistxattr",
    "flock",
    "fremovexattr",
    "fsetxattr",
    "fstat",
    "fstatfs",
    "fsync",
    "ftruncate",
    "getdents",
    "getdents64",
    "getpeername",
    "getsockname",
    "getsockopt",
    "inotify_add_watch",
    "inotify_rm_watch",
    "io_uring_enter",
    "ioctl",
    "listen",
    "lseek",
    "pidfd_getfd",
    "pidfd_send_signal",
    "pread64",
    "preadv",
    "preadv2",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "read",
    "readahead",
    "readv",
    "recvfrom",
    "recvmmsg",
    "recvmsg",
    "sendfile",
    "sendmmsg",
    "sendmsg",
    "sendto",
    "setns",
    "setsockopt",
    "shutdown",
    "signalfd",
    "signalfd4",
    "splice",
    "sync_file_range",
    "syncfs",
    "tee",
    "timerfd_gettime",
    "timerfd_settime",
    "write",
    "writev",
];
/// Calls that take a path; it is the first text among their arguments.
const PATHS: &[&str] = &[
    "access",
    "acct",
    "chdir",
    "chmod",
    "chown",
    "chroot",
    "creat",
    "execve",
    "execveat",
    "faccessat",
    "faccessat2",
    "fchmodat",
    "fchownat",
    "futimesat",
    "getxattr",
    "lchown",
    "lgetxattr",
    "link",
    "linkat",
    "listxattr",
    "llistxattr",
    "lsetxattr",
    "lstat",
    "mkdir",
    "mkdirat",
    "mknod",
    "mknodat",
    "mq_open",
    "mq_unlink",
    "name_to_handle_at",
    "newfstatat",
    "open",
    "open_tree",
    "openat",
    "openat2",
    "readlink",
    "readlinkat",
    "removexattr",
    "rename",
    "renameat",
    "renameat2",
    "rmdir",
    "setxattr",
    "stat",
    "statfs",
    "statx",
    "swapon",
    "truncate",
    "umount2",
    "unlink",
    "unlinkat",
    "utime",
    "utimensat",
    "utimes",
];

/// Whether the first argument of `name` is a descriptor.
pub(in super::super) fn takes_fd(name: &str) -> bool {
    FDS.contains(&name)
}

/// The first argument of `name`, if that is a descriptor.
pub(super) fn fd(name: &str, args: &str) -> Option<i32> {
    if !takes_fd(name) {
        return None;
    }
    let digits = args.split(|c: char| !c.is_ascii_digit()).next()?;
    let after = args[digits.len()..].chars().next();
    digits.parse().ok().filter(|_| matches!(after, None | Some(',' | '<')))
}

/// The path argument of `name`, and whether it was cut.
pub(super) fn path(name: &str, args: &str) -> Option<(Box<str>, bool)> {
    if !PATHS.contains(&name) {
        return None;
    }
    let from = args.find('"')?;
    let to = end_of_text(args.as_bytes(), from)?;
    let mut bytes = unescaped(&args[from + 1..to]);
    let is_cut = args[to + 1..].starts_with("...") || bytes.len() > MOST_PATH;
    bytes.truncate(MOST_PATH);
    Some((String::from_utf8_lossy(&bytes).into(), is_cut))
}

/// Whom `name` started, if it was a call that starts: a thread, or else a process.
pub(super) fn starts_thread(name: &str, args: &str) -> Option<bool> {
    match name {
        "fork" | "vfork" => Some(false),
        "clone" | "clone3" => Some(args.contains("CLONE_THREAD")),
        _ => None,
    }
}

/// Program and arguments of an exec.
pub(super) fn program(name: &str, args: &str) -> Option<(String, String)> {
    if !matches!(name, "execve" | "execveat") {
        return None;
    }
    let (exe, _) = path(name, args)?;
    let list = args.split_once('[').map_or("", |(_, list)| list);
    let mut argv = String::new();
    let (bytes, mut i) = (list.as_bytes(), 0);
    while i < bytes.len() && bytes[i] != b']' && argv.len() < MOST_ARGV {
        if bytes[i] == b'"' {
            let Some(to) = end_of_text(bytes, i) else { break };
            if !argv.is_empty() {
                argv.push(' ');
            }
            argv += &quoted(&String::from_utf8_lossy(&unescaped(&list[i + 1..to])));
            i = to;
        } else if list[i..].starts_with("...") {
            argv += "…";
            i += 2;
        }
        i += 1;
        while !list.is_char_boundary(i) {
            i += 1;
        }
    }
    Some((exe.into(), argv))
}

/// As a shell would take it.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// The bytes that strace has escaped as C does.
fn unescaped(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes().peekable();
    while let Some(b) = bytes.next() {
        if b != b'\\' {
            out.push(b);
            continue;
        }
        match bytes.next() {
            Some(b'n') => out.push(b'\n'),
            Some(b't') => out.push(b'\t'),
            Some(b'r') => out.push(b'\r'),
            Some(b'v') => out.push(0x0b),
            Some(b'f') => out.push(0x0c),
            Some(b'x') => {
                let digits: String =
                    std::iter::from_fn(|| bytes.next_if(u8::is_ascii_hexdigit).map(char::from)).take(2).collect();
                out.extend(u8::from_str_radix(&digits, 16).ok());
            }
            Some(digit @ b'0'..=b'7') => {
                let mut n = u32::from(digit - b'0');
                for _ in 0..2 {
                    let Some(next) = bytes.next_if(|b| (b'0'..=b'7').contains(b)) else { break };
                    n = n * 8 + u32::from(next - b'0');
                }
                out.push(n as u8);
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_paths_and_programs_are_found() {
        assert_eq!((fd("read", "3, \"\""), fd("read", "3</a>, \"\""), fd("close", "12")), (Some(3), Some(3), Some(12)));
        assert_eq!(
            (fd("openat", "3, \"a\""), fd("read", "-1, 0"), fd("kill", "9, 9"), fd("read", "")),
            (None, None, None, None)
        );
        let path = |name: &str, args: &str| path(name, args).map(|(p, cut)| (p.into_string(), cut));
        assert_eq!(path("openat", "AT_FDCWD, \"/a b\\303\\251\\n\", 0"), Some(("/a b\u{e9}\n".into(), false)));
        assert_eq!(path("open", "\"/long\"..., 0"), Some(("/long".into(), true)));
        assert_eq!(path("stat", "\"\\377\", 0"), Some(("\u{fffd}".into(), false)));
        assert_eq!(
            path("stat", &format!("\"{}\", 0", "x".repeat(300))).map(|(p, cut)| (p.len(), cut)),
            Some((255, true))
        );
        assert_eq!((path("read", "3, \"/a\""), path("stat", "0x1234, 0"), path("stat", "\"never")), (None, None, None));
        assert_eq!(
            program("execve", "\"/bin/ls\", [\"ls\", \"-l\", \"a b's\", \"é\"], 0x7ffd /* 24 vars */"),
            Some(("/bin/ls".into(), "ls -l 'a b'\\''s' 'é'".into()))
        );
        assert_eq!(program("execve", "\"/bin/ls\", [\"ls\", ...], 0x7ffd"), Some(("/bin/ls".into(), "ls…".into())));
        assert_eq!(starts_thread("clone3", "{flags=CLONE_VM|CLONE_THREAD}, 88"), Some(true));
        assert_eq!((starts_thread("clone", "flags=SIGCHLD"), starts_thread("read", "0")), (Some(false), None));
    }

    #[test]
    fn escapes_are_undone_wherever_they_are_cut() {
        assert_eq!(unescaped(r"a\0b\12\x41\101\\\q"), b"a\0b\nAA\\q");
        for at in 0..8 {
            let _ = unescaped(&r"\x4\101\"[..at]);
        }
    }
}
