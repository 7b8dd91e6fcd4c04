//! A recording told as a trace: processes and threads, each call as a slice of its thread,
//! counters, what happened to processes, what was found, labels, and what is missing.
//!
//! Rows go by kind, so the times of different tracks are not in one order; those of a track are. Memory holds the processes and threads, and
//! of the calls those of two seconds.

use super::event::{Counter, Notes, Process, Sink, Track, Value};
use super::in_order::{Call, InOrder};
use super::lanes::Lanes;
use crate::Result;
use osd_findings::Window;
use osd_recording::names::errno_name;
use osd_recording::{Columns, Kind, Query, Recording, U64s};
use osd_signals::processes;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// What to tell.
#[derive(Clone, Debug, Default)]
pub struct Trace<'a> {
    /// Only what begins in this time, UTC ns.
    pub range: Option<Range<i64>>,
    /// What was found in the recording.
    pub windows: &'a [Window],
}

/// What was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Calls as slices, or as instants where their duration is not known.
    pub calls: u64,
    /// Of these, calls that claimed to overlap the one before on their thread, which no thread can do: they begin when that one ended.
    pub moved: u64,
    /// Processes.
    pub processes: u64,
}

/// Tracks of no process, by what is on them: so many for spans that overlap.
const FOUND: u32 = 1_000;
const LABELS: u32 = 2_000;
const LOST: u32 = 3_000;

/// How a column of samples is shown, of a process: by the second, or as it is.
const COUNTERS: [(&str, &str, &[&str], f64, bool); 6] = [
    ("CPU", "cores", &["cpu_ns"], 1e-9, true),
    ("Resident memory", "bytes", &["rss_anon_bytes", "rss_file_bytes", "rss_shmem_bytes"], 1.0, false),
    ("Network received", "bytes/s", &["net_rx_bytes"], 1.0, true),
    ("Network sent", "bytes/s", &["net_tx_bytes"], 1.0, true),
    ("System calls", "calls/s", &["n_syscalls"], 1.0, true),
    ("Failed calls", "calls/s", &["n_syscall_errors"], 1.0, true),
];

/// The same of the host.
const HOST: [(&str, &str, &[&str], f64, bool); 5] = [
    ("Host: processors busy", "cores", &["host_busy_ns"], 1e-9, true),
    ("Host: memory available", "bytes", &["mem_available_bytes"], 1.0, false),
    ("Host: waiting for CPU", "s/s", &["psi_cpu_ns"], 1e-9, true),
    ("Host: waiting for memory", "s/s", &["psi_memory_ns"], 1e-9, true),
    ("Host: waiting for storage", "s/s", &["psi_io_ns"], 1e-9, true),
];

pub(crate) fn tell(
    recording: &Recording,
    trace: &Trace<'_>,
    sink: &mut dyn Sink,
    mut progress: impl FnMut(u64, u64),
) -> Result<Told> {
    let kinds = [Kind::Process, Kind::Sample, Kind::System, Kind::Syscall];
    let groups = recording.row_groups().iter().filter(|g| g.kind.is_some_and(|k| kinds.contains(&k)));
    let mut teller = Teller {
        recording,
        range: trace.range.clone(),
        told: Told::default(),
        done: 0,
        all: groups.map(|g| g.rows).sum(),
    };
    teller.processes(sink)?;
    teller.spans(trace.windows, sink)?;
    teller.life(sink, &mut progress)?;
    teller.counters(Kind::System, &HOST, sink, &mut progress)?;
    teller.counters(Kind::Sample, &COUNTERS, sink, &mut progress)?;
    teller.calls(sink, &mut progress)?;
    sink.finish()?;
    Ok(teller.told)
}

struct Teller<'a> {
    recording: &'a Recording,
    range: Option<Range<i64>>,
    told: Told,
    done: u64,
    all: u64,
}

impl Teller<'_> {
    fn each(
        &mut self,
        kind: Kind,
        columns: &[&'static str],
        progress: &mut dyn FnMut(u64, u64),
        mut visit: impl FnMut(&mut Told, Columns<'_>) -> Result<()>,
    ) -> Result<()> {
        let query = Query { kinds: Some(vec![kind]), ts_ns: self.range.clone(), columns: Some(columns.to_vec()) };
        for batch in self.recording.read(&query)? {
            let batch = batch?;
            visit(&mut self.told, Columns::of(&batch, self.recording.path()))?;
            self.done += batch.num_rows() as u64;
            progress(self.done, self.all);
        }
        Ok(())
    }

    /// All processes, also those of another time: a few, and their children may be told of.
    fn processes(&mut self, sink: &mut dyn Sink) -> Result<()> {
        let mut starts: HashMap<u64, i64> = HashMap::new();
        let columns = Some(vec!["proc", "start_ts"]);
        for batch in self.recording.read(&Query { kinds: Some(vec![Kind::Process]), columns, ts_ns: None })? {
            let batch = batch?;
            let columns = Columns::of(&batch, self.recording.path());
            let (proc, start) = (columns.u64("proc")?, columns.i64("start_ts")?);
            for row in 0..columns.len() {
                if let (Some(proc), Some(start)) = (proc.at(row), start.at(row)) {
                    starts.entry(proc).or_insert(start);
                }
            }
        }
        for (proc, life) in processes::read(self.recording)? {
            let (name, argv) = (life.comm.as_str(), life.argv.as_str());
            sink.process(&Process { proc, pid: life.pid, name, argv, start_ns: starts.get(&proc).copied() })?;
            self.told.processes += 1;
        }
        Ok(())
    }

    /// What was found, labels, and losses: spans of no process.
    fn spans(&mut self, windows: &[Window], sink: &mut dyn Sink) -> Result<()> {
        let (losses, labels) = osd_signals::losses::read(self.recording, self.range.as_ref())?;
        let in_range = |ns: &i64| self.range.as_ref().is_none_or(|r| r.contains(ns));
        let mut found: Vec<&Window> = windows.iter().filter(|w| in_range(&w.start_ns)).collect();
        found.sort_by_key(|w| w.start_ns);
        let mut lanes = Lanes::new(FOUND);
        for window in found {
            let dur_ns = window.end_ns.saturating_sub(window.start_ns).max(0).unsigned_abs();
            let details = window.details.join(" ");
            let notes = [
                ("finding", Value::Int(window.id.into())),
                ("metric", Value::Text(&window.metric)),
                ("severity", Value::Real(window.severity)),
                ("sentence", Value::Text(&window.sentence)),
                ("details", Value::Text(&details)),
            ];
            let name = if window.pattern.is_empty() { &window.metric } else { &window.pattern };
            let (track, is_new) = lanes.place(window.start_ns, dur_ns);
            if is_new {
                sink.apart(track, "osd findings")?;
            }
            // An instant too, which stands out where the window is shorter than a pixel.
            sink.instant(Track::Apart(track), window.start_ns, name, &notes)?;
            sink.slice(Track::Apart(track), (window.start_ns, dur_ns), name, &notes)?;
        }
        let mut lanes = Lanes::new(LABELS);
        for label in &labels {
            let notes = [("note", Value::Text(&label.note))];
            span(&mut lanes, "osd labels", (label.ts_ns, label.dur_ns), &label.name, &notes, sink)?;
        }
        let mut lanes = Lanes::new(LOST);
        for loss in &losses {
            let count = i64::try_from(loss.count).unwrap_or(i64::MAX);
            let notes = [("count", Value::Int(count)), ("reason", Value::Text(&loss.reason))];
            let name = format!("lost: {}", loss.stream);
            span(&mut lanes, "osd losses", (loss.ts_ns, loss.dur_ns), &name, &notes, sink)?;
        }
        Ok(())
    }

    /// What happened to processes.
    fn life(&mut self, sink: &mut dyn Sink, progress: &mut dyn FnMut(u64, u64)) -> Result<()> {
        let columns = ["ts", "proc", "pid", "event", "ppid", "comm", "exe", "argv", "exit_code", "exit_signal"];
        self.each(Kind::Process, &columns, progress, |_, rows| {
            let (proc, pid, ppid) = (rows.u64("proc")?, rows.u64("pid")?, rows.u64("ppid")?);
            let (events, comms) = (rows.text("event")?, rows.text("comm")?);
            let (exes, argvs) = (rows.text("exe")?, rows.text("argv")?);
            let (codes, signals) = (rows.i64("exit_code")?, rows.i64("exit_signal")?);
            for (row, ts_ns) in rows.ts()?.iter().enumerate() {
                let Some(proc) = proc.at(row) else { continue };
                let track = Track::Process { proc, pid: narrow(&pid, row) };
                let event = events.at(row).unwrap_or("event");
                let mut notes = vec![("comm", Value::Text(comms.at(row).unwrap_or_default()))];
                match event {
                    "exit" => {
                        notes.extend(codes.at(row).map(|n| ("exit_code", Value::Int(n))));
                        notes.extend(signals.at(row).map(|n| ("exit_signal", Value::Int(n))));
                    }
                    "fork" => notes.push(("ppid", Value::Int(narrow(&ppid, row).into()))),
                    _ => {
                        notes.extend(exes.at(row).map(|text| ("exe", Value::Text(text))));
                        notes.extend(argvs.at(row).map(|text| ("argv", Value::Text(text))));
                    }
                }
                sink.instant(track, *ts_ns, event, &notes)?;
            }
            Ok(())
        })
    }

    fn counters(
        &mut self,
        kind: Kind,
        counters: &[(&'static str, &'static str, &[&'static str], f64, bool)],
        sink: &mut dyn Sink,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<()> {
        let mut columns = vec!["ts", "dur_ns", "proc", "pid"];
        columns.extend(counters.iter().flat_map(|c| c.2));
        // Of each owner and counter, the end of the last value: a viewer draws it on for ever.
        let mut ends: BTreeMap<(u64, u32, usize), i64> = BTreeMap::new();
        let counter = |proc: u64, pid: u32, i: usize| {
            let owner = (kind == Kind::Sample).then_some((proc, pid));
            Counter { owner, name: counters[i].0, unit: counters[i].1 }
        };
        self.each(kind, &columns, progress, |_, rows| {
            let (dur, procs, pids) = (rows.u64("dur_ns")?, rows.u64("proc")?, rows.u64("pid")?);
            let mut values = vec![];
            for (_, _, columns, ..) in counters {
                values.push(columns.iter().map(|c| rows.u64(c)).collect::<osd_recording::Result<Vec<_>>>()?);
            }
            for (row, ts_ns) in rows.ts()?.iter().enumerate() {
                let (proc, pid) = (procs.at(row).unwrap_or(0), narrow(&pids, row));
                let dur_ns = dur.at(row).unwrap_or(0);
                for (i, ((.., factor, is_rate), parts)) in counters.iter().zip(&values).enumerate() {
                    let Some(sum) = parts.iter().filter_map(|p| p.at(row)).reduce(u64::saturating_add) else {
                        continue;
                    };
                    let seconds = if *is_rate { dur_ns.max(1) as f64 / 1e9 } else { 1.0 };
                    let counter = counter(proc, pid, i);
                    if ends.insert((proc, pid, i), ts_ns.saturating_add_unsigned(dur_ns)).is_none() {
                        sink.counter(&counter)?;
                    }
                    sink.value(&counter, *ts_ns, sum as f64 * factor / seconds)?;
                }
            }
            Ok(())
        })?;
        for ((proc, pid, i), end_ns) in ends {
            sink.value(&counter(proc, pid, i), end_ns, 0.0)?;
        }
        Ok(())
    }

    fn calls(&mut self, sink: &mut dyn Sink, progress: &mut dyn FnMut(u64, u64)) -> Result<()> {
        let mut calls = Calls::default();
        let mut order = InOrder::default();
        let columns = ["ts", "dur_ns", "proc", "pid", "tid", "syscall", "ret", "errno", "fd", "path"];
        self.each(Kind::Syscall, &columns, progress, |told, rows| {
            let (dur, proc, pid, tid) = (rows.u64("dur_ns")?, rows.u64("proc")?, rows.u64("pid")?, rows.u64("tid")?);
            let (names, paths) = (rows.text("syscall")?, rows.text("path")?);
            let (ret, errno, fd) = (rows.i64("ret")?, rows.i64("errno")?, rows.i64("fd")?);
            for (row, ts_ns) in rows.ts()?.iter().enumerate() {
                order.push(Call {
                    ts_ns: *ts_ns,
                    dur_ns: dur.at(row),
                    proc: proc.at(row).unwrap_or(0),
                    pid: narrow(&pid, row),
                    tid: narrow(&tid, row),
                    name: calls.name(names.at(row).unwrap_or("unknown")),
                    ret: ret.at(row),
                    errno: errno.at(row),
                    fd: fd.at(row),
                    path: paths.at(row).map(Box::from),
                });
            }
            order.ready().try_for_each(|call| calls.tell(&call, told, sink))
        })?;
        order.rest().try_for_each(|call| calls.tell(&call, &mut self.told, sink))
    }
}

/// What the calls told so far leave to be known for the next.
#[derive(Default)]
struct Calls {
    names: Vec<String>,
    numbers: HashMap<String, usize>,
    /// Of each thread, when its last call ended.
    threads: HashMap<(u64, u32), i64>,
}

impl Calls {
    fn name(&mut self, name: &str) -> usize {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        self.names.push(name.to_owned());
        *self.numbers.entry(name.to_owned()).or_insert(self.names.len() - 1)
    }

    fn tell(&mut self, call: &Call, told: &mut Told, sink: &mut dyn Sink) -> Result<()> {
        let Call { ts_ns, dur_ns, proc, pid, tid, .. } = *call;
        let track = Track::Thread { proc, pid, tid };
        let last_end = match self.threads.get_mut(&(proc, tid)) {
            Some(end) => end,
            None => {
                sink.thread(proc, pid, tid)?;
                self.threads.entry((proc, tid)).or_insert(i64::MIN)
            }
        };
        let mut notes = Vec::with_capacity(4);
        notes.extend(call.ret.map(|n| ("ret", Value::Int(n))));
        let error = call.errno.and_then(|n| errno_name(n as i32));
        notes.extend(error.map(|name| ("errno", Value::Text(name))));
        notes.extend(call.fd.map(|n| ("fd", Value::Int(n))));
        notes.extend(call.path.as_deref().map(|path| ("path", Value::Text(path))));
        let begin = ts_ns.max(*last_end);
        told.calls += 1;
        told.moved += u64::from(begin != ts_ns);
        let name = &self.names[call.name];
        match dur_ns {
            Some(_) => {
                let end = call.end_ns().max(begin);
                *last_end = end;
                sink.slice(track, (begin, end.abs_diff(begin)), name, &notes)?;
            }
            None => sink.instant(track, begin, name, &notes)?,
        }
        Ok(())
    }
}

/// A PID or TID; 0 if it is none.
fn narrow(numbers: &U64s<'_>, row: usize) -> u32 {
    numbers.at(row).and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
}

/// A span on a track of its kind on which there is room.
fn span(
    lanes: &mut Lanes,
    title: &str,
    (ts_ns, dur_ns): (i64, u64),
    name: &str,
    notes: Notes<'_>,
    sink: &mut dyn Sink,
) -> Result<()> {
    let (track, is_new) = lanes.place(ts_ns, dur_ns);
    if is_new {
        sink.apart(track, title)?;
    }
    Ok(sink.slice(Track::Apart(track), (ts_ns, dur_ns), name, notes)?)
}
