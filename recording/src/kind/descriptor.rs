//! `descriptor`: what a descriptor was when the recording began.

use super::common::{Owner, cgroup_id, kind, pid, proc, ts};
use super::field::{Field, RowField};
use super::waiting::{ByRow, Rowed};

/// A descriptor of a process that was already running. What is opened later is in the row of the call that opened it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// When it was looked at.
    pub ts_ns: i64,
    /// Whose.
    pub owner: Owner,
    /// Its number.
    pub fd: i32,
    /// The path that it was opened by, as the kernel shows it.
    pub path: String,
}

impl Rowed for Descriptor {
    const NAME: &'static str = "descriptor";
    const TABLE: &'static str = "descriptors";
    type Waiting = Vec<Self>;
}

impl ByRow for Descriptor {
    const FIELDS: &'static [RowField<Self>] = &[
        kind(),
        ts(),
        proc(|r| Some(r.owner.proc.0)),
        pid(|r| Some(r.owner.pid)),
        cgroup_id(|r| r.owner.cgroup()),
        Field::i32("fd", "", "its number", |r| Some(r.fd)),
        Field::text("path", "", "the file", |r| Some(&r.path)),
    ];

    fn ts_ns(&self) -> i64 {
        self.ts_ns
    }
}
