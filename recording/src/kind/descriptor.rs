//! `descriptor`: what a descriptor is.

use super::common::{Owner, cgroup_id, kind, pid, proc, ts};
use super::field::{Field, RowField};
use super::waiting::{ByRow, Rowed};

/// A descriptor that was open when the recording began, or became what it is by other means than a path in the row of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// From when on it is that; when it was looked at.
    pub ts_ns: i64,
    /// Whose.
    pub owner: Owner,
    /// Its number.
    pub fd: i32,
    /// The path of the file, as its process sees it, or what else it is, in words.
    pub path: String,
    /// As [`super::File::object_kind`]; none where only files are told.
    pub object_kind: Option<&'static str>,
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
        Field::text("path", "", "the file, or what else it is, in words", |r| Some(&r.path)),
        Field::text("object_kind", "", "what it is", |r| r.object_kind),
    ];

    fn ts_ns(&self) -> i64 {
        self.ts_ns
    }
}
