//! Patterns: what a window looks like, decided by which metrics and calls have the excess.
//!
//! The order is the rule. What fell first or changed slowly is told before what rose; what names one cause for sure comes first (processes
//! that start, flushes), what many causes
//! share comes last (calls, CPU). Each share below was set by hand on the ten faults of the labelled workload, so that each gets
//! its own name and none of the others takes it: test `live::every_fault_of_the_demo_is_found_and_named`.

use osd_detect::Shape;
use osd_detect::windows::{Group, Hit};
use osd_findings::{ErrorShift, MetricShift, SyscallShift};
use osd_signals::metric::{MetricId, Source};
use osd_signals::roles;
use std::fmt;

/// What a window looks like. [`fmt::Display`] is its name in findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    ForkBurst,
    FsyncStorm,
    FdLeak,
    /// Of this error.
    ErrorStorm(String),
    LockContention,
    FileNameStorm,
    LargeValues,
    OutgoingTransfer,
    IncomingTransfer,
    MemoryGrowth,
    MemoryLeak,
    /// Of CPU, slowly.
    CpuClimb,
    /// Of any other metric, slowly.
    Climb,
    Decline,
    /// A job that ran at regular times.
    MissedRun,
    HeavyWriting,
    HeavyReading,
    ConnectionBurst,
    ThreadBurst,
    MappingChurn,
    /// Of these calls.
    SlowCalls(&'static str),
    /// Of this call.
    Surge(String),
    CpuBurn,
    Stall,
    Unusual,
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::ForkBurst => "fork burst",
            Self::FsyncStorm => "fsync storm",
            Self::FdLeak => "fd leak",
            Self::ErrorStorm(errno) => return write!(f, "error storm ({errno})"),
            Self::LockContention => "lock contention",
            Self::FileNameStorm => "stat/open storm",
            Self::LargeValues => "large values",
            Self::OutgoingTransfer => "outgoing transfer",
            Self::IncomingTransfer => "incoming transfer",
            Self::MemoryGrowth => "memory growth",
            Self::MemoryLeak => "memory leak",
            Self::CpuClimb => "CPU climb",
            Self::Climb => "slow climb",
            Self::Decline => "slow decline",
            Self::MissedRun => "missed run",
            Self::HeavyWriting => "heavy writing",
            Self::HeavyReading => "heavy reading",
            Self::ConnectionBurst => "connection burst",
            Self::ThreadBurst => "thread burst",
            Self::MappingChurn => "mapping churn",
            Self::SlowCalls(calls) => return write!(f, "slow {calls}"),
            Self::Surge(syscall) => return write!(f, "{syscall} surge"),
            Self::CpuBurn => "CPU burn",
            Self::Stall => "stall",
            Self::Unusual => "unusual activity",
        };
        f.write_str(name)
    }
}

impl Pattern {
    /// Whether it is a change that has been going on.
    pub(crate) fn is_slow(&self) -> bool {
        matches!(self, Self::MemoryLeak | Self::FdLeak | Self::CpuClimb | Self::Climb | Self::Decline)
    }

    /// The metrics that may lead a window of this pattern, the best first.
    fn leading(&self) -> &'static [MetricId] {
        use MetricId::{
            CallsConnections, CallsFiles, CallsLocks, CallsMemory, CallsSync, Cpu, Errors, Fds, NetRx, NetTx,
            ProcessesStarted, Read, Rss, Syscalls, Threads, Write,
        };
        match self {
            Self::ForkBurst => &[ProcessesStarted, Cpu],
            Self::FsyncStorm => &[Write, CallsSync, Syscalls],
            Self::FdLeak => &[Fds],
            Self::ErrorStorm(_) => &[Errors, Syscalls],
            Self::LockContention => &[CallsLocks, Syscalls],
            Self::FileNameStorm => &[CallsFiles, Syscalls],
            Self::OutgoingTransfer => &[NetTx],
            Self::IncomingTransfer => &[NetRx],
            Self::MemoryGrowth | Self::MemoryLeak => &[Rss],
            Self::CpuClimb => &[Cpu],
            Self::HeavyWriting => &[Write],
            Self::HeavyReading => &[Read],
            Self::ConnectionBurst => &[CallsConnections, Syscalls],
            Self::ThreadBurst => &[Threads],
            Self::MappingChurn => &[CallsMemory, Syscalls],
            Self::Surge(_) => &[Syscalls],
            Self::CpuBurn => &[Cpu],
            Self::Stall => &[Syscalls, NetTx, NetRx],
            Self::LargeValues | Self::Unusual | Self::SlowCalls(_) | Self::Climb | Self::Decline | Self::MissedRun => {
                &[]
            }
        }
    }
}

/// What the decision looks at.
pub(crate) struct Facts<'a> {
    /// Strongest first.
    pub(crate) shifts: &'a [MetricShift],
    pub(crate) group: &'a Group,
    pub(crate) syscalls: &'a [SyscallShift],
    pub(crate) errors: &'a [ErrorShift],
    /// Calls per second beyond the usual, over all calls that rose.
    pub(crate) calls_excess: f64,
    pub(crate) new_processes: u64,
    /// Messages in and out per second: before, during.
    pub(crate) messages: [(f64, f64); 2],
}

impl Facts<'_> {
    /// Severity of a metric that rose.
    fn severity(&self, metric: MetricId) -> f64 {
        let hits = self.group.hits.iter().filter(|h| h.metric == metric as usize && h.rising);
        hits.map(|h| h.severity).fold(0.0, f64::max)
    }

    /// Whether it rose so that it alarms by itself.
    fn rose(&self, metric: MetricId) -> bool {
        self.severity(metric) >= 1.0
    }

    fn shift(&self, metric: MetricId) -> Option<&MetricShift> {
        self.shifts.iter().find(|s| s.metric == metric.name())
    }

    /// Share of the excess calls and of the excess time made by calls that `metric` counts.
    fn share(&self, metric: MetricId) -> f64 {
        let own = self.syscalls.iter().filter(|s| MetricId::of_call(&s.syscall) == Some(metric));
        own.map(|s| s.share.max(0.0)).sum()
    }

    /// Failed calls per second beyond the usual of the leading error.
    fn leading_error(&self) -> Option<(&ErrorShift, f64)> {
        let first = self.errors.first()?;
        Some((first, first.during_per_s - first.before_per_s))
    }
}

/// The pattern, and the metric that leads.
pub(crate) fn decide(facts: &Facts<'_>) -> (Pattern, MetricId) {
    let (pattern, preferred) = pattern(facts);
    let hits = &facts.group.hits;
    let is_hit = |metric: &MetricId| hits.iter().any(|h| h.metric == *metric as usize);
    let strongest = hits.first().map_or(MetricId::Cpu, |h| MetricId::at(h.metric));
    (pattern, preferred.iter().copied().find(is_hit).unwrap_or(strongest))
}

fn pattern(facts: &Facts<'_>) -> (Pattern, &'static [MetricId]) {
    let led = |pattern: Pattern| {
        let leading = pattern.leading();
        (pattern, leading)
    };
    let rose = |metric| facts.rose(metric);
    if let Some(pattern) = fallen(facts.group) {
        return led(pattern);
    }
    if let Some((pattern, preferred)) = slow(facts.group) {
        return (pattern, preferred);
    }
    if rose(MetricId::ProcessesStarted) && facts.new_processes >= 3 {
        return led(Pattern::ForkBurst);
    }
    if rose(MetricId::CallsSync) {
        return led(Pattern::FsyncStorm);
    }
    if rose(MetricId::Fds) {
        return led(Pattern::FdLeak);
    }
    if rose(MetricId::Errors)
        && let Some((error, excess)) = facts.leading_error()
        && MetricId::of_call(&error.syscall) != Some(MetricId::CallsLocks)
        && excess >= 0.25 * facts.calls_excess
    {
        return led(Pattern::ErrorStorm(error.errno.clone()));
    }
    if rose(MetricId::CallsLocks) && facts.share(MetricId::CallsLocks) >= 0.3 {
        return led(Pattern::LockContention);
    }
    if rose(MetricId::CallsFiles) && facts.share(MetricId::CallsFiles) >= 0.25 {
        return led(Pattern::FileNameStorm);
    }
    if rose(MetricId::NetRx) || rose(MetricId::NetTx) {
        return transfer(facts);
    }
    if rose(MetricId::Rss) {
        return led(Pattern::MemoryGrowth);
    }
    if rose(MetricId::Write) {
        return led(Pattern::HeavyWriting);
    }
    if rose(MetricId::Read) {
        return led(Pattern::HeavyReading);
    }
    if rose(MetricId::CallsConnections) {
        return led(Pattern::ConnectionBurst);
    }
    if rose(MetricId::Threads) {
        return led(Pattern::ThreadBurst);
    }
    if rose(MetricId::CallsMemory) && facts.share(MetricId::CallsMemory) >= 0.3 {
        return led(Pattern::MappingChurn);
    }
    let strongest = facts.group.hits.iter().find(|h| MetricId::at(h.metric).metric().opens_windows);
    if let Some(calls) = strongest.filter(|h| h.rising).and_then(|h| slow_calls(MetricId::at(h.metric))) {
        return led(Pattern::SlowCalls(calls));
    }
    let surge = facts.syscalls.first().filter(|s| !s.by_time && s.share > 0.0);
    let surge = surge.map(|first| Pattern::Surge(first.syscall.clone()));
    if rose(MetricId::Syscalls)
        && let Some(surge) = &surge
    {
        return led(surge.clone());
    }
    if rose(MetricId::Cpu) {
        return led(Pattern::CpuBurn);
    }
    let mut opening = facts.group.hits.iter().filter(|h| MetricId::at(h.metric).metric().opens_windows);
    if opening.all(|h| !h.rising) {
        return led(Pattern::Stall);
    }
    // Calls that rose without an alarm of their own lead nothing.
    (surge.unwrap_or(Pattern::Unusual), &[])
}

/// What a window looks like that is one role's, by the metric that is of the same kind as what it did.
pub(crate) fn of_role(metric: MetricId) -> Pattern {
    match metric {
        MetricId::Syscalls => Pattern::MissedRun,
        // Whoever holds the lock, they stand still.
        MetricId::CallsLocks => Pattern::Stall,
        metric => slow_calls(metric).map_or(Pattern::Unusual, Pattern::SlowCalls),
    }
}

/// A fall that came before all that rose in the window and is at least half of it: what rises then is what was held back.
fn fallen(group: &Group) -> Option<Pattern> {
    let opens = |h: &&Hit| MetricId::at(h.metric).metric().opens_windows;
    let is_fall = |h: &&Hit| !h.rising && !matches!(h.shape, Shape::Climb);
    let first = |rising: bool| group.hits.iter().filter(opens).filter(|h| h.rising == rising).map(|h| h.start).min();
    let longest = group.hits.iter().filter(opens).filter(is_fall).max_by_key(|h| h.end - h.start)?;
    let leads = first(true).is_none_or(|rise| longest.start <= rise);
    let long = 2 * (longest.end - longest.start) >= group.end - group.start;
    let missed = group.hits.iter().filter(opens).all(|h| matches!(h.shape, Shape::Missed { .. }));
    (leads && long).then_some(if missed { Pattern::MissedRun } else { Pattern::Stall })
}

/// What the calls are called whose time this metric is.
fn slow_calls(metric: MetricId) -> Option<&'static str> {
    roles::noun(metric).filter(|_| matches!(metric.metric().source, Source::Latency(_)))
}

/// A climb, where nothing sudden of the same metric is as strong: how it is called, and who leads.
fn slow(group: &Group) -> Option<(Pattern, &'static [MetricId])> {
    let opens = |h: &&Hit| MetricId::at(h.metric).metric().opens_windows;
    let climbs = group.hits.iter().filter(opens).filter(|h| h.shape == Shape::Climb);
    let longest = climbs.max_by_key(|h| (h.end - h.start, h.metric == MetricId::Rss as usize))?;
    let sudden = group.hits.iter().filter(opens).filter(|h| h.shape != Shape::Climb && h.rising);
    let sudden_s = sudden.map(|h| h.end - h.start).max().unwrap_or(0);
    if 2 * sudden_s > longest.end - longest.start {
        return None;
    }
    let pattern = match MetricId::at(longest.metric) {
        _ if !longest.rising => Pattern::Decline,
        MetricId::Rss => Pattern::MemoryLeak,
        MetricId::Fds => Pattern::FdLeak,
        MetricId::Cpu => Pattern::CpuClimb,
        _ => Pattern::Climb,
    };
    let leading = pattern.leading();
    Some((pattern, leading))
}

/// Bytes on the network: which way, and whether there were more messages or larger ones.
fn transfer(facts: &Facts<'_>) -> (Pattern, &'static [MetricId]) {
    let gain = |metric| facts.shift(metric).map_or(0.0, |s| (s.during - s.before).max(0.0));
    // As much in as out: both ends of one transfer were recorded, and what it is called is what its sender did.
    let outgoing = gain(MetricId::NetTx) >= 0.9 * gain(MetricId::NetRx);
    let pattern = if outgoing { Pattern::OutgoingTransfer } else { Pattern::IncomingTransfer };
    let leading = pattern.leading();
    // More bytes, but hardly more messages: the messages grew.
    let (before, during) = facts.messages[usize::from(outgoing)];
    let bytes = facts.shift(leading[0]).map_or(1.0, |s| s.during / s.before.max(1.0));
    if before >= 20.0 && bytes / (during / before).max(1e-3) >= 3.0 && during < 1.8 * before {
        return (Pattern::LargeValues, leading);
    }
    (pattern, leading)
}
