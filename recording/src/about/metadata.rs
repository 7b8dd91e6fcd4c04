//! What the footer says about a recording: one JSON object under [`METADATA_KEY`].
//!
//! Every field has a default, so a reader of a later minor format still reads an older file, and unknown fields are passed over.

use super::clock::ClockTable;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The newest recording format this crate writes, and the newest it reads.
pub const FORMAT_VERSION: u32 = 1;

/// Key of the metadata in the Parquet footer.
pub const METADATA_KEY: &str = "osd.recording";

/// The footer's JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// Format version of the file, [`FORMAT_VERSION`] when written by this crate.
    pub format_version: u32,
    /// Version of the osd that wrote it.
    pub osd_version: String,
    /// Random name of this recording, 32 hex digits. Derived files name it.
    pub recording_id: String,
    /// Where it was recorded.
    pub host: Host,
    /// What was recorded.
    pub target: Target,
    /// The recorder's own command line.
    pub command_line: Vec<String>,
    /// Wanted length of an interval; the true one is each row's `dur_ns`.
    pub interval_ns: u64,
    /// `events`, `tally` or `off`.
    pub syscalls: String,
    /// How long calls took was not recorded: `dur_ns` of `syscall` rows (whose `ts` is then when they returned), `total_ns`,
    /// `latency_log2` and `syscall_ns` are null.
    pub no_latency: bool,
    /// What was taken of stacks; `None`: none were asked for, or the recording was recovered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stacks: Option<StackTotals>,
    /// Probe families and how each was attached.
    pub families: Vec<Family>,
    /// Clock readings at start, every few seconds, and at the end.
    pub clock: ClockTable,
    /// First and last instant covered, UTC ns.
    pub started_ns: i64,
    /// See [`Metadata::started_ns`].
    pub ended_ns: i64,
    /// Rows written by kind.
    pub rows: BTreeMap<String, u64>,
    /// What was lost, summed over the recording; the `loss` rows locate it in time.
    pub losses: Vec<LossTotal>,
    /// Calls that threads were inside when it ended, by name: how many. They have not returned, so they have neither row nor tally.
    pub under_way: BTreeMap<String, u64>,
    /// What the recorder itself used.
    pub self_cost: SelfCost,
    /// What this recording cannot show, in words.
    pub blind_spots: Vec<String>,
    /// Closed properly. False or absent in a recovered one.
    pub complete: bool,
}

/// The machine a recording comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Host {
    /// Node name.
    pub hostname: String,
    /// `uname -r`.
    pub kernel: String,
    /// `x86_64` or `aarch64`.
    pub arch: String,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// Online processors.
    pub n_cpus: u32,
    /// Bytes in a page.
    pub page_bytes: u64,
    /// Physical memory.
    pub memory_bytes: u64,
}

/// What was asked to be recorded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Target {
    /// `-p`.
    pub pids: Vec<u32>,
    /// `-- CMD ...`.
    pub command: Vec<String>,
    /// Rules, such as `all`, `container web`, `user 1000`. What matched one later was taken in then.
    pub selection: Vec<String>,
    /// Children are recorded too.
    pub follow: bool,
    /// How the command ended: exit code, or 128 + signal.
    pub exit_code: Option<i32>,
}

/// One family of probes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Family {
    /// `syscalls`, `network`, `lifecycle`, `usage` ...
    pub name: String,
    /// How: `tp_btf`, `raw_tp`, `iter/task`, `/proc` or `off`.
    pub attach: String,
    /// Kernel objects it is attached to.
    pub probes: Vec<String>,
}

/// What was taken of stacks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StackTotals {
    /// How often a second the clock of a processor rings.
    pub hz: u32,
    /// Bytes of a program's stack that are looked at.
    pub stack_bytes: u32,
    /// Stacks taken.
    pub taken: u64,
    /// Of these, those that were followed to where their thread began.
    pub complete: u64,
}

/// Sum of one class of loss.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LossTotal {
    /// What was lost: `syscall`, `process`, `tally` ...
    pub stream: String,
    /// Why: `ring_full`, `map_full`, `truncated` ...
    pub reason: String,
    /// How many.
    pub count: u64,
}

/// What the recorder used of the host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SelfCost {
    /// CPU time of the recorder process, user and system.
    pub cpu_ns: u64,
    /// Largest resident set of the recorder.
    pub peak_rss_bytes: u64,
    /// Time inside BPF programs, where the kernel was asked to count it.
    pub bpf_ns: Option<u64>,
    /// Runs of BPF programs, likewise.
    pub bpf_runs: Option<u64>,
    /// How it kept to `--max-overhead`, if there was one.
    pub budget: Option<Budget>,
}

/// What recording cost while it ran, and what was given up to keep that within a share of the host's processor time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Budget {
    /// Share of the time of all processors that recording was allowed, 0..=1.
    pub max_overhead: f64,
    /// Share that it took: `own_ns` and `added_ns` by the length of the recording and the number of processors.
    pub overhead: f64,
    /// CPU time of the recorder between the first interval and the last.
    pub own_ns: u64,
    /// Time added to the calls of recorded processes: calls, which are exact, by `call_ns`.
    pub added_ns: u64,
    /// That by the CPU time that they used without it.
    pub slow_down: f64,
    /// What a call costs, measured when the recording began.
    pub call_ns: CallPrices,
    /// Time at each level of shedding; the first is none.
    pub level_ns: Vec<u64>,
    /// Time over the budget though nothing more could be shed.
    pub unmet_ns: u64,
    /// Share taken in that time: less is not to be had for this load.
    pub floor: Option<f64>,
}

/// Nanoseconds that recording adds to a system call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallPrices {
    /// That has a row.
    pub event: f64,
    /// That has a row with a path.
    pub path: f64,
    /// That is counted only.
    pub tally: f64,
}

impl Metadata {
    /// What was lost of `stream`, over all reasons.
    pub fn lost(&self, stream: &str) -> u64 {
        self.losses.iter().filter(|l| l.stream == stream).fold(0, |sum, l| sum.saturating_add(l.count))
    }

    /// Adds to the sum of its class.
    pub fn add_loss(&mut self, loss: &LossTotal) {
        match self.losses.iter_mut().find(|l| l.stream == loss.stream && l.reason == loss.reason) {
            Some(sum) => sum.count = sum.count.saturating_add(loss.count),
            None => self.losses.push(loss.clone()),
        }
    }
}
