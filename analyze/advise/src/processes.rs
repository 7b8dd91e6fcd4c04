//! What the rows of processes tell: who was there before, who was started, and what of it was the
//! preparation of its starter.

use crate::error::Result;
use osd_recording::{Columns, Kind, Query, Recording};
use std::collections::{HashMap, HashSet};

/// Of one recording.
#[derive(Default)]
pub(crate) struct Processes {
    /// When each began its first program, UTC ns.
    pub(crate) exec_ns: HashMap<u64, i64>,
    /// Those started by somebody who is recorded, too.
    children: HashSet<u64>,
    running: HashSet<u64>,
    ended: HashSet<u64>,
    all: HashSet<u64>,
}

impl Processes {
    pub(crate) fn read(recording: &Recording) -> Result<Self> {
        let mut out = Self::default();
        // A command is recorded before it is let go, so it is there already when the recording begins.
        let target = &recording.metadata().target;
        let named = |pid: u64| target.pids.iter().any(|p| u64::from(*p) == pid);
        let mut parents = HashMap::new();
        for batch in recording.read(&query(Kind::Process, &["ts", "proc", "pid", "event", "parent"]))? {
            let batch = batch?;
            let columns = Columns::of(&batch, recording.path());
            let (procs, events, of) = (columns.u64("proc")?, columns.text("event")?, columns.u64("parent")?);
            let pids = columns.u64("pid")?;
            for (row, &ts) in columns.ts()?.iter().enumerate() {
                let (Some(proc), Some(event)) = (procs.at(row), events.at(row)) else { continue };
                out.all.insert(proc);
                if let Some(parent) = of.at(row) {
                    parents.insert(proc, parent);
                }
                match event {
                    "exec" => {
                        let first = out.exec_ns.entry(proc).or_insert(ts);
                        *first = ts.min(*first);
                    }
                    "running" if target.command.is_empty() || pids.at(row).is_some_and(named) => {
                        out.running.insert(proc);
                    }
                    "exit" => drop(out.ended.insert(proc)),
                    _ => {}
                }
            }
        }
        let of_recorded = parents.into_iter().filter(|(_, parent)| out.all.contains(parent));
        out.children = of_recorded.map(|(proc, _)| proc).collect();
        Ok(out)
    }

    /// It is recorded how the program starts.
    pub(crate) fn begins_with_program(&self) -> bool {
        self.running.is_empty() && !self.exec_ns.is_empty()
    }

    /// How many had not ended when the recording did.
    pub(crate) fn n_alive(&self) -> usize {
        self.all.difference(&self.ended).count()
    }

    /// When the preparations in `proc` were over; `None` if it had none.
    ///
    /// A process that is started by somebody who is not recorded executes its program only after its starter's preparations (osd's own,
    /// or a container runtime's), which run in it.
    pub(crate) fn prepared_ns(&self, proc: u64) -> Option<i64> {
        if self.children.contains(&proc) || self.running.contains(&proc) {
            return None;
        }
        self.exec_ns.get(&proc).copied()
    }
}

/// Rows of one kind with these columns.
pub(crate) fn query(kind: Kind, columns: &[&'static str]) -> Query {
    Query { columns: Some(columns.to_vec()), ..Query::kind(kind) }
}
