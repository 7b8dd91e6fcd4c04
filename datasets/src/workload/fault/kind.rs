//! The faults by name: what each does, in which threads, and how it is run and labelled.

use std::fmt;
use std::str::FromStr;
use std::time::Instant;

use super::site::{Done, Site};
use super::{
    cpu_burn, eagain_storm, enoent_storm, fd_leak, fork_burst, fsync_storm, lock_contention, memory_growth,
    metadata_storm, missed_job, outgoing_transfer, slow_leak, slow_peer, stall,
};
use crate::workload::Error;
use crate::workload::labels::{Label, now_utc_ns};

/// A way to misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Computes, without system calls.
    CpuBurn,
    /// Takes memory and uses it, more and more.
    MemoryGrowth,
    /// Sends bytes to another process.
    OutgoingTransfer,
    /// Writes small blocks and forces each to the disk.
    FsyncStorm,
    /// Looks up, opens and closes files without reading them.
    MetadataStorm,
    /// Has many threads wait for one lock.
    LockContention,
    /// Opens files and sockets and does not close them.
    FdLeak,
    /// Starts short-lived processes.
    ForkBurst,
    /// Opens files that do not exist.
    EnoentStorm,
    /// Reads a socket that has nothing, without waiting.
    EagainStorm,
    /// Keeps a little more memory all the time.
    SlowLeak,
    /// Holds what every request needs.
    Stall,
    /// Waits longer for its dependency, at the same rate.
    SlowPeer,
    /// Does not do what it does every two seconds.
    MissedJob,
}

impl Fault {
    /// Those that `--demo-faults` runs, in its order.
    pub const DEMO: [Self; 10] = [
        Self::CpuBurn,
        Self::MemoryGrowth,
        Self::OutgoingTransfer,
        Self::FsyncStorm,
        Self::MetadataStorm,
        Self::LockContention,
        Self::FdLeak,
        Self::ForkBurst,
        Self::EnoentStorm,
        Self::EagainStorm,
    ];
    /// All.
    pub const ALL: [Self; 14] = [
        Self::CpuBurn,
        Self::MemoryGrowth,
        Self::OutgoingTransfer,
        Self::FsyncStorm,
        Self::MetadataStorm,
        Self::LockContention,
        Self::FdLeak,
        Self::ForkBurst,
        Self::EnoentStorm,
        Self::EagainStorm,
        Self::SlowLeak,
        Self::Stall,
        Self::SlowPeer,
        Self::MissedJob,
    ];

    /// The name, as in `--fault` and in labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::CpuBurn => "cpu_burn",
            Self::MemoryGrowth => "memory_growth",
            Self::OutgoingTransfer => "outgoing_transfer",
            Self::FsyncStorm => "fsync_storm",
            Self::MetadataStorm => "metadata_storm",
            Self::LockContention => "lock_contention",
            Self::FdLeak => "fd_leak",
            Self::ForkBurst => "fork_burst",
            Self::EnoentStorm => "enoent_storm",
            Self::EagainStorm => "eagain_storm",
            Self::SlowLeak => "slow_leak",
            Self::Stall => "stall",
            Self::SlowPeer => "slow_peer",
            Self::MissedJob => "missed_job",
        }
    }

    /// What it does at strength 1, in a few words.
    pub fn summary(self) -> &'static str {
        match self {
            Self::CpuBurn => "0.8 of a core of arithmetic, no system calls",
            Self::MemoryGrowth => "+256 MiB touched by the end of the window, then freed",
            Self::OutgoingTransfer => "64 MiB/s over loopback to another process",
            Self::FsyncStorm => "4 KiB write + fsync, up to 500 a second",
            Self::MetadataStorm => "15000 stat, open and close calls a second",
            Self::LockContention => "8 threads fighting for one mutex",
            Self::FdLeak => "100 files and sockets a second opened and kept",
            Self::ForkBurst => "60 processes a second of /bin/true",
            Self::EnoentStorm => "5000 opens a second of missing files",
            Self::EagainStorm => "20000 non-blocking reads a second of a silent socket",
            Self::SlowLeak => "2 MiB/s kept, a little all the time; then freed",
            Self::Stall => "a lock that every request needs, held for 95 of every 100 ms",
            Self::SlowPeer => "a dependency that answers in 80 ms instead of 1",
            Self::MissedJob => "the sweep of every two seconds is not made",
        }
    }

    /// The threads that do it, as a recorder shows them.
    pub fn thread(self) -> &'static str {
        match self {
            Self::CpuBurn => "rehash",
            Self::MemoryGrowth => "ingest",
            Self::OutgoingTransfer => "export",
            Self::FsyncStorm => "journal",
            Self::MetadataStorm => "indexer",
            Self::LockContention => "pool",
            Self::FdLeak => "sessions",
            Self::ForkBurst => "hooks",
            Self::EnoentStorm => "resolver",
            Self::EagainStorm => "poller",
            Self::SlowLeak => "buffers",
            Self::Stall => "janitor",
            Self::SlowPeer => "monitor",
            Self::MissedJob => "scheduler",
        }
    }

    /// What a label's note counts.
    pub fn unit(self) -> &'static str {
        match self {
            Self::CpuBurn => "cpu_ms",
            Self::MemoryGrowth | Self::OutgoingTransfer => "mib",
            Self::FsyncStorm => "fsyncs",
            Self::MetadataStorm | Self::EnoentStorm | Self::EagainStorm => "calls",
            Self::LockContention => "holds",
            Self::FdLeak => "fds",
            Self::ForkBurst => "children",
            Self::SlowLeak => "kib",
            Self::Stall => "held_ms",
            Self::SlowPeer => "answers",
            Self::MissedJob => "missed",
        }
    }

    /// Runs it until `site` says it is over and gives its label. What it took has been given back by then.
    ///
    /// On an error the label covers what was done and says so; the error comes beside it.
    pub fn run(self, site: &Site) -> (Label, Result<(), Error>) {
        let start_ns = now_utc_ns();
        let started = Instant::now();
        let mut done = Done(0);
        let result = match self {
            Self::CpuBurn => cpu_burn::run(site, &mut done),
            Self::MemoryGrowth => memory_growth::run(site, &mut done),
            Self::OutgoingTransfer => outgoing_transfer::run(site, &mut done),
            Self::FsyncStorm => fsync_storm::run(site, &mut done),
            Self::MetadataStorm => metadata_storm::run(site, &mut done),
            Self::LockContention => lock_contention::run(site, &mut done),
            Self::FdLeak => fd_leak::run(site, &mut done),
            Self::ForkBurst => fork_burst::run(site, &mut done),
            Self::EnoentStorm => enoent_storm::run(site, &mut done),
            Self::EagainStorm => eagain_storm::run(site, &mut done),
            Self::SlowLeak => slow_leak::run(site, &mut done),
            Self::Stall => stall::run(site, &mut done),
            Self::SlowPeer => slow_peer::run(site, &mut done),
            Self::MissedJob => missed_job::run(site, &mut done),
        };
        let seconds = started.elapsed().as_secs_f64();
        let end_ns = now_utc_ns();
        let rate = if seconds > 0.0 { done.0 as f64 / seconds } else { 0.0 };
        let mut note = format!("strength={} {}={} rate={rate:.0}/s", site.strength, self.unit(), done.0);
        if let Err(error) = &result {
            note.push_str(&format!(" failed: {error}"));
        } else if site.stop.is_set() {
            note.push_str(" cut short");
        }
        (Label { name: self.name().into(), start_ns, end_ns, note }, result)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|fault| fault.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("no fault is called `{text}`; there are {names}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Fault;

    #[test]
    fn thread_names_fit_the_kernel() {
        for fault in Fault::ALL {
            assert!(fault.thread().len() <= 15, "{fault}");
        }
    }
}
