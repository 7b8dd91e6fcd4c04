//! Events counted: the calls of each thread, and the errors of each call, over the grid.
//!
//! Rows are read once, on all processors, into counters. Memory grows with threads and calls, not with events.

use super::bins::Bin;
use osd_detect::grid::Grid;
use osd_recording::{Batches, Columns, Kind, Recording, Result};
use osd_signals::grid::query;
use osd_signals::{failures, parallel};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;

/// Counts of one thing over the grid, only where there are any.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sparse(pub(crate) Vec<(u32, u32)>);

impl Sparse {
    fn add(&mut self, bin: u32, n: u32) {
        match self.0.last_mut() {
            Some((b, sum)) if *b == bin => *sum = sum.saturating_add(n),
            _ => self.0.push((bin, n)),
        }
    }

    /// Adds those of later rows.
    fn append(&mut self, later: Self) {
        if self.0.is_empty() {
            *self = later;
        } else {
            later.0.into_iter().for_each(|(bin, n)| self.add(bin, n));
        }
    }
}

/// A thread. The kernel reuses PIDs and TIDs within minutes, so the process is its identity (`proc`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Thread {
    pub(crate) proc: u64,
    pub(crate) tid: u32,
}

/// The calls of one thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct ThreadCalls {
    pub(crate) pid: u32,
    pub(crate) calls: Sparse,
}

/// Counted from event rows.
#[derive(Debug, Default)]
pub(crate) struct Events {
    pub(crate) total: u64,
    pub(crate) threads: BTreeMap<Thread, ThreadCalls>,
    /// By call and error number, without the errors that are no failure.
    pub(crate) errors: BTreeMap<(String, i64), Sparse>,
    /// Calls of each thread by name: in each window, and in the baseline (`None`).
    pub(crate) calls_of: BTreeMap<(Option<usize>, Thread), BTreeMap<String, u64>>,
}

/// Counted from some of the rows; calls by their place in `calls`, threads by theirs in `threads`.
#[derive(Default)]
struct Part {
    total: u64,
    calls: Vec<String>,
    threads: Vec<(Thread, ThreadCalls)>,
    errors: HashMap<(usize, i64), Sparse>,
    calls_of: HashMap<(Option<usize>, usize, usize), u64>,
}

impl Part {
    fn read(batches: Batches, path: &Path, grid: Grid, bins: &[Bin]) -> Result<Self> {
        let mut out = Self::default();
        let mut index_of: HashMap<Thread, usize> = HashMap::new();
        let mut code_of: HashMap<String, usize> = HashMap::new();
        for batch in batches {
            let batch = batch?;
            let columns = Columns::of(&batch, path);
            let (proc, pid, tid) = (columns.u64("proc")?, columns.u64("pid")?, columns.u64("tid")?);
            let (errno, names) = (columns.i64("errno")?, columns.text("syscall")?);
            let code: Vec<usize> = names
                .all()
                .map(|name| {
                    *code_of.entry(name.to_owned()).or_insert_with(|| {
                        out.calls.push(name.to_owned());
                        out.calls.len() - 1
                    })
                })
                .collect();
            let mut last: Option<(Thread, usize)> = None;
            for (row, ts) in columns.ts()?.iter().enumerate() {
                out.total += 1;
                let Some(bin) = grid.bin(*ts) else { continue };
                let Some(call) = names.code(row).map(|k| code[k]) else { continue };
                if let Some(errno) = errno.at(row).filter(|errno| !failures::is_answer(&out.calls[call], *errno)) {
                    out.errors.entry((call, errno)).or_default().add(bin as u32, 1);
                }
                let thread = Thread { proc: proc.at(row).unwrap_or(0), tid: tid.at(row).unwrap_or(0) as u32 };
                let index = match last {
                    Some((t, index)) if t == thread => index,
                    _ => *index_of.entry(thread).or_insert_with(|| {
                        let pid = pid.at(row).unwrap_or(0) as u32;
                        out.threads.push((thread, ThreadCalls { pid, ..ThreadCalls::default() }));
                        out.threads.len() - 1
                    }),
                };
                last = Some((thread, index));
                out.threads[index].1.calls.add(bin as u32, 1);
                let window = match bins[bin] {
                    Bin::Window(w) => Some(w),
                    Bin::Baseline => None,
                    Bin::Neither => continue,
                };
                *out.calls_of.entry((window, index, call)).or_default() += 1;
            }
        }
        Ok(out)
    }
}

impl Events {
    /// Counts the event rows that begin in `range`.
    pub(crate) fn read(recording: &Recording, grid: Grid, bins: &[Bin], range: Option<&Range<i64>>) -> Result<Self> {
        let columns = ["ts", "proc", "pid", "tid", "syscall", "errno"];
        let query = query(Kind::Syscall, &columns, range);
        let parts = parallel::read(recording, &query, |rows| Part::read(rows, recording.path(), grid, bins))?;
        let mut out = Self::default();
        parts.into_iter().for_each(|part| out.add(part));
        Ok(out)
    }

    /// Adds what comes after it.
    fn add(&mut self, part: Part) {
        self.total += part.total;
        for ((window, index, call), n) in part.calls_of {
            let of_thread = self.calls_of.entry((window, part.threads[index].0)).or_default();
            *of_thread.entry(part.calls[call].clone()).or_default() += n;
        }
        for ((call, errno), n) in part.errors {
            self.errors.entry((part.calls[call].clone(), errno)).or_default().append(n);
        }
        for (thread, calls) in part.threads {
            let new = || ThreadCalls { pid: calls.pid, ..ThreadCalls::default() };
            self.threads.entry(thread).or_insert_with(new).calls.append(calls.calls);
        }
    }
}
