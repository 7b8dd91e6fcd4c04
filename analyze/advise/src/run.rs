//! The calls of one recording, from the program's first: `tally` rows by name, without what came
//! before the program was there.
//!
//! What its starter prepared in a process is counted with it (`processes.rs`). A tally row is of an interval, so the interval in which the
//! program began is read call by call, where each has a row.

use crate::coverage::{Gap, gaps};
use crate::error::Result;
use crate::processes::{Processes, query};
use osd_recording::{Columns, Kind, Recording};
use std::collections::{BTreeMap, BTreeSet};

/// How often a call was made, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) count: u64,
    pub(crate) errors: u64,
    /// Of the first interval that has one and the last, nanoseconds from the start of the program.
    pub(crate) first_ns: u64,
    pub(crate) last_ns: u64,
}

/// What one recording shows.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) calls: BTreeMap<String, Use>,
    pub(crate) gaps: Vec<Gap>,
    /// What is no reason to refuse, and should be known.
    pub(crate) notes: Vec<String>,
    /// It shows how the program starts.
    pub(crate) from_start: bool,
}

pub(crate) fn read(recording: &Recording) -> Result<Run> {
    let mut run = Run { gaps: gaps(recording), ..Run::default() };
    let processes = Processes::read(recording)?;
    run.from_start = processes.begins_with_program();
    let start_ns = match run.from_start {
        true => processes.exec_ns.values().min().copied().unwrap_or(recording.metadata().started_ns),
        false => recording.metadata().started_ns,
    };
    let begun = Begun::read(recording, &processes)?;
    let columns = ["ts", "dur_ns", "proc", "syscall", "count", "errors"];
    for batch in recording.read(&query(Kind::Tally, &columns))? {
        let batch = batch?;
        let columns = Columns::of(&batch, recording.path());
        let (procs, names) = (columns.u64("proc")?, columns.text("syscall")?);
        let (durs, counts, errors) = (columns.u64("dur_ns")?, columns.u64("count")?, columns.u64("errors")?);
        for (row, &ts) in columns.ts()?.iter().enumerate() {
            let Some(name) = names.at(row) else { continue };
            let end = ts.saturating_add_unsigned(durs.at(row).unwrap_or(0));
            let proc = procs.at(row).unwrap_or(0);
            if processes.prepared_ns(proc).is_some_and(|exec| !begun.is_of_program(proc, exec, ts, end, name)) {
                continue;
            }
            let since = |at: i64| u64::try_from(at.saturating_sub(start_ns)).unwrap_or(0);
            let new = Use { first_ns: since(ts), ..Use::default() };
            let used = run.calls.entry(name.to_owned()).or_insert(new);
            used.count = used.count.saturating_add(counts.at(row).unwrap_or(0));
            used.errors = used.errors.saturating_add(errors.at(row).unwrap_or(0));
            used.first_ns = used.first_ns.min(since(ts));
            used.last_ns = used.last_ns.max(since(end));
        }
    }
    run.judge(recording, &processes);
    Ok(run)
}

impl Run {
    /// What the names themselves tell of what is missing.
    fn judge(&mut self, recording: &Recording, processes: &Processes) {
        let path = recording.path().display().to_string();
        let metadata = recording.metadata();
        let gap = |what: String, remedy: &str| Gap::of(recording, what, remedy);
        let foreign: Vec<_> = self.calls.keys().filter(|n| n.contains(':')).cloned().collect();
        if let Some(first) = foreign.first() {
            let what = format!(
                "it has {} calls of the 32-bit ABI, such as {first}, which this profile cannot allow",
                foreign.len()
            );
            self.gaps.push(gap(what, "record a 64-bit build of the program"));
        }
        let nameless: Vec<_> = self.calls.keys().filter(|n| n.starts_with("syscall_")).cloned().collect();
        if let Some(first) = nameless.first() {
            let what = format!("its kernel is newer than this osd, which has no name for {first}");
            self.gaps.push(gap(what, "use a newer osd"));
        }
        let unknown = self.calls.remove("unknown");
        if unknown.is_some() && metadata.no_latency {
            // Its number is gone when it returns.
            self.calls.entry("rt_sigreturn".into()).or_default();
        } else if unknown.is_some() {
            self.notes.push(format!(
                "{path}: it made calls that no kernel has; under a profile they fail with EPERM instead of ENOSYS"
            ));
        }
        self.calls.retain(|name, _| !name.contains(':') && !name.starts_with("syscall_"));
        for name in metadata.under_way.keys().filter(|n| *n != "unknown") {
            let last_ns = u64::try_from(metadata.ended_ns.saturating_sub(metadata.started_ns)).unwrap_or(0);
            let used = self.calls.entry(name.clone()).or_insert(Use { first_ns: last_ns, ..Use::default() });
            used.last_ns = used.last_ns.max(last_ns);
        }
        let alive = processes.n_alive();
        if alive > 0 && metadata.under_way.is_empty() {
            let (who, ran) =
                if alive == 1 { ("a process".to_owned(), "was") } else { (format!("{alive} processes"), "were") };
            self.notes.push(format!(
                "{path}: {who} {ran} running when it ended: a call that took all of the recording is not in it"
            ));
        }
        if self.calls.contains_key("io_uring_setup") {
            self.notes
                .push(format!("{path}: the program uses io_uring: what it does by that, no filter of calls sees"));
        }
    }
}

/// The calls after the first program began, of those processes that have preparations, by name: of the interval in which it was.
struct Begun {
    /// Each call has a row.
    by_row: bool,
    names: BTreeMap<u64, BTreeSet<String>>,
}

/// No interval is longer.
const LONGEST_NS: i64 = 3_600_000_000_000;

impl Begun {
    fn read(recording: &Recording, processes: &Processes) -> Result<Self> {
        let metadata = recording.metadata();
        let mut out =
            Self { by_row: metadata.syscalls == "events" && metadata.lost("syscall") == 0, names: BTreeMap::new() };
        if !out.by_row {
            return Ok(out);
        }
        let interval = i64::try_from(metadata.interval_ns).unwrap_or(LONGEST_NS).clamp(0, LONGEST_NS);
        for (&proc, &exec) in &processes.exec_ns {
            if processes.prepared_ns(proc).is_none() {
                continue;
            }
            // Twice the interval: the true length of one varies a little.
            let query =
                query(Kind::Syscall, &["ts", "proc", "syscall"]).during(exec..exec.saturating_add(2 * interval));
            for batch in recording.read(&query)? {
                let batch = batch?;
                let columns = Columns::of(&batch, recording.path());
                let (procs, names) = (columns.u64("proc")?, columns.text("syscall")?);
                for (row, &ts) in columns.ts()?.iter().enumerate() {
                    if let Some(name) = names.at(row).filter(|_| procs.at(row) == Some(proc) && ts >= exec) {
                        out.names.entry(proc).or_default().insert(name.to_owned());
                    }
                }
            }
        }
        Ok(out)
    }

    /// Whether calls `name` in the interval `ts..end` are the program's that `proc` began at `exec`.
    fn is_of_program(&self, proc: u64, exec: i64, ts: i64, end: i64, name: &str) -> bool {
        if ts >= exec {
            return true;
        }
        end > exec && (!self.by_row || self.names.get(&proc).is_some_and(|names| names.contains(name)))
    }
}
