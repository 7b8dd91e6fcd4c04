//! Stacks of recordings, added up by process name and functions.

use crate::Result;
use osd_recording::{Columns, Kind, Query, Recording};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// What of one stack there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stack {
    /// Name of the process, then the functions, the outermost first, separated by `;`.
    pub frames: String,
    /// The file that each function is in, likewise; of the process name, none.
    pub modules: String,
    /// How many times.
    pub count: u64,
    /// The time that they stand for.
    pub ns: u64,
}

/// What stacks were taken for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Event {
    /// Their threads ran on a processor.
    #[default]
    Cpu,
    /// They waited within a system call.
    Wait,
}

impl Event {
    /// As a recording says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Wait => "wait",
        }
    }
}

/// All stacks of one event, those first that have most time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Of which event.
    pub event: Event,
    /// In that order; of equal time, by name.
    pub stacks: Vec<Stack>,
    /// First and last moment, UTC ns.
    pub span_ns: (i64, i64),
    /// Time between two stacks of a processor.
    pub period_ns: u64,
}

impl Sums {
    /// Of the rows that begin in `range`. Without rows, none: see [`Sums::is_empty`].
    ///
    /// # Errors
    /// If a recording cannot be read.
    pub fn read(recordings: &[Recording], event: Event, range: Option<&Range<i64>>) -> Result<Self> {
        let mut sums: BTreeMap<(String, String), (u64, u64)> = BTreeMap::new();
        let mut out = Self { event, ..Self::default() };
        for recording in recordings {
            let names = names(recording)?;
            let metadata = recording.metadata();
            let hz = metadata.stacks.as_ref().map_or(0, |s| s.hz);
            out.period_ns = out.period_ns.max(1_000_000_000 / u64::from(hz.max(1)));
            let (first, last) = (metadata.started_ns, metadata.ended_ns);
            let (first, last) = range.map_or((first, last), |r| (first.max(r.start), last.min(r.end)));
            out.span_ns = match out.span_ns {
                (0, 0) => (first, last),
                (from, to) => (from.min(first), to.max(last)),
            };
            let columns = ["ts", "proc", "pid", "count", "total_ns", "event", "frames", "modules"];
            let query = Query { columns: Some(columns.to_vec()), ts_ns: range.cloned(), ..Query::kind(Kind::Stack) };
            for batch in recording.read(&query)? {
                let batch = batch?;
                let columns = Columns::of(&batch, recording.path());
                let (proc, pid) = (columns.u64("proc")?, columns.u64("pid")?);
                let (count, ns) = (columns.u64("count")?, columns.u64("total_ns")?);
                let (events, frames, modules) =
                    (columns.text("event")?, columns.text("frames")?, columns.text("modules")?);
                for row in (0..columns.ts()?.len()).filter(|row| events.at(*row) == Some(event.name())) {
                    let name = proc.at(row).and_then(|proc| names.get(&proc).cloned());
                    let name = name.unwrap_or_else(|| format!("pid {}", pid.at(row).unwrap_or(0)));
                    let frames = format!("{name};{}", frames.at(row).unwrap_or_default());
                    let modules = format!(";{}", modules.at(row).unwrap_or_default());
                    let sum = sums.entry((frames, modules)).or_default();
                    sum.0 = sum.0.saturating_add(count.at(row).unwrap_or(0));
                    sum.1 = sum.1.saturating_add(ns.at(row).unwrap_or(0));
                }
            }
        }
        let all = sums.into_iter().map(|((frames, modules), (count, ns))| Stack { frames, modules, count, ns });
        out.stacks = all.collect();
        out.stacks.sort_by(|a, b| b.ns.cmp(&a.ns).then_with(|| a.frames.cmp(&b.frames)));
        Ok(out)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.stacks.is_empty()
    }
}

/// What each process is called at last, as one frame.
fn names(recording: &Recording) -> Result<HashMap<u64, String>> {
    let mut out: HashMap<u64, (i64, String)> = HashMap::new();
    let query = Query { columns: Some(vec!["ts", "proc", "comm"]), ..Query::kind(Kind::Process) };
    for batch in recording.read(&query)? {
        let batch = batch?;
        let columns = Columns::of(&batch, recording.path());
        let (proc, comm) = (columns.u64("proc")?, columns.text("comm")?);
        for (row, ts) in columns.ts()?.iter().enumerate() {
            let (Some(proc), Some(comm)) = (proc.at(row), comm.at(row)) else { continue };
            let known = out.entry(proc).or_default();
            if *ts >= known.0 || known.1.is_empty() {
                let one_frame = |c: char| if c == ';' || c.is_control() { ':' } else { c };
                *known = (*ts, comm.chars().map(one_frame).collect());
            }
        }
    }
    Ok(out.into_iter().map(|(proc, (_, name))| (proc, name)).collect())
}
