//! What happened inside each window, counted from the rows: threads, errors, latency, an exemplar sequence.
//!
//! Events are read once over the recording, in batches, into counters; then once more in and before each window for what
//! is shown verbatim: the objects of calls ([`crate::objects`]) and a sequence. Memory grows with threads and windows,
//! not with events.

use crate::objects::{Collector, Object, Ranked, Topic};
use crate::series::{self, Table, dictionary, text, times, u64s};
use crate::{Result, answers};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int64Type, UInt64Type};
use osd_detect::grid::Grid;
use osd_detect::histogram;
use osd_findings::SequenceCall;
use osd_recording::{Kind, Query, Recording};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// What the bins of the grid are: in a window, in the baseline, or neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bin {
    /// By index.
    Window(usize),
    Baseline,
    /// Next to a window, or before the recording settled.
    Neither,
}

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

/// Latency histograms of each call, in each window and in the baseline.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    pub(crate) inside: HashMap<(usize, String), Vec<u64>>,
    pub(crate) outside: HashMap<String, Vec<u64>>,
}

/// Shown verbatim for one window.
#[derive(Debug, Default)]
pub(crate) struct Verbatim {
    /// Of each topic, in its order.
    pub(crate) objects: Vec<Ranked>,
    pub(crate) sequence: Vec<SequenceCall>,
}

/// Baseline near a window, which the objects in it are compared with.
pub(crate) struct Reference<'a> {
    pub(crate) span: Range<i64>,
    pub(crate) grid: Grid,
    pub(crate) bins: &'a [Bin],
    /// Length of the window over that of the baseline in `span`; 0 without any.
    pub(crate) weight: f64,
}

impl Reference<'_> {
    fn holds(&self, ts_ns: i64) -> bool {
        let baseline = |bin: usize| self.bins[bin] == Bin::Baseline;
        self.span.contains(&ts_ns) && self.grid.bin(ts_ns).is_some_and(baseline)
    }
}

fn query(kind: Kind, columns: &[&'static str], range: Option<&Range<i64>>) -> Query {
    Query { kinds: Some(vec![kind]), columns: Some(columns.to_vec()), ts_ns: range.cloned() }
}

pub(crate) fn events(recording: &Recording, table: &Table, bins: &[Bin], range: Option<&Range<i64>>) -> Result<Events> {
    let grid = table.grid;
    let mut out = Events::default();
    let mut threads: Vec<(Thread, ThreadCalls)> = vec![];
    let mut place_of: HashMap<Thread, usize> = HashMap::new();
    let mut calls: Vec<String> = vec![];
    let mut code_of: HashMap<String, usize> = HashMap::new();
    let mut errors: HashMap<(usize, i64), Sparse> = HashMap::new();
    let mut calls_of: HashMap<(Option<usize>, usize, usize), u64> = HashMap::new();
    let columns = ["ts", "proc", "pid", "tid", "syscall", "errno"];
    for batch in recording.read(&query(Kind::Syscall, &columns, range))? {
        let batch = batch?;
        let ts = times(&batch)?;
        let (pid, tid, errno) = (u64s(&batch, "pid")?, u64s(&batch, "tid")?, u64s(&batch, "errno")?);
        let (Some(pid), Some(tid)) = (pid, tid) else { continue };
        let (pid, tid) = (pid.as_primitive::<UInt64Type>(), tid.as_primitive::<UInt64Type>());
        let proc = u64s(&batch, "proc")?;
        let proc = proc.as_ref().map(|p| p.as_primitive::<UInt64Type>());
        let errno = errno.as_ref().map(|e| e.as_primitive::<UInt64Type>());
        let Some((codes, names)) = dictionary(&batch, "syscall") else { continue };
        let code: Vec<usize> = names
            .iter()
            .map(|name| {
                *code_of.entry((*name).to_owned()).or_insert_with(|| {
                    calls.push((*name).to_owned());
                    calls.len() - 1
                })
            })
            .collect();
        let mut last: Option<(Thread, usize)> = None;
        for (row, ts) in ts.iter().enumerate() {
            out.total += 1;
            let Some(bin) = grid.bin(*ts) else { continue };
            let Some(call) = codes.key(row).and_then(|k| code.get(k).copied()) else { continue };
            let failed = errno.filter(|e| e.is_valid(row)).map(|e| e.value(row) as i64);
            if let Some(errno) = failed.filter(|errno| !answers::is_answer(&calls[call], *errno)) {
                errors.entry((call, errno)).or_default().add(bin as u32);
            }
            let thread = Thread { proc: proc.map_or(0, |p| p.value(row)), tid: tid.value(row) as u32 };
            let place = match last {
                Some((t, place)) if t == thread => place,
                _ => *place_of.entry(thread).or_insert_with(|| {
                    let pid = pid.value(row) as u32;
                    threads.push((thread, ThreadCalls { pid, ..ThreadCalls::default() }));
                    threads.len() - 1
                }),
            };
            last = Some((thread, place));
            threads[place].1.calls.add(bin as u32);
            let window = match bins[bin] {
                Bin::Window(w) => Some(w),
                Bin::Baseline => None,
                Bin::Neither => continue,
            };
            *calls_of.entry((window, place, call)).or_default() += 1;
        }
    }
    for ((window, place, call), n) in calls_of {
        *out.calls_of.entry((window, threads[place].0)).or_default().entry(calls[call].clone()).or_default() += n;
    }
    out.threads = threads.into_iter().collect();
    out.errors = errors.into_iter().map(|((call, errno), n)| ((calls[call].clone(), errno), n)).collect();
    Ok(out)
}

pub(crate) fn latency(recording: &Recording, grid: Grid, bins: &[Bin], range: Option<&Range<i64>>) -> Result<Latency> {
    let mut out = Latency::default();
    for batch in recording.read(&query(Kind::Tally, &["ts", "dur_ns", "syscall", "latency_log2"], range))? {
        let batch = batch?;
        let ts = times(&batch)?;
        let dur = u64s(&batch, "dur_ns")?;
        let dur = dur.as_ref().map(|d| d.as_primitive::<UInt64Type>());
        let Some((codes, names)) = dictionary(&batch, "syscall") else { continue };
        let Some(lists) = batch.column_by_name("latency_log2").and_then(|c| c.as_list_opt::<i32>()) else { continue };
        let Some(counts) = lists.values().as_primitive_opt::<UInt64Type>() else { continue };
        for (row, ts) in ts.iter().enumerate() {
            let Some(name) = codes.key(row).and_then(|k| names.get(k)) else { continue };
            let half = dur.map_or(0, |d| d.value(row) / 2);
            let Some(bin) = grid.bin(ts.saturating_add_unsigned(half)) else { continue };
            let sum = match bins[bin] {
                Bin::Window(w) => out.inside.entry((w, (*name).to_owned())).or_default(),
                Bin::Baseline => {
                    if !out.outside.contains_key(*name) {
                        out.outside.insert((*name).to_owned(), vec![]);
                    }
                    let Some(sum) = out.outside.get_mut(*name) else { continue };
                    sum
                }
                Bin::Neither => continue,
            };
            if lists.is_valid(row) {
                let (from, to) = (lists.value_offsets()[row] as usize, lists.value_offsets()[row + 1] as usize);
                histogram::merge(sum, &counts.values()[from..to]);
            }
        }
    }
    Ok(out)
}

const SEQUENCE_CALLS: usize = 12;

/// Reads what is shown of `span`: the objects of `topics`, against those of `reference`, and the first calls of `thread`.
pub(crate) fn verbatim(
    recording: &Recording,
    span: &Range<i64>,
    reference: &Reference<'_>,
    topics: Vec<Topic>,
    thread: Option<Thread>,
) -> Result<Verbatim> {
    let mut objects = Collector::new(topics);
    let mut rows: Vec<(i64, SequenceCall)> = vec![];
    let columns = ["ts", "dur_ns", "proc", "tid", "syscall", "ret", "errno", "fd", "path"];
    let range = reference.span.start.min(span.start)..reference.span.end.max(span.end);
    for batch in recording.read(&query(Kind::Syscall, &columns, Some(&range)))? {
        let batch = batch?;
        let ts = times(&batch)?;
        let (proc, tid, dur) = (u64s(&batch, "proc")?, u64s(&batch, "tid")?, u64s(&batch, "dur_ns")?);
        let signed = |name: &str| batch.column_by_name(name).map(|c| series::to(c, &DataType::Int64)).transpose();
        let (ret, errno, fd) = (signed("ret")?, signed("errno")?, signed("fd")?);
        let (names, paths) = (dictionary(&batch, "syscall"), dictionary(&batch, "path"));
        let Some((codes, values)) = names.as_ref() else { continue };
        let of_code: Vec<Vec<usize>> = values.iter().map(|name| objects.topics_of(name)).collect();
        for (row, ts) in ts.iter().enumerate() {
            let inside = span.contains(ts);
            if !inside && !reference.holds(*ts) {
                continue;
            }
            let known = |c: &Option<arrow::array::ArrayRef>| {
                let c = c.as_ref().and_then(|c| c.as_primitive_opt::<UInt64Type>());
                c.filter(|c| c.is_valid(row)).map(|c| c.value(row))
            };
            let unsigned = |c: &Option<arrow::array::ArrayRef>| known(c).unwrap_or(0);
            let signed = |c: &Option<arrow::array::ArrayRef>| {
                let c = c.as_ref().and_then(|c| c.as_primitive_opt::<Int64Type>());
                c.filter(|c| c.is_valid(row)).map(|c| c.value(row))
            };
            let Some(code) = codes.key(row).filter(|code| *code < of_code.len()) else { continue };
            let path = text(paths.as_ref(), row).filter(|p| !p.is_empty());
            let proc = unsigned(&proc);
            if !of_code[code].is_empty() {
                let object = path.map(Object::Path).or_else(|| signed(&fd).map(|fd| Object::Fd(proc, fd)));
                objects.add(&of_code[code], inside, signed(&errno), unsigned(&dur), object);
            }
            if inside && thread == Some(Thread { proc, tid: unsigned(&tid) as u32 }) {
                let result = match signed(&errno) {
                    Some(e) => {
                        osd_recording::names::errno_name(e as i32).map_or_else(|| format!("errno {e}"), str::to_owned)
                    }
                    None => match signed(&ret) {
                        Some(-516..=-512) => "interrupted".to_owned(),
                        ret => ret.map_or_else(String::new, |r| r.to_string()),
                    },
                };
                let object = path.map(str::to_owned).or_else(|| signed(&fd).map(|fd| format!("fd {fd}")));
                let call = SequenceCall {
                    offset_ns: ts.saturating_sub(span.start),
                    syscall: values[code].to_owned(),
                    object: object.unwrap_or_default(),
                    result,
                    dur_ns: known(&dur),
                    repeats: 1,
                };
                // Rows come by row group; a few thousand of the earliest are enough to collapse into a dozen.
                rows.push((*ts, call));
                if rows.len() > 16_384 {
                    rows.sort_by_key(|r| r.0);
                    rows.truncate(8_192);
                }
            }
        }
    }
    rows.sort_by_key(|r| r.0);
    let mut sequence: Vec<SequenceCall> = vec![];
    for (_, call) in rows {
        let failed = |c: &SequenceCall| c.result.starts_with('E').then(|| c.result.clone());
        let full = sequence.len() == SEQUENCE_CALLS;
        match sequence.last_mut() {
            Some(l) if l.syscall == call.syscall && l.object == call.object && failed(l) == failed(&call) => {
                l.repeats += 1
            }
            _ if full => break,
            _ => sequence.push(call),
        }
    }
    Ok(Verbatim { objects: objects.ranked(reference.weight), sequence })
}
