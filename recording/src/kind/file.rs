//! `file`: what a process did with one of the things it has open, in one interval.

use super::common::{Owner, cgroup_id, dur_ns, kind, pid, proc, ts};
use super::field::{Field, RowField};
use super::waiting::{ByRow, Rowed};

/// One process and one object in one interval. All of a process in an interval add up to its tallies of reads and writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    /// Start of the interval.
    pub ts_ns: i64,
    /// Its length.
    pub dur_ns: u64,
    /// Whose.
    pub owner: Owner,
    /// Calls counted here that failed.
    pub errors: u64,
    /// Time in the calls counted here.
    pub total_ns: u64,
    /// The file, or what else it is, in words; none of [`File::REST`] and [`File::NOT_ATTRIBUTED`].
    pub path: Option<String>,
    /// `file`, `directory`, `device`, `pipe`, `tcp`, `udp`, `unix`, `socket`, `memfd`, `epoll`, `eventfd`, `timerfd`, `signalfd`,
    /// `inotify`, `other`; or [`File::REST`], or [`File::NOT_ATTRIBUTED`].
    pub object_kind: &'static str,
    /// How many objects the row sums up.
    pub n_objects: Option<u64>,
    /// Opened by path.
    pub n_opens: u64,
    /// Calls that read from it.
    pub n_reads: u64,
    /// Calls that wrote to it.
    pub n_writes: u64,
    /// What those returned.
    pub bytes_read: u64,
    /// What those returned.
    pub bytes_written: u64,
    /// `fsync` and its kin.
    pub n_syncs: u64,
    /// Given another name.
    pub n_renames: u64,
    /// Its name taken away.
    pub n_unlinks: u64,
}

impl File {
    /// `object_kind` of the row that sums up the objects without a row of their own.
    pub const REST: &'static str = "rest";
    /// `object_kind` of the row that has the calls of which it is not known what they were on: lost, shed, or on an unknown descriptor.
    pub const NOT_ATTRIBUTED: &'static str = "not attributed";
}

impl Rowed for File {
    const NAME: &'static str = "file";
    const TABLE: &'static str = "files";
    type Waiting = Vec<Self>;
}

impl ByRow for File {
    const FIELDS: &'static [RowField<Self>] = &[
        kind(),
        ts(),
        dur_ns(|r| Some(r.dur_ns)),
        proc(|r| Some(r.owner.proc.0)),
        pid(|r| Some(r.owner.pid)),
        cgroup_id(|r| r.owner.cgroup()),
        Field::u64("errors", "calls", "of these with an error", |r| Some(r.errors)),
        Field::duration("total_ns", "ns", "time in the calls counted here", |r| Some(r.total_ns)),
        Field::text("path", "", "the file, or what else it is, in words", |r| r.path.as_deref()),
        Field::text("object_kind", "", "what it is", |r| Some(r.object_kind)),
        Field::u64("n_objects", "objects", "how many the row sums up", |r| r.n_objects),
        Field::u64("n_opens", "calls", "opened by path", |r| Some(r.n_opens)),
        Field::u64("n_reads", "calls", "that read from it", |r| Some(r.n_reads)),
        Field::u64("n_writes", "calls", "that wrote to it", |r| Some(r.n_writes)),
        Field::u64("bytes_read", "bytes", "what those returned", |r| Some(r.bytes_read)),
        Field::u64("bytes_written", "bytes", "what those returned", |r| Some(r.bytes_written)),
        Field::u64("n_syncs", "calls", "fsync and its kin", |r| Some(r.n_syncs)),
        Field::u64("n_renames", "calls", "that gave it another name", |r| Some(r.n_renames)),
        Field::u64("n_unlinks", "calls", "that took its name away", |r| Some(r.n_unlinks)),
    ];

    fn ts_ns(&self) -> i64 {
        self.ts_ns
    }
}
