//! `neighbour`: a process that is not recorded and ran while recorded ones waited for a processor.

use super::common::{dur_ns, kind, ts};
use super::field::{Field, RowField};
use super::waiting::{ByRow, Rowed};

/// One such process in one stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Neighbour {
    /// Start of that time.
    pub ts_ns: i64,
    /// Its length.
    pub dur_ns: u64,
    /// Its PID.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// Time on a processor, all threads.
    pub cpu_ns: u64,
}

impl Rowed for Neighbour {
    const NAME: &'static str = "neighbour";
    const TABLE: &'static str = "neighbours";
    type Waiting = Vec<Self>;
}

impl ByRow for Neighbour {
    const FIELDS: &'static [RowField<Self>] = &[
        kind(),
        ts(),
        dur_ns(|r| Some(r.dur_ns)),
        Field::u32("pid", "", "its PID", |r| Some(r.pid)),
        Field::u64("cpu_ns", "ns", "time on a processor, all threads", |r| Some(r.cpu_ns)),
        Field::text("comm", "", "name of the main thread", |r| Some(&r.comm)),
    ];

    fn ts_ns(&self) -> i64 {
        self.ts_ns
    }
}
