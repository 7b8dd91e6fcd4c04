//! What `/proc/PID` says of one process. A process may end between any two reads: what is not there
//! any more is `None`.

use super::text::{ExecText, quote_args};
use osd_recording::ProcId;
use std::collections::{BTreeSet, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The part of `/proc/PID/stat` used here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) comm: String,
    pub(crate) state: u8,
    pub(crate) ppid: u32,
    flags: u64,
    pub(crate) minor_faults: u64,
    pub(crate) major_faults: u64,
    /// User and system time of all threads, ended ones too.
    pub(crate) cpu_ns: u64,
    /// What the children used that it has waited for, and theirs.
    pub(crate) waited: Waited,
    pub(crate) n_threads: u32,
    /// In the ticks that [`ProcId`] counts.
    pub(crate) start_ticks: u64,
    /// Address where the stack begins, new with every exec; 0 if one may not know.
    pub(crate) stack: u64,
}

/// What processes used in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waited {
    pub(crate) cpu_ns: u64,
    pub(crate) minor_faults: u64,
    pub(crate) major_faults: u64,
}

impl Stat {
    /// Of a live or ended (zombie) process.
    pub(crate) fn read(pid: u32) -> Option<Self> {
        Self::of(&format!("/proc/{pid}"))
    }

    /// Of a process or thread, by its folder.
    pub(crate) fn of(folder: &str) -> Option<Self> {
        Self::parse(&std::fs::read(format!("{folder}/stat")).ok()?)
    }

    fn parse(text: &[u8]) -> Option<Self> {
        // `comm` may hold spaces and parentheses: fields are counted after the last `)`.
        let (open, close) = (text.iter().position(|b| *b == b'(')?, text.iter().rposition(|b| *b == b')')?);
        let comm = String::from_utf8_lossy(text.get(open + 1..close)?).into_owned();
        let fields: Vec<&str> = std::str::from_utf8(&text[close + 1..]).ok()?.split_ascii_whitespace().collect();
        // Numbered as in proc(5), where `state` is field 3.
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            comm,
            state: *fields.first()?.as_bytes().first()?,
            ppid: u32::try_from(number(4)?).ok()?,
            flags: number(9)?,
            minor_faults: number(10)?,
            major_faults: number(12)?,
            cpu_ns: number(14)?.saturating_add(number(15)?).saturating_mul(ProcId::TICK_NS),
            waited: Waited {
                cpu_ns: number(16)?.saturating_add(number(17)?).saturating_mul(ProcId::TICK_NS),
                minor_faults: number(11)?,
                major_faults: number(13)?,
            },
            n_threads: u32::try_from(number(20)?).ok()?,
            start_ticks: number(22)?,
            stack: number(28).unwrap_or(0),
        })
    }

    /// It is one of the kernel's own threads, by flag (PF_KTHREAD in include/linux/sched.h).
    pub(crate) fn is_kernel(&self) -> bool {
        self.flags & 0x0020_0000 != 0
    }

    /// It has ended; only its parent does not know yet.
    pub(crate) fn ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }
}

/// Memory and owner, from `/proc/PID/status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) uid: u32,
    pub(crate) rss_anon_bytes: u64,
    pub(crate) rss_file_bytes: u64,
    pub(crate) rss_shmem_bytes: u64,
    pub(crate) swap_bytes: u64,
}

impl Status {
    pub(crate) fn read(pid: u32) -> Option<Self> {
        let text = std::fs::read(format!("/proc/{pid}/status")).ok()?;
        Some(Self::parse(&String::from_utf8_lossy(&text)))
    }

    pub(crate) fn parse(text: &str) -> Self {
        let bytes = |name| field(text, name).unwrap_or(0).saturating_mul(1024);
        Self {
            uid: field(text, "Uid:").and_then(|u| u32::try_from(u).ok()).unwrap_or(0),
            rss_anon_bytes: bytes("RssAnon:"),
            rss_file_bytes: bytes("RssFile:"),
            rss_shmem_bytes: bytes("RssShmem:"),
            swap_bytes: bytes("VmSwap:"),
        }
    }
}

/// First number after `name` at the start of a line.
pub(crate) fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|l| l.strip_prefix(name))?.split_ascii_whitespace().next()?.parse().ok()
}

/// Storage traffic, from `/proc/PID/io`. `None` for a process of another user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Io {
    pub(crate) read_chars: u64,
    pub(crate) write_chars: u64,
    pub(crate) read_bytes: u64,
    pub(crate) write_bytes: u64,
}

impl Io {
    pub(crate) fn read(pid: u32) -> Option<Self> {
        Self::of(&format!("/proc/{pid}"))
    }

    /// Of a process or thread, by its folder.
    pub(crate) fn of(folder: &str) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(format!("{folder}/io")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        Some(Self {
            read_chars: field(text, "rchar:")?,
            write_chars: field(text, "wchar:")?,
            read_bytes: field(text, "read_bytes:")?,
            write_bytes: field(text, "write_bytes:")?,
        })
    }
}

/// Inode of the cgroup (v2) of a process; 0 if unknown.
pub(crate) fn cgroup_id(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let path = text.lines().find_map(|l| l.strip_prefix("0::/"));
    let root = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].into_iter().find(|r| {
        Path::new(r).join("cgroup.subtree_control").exists() || Path::new(r).join("cgroup.controllers").exists()
    });
    let inode = path.zip(root).and_then(|(p, r)| Path::new(r).join(p).metadata().ok());
    inode.map_or(0, |m| m.ino())
}

/// What a look at a running process tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProcInfo {
    pub(crate) comm: String,
    pub(crate) ppid: u32,
    pub(crate) uid: u32,
    pub(crate) exe: Option<String>,
    pub(crate) argv: Option<String>,
}

/// The process `pid` that started `start_boottime_ns` after boot, unless that PID is another's by now.
pub(crate) fn read_info(pid: u32, start_boottime_ns: u64) -> Option<ProcInfo> {
    let stat = Stat::read(pid).filter(|s| s.start_ticks == start_boottime_ns / ProcId::TICK_NS)?;
    let text = running_text(pid);
    Some(ProcInfo {
        comm: stat.comm,
        ppid: stat.ppid,
        uid: std::fs::metadata(format!("/proc/{pid}")).ok()?.uid(),
        exe: text.exe,
        argv: text.argv,
    })
}

/// Program and arguments of a process that runs, from `/proc`.
pub(crate) fn running_text(pid: u32) -> ExecText {
    let argv = std::fs::read(format!("/proc/{pid}/cmdline")).ok().filter(|a| !a.is_empty());
    ExecText {
        exe: std::fs::read_link(format!("/proc/{pid}/exe")).ok().map(|p| p.to_string_lossy().into_owned()),
        argv: argv.map(|a| quote_args(&a[..a.len().min(4096)], a.len() > 4096)),
        cut: false,
    }
}

/// Open file descriptors of a process. `/proc/PID/fd` tells by its size since 6.2 (commit f1f1f2569901); 0 there means it does not.
pub(crate) fn n_fds(pid: u32) -> Option<u32> {
    let size = std::fs::metadata(format!("/proc/{pid}/fd")).ok()?.len();
    u32::try_from(size).ok().filter(|n| *n > 0)
}

/// Files looked up of one process.
const FILES_OF_ONE: usize = 1_024;

/// The files that a process has open, with their numbers; at most `most`. Sockets and pipes are none. Nothing where this process may not look.
pub(crate) fn open_files(pid: u32, most: usize) -> Vec<(i32, String)> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let named = entries.take(FILES_OF_ONE).filter_map(|entry| {
        let fd = entry.file_name().to_str()?.parse().ok()?;
        let path = std::fs::read_link(entry.path()).ok()?;
        path.is_absolute().then(|| (fd, path.to_string_lossy().into_owned()))
    });
    let mut files: Vec<(i32, String)> = named.take(most).collect();
    files.sort_unstable();
    files
}

/// All that a process has open, as the links of `/proc/PID/fd` say it.
pub(crate) fn open_links(pid: u32) -> Vec<(i32, String)> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let link = |path: std::path::PathBuf| Some(std::fs::read_link(path).ok()?.to_string_lossy().into_owned());
    entries.filter_map(|e| Some((e.file_name().to_str()?.parse().ok()?, link(e.path())?))).collect()
}

/// The directory that a process works in.
pub(crate) fn working_folder(pid: u32) -> Option<String> {
    Some(std::fs::read_link(format!("/proc/{pid}/cwd")).ok()?.to_string_lossy().into_owned())
}

/// `roots` and all their descendants at this moment, but for this process: a recorder of the shell that started it would otherwise wait
/// for its own end.
pub(crate) fn with_descendants(roots: &[u32]) -> BTreeSet<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in entries.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok()) {
        if let Some(stat) = Stat::read(pid) {
            children.entry(stat.ppid).or_default().push(pid);
        }
    }
    let mut found: BTreeSet<u32> = BTreeSet::new();
    let mut todo = roots.to_vec();
    let own = std::process::id();
    while let Some(pid) = todo.pop() {
        if (pid != own || roots.contains(&own)) && found.insert(pid) {
            todo.extend(children.get(&pid).into_iter().flatten());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_as_the_kernel_writes_them() {
        let text = b"42 (a b) c) S 7 42 42 0 -1 4194560 100 9 3 2 250 50 4 3 20 0 5 0 12345 1 2 3 4 5 777 0\n";
        let stat = Stat::parse(text).unwrap();
        assert_eq!((stat.comm.as_str(), stat.state, stat.ppid), ("a b) c", b'S', 7));
        assert_eq!((stat.minor_faults, stat.major_faults), (100, 3));
        assert_eq!(stat.cpu_ns, 3_000_000_000);
        assert_eq!(stat.waited, Waited { cpu_ns: 70_000_000, minor_faults: 9, major_faults: 2 });
        assert_eq!((stat.n_threads, stat.start_ticks, stat.stack), (5, 12345, 777));
        assert!(Stat::parse(b"42 (x").is_none() && Stat::parse(b"42 (x) S 1").is_none());
        let status = Status::parse("Name:\tx\nUid:\t1000\t1000\nVmSwap:\t 1 kB\nRssAnon:\t       8 kB\n");
        assert_eq!((status.uid, status.rss_anon_bytes, status.swap_bytes), (1000, 8192, 1024));
        let io = Io::parse("rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 5\nwrite_bytes: 6\n").unwrap();
        assert_eq!((io.read_chars, io.write_chars, io.read_bytes, io.write_bytes), (1, 2, 5, 6));
    }

    #[test]
    fn this_process_is_described() {
        let pid = std::process::id();
        let stat = Stat::read(pid).unwrap();
        assert!(stat.n_threads >= 1 && stat.start_ticks > 0 && !stat.ended());
        assert!(Status::read(pid).unwrap().rss_anon_bytes > 0);
        assert!(Io::read(pid).unwrap().read_chars > 0);
        assert!(Stat::read(u32::MAX).is_none());
    }

    #[test]
    fn a_process_is_recognised_by_its_start() {
        let me = std::process::id();
        let stat = std::fs::read_to_string(format!("/proc/{me}/stat")).unwrap();
        let ticks: u64 = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(19).unwrap().parse().unwrap();
        let info = read_info(me, ticks * ProcId::TICK_NS + 1).unwrap();
        assert!(info.ppid == std::os::unix::process::parent_id() && info.exe.is_some() && info.argv.is_some());
        assert_eq!(read_info(me, (ticks + 1) * ProcId::TICK_NS), None);
    }

    #[test]
    fn open_descriptors_are_counted_if_the_kernel_tells() {
        assert!(n_fds(std::process::id()).is_none_or(|n| n >= 3));
    }
}
