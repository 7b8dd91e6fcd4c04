//! `cgroup`: the limits of a control group that recorded processes are in, and what they came to in
//! one interval.

use super::common::{dur_ns, kind, ts};
use super::field::{Field, RowField};
use super::waiting::{ByRow, Rowed};

/// A control group in one interval. `None`: it has no such limit, or the kernel does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cgroup {
    /// Start of the interval.
    pub ts_ns: i64,
    /// Length of the interval.
    pub dur_ns: u64,
    /// Its path below the root of its hierarchy.
    pub cgroup_path: String,
    /// Processor time that all in it may have in a period.
    pub cpu_quota_ns: Option<u64>,
    /// Length of that period.
    pub cpu_period_ns: Option<u64>,
    /// Periods that ended in the interval, while it ran.
    pub n_periods: Option<u64>,
    /// Of these, in which the quota ran out.
    pub n_throttled: Option<u64>,
    /// Time for which its threads were kept from running, added up over processors.
    pub throttled_ns: Option<u64>,
    /// Memory charged to it, at the end: what is shared counts once.
    pub cgroup_memory_bytes: Option<u64>,
    /// Most that it may have.
    pub cgroup_memory_max_bytes: Option<u64>,
    /// Processes that the kernel killed for want of memory.
    pub n_oom_kills: Option<u64>,
}

impl Rowed for Cgroup {
    const NAME: &'static str = "cgroup";
    const TABLE: &'static str = "cgroups";
    type Waiting = Vec<Self>;
}

impl ByRow for Cgroup {
    const FIELDS: &'static [RowField<Self>] = &[
        kind(),
        ts(),
        dur_ns(|r| Some(r.dur_ns)),
        Field::text("cgroup_path", "", "path of the control group", |r| Some(&r.cgroup_path)),
        Field::u64("cpu_quota_ns", "ns", "processor time that it may have in a period", |r| r.cpu_quota_ns),
        Field::u64("cpu_period_ns", "ns", "length of that period", |r| r.cpu_period_ns),
        Field::u64("n_periods", "periods", "periods that ended while it ran", |r| r.n_periods),
        Field::u64("n_throttled", "periods", "of these, in which the quota ran out", |r| r.n_throttled),
        Field::u64("throttled_ns", "ns", "time for which it was kept from running, all processors", |r| r.throttled_ns),
        Field::u64(
            "cgroup_memory_bytes",
            "bytes",
            "memory charged to it, at the end; what is shared counts once",
            |r| r.cgroup_memory_bytes,
        ),
        Field::u64("cgroup_memory_max_bytes", "bytes", "most that it may have", |r| r.cgroup_memory_max_bytes),
        Field::u64("n_oom_kills", "processes", "killed for want of memory", |r| r.n_oom_kills),
    ];

    fn ts_ns(&self) -> i64 {
        self.ts_ns
    }
}
