//! The processes of a capture: who lives under which PID, whom they started, and their rows.
//!
//! Captures tell of a process by its PID, which comes again, and of most only when they do something. So a process is met with its
//! first event, as one that was started before if somebody was seen to start it.

use super::gather::Gather;
use crate::Result;
use osd_recording::ProcId;
use osd_recording::rows::{Owner, Process, ProcessEvent};
use std::collections::HashMap;

/// A process that lives.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) owner: Owner,
    pub(super) comm: String,
    pub(super) exe: Option<String>,
    pub(super) argv: Option<String>,
    pub(super) uid: u32,
    pub(super) ppid: u32,
    pub(super) parent: Option<ProcId>,
}

/// How a process ended: its exit code, or the signal.
pub(super) type Ending = (Option<i32>, Option<i32>);

/// Those that live at this point of the capture.
#[derive(Debug, Default)]
pub(super) struct Lives {
    /// By PID, with when they began.
    processes: HashMap<u32, (Known, i64)>,
    /// Processes that were started and not met yet: what they inherit of whom, and when, if that was said.
    born: HashMap<u32, (Known, Option<i64>)>,
    /// How many processes of a PID there were.
    lived: HashMap<u32, usize>,
}

impl Lives {
    /// The process of this PID, if it was met.
    pub(super) fn get(&self, pid: u32) -> Option<&Known> {
        self.processes.get(&pid).map(|(known, _)| known)
    }

    /// The same, to learn more of it.
    pub(super) fn get_mut(&mut self, pid: u32) -> Option<&mut Known> {
        self.processes.get_mut(&pid).map(|(known, _)| known)
    }

    /// `pid` started `child`, which will be met; by another name, if that is known.
    pub(super) fn start(&mut self, pid: u32, child: u32, comm: Option<&str>, ts_ns: Option<i64>) {
        let mut parent = self.get(pid).cloned().unwrap_or_default();
        if let Some(comm) = comm {
            comm.clone_into(&mut parent.comm);
        }
        self.born.insert(child, (parent, ts_ns));
    }

    /// Introduces a process that was not met before; `running` says what is known of one that ran already, but for its owner.
    pub(super) fn meet(
        &mut self,
        gather: &mut Gather,
        pid: u32,
        ts_ns: i64,
        running: impl FnOnce() -> Known,
    ) -> Result<()> {
        if self.processes.contains_key(&pid) {
            return Ok(());
        }
        let nth = self.lived.entry(pid).or_default();
        let owner = gather.identity(pid, ts_ns, *nth);
        *nth += 1;
        let (known, start_ns, event) = match self.born.remove(&pid) {
            Some((parent, start_ns)) => {
                let (ppid, of) = (parent.owner.pid, Some(parent.owner.proc));
                (Known { owner, ppid, parent: of, ..parent }, start_ns.unwrap_or(ts_ns), ProcessEvent::Fork)
            }
            None => (Known { owner, ..running() }, ts_ns, ProcessEvent::Running),
        };
        self.processes.insert(pid, (known, start_ns));
        self.event(gather, (pid, pid), ts_ns, event, (None, None))
    }

    /// Writes what happened to the process, by one of its threads (PID and TID).
    pub(super) fn event(
        &self,
        gather: &mut Gather,
        (pid, tid): (u32, u32),
        ts_ns: i64,
        event: ProcessEvent,
        (exit_code, exit_signal): Ending,
    ) -> Result<()> {
        let Some((known, start_ts_ns)) = self.processes.get(&pid).cloned() else { return Ok(()) };
        let Known { owner, comm, exe, argv, uid, ppid, parent } = known;
        gather.process(Process {
            ts_ns,
            owner,
            tid,
            event,
            ppid,
            parent,
            comm,
            exe,
            argv,
            uid,
            exit_code,
            exit_signal,
            start_ts_ns,
            ns_pid: None,
            pid_ns: None,
        })
    }

    /// The process is gone.
    pub(super) fn end(&mut self, gather: &mut Gather, pid: u32, ts_ns: i64, how: Ending) -> Result<()> {
        self.event(gather, (pid, pid), ts_ns, ProcessEvent::Exit, how)?;
        self.processes.remove(&pid);
        Ok(())
    }
}
