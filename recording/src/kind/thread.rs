//! `thread`: what a thread is called.

use super::common::{Owner, cgroup_id, kind, pid, proc, tid, ts};
use super::field::{Field, RowField};
use super::waiting::{ByRow, Rowed};

/// A thread whose name is not that of its process, or that has changed its name: from here on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thread {
    /// End of the interval in which the name was first seen.
    pub ts_ns: i64,
    /// Of which process.
    pub owner: Owner,
    /// Which.
    pub tid: u32,
    /// Its name, at most 15 bytes.
    pub comm: String,
}

impl Rowed for Thread {
    const NAME: &'static str = "thread";
    const TABLE: &'static str = "threads";
    type Waiting = Vec<Self>;
}

impl ByRow for Thread {
    const FIELDS: &'static [RowField<Self>] = &[
        kind(),
        ts(),
        proc(|r| Some(r.owner.proc.0)),
        pid(|r| Some(r.owner.pid)),
        tid(|r| Some(r.tid)),
        cgroup_id(|r| r.owner.cgroup()),
        Field::text("comm", "", "its name", |r| Some(&r.comm)),
    ];

    fn ts_ns(&self) -> i64 {
        self.ts_ns
    }
}
