//! What happened inside each window, counted from the rows: threads, errors, objects, latency, an exemplar sequence.
//!
//! Events are read once over the recording, in batches, into counters; then once more inside the windows alone for what is shown
//! verbatim. Memory grows with threads and windows, not with events.

use crate::Result;
use crate::series::{self, Table, dictionary, text, times, u64s};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int64Type, UInt64Type};
use osd_detect::findings::SequenceCall;
use osd_detect::grid::Grid;
use osd_detect::histogram;
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

/// A thread: process id, thread id.
pub(crate) type Thread = (u32, u32);

/// Counted from event rows.
#[derive(Debug, Default)]
pub(crate) struct Events {
    pub(crate) total: u64,
    pub(crate) threads: BTreeMap<Thread, Sparse>,
    /// By call and error number.
    pub(crate) errors: BTreeMap<(String, i64), Sparse>,
    /// Per window: calls of each thread by name.
    pub(crate) top_call: BTreeMap<(usize, Thread), BTreeMap<String, u64>>,
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
    /// Objects of each call with their number, most first.
    pub(crate) objects: HashMap<String, Vec<(String, u64)>>,
    pub(crate) sequence: Vec<SequenceCall>,
}

fn query(kind: Kind, columns: &[&'static str], range: Option<&Range<i64>>) -> Query {
    Query { kinds: Some(vec![kind]), columns: Some(columns.to_vec()), ts_ns: range.cloned() }
}

pub(crate) fn events(recording: &Recording, table: &Table, bins: &[Bin], range: Option<&Range<i64>>) -> Result<Events> {
    let grid = table.grid;
    let mut out = Events::default();
    let mut threads: Vec<(Thread, Sparse)> = vec![];
    let mut place_of: HashMap<Thread, usize> = HashMap::new();
    let mut calls: Vec<String> = vec![];
    let mut code_of: HashMap<String, usize> = HashMap::new();
    let mut errors: HashMap<(usize, i64), Sparse> = HashMap::new();
    let mut top: HashMap<(usize, usize, usize), u64> = HashMap::new();
    for batch in recording.read(&query(Kind::Syscall, &["ts", "pid", "tid", "syscall", "errno"], range))? {
        let batch = batch?;
        let ts = times(&batch)?;
        let (pid, tid, errno) = (u64s(&batch, "pid")?, u64s(&batch, "tid")?, u64s(&batch, "errno")?);
        let (Some(pid), Some(tid)) = (pid, tid) else { continue };
        let (pid, tid) = (pid.as_primitive::<UInt64Type>(), tid.as_primitive::<UInt64Type>());
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
            if let Some(errno) = errno.filter(|e| e.is_valid(row)) {
                errors.entry((call, errno.value(row) as i64)).or_default().add(bin as u32);
            }
            let thread = (pid.value(row) as u32, tid.value(row) as u32);
            let place = match last {
                Some((t, place)) if t == thread => place,
                _ => *place_of.entry(thread).or_insert_with(|| {
                    threads.push((thread, Sparse::default()));
                    threads.len() - 1
                }),
            };
            last = Some((thread, place));
            threads[place].1.add(bin as u32);
            if let Bin::Window(w) = bins[bin] {
                *top.entry((w, place, call)).or_default() += 1;
            }
        }
    }
    for ((w, place, call), n) in top {
        *out.top_call.entry((w, threads[place].0)).or_default().entry(calls[call].clone()).or_default() += n;
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

const OBJECTS_MAX: usize = 20_000;
const SEQUENCE_CALLS: usize = 12;

/// Reads what is shown of `span`: the objects of `calls` and the first calls of `thread`.
pub(crate) fn verbatim(
    recording: &Recording,
    span: &Range<i64>,
    calls: &[&str],
    thread: Option<Thread>,
) -> Result<Verbatim> {
    let mut objects: HashMap<String, HashMap<String, u64>> = HashMap::new();
    let mut held = 0;
    let mut rows: Vec<(i64, SequenceCall)> = vec![];
    let columns = ["ts", "dur_ns", "pid", "tid", "syscall", "ret", "errno", "fd", "path"];
    for batch in recording.read(&query(Kind::Syscall, &columns, Some(span)))? {
        let batch = batch?;
        let ts = times(&batch)?;
        let (pid, tid, dur) = (u64s(&batch, "pid")?, u64s(&batch, "tid")?, u64s(&batch, "dur_ns")?);
        let signed = |name: &str| batch.column_by_name(name).map(|c| series::to(c, &DataType::Int64)).transpose();
        let (ret, errno, fd) = (signed("ret")?, signed("errno")?, signed("fd")?);
        let (names, paths) = (dictionary(&batch, "syscall"), dictionary(&batch, "path"));
        let wanted: Vec<bool> =
            names.as_ref().map(|(_, n)| n.iter().map(|n| calls.contains(n)).collect()).unwrap_or_default();
        for (row, ts) in ts.iter().enumerate() {
            let known = |c: &Option<arrow::array::ArrayRef>| {
                let c = c.as_ref().and_then(|c| c.as_primitive_opt::<UInt64Type>());
                c.filter(|c| c.is_valid(row)).map(|c| c.value(row))
            };
            let unsigned = |c: &Option<arrow::array::ArrayRef>| known(c).unwrap_or(0);
            let signed = |c: &Option<arrow::array::ArrayRef>| {
                let c = c.as_ref().and_then(|c| c.as_primitive_opt::<Int64Type>());
                c.filter(|c| c.is_valid(row)).map(|c| c.value(row))
            };
            let Some((codes, values)) = names.as_ref() else { continue };
            let Some(code) = codes.key(row) else { continue };
            let object = || match (text(paths.as_ref(), row), signed(&fd)) {
                (Some(path), _) if !path.is_empty() => Some(path.to_owned()),
                (_, Some(fd)) => Some(format!("fd {fd}")),
                _ => None,
            };
            if wanted.get(code).copied().unwrap_or(false)
                && let Some(object) = object()
            {
                if !objects.contains_key(values[code]) {
                    objects.insert(values[code].to_owned(), HashMap::new());
                }
                if let Some(of) = objects.get_mut(values[code]) {
                    if let Some(n) = of.get_mut(&object) {
                        *n += 1;
                    } else if held < OBJECTS_MAX {
                        held += 1;
                        of.insert(object, 1);
                    }
                }
            }
            if thread == Some((unsigned(&pid) as u32, unsigned(&tid) as u32)) {
                let result = match signed(&errno) {
                    Some(e) => {
                        osd_recording::names::errno_name(e as i32).map_or_else(|| format!("errno {e}"), str::to_owned)
                    }
                    None => match signed(&ret) {
                        Some(-516..=-512) => "interrupted".to_owned(),
                        ret => ret.map_or_else(String::new, |r| r.to_string()),
                    },
                };
                let call = SequenceCall {
                    offset_ns: ts.saturating_sub(span.start),
                    syscall: values[code].to_owned(),
                    object: object().unwrap_or_default(),
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
    let objects = objects
        .into_iter()
        .map(|(call, of)| {
            let mut of: Vec<(String, u64)> = of.into_iter().collect();
            of.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            of.truncate(8);
            (call, of)
        })
        .collect();
    Ok(Verbatim { objects, sequence })
}
