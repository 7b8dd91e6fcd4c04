//! `tally`: one (process, system call) in one interval.

use super::common::{Owner, cgroup_id, dur_ns, kind, pid, proc, ts};
use super::field::{Field, RowField};
use super::waiting::{ByRow, Rowed};
use crate::column::NO_DURATION;

/// One (process, syscall) in one interval, counted in the kernel and exact whatever was shed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Start of the interval.
    pub ts_ns: i64,
    /// Length of the interval.
    pub dur_ns: u64,
    /// Whose.
    pub owner: Owner,
    /// System call number on the recorded architecture, see [`crate::syscall::Arch::syscall_label`]; the file holds its name.
    pub nr: u16,
    /// Calls that returned in the interval.
    pub count: u64,
    /// Of these, with an error.
    pub errors: u64,
    /// Sum of their durations, or [`NO_DURATION`]: then `latency_log2` is null too.
    pub total_ns: u64,
    /// Bucket `i` counts durations in `[2^i, 2^(i+1))` ns, bucket 0 those below 2 ns; trailing zeros cut. Sums to `count`.
    pub latency_log2: Vec<u64>,
}

impl Rowed for Tally {
    const NAME: &'static str = "tally";
    const TABLE: &'static str = "tallies";
    type Waiting = Vec<Self>;
}

impl ByRow for Tally {
    const FIELDS: &'static [RowField<Self>] = &[
        kind(),
        ts(),
        dur_ns(|r| Some(r.dur_ns)),
        proc(|r| Some(r.owner.proc.0)),
        pid(|r| Some(r.owner.pid)),
        cgroup_id(|r| r.owner.cgroup()),
        Field::call("syscall", "", "name of the system call", |r| r.nr),
        Field::u64("count", "calls", "that returned in the interval", |r| Some(r.count)),
        Field::u64("errors", "calls", "of these, with an error", |r| Some(r.errors)),
        Field::duration("total_ns", "ns", "sum of their durations", |r| r.is_measured().then_some(r.total_ns)),
        Field::histogram("latency_log2", "calls", "bucket i counts durations in [2^i, 2^(i+1)) ns", |r| {
            r.is_measured().then_some(&r.latency_log2)
        }),
    ];

    fn ts_ns(&self) -> i64 {
        self.ts_ns
    }
}

impl Tally {
    fn is_measured(&self) -> bool {
        self.total_ns != NO_DURATION
    }
}
