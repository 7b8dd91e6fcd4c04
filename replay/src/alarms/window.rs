//! What came with an alarm: sums over its bins, and what is usual to compare them with.

use super::alarm::{CallExcess, FileShare, ProcessShare, ThreadShare};
use crate::table::{Bin, Counted, Thread};
use std::collections::{BTreeMap, VecDeque};

/// Bins of late that are kept, so that a window can begin before it is known.
const LATE: usize = 64;
/// Calls, processes, threads and files that are named.
const NAMED: usize = 3;

/// Sums over bins.
#[derive(Clone, Debug, Default)]
struct Sums {
    bins: f64,
    /// Calls and errors.
    calls: BTreeMap<String, [f64; 2]>,
    /// PID, name and time on processors.
    processes: BTreeMap<u64, (u32, String, f64)>,
    threads: Counted<Thread>,
    files: Counted<String>,
}

impl Sums {
    fn add(&mut self, bin: &Bin) {
        self.add_calls(bin);
        for process in &bin.processes {
            let sum = self.processes.entry(process.proc).or_default();
            *sum = (process.pid, process.comm.clone(), sum.2 + process.cpu_ns);
        }
        self.threads.add_all(&bin.threads);
        self.files.add_all(&bin.files);
    }

    fn add_calls(&mut self, bin: &Bin) {
        self.bins += 1.0;
        for call in &bin.calls {
            if !self.calls.contains_key(&call.name) {
                self.calls.insert(call.name.clone(), [0.0; 2]);
            }
            if let Some(sum) = self.calls.get_mut(&call.name) {
                sum[0] += call.count;
                sum[1] += call.errors;
            }
        }
    }
}

/// Bins of late, and what is usual.
#[derive(Debug, Default)]
pub(super) struct Past {
    late: VecDeque<Bin>,
    usual: Sums,
}

/// A window that is open.
#[derive(Debug, Default)]
pub(super) struct Window {
    sums: Sums,
    /// The latest bins after its last loud one: they belong to it once it is loud again.
    quiet: VecDeque<Bin>,
}

impl Past {
    /// The next bin. Unless a window `is_open`, what leaves the memory of late was usual.
    pub(super) fn push(&mut self, bin: &Bin, is_open: bool) {
        self.late.push_back(bin.clone());
        if self.late.len() > LATE
            && let Some(old) = self.late.pop_front()
            && !is_open
        {
            self.usual.add_calls(&old);
        }
    }

    /// A window that begins with bin `from`, or with the first that is remembered.
    pub(super) fn window(&self, from: i64) -> Window {
        let mut window = Window::default();
        self.late.iter().filter(|b| b.number >= from).for_each(|b| window.sums.add(b));
        window
    }

    /// A window is over. What was in it is not usual.
    pub(super) fn forget_late(&mut self) {
        self.late.clear();
    }

    /// Calls that became more, those with most of the excess first.
    pub(super) fn calls(&self, window: &Window, before: i64, step_s: f64) -> Vec<CallExcess> {
        let open = &window.sums;
        // What is not yet old enough to be usual, but came before the window.
        let mut usual = self.usual.calls.clone();
        let mut bins = self.usual.bins;
        for bin in self.late.iter().filter(|b| b.number < before) {
            bins += 1.0;
            for call in &bin.calls {
                usual.entry(call.name.clone()).or_default()[0] += call.count;
            }
        }
        let per_s = |count: f64, bins: f64| if bins > 0.0 { count / (bins * step_s) } else { 0.0 };
        let mut out: Vec<CallExcess> = open
            .calls
            .iter()
            .map(|(name, [count, errors])| CallExcess {
                syscall: name.clone(),
                usual_per_s: per_s(usual.get(name).map_or(0.0, |u| u[0]), bins),
                per_s: per_s(*count, open.bins),
                errors_per_s: per_s(*errors, open.bins),
            })
            .filter(|c| c.per_s > 1.5 * c.usual_per_s && c.per_s >= c.usual_per_s + 1.0)
            .collect();
        let excess = |c: &CallExcess| c.per_s - c.usual_per_s;
        out.sort_by(|a, b| excess(b).total_cmp(&excess(a)).then_with(|| a.syscall.cmp(&b.syscall)));
        out.truncate(NAMED);
        out
    }
}

impl Window {
    /// The next bin.
    pub(super) fn push(&mut self, bin: &Bin) {
        if self.quiet.len() == LATE {
            self.quiet.pop_front();
        }
        self.quiet.push_back(bin.clone());
    }

    /// The last bin is as loud as those before.
    pub(super) fn loud(&mut self) {
        self.quiet.drain(..).for_each(|bin| self.sums.add(&bin));
    }

    pub(super) fn processes(&self, step_s: f64) -> Vec<ProcessShare> {
        let open = &self.sums;
        let mut all: Vec<(&u64, &(u32, String, f64))> = open.processes.iter().collect();
        all.sort_by(|a, b| b.1.2.total_cmp(&a.1.2).then(a.0.cmp(b.0)));
        let length_s = open.bins * step_s;
        let share = |(_, (pid, comm, cpu_ns)): (&u64, &(u32, String, f64))| ProcessShare {
            comm: comm.clone(),
            pid: *pid,
            cores: cpu_ns / 1e9 / length_s,
        };
        all.into_iter().take(NAMED).map(share).collect()
    }

    /// `name` gives PID and name of a process.
    pub(super) fn threads(&self, step_s: f64, name: &dyn Fn(u64) -> (u32, String)) -> Vec<ThreadShare> {
        let open = &self.sums;
        let share = |(thread, n): (Thread, u64)| {
            let (pid, comm) = name(thread.proc);
            ThreadShare { comm, pid, tid: thread.tid, per_s: n as f64 / (open.bins * step_s) }
        };
        open.threads.top(NAMED).into_iter().map(share).collect()
    }

    pub(super) fn files(&self, step_s: f64) -> Vec<FileShare> {
        let open = &self.sums;
        let share = |(path, n): (String, u64)| FileShare { path, per_s: n as f64 / (open.bins * step_s) };
        open.files.top(NAMED).into_iter().map(share).collect()
    }
}
