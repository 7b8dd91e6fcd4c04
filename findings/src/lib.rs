//! The vocabulary of findings: what `osd analyze` writes as `findings.json` and what a report is
//! drawn from.
//!
//! Plain data, no behaviour, so that analysis and report meet in a file and in nothing else. `docs/findings.md` describes the JSON;
//! [`FINDINGS_VERSION`] changes when the meaning of a field does. Times are UTC nanoseconds, rates are per second.

mod clusters;
mod diff;
mod ratio;
mod relations;

pub use clusters::{CLUSTERS_VERSION, Clustered, Clusters, LabelTable, Member, RecordingGroup};
pub use diff::{
    About, Change, Condition, DIFF_VERSION, Diff, NoData, Only, PairedSeries, Side, SideRecording, Verdict,
};
pub use ratio::Ratio;
pub use relations::{
    Broken, BrokenBy, BrokenMetric, BrokenPair, Moved, PairGrid, RELATIONS_VERSION, RelatedMetric, RelatedPair,
    Relations, Transition,
};

use serde::{Deserialize, Serialize};

/// Version of the JSON.
pub const FINDINGS_VERSION: u32 = 1;

/// Everything found in one recording.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// [`FINDINGS_VERSION`].
    pub findings_version: u32,
    /// Where it comes from.
    pub recording: RecordingSummary,
    /// How it was found: every setting that changes the result.
    pub detector: DetectorSummary,
    /// The anomalies, in time order.
    pub windows: Vec<Window>,
    /// Windows that are alike, in the order of their first.
    #[serde(default)]
    pub groups: Vec<WindowGroup>,
    /// The metrics over the recording. The first five are the headline: CPU, memory, network in and out, syscalls.
    pub series: Vec<Series>,
    /// Where events were lost: exact counts, by interval.
    pub losses: Vec<LossSpan>,
    /// Syscall rates over time, busiest calls first.
    pub heatmap: Heatmap,
    /// Ground truth or marks that the recording holds.
    pub labels: Vec<LabelSpan>,
}

/// The recording a finding is about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RecordingSummary {
    /// Path as given.
    pub path: String,
    /// Its id.
    pub recording_id: String,
    /// Node name of the host.
    pub hostname: String,
    /// Kernel release.
    pub kernel: String,
    /// What was recorded, in words: the command line or the PIDs with their names.
    pub target: String,
    /// First instant.
    pub started_ns: i64,
    /// Last instant.
    pub ended_ns: i64,
    /// Wanted interval.
    pub interval_ns: u64,
    /// System calls counted in the kernel: exact.
    pub n_syscalls: u64,
    /// Of these, with an event row.
    pub n_syscall_events: u64,
    /// Of these, lost as events (still in the counts).
    pub n_lost: u64,
    /// Processes seen.
    pub n_processes: u64,
    /// What the recording cannot show, in words.
    pub blind_spots: Vec<String>,
}

/// How the windows were found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DetectorSummary {
    /// Name of the detector.
    pub name: String,
    /// How it read the recording: `live` (each moment by those before it), `whole` (also by what came after), or `baselines` (by other
    /// recordings).
    #[serde(default)]
    pub reading: String,
    /// The recordings that say what is usual, as given; none: the recording itself.
    #[serde(default)]
    pub baselines: Vec<String>,
    /// Why this detector, if the recording chose it.
    #[serde(default)]
    pub chosen_because: Option<String>,
    /// Stated rate of false windows per hour over all metrics together.
    pub false_alarms_per_hour: f64,
    /// Seconds at the start in which it learns and cannot alarm.
    pub warm_up_s: f64,
    /// Metrics it watched.
    pub metrics: Vec<String>,
    /// What to know when reading the result.
    pub notes: Vec<String>,
}

/// One metric over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Machine name: `cpu`, `rss`, `net_rx`, `net_tx`, `syscalls`, `runq` ...
    pub metric: String,
    /// Name for people: `CPU`.
    pub title: String,
    /// Unit of the values: `cores`, `bytes`, `bytes/s`, `calls/s` ...
    pub unit: String,
    /// Start of each point's interval.
    pub ts_ns: Vec<i64>,
    /// Value of each point; `None` is a gap.
    pub values: Vec<Option<f64>>,
}

/// Events lost in one span.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LossSpan {
    /// Start.
    pub ts_ns: i64,
    /// Length.
    pub dur_ns: u64,
    /// What was lost.
    pub stream: String,
    /// Why.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// Share of that stream's events in the span that were kept, 0..=1, where it is known.
    pub coverage: Option<f64>,
}

/// Rates of the busiest calls over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Heatmap {
    /// Edges of the time bins; one more than there are columns.
    pub edges_ns: Vec<i64>,
    /// One row a syscall.
    pub rows: Vec<HeatmapRow>,
}

/// One syscall over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HeatmapRow {
    /// Name of the call.
    pub syscall: String,
    /// Calls per second in each bin.
    pub per_s: Vec<f64>,
}

/// A named span: ground truth.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LabelSpan {
    /// Start.
    pub ts_ns: i64,
    /// Length.
    pub dur_ns: u64,
    /// Name.
    pub name: String,
    /// Note.
    pub note: String,
}

/// One anomaly.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// 1, 2, 3 ... in time order.
    pub id: u32,
    /// The [`WindowGroup`] that it is in; none if it is like no other.
    #[serde(default)]
    pub group: Option<u32>,
    /// Start.
    pub start_ns: i64,
    /// End.
    pub end_ns: i64,
    /// The metric that leads: the one that the pattern is about.
    pub metric: String,
    /// Every metric that deviates: the leading one, then the others, strongest first.
    pub metrics: Vec<MetricShift>,
    /// Strength of the strongest metric: its score over its threshold, > 1.
    pub severity: f64,
    /// Probability, by the detector's own tail model, that a window this strong is not noise; 0..=1. Less where most of the
    /// [`SecondLook`] disagree.
    pub confidence: f64,
    /// What the pattern looks like, as a short name: `fsync storm`, `CPU burn`, `memory growth` ...
    pub pattern: String,
    /// The sentence a person can act on.
    pub sentence: String,
    /// More sentences, ranked.
    pub details: Vec<String>,
    /// Calls whose rate differs, ranked by share of the excess.
    pub syscalls: Vec<SyscallShift>,
    /// Threads whose call rate differs, ranked by share of the excess.
    pub threads: Vec<ThreadShift>,
    /// Errors whose rate differs, ranked by share of the excess.
    pub errors: Vec<ErrorShift>,
    /// Processes first seen in the window, or seen only in it.
    pub new_processes: Vec<NewProcess>,
    /// The flows that moved most of what the window is about, or that had trouble.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flows: Vec<FlowShift>,
    /// First syscalls of the window's busiest thread.
    pub sequence: Vec<SequenceCall>,
    /// That thread, in words: `redis-server/1234`.
    pub sequence_thread: String,
    /// Of a fall: where the time went instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The threads that it is about, where no metric of the whole target shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleShift>,
    /// It is the first of several alike that come at equal distances; the others have no window of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recurs: Option<Recurrence>,
    /// The scenario of a library that it is; none if no library was asked, or none is near.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<Known>,
    /// Where the processor time went, function by function, beside the baseline; none where no stacks were taken, or the time did not rise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stacks: Option<StackShift>,
    /// What other detectors say of it; none where there is too little beside it that is normal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_look: Option<SecondLook>,
    /// Rate comparisons made, before correction for their number.
    pub hypotheses: u64,
    /// Seconds of baseline compared with.
    pub baseline_s: f64,
}

/// What outlier detectors that had no part in finding a window say of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SecondLook {
    /// Detectors to which it is stranger than 99 % of what is normal.
    pub agree: Vec<String>,
    /// The others.
    pub disagree: Vec<String>,
    /// Share of normal segments that are less strange, mean over detectors; 0..=1.
    pub rank: f64,
    /// Normal segments that it was compared with, and how long each is.
    pub normal: u64,
    /// Seconds.
    pub segment_s: f64,
    /// In words: how many of how many agree, and who of the fewer.
    pub text: String,
}

/// Threads of one program that bear one name, inside a window against the rest of the recording.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RoleShift {
    /// Name of their process.
    pub process: String,
    /// Their name, each number in it as `*`.
    pub name: String,
    /// How many of them were there before the window.
    pub n_threads: u64,
    /// What they did more or less of: waiting in `receives`, `reads`, `writes`, `flushes`, `connects` or `locks`; or `calls`.
    pub what: String,
    /// `s/s`: threads that wait, on average; or `calls/s`.
    pub unit: String,
    /// Mean outside; of calls that came at regular times, how many came then.
    pub before: f64,
    /// Mean inside; of calls that came at regular times, the most that came instead.
    pub during: f64,
}

/// Where threads were inside a window against its baseline, by stacks taken at a constant rate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StackShift {
    /// What they were taken for: `cpu`.
    pub event: String,
    /// Stacks in the window, and in the baseline.
    pub n_during: u64,
    /// See [`StackShift::n_during`].
    pub n_before: u64,
    /// Of those in the window, the share that was followed to where its thread began, 0..=1.
    pub complete: f64,
    /// Seconds a second that they stand for: in the baseline and in the window.
    pub before: f64,
    /// See [`StackShift::before`].
    pub during: f64,
    /// The function of a program that has the most of the rise; nothing of its own is said of the kernel, which it called.
    pub function: String,
    /// The file that it is in.
    pub module: String,
    /// Who called it, most of the time; empty if nobody did or it is not known.
    pub caller: String,
    /// The share of the rise that it has, 0..=1.
    pub share: f64,
    /// The stacks, those first that have most of either.
    pub stacks: Vec<StackRate>,
}

/// A stack inside a window against its baseline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StackRate {
    /// Functions, the outermost first, separated by `;`.
    pub frames: String,
    /// Seconds a second in the baseline.
    pub before: f64,
    /// Seconds a second in the window.
    pub during: f64,
}

/// Why a metric fell: what those who made it did with the time instead.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// `stopped`, `throttled`, `not run`, `waiting` or `computing`.
    pub kind: String,
    /// Share of the window's time that it explains, 0..=1.
    pub share: f64,
    /// In words, with who or what is behind it.
    pub text: String,
}

/// Windows alike that come at equal distances.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recurrence {
    /// Median distance of their beginnings.
    pub every_ns: i64,
    /// Beginnings and ends of all of them, the first included.
    pub spans_ns: Vec<(i64, i64)>,
}

/// A scenario that is known from before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// What people call it.
    pub name: String,
    /// The file that it is in.
    pub file: String,
    /// How close the window comes to it: the share of its most typical sequence that is the same, 0..=1.
    pub closeness: f64,
    /// The thread whose calls they are.
    pub thread: String,
    /// How often it was seen before.
    pub seen: u64,
}

/// Windows that are alike.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WindowGroup {
    /// 1, 2, 3 ... in the order of their first windows.
    pub id: u32,
    /// Ids of its windows: at least two, or one that recurs.
    pub windows: Vec<u32>,
    /// The one that is nearest to all others.
    pub exemplar: u32,
    /// The pattern that most of them have; empty if none is that of most.
    pub pattern: String,
    /// One sentence: how many, how often, which call and whose.
    pub sentence: String,
    /// Start of the first.
    pub first_ns: i64,
    /// End of the last.
    pub last_ns: i64,
    /// Seconds from one start to the next, if they come evenly.
    pub every_s: Option<f64>,
}

/// A metric inside a window against its baseline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricShift {
    /// Machine name.
    pub metric: String,
    /// Unit.
    pub unit: String,
    /// Median outside.
    pub before: f64,
    /// Median inside.
    pub during: f64,
    /// Most extreme value inside.
    pub peak: f64,
    /// Score over threshold.
    pub severity: f64,
}

/// A syscall inside a window against its baseline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SyscallShift {
    /// Name.
    pub syscall: String,
    /// Calls per second in the baseline.
    pub before_per_s: f64,
    /// Calls per second in the window.
    pub during_per_s: f64,
    /// The rate ratio with its 95 % interval.
    pub ratio: Ratio,
    /// Share of the window's whole excess of calls (or, if `by_time`, of time in calls); negative if the rate fell.
    pub share: f64,
    /// Ranked by time in the call, not by its rate.
    pub by_time: bool,
    /// Adjusted for the number of comparisons (Benjamini-Hochberg).
    pub q_value: f64,
    /// Errors per second in the baseline.
    pub errors_before_per_s: f64,
    /// Errors per second in the window.
    pub errors_during_per_s: f64,
    /// 99th percentile of duration in the baseline, ns.
    pub p99_before_ns: Option<f64>,
    /// 99th percentile of duration in the window, ns.
    pub p99_during_ns: Option<f64>,
    /// Seconds in the call per second, in the baseline; null if the recording has no latencies.
    pub time_before: Option<f64>,
    /// Seconds in the call per second, in the window; likewise.
    pub time_during: Option<f64>,
    /// The paths or file descriptors that make most of what `share` is about (calls or time beyond the usual), most first.
    pub objects: Vec<String>,
}

/// A thread inside a window against its baseline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ThreadShift {
    /// Process name.
    pub comm: String,
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// Calls per second in the baseline.
    pub before_per_s: f64,
    /// Calls per second in the window.
    pub during_per_s: f64,
    /// The rate ratio.
    pub ratio: Ratio,
    /// Share of the excess.
    pub share: f64,
    /// The call it made most in the window.
    pub top_syscall: String,
}

/// An error inside a window against its baseline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorShift {
    /// The call that failed.
    pub syscall: String,
    /// Symbolic name: `ENOENT`.
    pub errno: String,
    /// Per second in the baseline.
    pub before_per_s: f64,
    /// Per second in the window.
    pub during_per_s: f64,
    /// The rate ratio.
    pub ratio: Ratio,
    /// Share of the excess of errors.
    pub share: f64,
    /// The paths or file descriptors that the calls which failed so were on, most first.
    #[serde(default)]
    pub objects: Vec<String>,
}

/// A process that the window brought.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NewProcess {
    /// Name.
    pub comm: String,
    /// Program.
    pub exe: String,
    /// Arguments.
    pub argv: String,
    /// How many of this name and program.
    pub count: u64,
    /// PID of the first.
    pub first_pid: u32,
}

/// Sockets of one process that lead to one peer, or come from whomever to one of its ports, inside a window against its baseline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FlowShift {
    /// Whose: `redis-server/1234`.
    pub process: String,
    /// `tcp`, `udp`, or a number; empty: of sockets that were not told apart.
    pub protocol: String,
    /// It serves at `address`, a port of its own; otherwise that is the address and port of the peer.
    pub serves: bool,
    /// `10.0.0.9:5432`, `port 6379`.
    pub address: String,
    /// Sockets in the window.
    pub n_sockets: u64,
    /// Where its peers are, if it serves: three of them.
    pub peers: Vec<String>,
    /// How many there are.
    pub n_peers: u64,
    /// Sent in the window.
    pub tx_bytes: u64,
    /// Received in the window.
    pub rx_bytes: u64,
    /// Sent per second in the baseline.
    pub tx_before_per_s: f64,
    /// Received per second in the baseline.
    pub rx_before_per_s: f64,
    /// It sent more beyond the usual than it received.
    pub outgoing: bool,
    /// Share of what the process and all others moved that way beyond the usual, 0..=1.
    pub share: f64,
    /// Segments sent again.
    pub retransmits: u64,
    /// Resets sent.
    pub resets_sent: u64,
    /// Packets or connections for which there was no room.
    pub drops: u64,
    /// Connections that ended with an error.
    pub failed: Vec<FlowFailure>,
    /// Median round-trip time in the baseline, ns.
    pub rtt_before_ns: Option<f64>,
    /// In the window.
    pub rtt_ns: Option<f64>,
    /// Median time to connect in the baseline, ns.
    pub connect_before_ns: Option<f64>,
    /// In the window.
    pub connect_ns: Option<f64>,
    /// Most connections that waited to be accepted.
    pub backlog: u64,
    /// Most of them that there may be.
    pub backlog_max: u64,
    /// In words.
    pub text: String,
}

/// Connections that ended with one error.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FlowFailure {
    /// Symbolic name: `ECONNREFUSED`.
    pub errno: String,
    /// How many.
    pub count: u64,
}

/// One call of an exemplar sequence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SequenceCall {
    /// After the start of the window.
    pub offset_ns: i64,
    /// Name.
    pub syscall: String,
    /// Path or file descriptor, if any.
    pub object: String,
    /// Result: the value or the error's name.
    pub result: String,
    /// Duration, if the recording has it.
    pub dur_ns: Option<u64>,
    /// Equal calls in a row that this line stands for.
    pub repeats: u64,
}
