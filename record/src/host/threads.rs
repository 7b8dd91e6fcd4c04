//! The threads of one process, from `/proc/PID/task`.

use super::proc::field;
use std::collections::HashMap;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
