//! What a caller says to a session, and what it hears of it.

use crate::error::{Error, Result};
use crate::output::rotation::Cut;
use crate::whom::selection::Selection;
use osd_recording::Closed;
use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Whom to record.
#[derive(Clone, Debug)]
pub enum What {
    /// Processes that run.
    Pids(Vec<u32>),
    /// A command to start.
    Command(Vec<OsString>),
}

/// How much of each system call to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syscalls {
    /// One row a call, and tallies.
    Events,
    /// Exact tallies only.
    Tally,
    /// Nothing.
    Off,
}

/// How stacks are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stacks {
    /// How often a second the clock of a processor rings, 1 to 1000.
    pub hz: u32,
    /// Bytes of a program's stack that are looked at, 1 KiB to 64 KiB.
    pub bytes: u32,
}

/// How to record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// BPF if this process may load programs, else `/proc`.
    #[default]
    Auto,
    /// BPF or nothing.
    Bpf,
    /// `/proc`: no system calls, no network, no short-lived processes.
    Proc,
}

/// How to attach, and with what rights.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// BPF or `/proc`.
    pub backend: Backend,
    /// Do not give up capabilities once everything is attached.
    pub keep_privileges: bool,
    /// Leave out what cannot be attached, instead of failing.
    pub best_effort: bool,
    /// What to behave without as if this kernel did not have it: families (`syscalls`, `files`, `network`, `flow`, `io_uring`, `life`, `usage`) and what ways to attach need
    /// (`btf`, `tp_btf`, `task_storage`, `held_tasks`); for tests.
    pub pretend_missing: Vec<String>,
}

impl Access {
    /// Whether the kernel is to be taken for one without `what`.
    pub(crate) fn lacks(&self, what: &str) -> bool {
        self.pretend_missing.iter().any(|m| m == what)
    }
}

/// What to record and how.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whom.
    pub what: What,
    /// Whom else, by rule.
    pub select: Option<Selection>,
    /// Where to.
    pub output: PathBuf,
    /// Replace an existing output.
    pub force: bool,
    /// Children too.
    pub follow: bool,
    /// Length of an interval.
    pub interval: Duration,
    /// Stop by itself after this.
    pub duration: Option<Duration>,
    /// How much of each system call.
    pub syscalls: Syscalls,
    /// How long each call takes.
    pub latency: bool,
    /// What descriptors are, and what is done with files; needs [`Syscalls::Events`].
    pub files: bool,
    /// The rows of calls are written, and not only used to make others.
    pub keep_calls: bool,
    /// Families of probes to leave out, of those that a recording can do without: `network`, `io_uring`, `capabilities`.
    pub without: Vec<String>,
    /// Bytes of the rings between kernel and recorder, all processors together: a power of two.
    pub ring_bytes: u32,
    /// Bytes of the ring of forks, execs and exits: a power of two.
    pub life_ring_bytes: u32,
    /// (process, call) pairs that can be counted at once.
    pub tally_entries: u32,
    /// Which stacks to take, if any.
    pub stacks: Option<Stacks>,
    /// Internet sockets one by one.
    pub flows: bool,
    /// (process, socket) pairs that can be counted at once; what more there are is counted together, by process.
    pub flow_entries: u32,
    /// Labels to put into the recording when it is closed.
    pub labels: Option<PathBuf>,
    /// Stands in for the kernel's BTF file in the preflight.
    pub btf: Option<PathBuf>,
    /// Most that recording may cost, as a share of the time of all processors, 0..=1; what does not fit is shed.
    pub max_overhead: Option<f64>,
    /// Signals that a command is to find ignored, as whoever started the recorder left them: a `nohup` is for the command too.
    pub ignored_signals: Vec<i32>,
    /// A command's recording goes on until every recorded process has ended, not only the command itself.
    pub wait_all: bool,
    /// How the recording is cut into files.
    pub cut: Cut,
    /// End it when it has this size.
    pub max_bytes: Option<u64>,
    /// How to attach, and with what rights.
    pub access: Access,
    /// For the metadata.
    pub command_line: Vec<String>,
    /// For the metadata.
    pub osd_version: String,
}

impl Config {
    /// Checks what can be checked without a look at the host.
    ///
    /// # Errors
    /// [`Error::Config`] for the first value that no session can have.
    pub fn check(&self) -> Result<ValidConfig<'_>> {
        let wrong = |problem: String, fix| Err(Error::Config { problem, fix });
        let nobody = match &self.what {
            What::Pids(pids) => pids.is_empty(),
            What::Command(command) => command.is_empty(),
        };
        match &self.select {
            Some(selection) if !selection.is_empty() => selection.check()?,
            _ if nobody => {
                return wrong(
                    "nothing to record".into(),
                    "name a process with -p PID, or a command after --, or everything by --all",
                );
            }
            _ => {}
        }
        match self.cut {
            Cut::Flight { last, .. } if last < SHORTEST_FILE => {
                return wrong("a flight recorder keeps a second at least".into(), "--last 10m");
            }
            Cut::Every { age: Some(age), .. } if age < SHORTEST_FILE => {
                return wrong("a file lasts a second at least".into(), "--rotate 10m");
            }
            _ => {}
        }
        if !INTERVALS.contains(&self.interval) {
            let interval = match self.interval {
                short if short < *INTERVALS.start() => format!("{:.1} ms", short.as_secs_f64() * 1e3),
                long => format!("{} min {:02} s", long.as_secs() / 60, long.as_secs() % 60),
            };
            return wrong(format!("an interval of {interval} is out of range"), "use 10ms to 1h");
        }
        if !self.ring_bytes.is_power_of_two() || self.ring_bytes < LEAST_RING_BYTES {
            let problem = format!("rings of {} MiB are not possible", self.ring_bytes >> 20);
            return wrong(problem, "use a power of two: 8, 16, 32");
        }
        if !self.life_ring_bytes.is_power_of_two() || self.life_ring_bytes < LEAST_LIFE_RING_BYTES {
            let problem = format!("a ring of life events of {} bytes is not possible", self.life_ring_bytes);
            return wrong(problem, "use a power of two of 4096 bytes at least");
        }
        if self.tally_entries == 0 {
            return wrong("tallies without entries are not possible".into(), "use 1 or more");
        }
        if self.stacks.is_some_and(|s| !(1..=1000).contains(&s.hz)) {
            return wrong("stacks are taken 1 to 1000 times a second".into(), "--stacks=49");
        }
        if self.stacks.is_some_and(|s| !(1024..=64 << 10).contains(&s.bytes)) {
            return wrong("of a stack 1 KiB to 64 KiB are looked at".into(), "--stack-size 16K");
        }
        if !FLOW_ENTRIES.contains(&self.flow_entries) {
            return wrong(format!("{} flows at once are not possible", self.flow_entries), "use 1 to 1048576");
        }
        if self.max_overhead.is_some_and(|share| !(share > 0.0 && share <= 1.0)) {
            return wrong("a budget is more than nothing and at most all processors".into(), "--max-overhead 1%");
        }
        Ok(ValidConfig(self))
    }

    /// Whether the recording of a command goes on while anything that it has started runs.
    pub(crate) fn outlives_command(&self) -> bool {
        self.wait_all || self.duration.is_some()
    }
}

/// What an interval may last.
const INTERVALS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(3600);
/// Shortest length of a file of a series, and of what a flight recorder keeps.
const SHORTEST_FILE: Duration = Duration::from_secs(1);
const LEAST_RING_BYTES: u32 = 1 << 20;
/// 192 bytes each, and taken at once.
const FLOW_ENTRIES: RangeInclusive<u32> = 1..=1 << 20;
/// A page.
const LEAST_LIFE_RING_BYTES: u32 = 4096;

/// A configuration that a session can have, on a host that allows it.
#[derive(Clone, Copy, Debug)]
pub struct ValidConfig<'a>(&'a Config);

impl std::ops::Deref for ValidConfig<'_> {
    type Target = Config;

    fn deref(&self) -> &Config {
        self.0
    }
}

/// The way to end a session from outside, e.g. from a signal handler.
#[derive(Clone, Debug, Default)]
pub struct Control {
    stop: Arc<AtomicBool>,
    trigger: Arc<AtomicBool>,
}

impl Control {
    /// Asks the session to close the recording and return. Async-signal-safe.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Asks a flight recorder to write its last minutes. Async-signal-safe.
    pub fn trigger(&self) {
        self.trigger.store(true, Ordering::Relaxed);
    }

    pub(crate) fn triggered(&self) -> bool {
        self.trigger.swap(false, Ordering::Relaxed)
    }
}

/// How it goes, about once a second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Status {
    /// Since the targets were marked.
    pub elapsed: Duration,
    /// Syscall events recorded.
    pub events: u64,
    /// Syscall events lost.
    pub lost: u64,
    /// Syscall events shed to keep to the budget.
    pub shed: u64,
    /// How the budget is kept, if there is one.
    pub overhead: Option<Overhead>,
    /// Bytes written.
    pub bytes: u64,
    /// Processes alive.
    pub processes: usize,
}

/// How a budget is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overhead {
    /// Share of the time of all processors that recording took in the last second, 0..=1.
    pub share: f64,
    /// Share that it may take.
    pub allowed: f64,
    /// Level of shedding: 0 nothing, 3 all that may be.
    pub level: u8,
    /// Over the budget though nothing more can be shed.
    pub unmet: bool,
}

/// A finished session.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The last file, or of a flight recorder those that were asked for.
    pub recordings: Vec<Closed>,
    /// How it ended.
    pub status: Status,
    /// How the command ended: its exit code, or 128 + the signal. `None` if it runs, or if there is none.
    pub exit_code: Option<i32>,
    /// Recorded processes that were alive when the recording ended, by PID and name.
    pub still_running: Vec<(u32, String)>,
    /// What was named and could not be recorded, in words.
    pub not_recorded: Vec<String>,
    /// Processes seen.
    pub n_processes: u64,
    /// It ended because the disk was full. What was recorded until then is in the file.
    pub disk_full: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config {
            what: What::Pids(vec![1]),
            select: None,
            output: "r.parquet".into(),
            force: false,
            follow: true,
            interval: Duration::from_millis(100),
            duration: None,
            syscalls: Syscalls::Events,
            latency: true,
            files: true,
            keep_calls: true,
            without: Vec::new(),
            ring_bytes: 8 << 20,
            life_ring_bytes: 4 << 20,
            tally_entries: 65_536,
            stacks: Some(Stacks { hz: 49, bytes: 16 << 10 }),
            flows: true,
            flow_entries: 16_384,
            labels: None,
            btf: None,
            max_overhead: Some(0.01),
            ignored_signals: Vec::new(),
            wait_all: false,
            cut: Cut::Not,
            max_bytes: None,
            access: Access::default(),
            command_line: Vec::new(),
            osd_version: String::new(),
        }
    }

    #[test]
    fn what_no_session_can_have_is_refused_with_a_way_to_mend_it() {
        assert!(config().check().is_ok());
        let refused = |change: &dyn Fn(&mut Config)| {
            let mut config = config();
            change(&mut config);
            let error = config.check().unwrap_err();
            assert!(error.hint().is_some_and(|hint| !hint.is_empty()), "{error}");
            error.to_string()
        };
        let second = Duration::from_secs(1);
        for (change, problem) in [
            (&|c| c.what = What::Pids(Vec::new()), "nothing to record"),
            (&|c| c.what = What::Command(Vec::new()), "nothing to record"),
            (&|c| c.interval = Duration::from_millis(5), "an interval of 5.0 ms is out of range"),
            (&|c| c.interval = Duration::from_secs(7200), "an interval of 120 min 00 s is out of range"),
            (&|c| c.ring_bytes = 3 << 20, "rings of 3 MiB are not possible"),
            (&|c| c.ring_bytes = 1 << 19, "rings of 0 MiB are not possible"),
            (&|c| c.life_ring_bytes = 5000, "a ring of life events of 5000 bytes is not possible"),
            (&|c| c.tally_entries = 0, "tallies without entries are not possible"),
            (&|c| c.stacks = Some(Stacks { hz: 0, bytes: 4096 }), "stacks are taken 1 to 1000 times a second"),
            (&|c| c.stacks = Some(Stacks { hz: 49, bytes: 100 }), "of a stack 1 KiB to 64 KiB are looked at"),
            (&|c| c.flow_entries = 0, "0 flows at once are not possible"),
            (&|c| c.max_overhead = Some(1.5), "a budget is more than nothing and at most all processors"),
            (
                &|c| c.cut = Cut::Flight { last: Duration::ZERO, after: Duration::ZERO },
                "a flight recorder keeps a second at least",
            ),
            (
                &|c| c.cut = Cut::Every { bytes: None, age: Some(Duration::ZERO), keep: None },
                "a file lasts a second at least",
            ),
        ] as [(&dyn Fn(&mut Config), &str); 14]
        {
            assert_eq!(refused(change), problem);
        }
        let longest = Config { interval: 3600 * second, cut: Cut::Flight { last: second, after: second }, ..config() };
        assert!(longest.check().is_ok());
    }
}
