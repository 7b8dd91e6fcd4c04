//! One bin of the table, when it is over.

use super::counted::Counted;

/// A thread, by the identity of its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Thread {
    /// Identity of its process.
    pub proc: u64,
    /// Its number.
    pub tid: u32,
}

/// Calls of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct CallSum {
    /// As in the recording.
    pub name: String,
    /// Calls that returned.
    pub count: f64,
    /// Of these, with an error.
    pub errors: f64,
    /// Time in them, ns.
    pub time_ns: f64,
}

/// What a process used.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessSum {
    /// Its identity.
    pub proc: u64,
    /// Its PID.
    pub pid: u32,
    /// What it was called.
    pub comm: String,
    /// Time on processors, ns.
    pub cpu_ns: f64,
}

/// One bin.
#[derive(Clone, Debug)]
pub struct Bin {
    /// Its number since the beginning of the recording.
    pub number: i64,
    /// When it begins, UTC ns.
    pub start_ns: i64,
    /// When it ends.
    pub end_ns: i64,
    /// Whether it is the first after a time that nobody could judge: what was learnt before does not count.
    pub fresh: bool,
    /// Values by metric, in the order of the metrics and in their units; `None` in a gap, and where the recording does not have it.
    pub values: Vec<Option<f64>>,
    /// The same as models see it: levels are means over the bin, and nothing is made up for what samples do not cover.
    pub for_models: Vec<Option<f64>>,
    /// Share of it that samples cover.
    pub covered: f64,
    /// Something that is counted is missing in it.
    pub lossy: bool,
    /// By name.
    pub calls: Vec<CallSum>,
    /// Those that used most, first.
    pub processes: Vec<ProcessSum>,
    /// Calls of each thread that have a row.
    pub threads: Counted<Thread>,
    /// Calls that named a file and have a row, by the file.
    pub files: Counted<String>,
}
