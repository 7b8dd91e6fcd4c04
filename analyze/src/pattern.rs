//! Names for what a window looks like, decided by which metrics and calls have the excess.

use crate::metrics::{self, METRICS};
use osd_detect::windows::Group;
use osd_findings::{ErrorShift, MetricShift, SyscallShift};

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
    fn rose(&self, place: usize) -> f64 {
        let hits = self.group.hits.iter().filter(|h| h.metric == place && h.rising);
        hits.map(|h| h.severity).fold(0.0, f64::max)
    }

    fn shift(&self, place: usize) -> Option<&MetricShift> {
        self.shifts.iter().find(|s| s.metric == METRICS[place].name)
    }

    /// Share of the excess calls and of the excess time made by calls of a class.
    fn share(&self, class: usize) -> f64 {
        let of = self.syscalls.iter().filter(|s| metrics::class_of(&s.syscall) == Some(class));
        of.map(|s| s.share.max(0.0)).sum()
    }

    /// Failed calls per second beyond the usual of the leading error.
    fn leading_error(&self) -> Option<(&ErrorShift, f64)> {
        let first = self.errors.first()?;
        Some((first, first.during_per_s - first.before_per_s))
    }
}

/// The pattern's name and the metric that leads.
pub(crate) fn decide(facts: &Facts<'_>) -> (String, usize) {
    let (name, preferred) = name(facts);
    let hit = |place: &usize| facts.group.hits.iter().any(|h| h.metric == *place);
    let strongest = facts.group.hits.first().map_or(metrics::CPU, |h| h.metric);
    (name, preferred.iter().copied().find(hit).unwrap_or(strongest))
}

fn name(facts: &Facts<'_>) -> (String, Vec<usize>) {
    use metrics::{
        CALLS_CONNECTIONS, CALLS_FILES, CALLS_LOCKS, CALLS_MEMORY, CALLS_SYNC, CPU, ERRORS, FDS, NET_RX, NET_TX,
        PROCESSES_STARTED, READ, RSS, SYSCALLS, THREADS, WRITE,
    };
    let rose = |place| facts.rose(place);
    let calls = vec![SYSCALLS];
    if rose(PROCESSES_STARTED) >= 1.0 && facts.new_processes >= 3 {
        return ("fork burst".into(), vec![PROCESSES_STARTED, CPU]);
    }
    if rose(CALLS_SYNC) >= 1.0 {
        return ("fsync storm".into(), vec![WRITE, CALLS_SYNC, SYSCALLS]);
    }
    if rose(FDS) >= 1.0 {
        return ("fd leak".into(), vec![FDS]);
    }
    let locks = facts.share(CALLS_LOCKS);
    if rose(ERRORS) >= 1.0
        && let Some((error, excess)) = facts.leading_error()
        && metrics::class_of(&error.syscall) != Some(CALLS_LOCKS)
        && excess >= 0.25 * facts.calls_excess
    {
        return (format!("error storm ({})", error.errno), vec![ERRORS, SYSCALLS]);
    }
    if rose(CALLS_LOCKS) >= 1.0 && locks >= 0.3 {
        return ("lock contention".into(), vec![CALLS_LOCKS, SYSCALLS]);
    }
    if rose(CALLS_FILES) >= 1.0 && facts.share(CALLS_FILES) >= 0.25 {
        return ("stat/open storm".into(), vec![CALLS_FILES, SYSCALLS]);
    }
    let (rx, tx) = (rose(NET_RX), rose(NET_TX));
    if rx.max(tx) >= 1.0 {
        let gain = |place| facts.shift(place).map_or(0.0, |s| (s.during - s.before).max(0.0));
        // As much in as out: both ends of one transfer were recorded, and what it is called is what its sender did.
        let outgoing = gain(NET_TX) >= 0.9 * gain(NET_RX);
        let place = if outgoing { NET_TX } else { NET_RX };
        // More bytes, but hardly more messages: the messages grew.
        let (before, during) = facts.messages[usize::from(outgoing)];
        let bytes = facts.shift(place).map_or(1.0, |s| s.during / s.before.max(1.0));
        if before >= 20.0 && bytes / (during / before).max(1e-3) >= 3.0 && during < 1.8 * before {
            return ("large values".into(), vec![place]);
        }
        return (if outgoing { "outgoing transfer" } else { "incoming transfer" }.into(), vec![place]);
    }
    if rose(RSS) >= 1.0 {
        return ("memory growth".into(), vec![RSS]);
    }
    if rose(WRITE) >= 1.0 {
        return ("heavy writing".into(), vec![WRITE]);
    }
    if rose(READ) >= 1.0 {
        return ("heavy reading".into(), vec![READ]);
    }
    if rose(CALLS_CONNECTIONS) >= 1.0 {
        return ("connection burst".into(), vec![CALLS_CONNECTIONS, SYSCALLS]);
    }
    if rose(THREADS) >= 1.0 {
        return ("thread burst".into(), vec![THREADS]);
    }
    if rose(CALLS_MEMORY) >= 1.0 && facts.share(CALLS_MEMORY) >= 0.3 {
        return ("mapping churn".into(), vec![CALLS_MEMORY, SYSCALLS]);
    }
    let surge = facts.syscalls.first().filter(|s| !s.by_time && s.share > 0.0);
    if rose(SYSCALLS) >= 1.0
        && let Some(first) = surge
    {
        return (format!("{} surge", first.syscall), calls);
    }
    if rose(CPU) >= 1.0 {
        return ("CPU burn".into(), vec![CPU]);
    }
    if facts.group.hits.iter().filter(|h| METRICS[h.metric].drives).all(|h| !h.rising) {
        return ("stall".into(), vec![SYSCALLS, NET_TX, NET_RX]);
    }
    surge.map_or_else(|| ("unusual activity".into(), vec![]), |first| (format!("{} surge", first.syscall), vec![]))
}
