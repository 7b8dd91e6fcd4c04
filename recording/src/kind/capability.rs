//! `capability`: a process was asked for a capability.

use super::common::{Owner, cgroup_id, kind, pid, proc, tid, ts};
use super::field::{Field, RowField};
use super::waiting::{ByRow, Rowed};
use crate::syscall::capability_name;

/// The first time that a process was asked for a capability in a system call, for each answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capability {
    /// When.
    pub ts_ns: i64,
    /// Who.
    pub owner: Owner,
    /// The thread.
    pub tid: u32,
    /// The call that it was in, as in [`super::Tally::nr`]; unknown where how long calls take is not recorded.
    pub nr: u16,
    /// Its number, see [`capability_name`].
    pub number: u32,
    /// It did not have it.
    pub refused: bool,
}

impl Rowed for Capability {
    const NAME: &'static str = "capability";
    const TABLE: &'static str = "capabilities";
    type Waiting = Vec<Self>;
}

impl ByRow for Capability {
    const FIELDS: &'static [RowField<Self>] = &[
        kind(),
        ts(),
        proc(|r| Some(r.owner.proc.0)),
        pid(|r| Some(r.owner.pid)),
        tid(|r| Some(r.tid)),
        cgroup_id(|r| r.owner.cgroup()),
        Field::call("syscall", "", "name of the system call", |r| r.nr),
        Field::text("capability", "", "the capability that it was asked for", |r| Some(capability_name(r.number))),
        Field::text("answer", "", "granted or refused", |r| Some(if r.refused { "refused" } else { "granted" })),
    ];

    fn ts_ns(&self) -> i64 {
        self.ts_ns
    }
}
