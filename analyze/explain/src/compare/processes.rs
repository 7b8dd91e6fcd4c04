//! The processes behind a window: which began, which used the processors, and what they and their
//! threads are called.

use super::context::{Context, Frame};
use crate::evidence::{Thread, ThreadCalls};
use osd_detect::windows::Group;
use osd_findings::NewProcess;
use std::collections::BTreeMap;

impl Context<'_> {
    /// By name and program, the most frequent first; and how many there are in all.
    pub(crate) fn new_processes(&self, group: &Group) -> (Vec<NewProcess>, u64) {
        let grid = self.table.grid;
        // What they do shows when they have run for a moment.
        let span = grid.time(group.start).saturating_sub(200_000_000)..grid.time(group.end);
        let mut by_name: BTreeMap<(&str, &str), (i64, NewProcess)> = BTreeMap::new();
        for life in self.table.processes.values() {
            let Some(born) = life.born_ns.filter(|b| span.contains(b)) else { continue };
            let new = || NewProcess { comm: life.comm.clone(), exe: life.exe.clone(), ..NewProcess::default() };
            let (first, entry) = by_name.entry((&life.comm, &life.exe)).or_insert_with(|| (i64::MAX, new()));
            entry.count += 1;
            if (born, life.pid) < (*first, entry.first_pid) || entry.count == 1 {
                *first = born;
                entry.first_pid = life.pid;
                entry.argv.clone_from(&life.argv);
            }
        }
        let mut all: Vec<NewProcess> = by_name.into_values().map(|(_, p)| p).collect();
        let n = all.iter().map(|p| p.count).sum();
        all.sort_by(|a, b| b.count.cmp(&a.count).then(a.first_pid.cmp(&b.first_pid)));
        all.truncate(8);
        (all, n)
    }

    /// Cores beyond the usual of each process, most first.
    pub(crate) fn cpu_by_process(&self, frame: &Frame) -> Vec<(String, f64)> {
        let mut all: Vec<(u32, String, f64)> = vec![];
        let cores_of = |cores: &[f32]| cores.iter().map(|v| f64::from(*v)).enumerate().collect::<Vec<_>>();
        for (proc, cores) in &self.table.cpu_of {
            let mut c = self.counts(frame, cores_of(cores).into_iter());
            let comm = self.table.processes.get(proc).map(|l| l.comm.as_str());
            for (which, usual) in self.usual.iter().enumerate() {
                let is_alike =
                    |p: &&u64| comm.is_some() && usual.table.processes.get(p).map(|l| l.comm.as_str()) == comm;
                let alike: Vec<&u64> = usual.table.cpu_of.keys().filter(is_alike).collect();
                for other in &alike {
                    let share = 1.0 / alike.len() as f64;
                    let then = cores_of(&usual.table.cpu_of[*other]).into_iter().map(|(bin, v)| (bin, v * share));
                    self.add_usual(&mut c, frame, which, then);
                }
            }
            let pid = self.table.processes.get(proc).map_or(0, |l| l.pid);
            let name = self.process(*proc, self.table.grid.time(frame.inside.end));
            all.push((pid, name, c.excess() / (frame.inside.len() as f64)));
        }
        all.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(&b.0)));
        all.into_iter().filter(|a| a.2 > 0.0).take(3).map(|(_, name, cores)| (name, cores)).collect()
    }

    /// The container of whoever made most of the calls in the window that were not usual.
    pub(crate) fn container(&self, frame: &Frame) -> Option<String> {
        let (busiest, _) = self.busiest_thread(frame)?;
        self.table.processes.get(&busiest.proc)?.container.clone()
    }

    /// Name and PID of a process, as it was called at that time, with its container.
    pub(crate) fn process(&self, proc: u64, ts_ns: i64) -> String {
        let life = self.table.processes.get(&proc);
        let pid = life.map_or(0, |l| l.pid);
        let name = life.and_then(|l| l.comm_at(ts_ns)).unwrap_or("process");
        match life.and_then(|l| l.container.as_deref()) {
            Some(container) => format!("{name}/{pid} in {container}"),
            None => format!("{name}/{pid}"),
        }
    }

    /// Name and TID of a thread.
    pub(crate) fn thread(&self, thread: Thread, calls: &ThreadCalls, frame: &Frame) -> String {
        format!("{}/{}", self.thread_comm(thread, calls, frame), thread.tid)
    }

    /// The name of a thread at the end of the window: its own, or that of its process.
    pub(crate) fn thread_comm(&self, thread: Thread, calls: &ThreadCalls, frame: &Frame) -> String {
        let own = self.table.thread_names.at(thread.proc, thread.tid, self.table.grid.time(frame.inside.end));
        own.map_or_else(|| self.comm(thread.proc, calls, frame), str::to_owned)
    }

    /// What the process was called when it made most of its calls in the window: before an exec it was another program.
    pub(crate) fn comm(&self, proc: u64, calls: &ThreadCalls, frame: &Frame) -> String {
        let mut inside: BTreeMap<u32, u32> = BTreeMap::new();
        for (bin, n) in calls.calls.0.iter().filter(|(bin, _)| frame.inside.contains(&(*bin as usize))) {
            let sum = inside.entry(*bin).or_default();
            *sum = sum.saturating_add(*n);
        }
        let busiest = inside.into_iter().max_by_key(|(_, n)| *n).map_or(frame.inside.end, |(bin, _)| bin as usize + 1);
        let life = self.table.processes.get(&proc);
        let name = life.and_then(|l| l.comm_at(self.table.grid.time(busiest)));
        name.map_or_else(|| format!("pid {}", calls.pid), str::to_owned)
    }
}
