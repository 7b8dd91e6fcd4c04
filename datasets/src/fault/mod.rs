//! The ten faults, and how one is named, timed and run.
//!
//! Each is bounded in time, gives back what it took, and paces itself rather than racing: at strength 1 it stands out
//! clearly and leaves a machine of two cores usable. Their threads have the names such code has in services, not the
//! faults' names: an explanation has to come from behaviour.

mod cpu_burn;
mod eagain_storm;
mod enoent_storm;
mod fd_leak;
mod fork_burst;
mod fsync_storm;
mod lock_contention;
mod memory_growth;
mod metadata_storm;
mod outgoing_transfer;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::Error;
use crate::args::parse_duration;
use crate::labels::{Label, now_utc_ns};
use crate::stop::Stop;

/// Strengths a fault may have; 0.5, 1 and 2 are meant as weak, medium and strong.
pub const STRENGTHS: std::ops::RangeInclusive<f64> = 0.05..=4.0;

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
}

impl Fault {
    /// All, in the order `--demo-faults` runs them.
    pub const ALL: [Self; 10] = [
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

/// A fault at a time: `NAME@START+LENGTH[xSTRENGTH]`, e.g. `cpu_burn@12s+5sx0.5`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaultSpec {
    /// Which.
    pub fault: Fault,
    /// When, from the moment the service is ready.
    pub start: Duration,
    /// For how long.
    pub length: Duration,
    /// How strong, 1 being medium; one of [`STRENGTHS`].
    pub strength: f64,
}

impl FaultSpec {
    /// When it is over, from the moment the service is ready.
    pub fn end(&self) -> Duration {
        self.start + self.length
    }

    /// All faults one after another at strength 1: the first at 20 s, each 5 s long, 9 s of quiet between.
    pub fn demo() -> Vec<Self> {
        const FIRST: Duration = Duration::from_secs(20);
        const LENGTH: Duration = Duration::from_secs(5);
        const QUIET: Duration = Duration::from_secs(9);
        let spec = |(fault, i)| Self { fault, start: FIRST + (LENGTH + QUIET) * i, length: LENGTH, strength: 1.0 };
        Fault::ALL.into_iter().zip(0..).map(spec).collect()
    }
}

impl FromStr for FaultSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str = "want NAME@START+LENGTH[xSTRENGTH], e.g. cpu_burn@12s+5s";
        let (name, times) = text.split_once('@').ok_or_else(|| format!("no `@`: {FORM}"))?;
        let (start, rest) = times.split_once('+').ok_or_else(|| format!("no `+`: {FORM}"))?;
        let (length, strength) = match rest.split_once('x') {
            Some((length, strength)) => {
                (length, strength.parse().map_err(|_| format!("`{strength}` is not a number"))?)
            }
            None => (rest, 1.0),
        };
        let spec =
            Self { fault: name.parse()?, start: parse_duration(start)?, length: parse_duration(length)?, strength };
        if !STRENGTHS.contains(&spec.strength) {
            return Err(format!("strength {strength} is not in {} to {}", STRENGTHS.start(), STRENGTHS.end()));
        }
        if spec.length.is_zero() {
            return Err("a fault of no length leaves nothing to find".into());
        }
        Ok(spec)
    }
}

/// Where, how strongly and until when a fault runs.
#[derive(Clone, Debug)]
pub struct Site {
    /// A folder to work in; it exists.
    pub folder: PathBuf,
    /// Files to look at; there is at least one.
    pub files: Vec<PathBuf>,
    /// Where `outgoing_transfer` sends to; `None` makes it fail.
    pub sink: Option<SocketAddr>,
    /// Descriptors the process may have open.
    pub open_files_limit: u64,
    /// See [`FaultSpec::strength`].
    pub strength: f64,
    /// When it began.
    pub start: Instant,
    /// When it is to end.
    pub end: Instant,
    /// Ends it earlier.
    pub stop: Stop,
}

impl Site {
    fn is_over(&self) -> bool {
        Instant::now() >= self.end || self.stop.is_set()
    }

    /// Does `op` about `per_s` times a second until it is over, in bursts every 10 ms. What cannot be done in time is
    /// left out and not made up for.
    fn pace(&self, per_s: f64, mut op: impl FnMut(u64) -> Result<(), Error>) -> Result<(), Error> {
        const TICK: Duration = Duration::from_millis(10);
        let owed_max = (per_s * 2.0 * TICK.as_secs_f64()).max(4.0);
        let (mut owed, mut n, mut then) = (0.0, 0, self.start);
        loop {
            let now = Instant::now();
            owed = (owed + per_s * (now - then).as_secs_f64()).min(owed_max);
            then = now;
            while owed >= 1.0 && !self.is_over() {
                op(n)?;
                n += 1;
                owed -= 1.0;
            }
            if !self.stop.sleep_until((now + TICK).min(self.end)) || Instant::now() >= self.end {
                return Ok(());
            }
        }
    }
}

/// What a fault has done so far, in its [`Fault::unit`].
#[derive(Debug)]
struct Done(u64);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Fault, FaultSpec};

    fn check(text: &str, expected: &str) {
        let parsed = text.parse::<FaultSpec>().map_or_else(
            |error| format!("error: {error}"),
            |spec| format!("{} from {:?} for {:?} x {}", spec.fault, spec.start, spec.length, spec.strength),
        );
        assert_eq!(parsed, expected, "{text}");
    }

    #[test]
    fn fault_spec_is_name_start_length_strength() {
        check("cpu_burn@12s+5s", "cpu_burn from 12s for 5s x 1");
        check("fsync_storm@500ms+1.5sx0.5", "fsync_storm from 500ms for 1.5s x 0.5");
        check("fd_leak@2m+1mx2", "fd_leak from 120s for 60s x 2");
        check("fork_burst@0s+1s", "fork_burst from 0ns for 1s x 1");
    }

    #[test]
    fn bad_fault_spec_says_what_is_wrong() {
        check("cpu_burn", "error: no `@`: want NAME@START+LENGTH[xSTRENGTH], e.g. cpu_burn@12s+5s");
        check("cpu_burn@12s", "error: no `+`: want NAME@START+LENGTH[xSTRENGTH], e.g. cpu_burn@12s+5s");
        check("cpu_burn@12s+5sxbig", "error: `big` is not a number");
        check("cpu_burn@12s+5sx9", "error: strength 9 is not in 0.05 to 4");
        check("cpu_burn@12s+5sxnan", "error: strength NaN is not in 0.05 to 4");
        check("cpu_burn@12s+0s", "error: a fault of no length leaves nothing to find");
        check("cpu_burn@12+5s", "error: `12` is not a time: want a number and ms, s, m or h, e.g. 10s");
        check(
            "gpu_burn@12s+5s",
            "error: no fault is called `gpu_burn`; there are cpu_burn, memory_growth, outgoing_transfer, fsync_storm, \
             metadata_storm, lock_contention, fd_leak, fork_burst, enoent_storm, eagain_storm",
        );
    }

    #[test]
    fn demo_runs_every_fault_once_with_quiet_between() {
        let demo = FaultSpec::demo();
        assert_eq!(demo.iter().map(|spec| spec.fault).collect::<Vec<_>>(), Fault::ALL);
        assert_eq!(demo[0].start, Duration::from_secs(20));
        for pair in demo.windows(2) {
            assert_eq!(pair[1].start - pair[0].end(), Duration::from_secs(9));
        }
    }

    #[test]
    fn thread_names_fit_the_kernel() {
        for fault in Fault::ALL {
            assert!(fault.thread().len() <= 15, "{fault}");
        }
    }
}
