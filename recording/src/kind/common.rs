//! The columns that rows of several kinds have, and whose a row is.

use super::field::{About, Field, RowField};
use super::waiting::{ByRow, Rowed};
use crate::about::ProcId;
use crate::column::Type;

/// The process a row belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Stable identity.
    pub proc: ProcId,
    /// Thread group id, the "PID" of `ps`, in the initial namespace.
    pub pid: u32,
    /// Inode of the cgroup (v2) it was in; 0 if unknown.
    pub cgroup_id: u64,
}

const fn about(name: &'static str, ty: Type, unit: &'static str, doc: &'static str) -> About {
    About { name, ty, unit, doc }
}

pub(super) const KIND: About = about("kind", Type::Text, "", "what the row is");
pub(super) const TS: About = about("ts", Type::Time, "", "start of what the row is about");
pub(super) const DUR_NS: About = about("dur_ns", Type::Duration, "ns", "its length");
pub(super) const PROC: About = about("proc", Type::U64, "", "stable identity of the process");
pub(super) const PID: About = about("pid", Type::U32, "", "thread group id in the initial PID namespace");
pub(super) const TID: About = about("tid", Type::U32, "", "thread");
pub(super) const CGROUP_ID: About = about("cgroup_id", Type::U64, "", "inode of its cgroup (v2); null if unknown");

/// These come first in a file, in this order.
pub(super) const FIRST: [About; 7] = [KIND, TS, DUR_NS, PROC, PID, TID, CGROUP_ID];

pub(super) const fn kind<R: ByRow>() -> RowField<R> {
    Field::text(KIND.name, KIND.unit, KIND.doc, name::<R>)
}

fn name<R: Rowed>(_: &R) -> Option<&str> {
    Some(R::NAME)
}

pub(super) const fn ts<R: ByRow>() -> RowField<R> {
    Field::time(TS.name, TS.unit, TS.doc, R::ts_ns)
}

pub(super) const fn dur_ns<R>(get: fn(&R) -> Option<u64>) -> RowField<R> {
    Field::duration(DUR_NS.name, DUR_NS.unit, DUR_NS.doc, get)
}

pub(super) const fn proc<R>(get: fn(&R) -> Option<u64>) -> RowField<R> {
    Field::u64(PROC.name, PROC.unit, PROC.doc, get)
}

pub(super) const fn pid<R>(get: fn(&R) -> Option<u32>) -> RowField<R> {
    Field::u32(PID.name, PID.unit, PID.doc, get)
}

pub(super) const fn tid<R>(get: fn(&R) -> Option<u32>) -> RowField<R> {
    Field::u32(TID.name, TID.unit, TID.doc, get)
}

pub(super) const fn cgroup_id<R>(get: fn(&R) -> Option<u64>) -> RowField<R> {
    Field::u64(CGROUP_ID.name, CGROUP_ID.unit, CGROUP_ID.doc, get)
}

impl Owner {
    /// For the column `cgroup_id`.
    pub(super) fn cgroup(&self) -> Option<u64> {
        Some(self.cgroup_id).filter(|id| *id != 0)
    }
}
