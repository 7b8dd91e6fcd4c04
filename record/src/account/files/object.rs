//! What a descriptor is, in words: a record of the kernel side becomes a kind and a name.

use osd_bpf::wire::{self, object};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// What there can be behind a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    File,
    Directory,
    Device,
    Pipe,
    Tcp,
    Udp,
    Unix,
    /// Of any other family.
    Socket,
    Memory,
    Epoll,
    Eventfd,
    Timerfd,
    Signalfd,
    Inotify,
    /// Anything else without a place in the tree of files.
    Other,
}

impl Kind {
    /// As rows have it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Device => "device",
            Self::Pipe => "pipe",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Unix => "unix",
            Self::Socket => "socket",
            Self::Memory => "memfd",
            Self::Epoll => "epoll",
            Self::Eventfd => "eventfd",
            Self::Timerfd => "timerfd",
            Self::Signalfd => "signalfd",
            Self::Inotify => "inotify",
            Self::Other => "other",
        }
    }
}

/// A file, a socket, a pipe: what calls on a descriptor are about. Two are the same if kind and name are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Object {
    pub(crate) kind: Kind,
    pub(crate) name: Box<str>,
}

const ANON_INODES: u32 = 0x0904_1934;
const PIPES: u32 = 0x5049_5045;
/// As in the kernel's `tcp_states.h`.
const LISTENING: u32 = 10;
/// Behind a file that has no name any more, as the kernel shows it.
const DELETED: &str = " (deleted)";

impl Object {
    pub(crate) fn new(kind: Kind, name: impl Into<Box<str>>) -> Self {
        Self { kind, name: name.into() }
    }

    /// What the kernel side says. `names` is as long as it says or shorter.
    pub(crate) fn of(o: &object, names: &[u8]) -> Self {
        if o.mode & libc::S_IFMT == libc::S_IFSOCK {
            return socket(o, names);
        }
        if o.flags & wire::OBJECT_PSEUDO != 0 {
            return pseudo(o, &String::from_utf8_lossy(names.split(|b| *b == 0).next().unwrap_or_default()));
        }
        let kind = match o.mode & libc::S_IFMT {
            libc::S_IFDIR => Kind::Directory,
            libc::S_IFCHR | libc::S_IFBLK => Kind::Device,
            libc::S_IFIFO => Kind::Pipe,
            _ => Kind::File,
        };
        let mut name = way(names, o.flags & wire::OBJECT_CUT != 0);
        if o.flags & wire::OBJECT_UNLINKED != 0 {
            name.push_str(DELETED);
        }
        Self::new(kind, name)
    }

    /// What a link in `/proc/PID/fd` says, where there is no pass over open files.
    pub(crate) fn of_link(link: &str) -> Self {
        let inode = |prefix: &str| link.strip_prefix(prefix)?.strip_suffix(']').map(str::to_owned);
        if link.starts_with("/memfd:") {
            return Self::new(Kind::Memory, link.trim_start_matches('/').trim_end_matches(DELETED));
        }
        if link.starts_with('/') {
            return Self::new(if link.starts_with("/dev/") { Kind::Device } else { Kind::File }, link);
        }
        if let Some(inode) = inode("pipe:[") {
            return Self::new(Kind::Pipe, format!("pipe [{inode}]"));
        }
        if let Some(inode) = inode("socket:[") {
            return Self::new(Kind::Socket, format!("socket [{inode}]"));
        }
        anonymous(link.strip_prefix("anon_inode:").unwrap_or(link))
    }

    /// It is in the tree of files and may be renamed and deleted.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self.kind, Kind::File | Kind::Directory)
    }
}

/// The path that the names lead to, which come from the file to the root.
pub(crate) fn way(names: &[u8], cut: bool) -> String {
    let mut parts: Vec<&[u8]> = names.split(|b| *b == 0).collect();
    // What follows the last NUL.
    parts.pop();
    let mut path = String::with_capacity(names.len() + 1);
    if cut {
        path.push('…');
    }
    for part in parts.iter().rev() {
        path.push('/');
        path.push_str(&String::from_utf8_lossy(part));
    }
    if path.is_empty() {
        path.push('/');
    }
    path
}

fn pseudo(o: &object, name: &str) -> Object {
    if o.magic == PIPES {
        return Object::new(Kind::Pipe, format!("pipe [{}]", o.inode));
    }
    if name.starts_with("memfd:") {
        return Object::new(Kind::Memory, name);
    }
    if o.magic == ANON_INODES {
        return anonymous(name);
    }
    Object::new(Kind::Other, if name.is_empty() { "unnamed" } else { name })
}

fn anonymous(name: &str) -> Object {
    let name = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
    match name {
        "eventpoll" => Object::new(Kind::Epoll, "epoll"),
        // Each has a number of its own, in a link.
        "eventfd" => Object::new(Kind::Eventfd, "eventfd"),
        "timerfd" => Object::new(Kind::Timerfd, "timerfd"),
        "signalfd" => Object::new(Kind::Signalfd, "signalfd"),
        "inotify" => Object::new(Kind::Inotify, "inotify"),
        other => Object::new(Kind::Other, other),
    }
}

fn socket(o: &object, names: &[u8]) -> Object {
    let family = i32::from(o.family);
    match family {
        libc::AF_UNIX => Object::new(Kind::Unix, unix(o.inode, names)),
        libc::AF_INET | libc::AF_INET6 => {
            let (kind, protocol) = match i32::from(o.r#type) {
                libc::SOCK_STREAM => (Kind::Tcp, "tcp"),
                libc::SOCK_DGRAM => (Kind::Udp, "udp"),
                _ => (Kind::Socket, "raw"),
            };
            let local = address(family, o.local, o.local_port);
            let remote = address(family, o.remote, o.remote_port);
            let name = if o.remote_port != 0 {
                format!("{protocol} {local} -> {remote}")
            } else if kind == Kind::Tcp && o.state == LISTENING {
                format!("{protocol} {local} listening")
            } else if o.local_port != 0 {
                format!("{protocol} {local}")
            } else {
                protocol.to_owned()
            };
            Object::new(kind, name)
        }
        libc::AF_NETLINK => Object::new(Kind::Socket, "netlink"),
        libc::AF_PACKET => Object::new(Kind::Socket, "packet"),
        0 => Object::new(Kind::Socket, format!("socket [{}]", o.inode)),
        other => Object::new(Kind::Socket, format!("socket of family {other}")),
    }
}

fn unix(inode: u64, address: &[u8]) -> String {
    match address {
        [] => format!("unix [{inode}]"),
        [0, name @ ..] => format!("unix @{}", String::from_utf8_lossy(name)),
        path => format!("unix {}", String::from_utf8_lossy(path.split(|b| *b == 0).next().unwrap_or_default())),
    }
}

fn address(family: i32, bytes: [u8; 16], port: u16) -> SocketAddr {
    if family == libc::AF_INET {
        let [a, b, c, d, ..] = bytes;
        return SocketAddr::from((Ipv4Addr::new(a, b, c, d), port));
    }
    // As a program writes it that talks to both: ::ffff:10.0.0.5 is 10.0.0.5.
    SocketAddr::from((Ipv6Addr::from(bytes).to_canonical(), port))
}

/// A path as the program gave it, from the root, if the directory it is relative to is known. `.` and `..` are taken as words: links are
/// not followed.
pub(super) fn joined(folder: Option<&str>, path: &str) -> String {
    let Some(folder) = folder.filter(|_| !path.starts_with('/')) else { return path.to_owned() };
    let mut parts: Vec<&str> = folder.split('/').filter(|p| !p.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(o: object, names: &[u8]) -> String {
        let object = Object::of(&o, names);
        format!("{}: {}", object.kind.as_str(), object.name)
    }

    #[test]
    fn files_are_named_from_the_root_and_what_has_no_place_by_what_it_is() {
        let file = object { mode: libc::S_IFREG | 0o644, ..object::default() };
        assert_eq!(told(file, b"dump.rdb\0redis\0lib\0var\0"), "file: /var/lib/redis/dump.rdb");
        assert_eq!(told(object { flags: wire::OBJECT_UNLINKED, ..file }, b"x\0tmp\0"), "file: /tmp/x (deleted)");
        assert_eq!(told(object { flags: wire::OBJECT_CUT, ..file }, b"x\0deep\0"), "file: …/deep/x");
        assert_eq!(told(object { mode: libc::S_IFDIR, ..file }, b""), "directory: /");
        assert_eq!(told(object { mode: libc::S_IFCHR, ..file }, b"null\0dev\0"), "device: /dev/null");
        let pseudo = object { flags: wire::OBJECT_PSEUDO | wire::OBJECT_UNLINKED, inode: 77, ..file };
        assert_eq!(told(object { magic: PIPES, mode: libc::S_IFIFO, ..pseudo }, b"\0"), "pipe: pipe [77]");
        assert_eq!(told(object { magic: ANON_INODES, mode: 0o600, ..pseudo }, b"[eventpoll]\0"), "epoll: epoll");
        assert_eq!(told(object { magic: ANON_INODES, mode: 0o600, ..pseudo }, b"inotify\0"), "inotify: inotify");
        assert_eq!(told(pseudo, b"memfd:cache\0"), "memfd: memfd:cache");
        assert_eq!(told(object { mode: 0, ..pseudo }, b"\xff\0"), "other: \u{fffd}");
        // A way that ends in the middle of a name is what a broken record has.
        assert_eq!(told(file, b"a\0b"), "file: /a");
    }

    #[test]
    fn sockets_are_named_by_both_ends_as_far_as_they_have_them() {
        let inet = |state, local_port, remote_port| object {
            mode: libc::S_IFSOCK,
            family: libc::AF_INET as u16,
            r#type: libc::SOCK_STREAM as u16,
            local: [10, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            remote: [10, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            state,
            local_port,
            remote_port,
            inode: 5,
            ..object::default()
        };
        assert_eq!(told(inet(1, 41222, 5432), b""), "tcp: tcp 10.0.0.5:41222 -> 10.0.0.9:5432");
        assert_eq!(told(inet(10, 80, 0), b""), "tcp: tcp 10.0.0.5:80 listening");
        assert_eq!(told(inet(7, 0, 0), b""), "tcp: tcp");
        let udp = object { r#type: libc::SOCK_DGRAM as u16, ..inet(7, 53, 0) };
        assert_eq!(told(udp, b""), "udp: udp 10.0.0.5:53");
        let mapped = std::net::Ipv6Addr::from([0, 0, 0, 0, 0, 0xffff, 0x7f00, 1]).octets();
        let six = object { family: libc::AF_INET6 as u16, local: mapped, remote: mapped, ..inet(1, 1, 2) };
        assert_eq!(told(six, b""), "tcp: tcp 127.0.0.1:1 -> 127.0.0.1:2");
        let unix = object { family: libc::AF_UNIX as u16, ..inet(1, 0, 0) };
        assert_eq!(told(unix, b"/run/x.sock\0"), "unix: unix /run/x.sock");
        assert_eq!(told(unix, b"\0name"), "unix: unix @name");
        assert_eq!(told(unix, b""), "unix: unix [5]");
        assert_eq!(told(object { family: 40, ..unix }, b""), "socket: socket of family 40");
    }

    #[test]
    fn links_of_proc_say_the_same() {
        let told = |link: &str| Object::of_link(link).name.into_string();
        assert_eq!(told("/tmp/x (deleted)"), "/tmp/x (deleted)");
        assert_eq!(told("pipe:[12]"), "pipe [12]");
        assert_eq!(told("socket:[12]"), "socket [12]");
        assert_eq!(told("anon_inode:[eventpoll]"), "epoll");
        assert_eq!(told("/memfd:x (deleted)"), "memfd:x");
        assert_eq!(Object::of_link("").kind, Kind::Other);
    }
}
