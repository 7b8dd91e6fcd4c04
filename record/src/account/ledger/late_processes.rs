//! Processes whose first record was lost: the ring of lives was full when they were forked.
//!
//! Any later record of one (exec, exit, a thread's end) introduces it by its right identity. One that makes none for a whole interval
//! is met in the pass over threads, which knows its PID and start. One that ended without leaving any record is known by its calls
//! alone: they are kept, under an identity made up for them, with PID 0. Nothing that was counted is dropped.

use super::{Known, Ledger};
use crate::host::proc::ProcInfo;
use osd_bpf::wire::usage;
use osd_recording::rows::{Owner, Process, ProcessEvent};
use osd_recording::{ClockTable, ProcId};
use std::collections::{HashMap, HashSet};

impl Ledger {
    /// Enters the processes among `seqs` and of `usages` that nobody introduced for a whole interval (`at_once`: now). `look` is asked for
    /// (PID, start since boot in ns). Gives a `running` row for each whose info are known.
    pub(crate) fn meet(
        &mut self,
        seqs: impl Iterator<Item = u32>,
        usages: &[usage],
        now_ns: i64,
        at_once: bool,
        clock: &ClockTable,
        look: impl Fn(u32, u64) -> Option<ProcInfo>,
    ) -> Vec<Process> {
        // The end of a thread that is ending has been recorded; if it is not in the books any more, its process has been and gone.
        let is_new = |seq: &u32| !self.processes.contains_key(seq);
        let running: HashMap<u32, &usage> =
            usages.iter().filter(|u| u.exiting == 0 && is_new(&u.process_seq)).map(|u| (u.process_seq, u)).collect();
        let unknown: HashSet<u32> = seqs.filter(is_new).chain(running.keys().copied()).collect();
        let before = std::mem::take(&mut self.unmet);
        let (mut now, later): (Vec<u32>, Vec<u32>) =
            unknown.into_iter().partition(|seq| at_once || before.contains(seq));
        self.unmet.extend(later);
        now.sort_unstable();
        let mut rows = Vec::new();
        for seq in now {
            match running.get(&seq) {
                Some(u) => rows.extend(self.met_running(u, now_ns, clock, &look)),
                None => self.never_met(seq, now_ns),
            }
        }
        rows
    }

    fn met_running(
        &mut self,
        u: &usage,
        now_ns: i64,
        clock: &ClockTable,
        look: &impl Fn(u32, u64) -> Option<ProcInfo>,
    ) -> Option<Process> {
        let proc = self.identify(u.process_seq, u.pid, u.start_boottime_ns);
        let start_ts_ns = clock.utc_ns(u.start_boottime_ns as i64);
        let info = look(u.pid, u.start_boottime_ns);
        let mut known =
            Known { owner: Owner { proc, pid: u.pid, cgroup_id: 0 }, start_ts_ns, ..Known::nobody(start_ts_ns) };
        let row = info.map(|info| {
            let parent = self.processes.values().find(|p| p.owner.pid == info.ppid && p.exited_ns.is_none());
            known.parent = parent.map(|p| p.owner.proc);
            (known.comm, known.ppid, known.uid) = (info.comm, info.ppid, info.uid);
            (known.exe, known.argv) = (info.exe, info.argv);
            known.row(now_ns, u.pid, ProcessEvent::Running)
        });
        self.n_processes += 1;
        self.processes.insert(u.process_seq, known);
        row
    }

    fn never_met(&mut self, process_seq: u32, now_ns: i64) {
        let id = ProcId::new(&format!("{}?", self.boot_id), process_seq, now_ns.unsigned_abs());
        let owner = Owner { proc: id, ..Owner::default() };
        self.n_processes += 1;
        self.processes.insert(process_seq, Known { owner, ..Known::nobody(now_ns) });
    }
}
