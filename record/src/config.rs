//! What a caller says to a session, and what it hears of it.

use crate::output::rotation::Cut;
use osd_recording::Closed;
use std::ffi::OsString;
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
    /// What to behave without as if this kernel did not have it: families (`syscalls`, `network`, `io_uring`, `life`, `usage`) and what ways to attach need
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
    /// Bytes of the rings between kernel and recorder, all processors together: a power of two.
    pub ring_bytes: u32,
    /// Bytes of the ring of forks, execs and exits: a power of two.
    pub life_ring_bytes: u32,
    /// (process, call) pairs that can be counted at once.
    pub tally_entries: u32,
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
    /// Whether the recording of a command goes on while anything that it has started runs.
    pub(crate) fn outlives_command(&self) -> bool {
        self.wait_all || self.duration.is_some()
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
