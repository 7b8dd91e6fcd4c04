//! What `/proc/PID` says of one process. A process may end between any two reads: what is not there any more is `None`.

use osd_recording::ProcId;
use std::collections::HashMap;
use std::path::Path;

/// The part of `/proc/PID/stat` used here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) comm: String,
    pub(crate) state: u8,
    pub(crate) ppid: u32,
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

/// What the scheduler counts, thread by thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scheduling {
    pub(crate) cpu_ns: u64,
    pub(crate) runq_ns: u64,
    pub(crate) voluntary: u64,
    pub(crate) involuntary: u64,
}

impl Scheduling {
    fn add(&mut self, other: Self) {
        self.cpu_ns += other.cpu_ns;
        self.runq_ns += other.runq_ns;
        self.voluntary += other.voluntary;
        self.involuntary += other.involuntary;
    }
}

/// The threads of a process over time: totals that only grow although threads come and go.
#[derive(Debug, Default)]
pub(crate) struct Threads {
    last: HashMap<u32, Scheduling>,
    gone: Scheduling,
}

/// Threads looked at one by one; beyond, two files a thread would cost more than they tell.
pub(crate) const MOST_THREADS: usize = 64;

impl Threads {
    /// Looks at every thread of `pid`. What an ended one used after the last look is not known here.
    pub(crate) fn look(&mut self, pid: u32, n_threads: u32) -> Scheduling {
        if n_threads as usize <= MOST_THREADS {
            let entries = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
            let tids = entries.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
            self.update(tids.filter_map(|tid| Some((tid, read_thread(pid, tid)?))).collect());
        }
        let mut sum = self.gone;
        self.last.values().for_each(|t| sum.add(*t));
        sum
    }

    fn update(&mut self, now: HashMap<u32, Scheduling>) {
        for (tid, before) in &self.last {
            // A smaller total is another thread under a number used again.
            if now.get(tid).is_none_or(|t| t.cpu_ns < before.cpu_ns) {
                self.gone.add(*before);
            }
        }
        self.last = now;
    }
}

/// Of one thread, `None` if it has ended.
pub(crate) fn read_thread(pid: u32, tid: u32) -> Option<Scheduling> {
    let status = std::fs::read(format!("/proc/{pid}/task/{tid}/status")).ok()?;
    let status = String::from_utf8_lossy(&status);
    let schedstat = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/schedstat")).unwrap_or_default();
    let mut numbers = schedstat.split_ascii_whitespace().filter_map(|n| n.parse().ok());
    Some(Scheduling {
        cpu_ns: numbers.next().unwrap_or(0),
        runq_ns: numbers.next().unwrap_or(0),
        voluntary: field(&status, "voluntary_ctxt_switches:")?,
        involuntary: field(&status, "nonvoluntary_ctxt_switches:")?,
    })
}

/// Inode of the cgroup (v2) of a process; 0 if unknown.
pub(crate) fn cgroup_id(pid: u32) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let path = text.lines().find_map(|l| l.strip_prefix("0::/"));
    let root = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].into_iter().find(|r| {
        Path::new(r).join("cgroup.subtree_control").exists() || Path::new(r).join("cgroup.controllers").exists()
    });
    let inode = path.zip(root).and_then(|(p, r)| Path::new(r).join(p).metadata().ok());
    inode.map_or(0, |m| m.ino())
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
    fn totals_grow_although_threads_come_and_go() {
        let used = |cpu_ns| Scheduling { cpu_ns, ..Scheduling::default() };
        let mut threads = Threads::default();
        let mut after = |now: &[(u32, u64)]| {
            threads.update(now.iter().map(|(tid, ns)| (*tid, used(*ns))).collect());
            threads.look(0, u32::MAX).cpu_ns
        };
        assert_eq!(after(&[(1, 10), (2, 5)]), 15);
        assert_eq!(after(&[(1, 12)]), 17, "2 has ended");
        assert_eq!(after(&[(1, 12), (2, 3)]), 20, "another 2");
        assert_eq!(after(&[(1, 12), (2, 1)]), 21, "and another");
        assert_eq!(after(&[]), 21);
    }

    #[test]
    fn this_process_is_described() {
        let pid = std::process::id();
        let stat = Stat::read(pid).unwrap();
        assert!(stat.n_threads >= 1 && stat.start_ticks > 0 && !stat.ended());
        assert!(Status::read(pid).unwrap().rss_anon_bytes > 0);
        assert!(Io::read(pid).unwrap().read_chars > 0);
        assert!(Threads::default().look(pid, 1).voluntary + stat.cpu_ns > 0);
        assert!(Stat::read(u32::MAX).is_none());
    }
}
