//! `process`: one event in the life of a process.

use super::common::{Owner, cgroup_id, kind, pid, proc, tid, ts};
use super::field::{Field, RowField};
use super::waiting::{ByRow, Rowed};
use crate::about::ProcId;

/// What happened in the life of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessEvent {
    /// It was there when the recording began.
    Running,
    /// It was forked (or cloned as a process).
    Fork,
    /// It replaced its program.
    Exec,
    /// Its last thread ended.
    Exit,
}

impl ProcessEvent {
    /// The text in the `event` column.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Fork => "fork",
            Self::Exec => "exec",
            Self::Exit => "exit",
        }
    }
}

/// One event in the life of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// When.
    pub ts_ns: i64,
    /// Who.
    pub owner: Owner,
    /// The thread that did it.
    pub tid: u32,
    /// What.
    pub event: ProcessEvent,
    /// PID of the parent.
    pub ppid: u32,
    /// Identity of the parent, if it is known.
    pub parent: Option<ProcId>,
    /// Name of the main thread, at most 15 bytes.
    pub comm: String,
    /// Path of the program, if known.
    pub exe: Option<String>,
    /// Arguments, shell-quoted, joined by spaces; may be cut.
    pub argv: Option<String>,
    /// Real user id.
    pub uid: u32,
    /// What it passed to `exit`; for [`ProcessEvent::Exit`] without a signal.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub exit_signal: Option<i32>,
    /// When it was started.
    pub start_ts_ns: i64,
    /// Its PID in the innermost PID namespace it is in.
    pub ns_pid: Option<u32>,
    /// Inode of that namespace, as in `/proc/PID/ns/pid`.
    pub pid_ns: Option<u32>,
}

impl Rowed for Process {
    const NAME: &'static str = "process";
    const TABLE: &'static str = "processes";
    type Waiting = Vec<Self>;
}

impl ByRow for Process {
    const FIELDS: &'static [RowField<Self>] = &[
        kind(),
        ts(),
        proc(|r| Some(r.owner.proc.0)),
        pid(|r| Some(r.owner.pid)),
        tid(|r| Some(r.tid)),
        cgroup_id(|r| r.owner.cgroup()),
        Field::text("event", "", "running, fork, exec or exit", |r| Some(r.event.name())),
        Field::u32("ppid", "", "PID of the parent", |r| Some(r.ppid)),
        Field::u64("parent", "", "identity of its first parent", |r| r.parent.map(|p| p.0)),
        Field::text("comm", "", "name of the main thread", |r| Some(&r.comm)),
        Field::text("exe", "", "path of the program", |r| r.exe.as_deref()),
        Field::text("argv", "", "arguments, shell-quoted, joined by spaces", |r| r.argv.as_deref()),
        Field::u32("uid", "", "real user id", |r| Some(r.uid)),
        Field::i32("exit_code", "", "the status that it ended with", |r| r.exit_code),
        Field::i32("exit_signal", "", "the signal that ended it", |r| r.exit_signal),
        Field::time("start_ts", "", "when it was started", |r| r.start_ts_ns),
        Field::u32("ns_pid", "", "its PID in the innermost PID namespace", |r| r.ns_pid),
        Field::u32("pid_ns", "", "inode of that namespace", |r| r.pid_ns),
    ];

    fn ts_ns(&self) -> i64 {
        self.ts_ns
    }
}
