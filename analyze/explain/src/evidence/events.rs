//! Events counted: the calls of each thread, and the errors of each call, over the grid.
//!
//! Rows are read once, in batches, into counters. Memory grows with threads and calls, not with events.

use super::bins::Bin;
use osd_detect::grid::Grid;
use osd_recording::{Kind, Recording, Result};
use osd_signals::columns::{Numbers, Texts, times};
use osd_signals::failures;
use osd_signals::grid::query;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// Counts of one thing over the grid, only where there are any.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sparse(pub(crate) Vec<(u32, u32)>);

impl Sparse {
    fn add(&mut self, bin: u32) {
        match self.0.last_mut() {
            Some((b, n)) if *b == bin => *n = n.saturating_add(1),
            _ => self.0.push((bin, 1)),
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

impl Events {
    /// Counts the event rows that begin in `range`.
    pub(crate) fn read(recording: &Recording, grid: Grid, bins: &[Bin], range: Option<&Range<i64>>) -> Result<Self> {
        let mut out = Self::default();
        let mut threads: Vec<(Thread, ThreadCalls)> = vec![];
        let mut index_of: HashMap<Thread, usize> = HashMap::new();
        let mut calls: Vec<String> = vec![];
        let mut code_of: HashMap<String, usize> = HashMap::new();
        let mut errors: HashMap<(usize, i64), Sparse> = HashMap::new();
        let mut calls_of: HashMap<(Option<usize>, usize, usize), u64> = HashMap::new();
        let columns = ["ts", "proc", "pid", "tid", "syscall", "errno"];
        for batch in recording.read(&query(Kind::Syscall, &columns, range))? {
            let batch = batch?;
            let [proc, pid, tid, errno] = ["proc", "pid", "tid", "errno"].map(|name| Numbers::of(&batch, name));
            let names = Texts::of(&batch, "syscall");
            let code: Vec<usize> = names
                .values
                .iter()
                .map(|name| {
                    *code_of.entry((*name).to_owned()).or_insert_with(|| {
                        calls.push((*name).to_owned());
                        calls.len() - 1
                    })
                })
                .collect();
            let mut last: Option<(Thread, usize)> = None;
            for (row, ts) in times(&batch).iter().enumerate() {
                out.total += 1;
                let Some(bin) = grid.bin(*ts) else { continue };
                let Some(call) = names.code(row).map(|k| code[k]) else { continue };
                if let Some(errno) = errno.i64(row).filter(|errno| !failures::is_answer(&calls[call], *errno)) {
                    errors.entry((call, errno)).or_default().add(bin as u32);
                }
                let thread = Thread { proc: proc.u64(row).unwrap_or(0), tid: tid.u64(row).unwrap_or(0) as u32 };
                let index = match last {
                    Some((t, index)) if t == thread => index,
                    _ => *index_of.entry(thread).or_insert_with(|| {
                        let pid = pid.u64(row).unwrap_or(0) as u32;
                        threads.push((thread, ThreadCalls { pid, ..ThreadCalls::default() }));
                        threads.len() - 1
                    }),
                };
                last = Some((thread, index));
                threads[index].1.calls.add(bin as u32);
                let window = match bins[bin] {
                    Bin::Window(w) => Some(w),
                    Bin::Baseline => None,
                    Bin::Neither => continue,
                };
                *calls_of.entry((window, index, call)).or_default() += 1;
            }
        }
        for ((window, index, call), n) in calls_of {
            *out.calls_of.entry((window, threads[index].0)).or_default().entry(calls[call].clone()).or_default() += n;
        }
        out.threads = threads.into_iter().collect();
        out.errors = errors.into_iter().map(|((call, errno), n)| ((calls[call].clone(), errno), n)).collect();
        Ok(out)
    }
}
