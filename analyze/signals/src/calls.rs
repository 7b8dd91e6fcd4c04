//! System calls over the grid, from `tally` rows: exact counts whatever the events lost; and which
//! calls wait.

use crate::grid::query;
use osd_detect::grid::Grid;
use osd_recording::{Columns, Kind, Recording, Result, U64s};
use std::collections::HashMap;
use std::ops::Range;

/// One call over the grid.
#[derive(Clone, Debug)]
pub struct CallSeries {
    /// As in the recording.
    pub name: String,
    /// Calls of each bin.
    pub count: Vec<f64>,
    /// Those that returned an error number.
    pub errors: Vec<f64>,
    /// Time in them, ns.
    pub time_ns: Vec<f64>,
    /// Logarithms to the base 2 of how long each took in ns, added up; of those in `timed`.
    pub log2_ns: Vec<f64>,
    /// Calls of which it is known how long they took.
    pub timed: Vec<f64>,
    /// Calls in all.
    pub total: u64,
}

/// The calls that begin in `range`, the most frequent first.
///
/// # Errors
/// If the recording cannot be read.
pub fn read(recording: &Recording, grid: Grid, range: Option<&Range<i64>>) -> Result<Vec<CallSeries>> {
    let mut calls: Vec<CallSeries> = vec![];
    let mut index_of: HashMap<String, usize> = HashMap::new();
    let columns = ["ts", "dur_ns", "syscall", "count", "errors", "total_ns", "latency_log2"];
    for batch in recording.read(&query(Kind::Tally, &columns, range))? {
        let batch = batch?;
        let columns = Columns::of(&batch, recording.path());
        let names = columns.text("syscall")?;
        let indices: Vec<usize> = names
            .all()
            .map(|name| {
                *index_of.entry(name.to_owned()).or_insert_with(|| {
                    let zeros = || vec![0.0; grid.len];
                    let (name, count) = (name.to_owned(), zeros());
                    let (errors, time_ns, log2_ns, timed) = (zeros(), zeros(), zeros(), zeros());
                    calls.push(CallSeries { name, count, errors, time_ns, log2_ns, timed, total: 0 });
                    calls.len() - 1
                })
            })
            .collect();
        let (dur, count) = (columns.u64("dur_ns")?, columns.u64("count")?);
        let (errors, time) = (columns.u64("errors")?, columns.u64("total_ns")?);
        let histograms = columns.list("latency_log2")?;
        for (row, ts) in columns.ts()?.iter().enumerate() {
            let Some(index) = names.code(row).map(|code| indices[code]) else { continue };
            let get = |numbers: &U64s<'_>| numbers.at(row).unwrap_or(0);
            let call = &mut calls[index];
            let (count, errors, time) = (get(&count), get(&errors), get(&time));
            call.total = call.total.saturating_add(count);
            let (timed, log2_ns) = histograms.at(row).map_or((0.0, 0.0), logarithms);
            grid.spread(*ts, get(&dur).max(1), |bin, share| {
                call.count[bin] += count as f64 * share;
                call.errors[bin] += errors as f64 * share;
                call.time_ns[bin] += time as f64 * share;
                call.log2_ns[bin] += log2_ns * share;
                call.timed[bin] += timed * share;
            });
        }
    }
    calls.sort_by(|a, b| b.total.cmp(&a.total).then_with(|| a.name.cmp(&b.name)));
    Ok(calls)
}

/// How many calls a histogram of log2(ns) holds, and the sum of their logarithms; a bucket's calls lie at its middle.
fn logarithms(histogram: &[u64]) -> (f64, f64) {
    let buckets = histogram.iter().enumerate();
    buckets.fold((0.0, 0.0), |(n, sum), (i, count)| (n + *count as f64, sum + *count as f64 * (i as f64 + 0.5)))
}

/// Whether the duration of `syscall` is mostly the caller's choice: time in it says little.
pub fn waits(syscall: &str) -> bool {
    matches!(
        syscall,
        "epoll_wait"
            | "epoll_pwait"
            | "epoll_pwait2"
            | "poll"
            | "ppoll"
            | "select"
            | "pselect6"
            | "nanosleep"
            | "clock_nanosleep"
            | "pause"
            | "rt_sigsuspend"
            | "rt_sigtimedwait"
            | "wait4"
            | "waitid"
            | "accept"
            | "accept4"
            | "futex"
            | "futex_wait"
            | "restart_syscall"
            | "io_getevents"
    )
}
