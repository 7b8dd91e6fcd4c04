//! Recordings told as metrics, family by family, to whoever writes them.
//!
//! Formats want all samples of a series in one piece and in the order of time, and a recording has them by time. So a family is made
//! in as many passes over its columns as keep the values of the pass within [`CELLS`]: memory does not grow with the recording.

use super::chart::{Chart, Edges};
use super::family::{
    ANOMALY, BUCKETS, CALL_DURATION, CALL_ERRORS, CALLS, Columns, Family, HOST, INFO, LOST, PROCESS, Type,
};
use super::value::Scale;
use crate::{Error, Result};
use osd_findings::Window;
use osd_recording::{Columns as Batch, Kind, Metadata, Query, Recording};
use osd_signals::processes;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

/// Values that are in memory at once: 64 MiB.
const CELLS: usize = 8 << 20;
/// More moments than this are more than anybody can draw: eleven days by the second.
const MOST_EDGES: usize = 1_000_000;

/// What to write.
#[derive(Clone, Debug)]
pub struct Backfill<'a> {
    /// Between two samples of a series, ns.
    pub step_ns: u64,
    /// Only rows that begin in this time, UTC ns.
    pub range: Option<Range<i64>>,
    /// Processes with series of their own, those with the most CPU time; the others are counted together.
    pub most_processes: usize,
    /// What was found, and in which recording.
    pub anomalies: Vec<Anomaly<'a>>,
}

/// The windows of one recording.
#[derive(Clone, Copy, Debug)]
pub struct Anomaly<'a> {
    /// Which recording.
    pub recording_id: &'a str,
    /// What was found in it.
    pub windows: &'a [Window],
}

/// How much was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Values with their times.
    pub samples: u64,
    /// Different names with their labels.
    pub series: u64,
}

/// Whose a series is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Whose<'a> {
    Process { comm: &'a str, pid: &'a str },
    Host,
    Call(&'a str),
    Loss { stream: &'a str, reason: &'a str },
    Recording,
    Window(&'a Window),
}

/// A series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Series<'a> {
    pub(crate) family: &'static Family,
    pub(crate) scale: Scale,
    /// Of the recording.
    pub(crate) metadata: &'a Metadata,
    pub(crate) whose: Whose<'a>,
    /// What tells it from others of its family and owner.
    pub(crate) part: Option<(&'static str, &'static str)>,
}

/// What was counted until a moment, by bucket: none is in another, the last is above all bounds.
pub(crate) struct Counted<'a> {
    pub(crate) ns: i64,
    pub(crate) buckets: &'a [u64],
    /// Sum of durations, ns.
    pub(crate) sum_ns: u64,
}

/// Values of a series in the order of time, UTC ns, in the scale of the series.
pub(crate) type Points<'a> = &'a mut dyn Iterator<Item = (i64, u64)>;

/// Who writes metrics. Series come family by family; none is empty.
pub(crate) trait Sink {
    fn series(&mut self, series: &Series<'_>, points: Points<'_>) -> Result<()>;
    /// A histogram, moment by moment, and then `None`.
    fn histogram(&mut self, series: &Series<'_>, counted: Option<&Counted<'_>>) -> Result<()>;
}

/// Tells `recordings` to `sink`; `progress` hears how much of how much is done.
///
/// # Errors
/// If a recording cannot be read or what `sink` says; [`Error::Overlap`] if two of one host are of the same time, whose series would
/// be in each other's way; [`Error::TooManySteps`].
pub(crate) fn tell(
    recordings: &[Recording],
    what: &Backfill<'_>,
    sink: &mut dyn Sink,
    mut progress: impl FnMut(u64, u64),
) -> Result<()> {
    let mut sources = recordings.iter().map(|r| Source::new(r, what)).collect::<Result<Vec<_>>>()?;
    sources.sort_by_key(|s| s.span.start);
    for (i, later) in sources.iter().enumerate() {
        let host = |s: &Source<'_>| s.recording.metadata().host.hostname.clone();
        if let Some(before) = sources[..i].iter().find(|s| host(s) == host(later) && s.span.end > later.span.start) {
            let path = |s: &Source<'_>| s.recording.path().to_owned();
            return Err(Error::Overlap { first: path(before), second: path(later) });
        }
    }
    let all = (PROCESS.len() + HOST.len() + 3) as u64;
    let mut done = 0;
    let mut step = || {
        done += 1;
        progress(done, all);
    };
    for columns in &PROCESS {
        sources.iter().try_for_each(|s| s.processes(columns, sink))?;
        step();
    }
    for columns in &HOST {
        sources.iter().try_for_each(|s| s.host(columns, sink))?;
        step();
    }
    for of in [Of::Count, Of::Errors, Of::Durations] {
        sources.iter().try_for_each(|s| s.calls(of, sink))?;
        step();
    }
    sources.iter().try_for_each(|s| s.lost(sink))?;
    sources.iter().try_for_each(|s| s.info(sink))?;
    for source in &sources {
        let own = what.anomalies.iter().filter(|a| a.recording_id == source.recording.metadata().recording_id);
        own.flat_map(|a| a.windows).try_for_each(|w| source.anomaly(w, sink))?;
    }
    Ok(())
}

/// What of calls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Count,
    Errors,
    Durations,
}

/// A recording, and what is the same for all of its families.
struct Source<'a> {
    recording: &'a Recording,
    range: Option<Range<i64>>,
    span: Range<i64>,
    edges: Edges,
    /// Of each process, its place in `series`.
    place: HashMap<u64, usize>,
    /// Name and PID.
    series: Vec<(String, String)>,
    /// The last of the series is that of all others.
    has_others: bool,
    calls: Vec<String>,
}

impl<'a> Source<'a> {
    fn new(recording: &'a Recording, what: &Backfill<'_>) -> Result<Self> {
        let metadata = recording.metadata();
        let counted = [Kind::Sample, Kind::Tally, Kind::System, Kind::Loss];
        let groups = recording.row_groups().iter().filter(|g| g.kind.is_some_and(|k| counted.contains(&k)));
        let rows = groups.filter_map(|g| g.ts_ns).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let (first, last) = rows.unwrap_or((metadata.started_ns, metadata.started_ns));
        let mut span = first..last.saturating_add_unsigned(metadata.interval_ns.min(1 << 62));
        if let Some(range) = &what.range {
            span = span.start.max(range.start)..span.end.min(range.end.saturating_add_unsigned(metadata.interval_ns));
        }
        let path = || recording.path().to_owned();
        let edges = Edges::over(&span, what.step_ns, MOST_EDGES);
        let edges = edges.ok_or_else(|| Error::TooManySteps { path: path(), most: MOST_EDGES })?;
        let (place, calls) = (HashMap::new(), Vec::new());
        let mut source =
            Self { recording, range: what.range.clone(), span, edges, place, series: vec![], has_others: false, calls };
        source.find_processes(what.most_processes)?;
        source.find_calls()?;
        Ok(source)
    }

    fn each(&self, kind: Kind, columns: &[&'static str], mut visit: impl FnMut(Batch<'_>) -> Result<()>) -> Result<()> {
        let query = Query { kinds: Some(vec![kind]), ts_ns: self.range.clone(), columns: Some(columns.to_vec()) };
        for batch in self.recording.read(&query)? {
            visit(Batch::of(&batch?, self.recording.path()))?;
        }
        Ok(())
    }

    /// Who has series of its own: a PID and a name. A PID that comes again under the same name goes on counting.
    fn find_processes(&mut self, most: usize) -> Result<()> {
        let mut cpu: BTreeMap<(u64, u64), u64> = BTreeMap::new();
        self.each(Kind::Sample, &["ts", "proc", "pid", "cpu_ns"], |batch| {
            let (proc, pid, cpu_ns) = (batch.u64("proc")?, batch.u64("pid")?, batch.u64("cpu_ns")?);
            for row in 0..batch.len() {
                let own = cpu.entry((proc.at(row).unwrap_or(0), pid.at(row).unwrap_or(0))).or_default();
                *own = own.saturating_add(cpu_ns.at(row).unwrap_or(0));
            }
            Ok(())
        })?;
        let lives = processes::read(self.recording)?;
        let name = |proc: u64| lives.get(&proc).map(|life| life.comm.as_str()).filter(|n| !n.is_empty());
        let mut keys: BTreeMap<(u64, &str), (u64, Vec<u64>)> = BTreeMap::new();
        for ((proc, pid), cpu_ns) in &cpu {
            let own = keys.entry((*pid, name(*proc).unwrap_or("unknown"))).or_default();
            own.0 = own.0.saturating_add(*cpu_ns);
            own.1.push(*proc);
        }
        let mut keys: Vec<_> = keys.into_iter().collect();
        keys.sort_by(|a, b| b.1.0.cmp(&a.1.0).then_with(|| a.0.cmp(&b.0)));
        self.has_others = keys.len() > most;
        for (i, ((pid, comm), (_, procs))) in keys.into_iter().enumerate() {
            let at = i.min(most);
            if at == self.series.len() {
                let (comm, pid) = if i < most { (comm, pid.to_string()) } else { ("(others)", "others".to_owned()) };
                self.series.push((comm.to_owned(), pid));
            }
            self.place.extend(procs.into_iter().map(|proc| (proc, at)));
        }
        Ok(())
    }

    fn find_calls(&mut self) -> Result<()> {
        let mut names: BTreeSet<String> = BTreeSet::new();
        self.each(Kind::Tally, &["ts", "syscall"], |batch| {
            let new = batch.text("syscall")?.all().filter(|name| !names.contains(*name));
            names.extend(new.map(str::to_owned).collect::<Vec<_>>());
            Ok(())
        })?;
        self.calls = names.into_iter().collect();
        Ok(())
    }

    /// How many things with `series` series each are made in one pass.
    fn at_once(&self, series: usize) -> usize {
        (CELLS / (self.edges.len * series).max(1)).max(1)
    }

    fn processes(&self, columns: &'static Columns, sink: &mut dyn Sink) -> Result<()> {
        let parts = columns.parts;
        let mut names = vec!["ts", "dur_ns", "proc"];
        names.extend(parts.iter().map(|p| p.column));
        let is_gauge = columns.family.ty == Type::Gauge;
        // What holds cannot be added up over processes that come and go.
        let n = self.series.len() - usize::from(is_gauge && self.has_others);
        for from in (0..n).step_by(self.at_once(parts.len())) {
            let chunk = from..(from + self.at_once(parts.len())).min(n);
            let mut chart = Chart::new(chunk.len() * parts.len(), self.edges);
            self.each(Kind::Sample, &names, |batch| {
                let (dur, proc) = (batch.u64("dur_ns")?, batch.u64("proc")?);
                let values = parts.iter().map(|p| batch.u64(p.column)).collect::<osd_recording::Result<Vec<_>>>()?;
                for (row, ts) in batch.ts()?.iter().enumerate() {
                    let place = self.place.get(&proc.at(row).unwrap_or(0)).filter(|p| chunk.contains(p));
                    let Some(place) = place else { continue };
                    let at = self.edges.until(ts.saturating_add_unsigned(dur.at(row).unwrap_or(0)));
                    for (part, values) in values.iter().enumerate() {
                        let series = (place - chunk.start) * parts.len() + part;
                        match values.at(row) {
                            Some(value) if is_gauge => chart.set(series, at, value),
                            Some(value) => chart.add(series, at, value),
                            None => {}
                        }
                    }
                }
                Ok(())
            })?;
            for place in chunk.clone() {
                let series = (place - chunk.start) * parts.len();
                let (comm, pid) = &self.series[place];
                self.put(&chart, series, columns, Whose::Process { comm, pid }, sink)?;
            }
        }
        Ok(())
    }

    fn one(&self, family: &'static Family, whose: Whose<'_>, points: Points<'_>, sink: &mut dyn Sink) -> Result<()> {
        let scale = Scale::One;
        let series = Series { family, scale, metadata: self.recording.metadata(), whose, part: None };
        some(points, |points| sink.series(&series, points))
    }

    /// Tells the series of the parts of `columns`, which begin at `first`.
    fn put(
        &self,
        chart: &Chart,
        first: usize,
        columns: &'static Columns,
        whose: Whose<'_>,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        let (family, scale) = (&columns.family, columns.scale);
        // A process ends; the host goes on.
        let to_the_end = whose == Whose::Host;
        for (i, part) in columns.parts.iter().enumerate() {
            let series = Series { family, scale, metadata: self.recording.metadata(), whose, part: part.label };
            match family.ty {
                Type::Gauge => some(&mut chart.gauge(first + i), |points| sink.series(&series, points))?,
                _ => some(&mut chart.counter(first + i, to_the_end), |points| sink.series(&series, points))?,
            }
        }
        Ok(())
    }

    fn host(&self, columns: &'static Columns, sink: &mut dyn Sink) -> Result<()> {
        let mut names = vec!["ts", "dur_ns"];
        names.extend(columns.parts.iter().map(|p| p.column));
        let mut chart = Chart::new(columns.parts.len(), self.edges);
        self.each(Kind::System, &names, |batch| {
            let dur = batch.u64("dur_ns")?;
            for (series, part) in columns.parts.iter().enumerate() {
                let real = if columns.scale == Scale::Real { Some(batch.f64(part.column)?) } else { None };
                let whole = if real.is_none() { Some(batch.u64(part.column)?) } else { None };
                for (row, ts) in batch.ts()?.iter().enumerate() {
                    let at = self.edges.until(ts.saturating_add_unsigned(dur.at(row).unwrap_or(0)));
                    let real = real.and_then(|c| c.at(row)).filter(|v| v.is_finite()).map(f64::to_bits);
                    let value = real.or_else(|| whole.and_then(|c| c.at(row)));
                    match (value, columns.family.ty) {
                        (Some(value), Type::Gauge) => chart.set(series, at, value),
                        (Some(value), _) => chart.add(series, at, value),
                        (None, _) => {}
                    }
                }
            }
            Ok(())
        })?;
        self.put(&chart, 0, columns, Whose::Host, sink)
    }

    /// Calls by name: how many, how many failed, or how long they took.
    fn calls(&self, of: Of, sink: &mut dyn Sink) -> Result<()> {
        let durations = of == Of::Durations;
        // Of a histogram: its buckets, all above, and the sum of durations.
        let n_buckets = BUCKETS.clone().count();
        let each = if durations { n_buckets + 2 } else { 1 };
        let columns: &[&'static str] = match of {
            Of::Durations => &["ts", "dur_ns", "syscall", "total_ns", "latency_log2"],
            Of::Errors => &["ts", "dur_ns", "syscall", "errors"],
            Of::Count => &["ts", "dur_ns", "syscall", "count"],
        };
        let n = self.calls.len();
        for from in (0..n).step_by(self.at_once(each)) {
            let chunk = from..(from + self.at_once(each)).min(n);
            let mut chart = Chart::new(chunk.len() * each, self.edges);
            self.each(Kind::Tally, columns, |batch| {
                let (names, dur, number) = (batch.text("syscall")?, batch.u64("dur_ns")?, batch.u64(columns[3])?);
                let lists = batch.list("latency_log2")?;
                let places: Vec<Option<usize>> = names
                    .all()
                    .map(|name| {
                        self.calls.binary_search_by(|c| c.as_str().cmp(name)).ok().filter(|p| chunk.contains(p))
                    })
                    .collect();
                for (row, ts) in batch.ts()?.iter().enumerate() {
                    let Some(place) = names.code(row).and_then(|code| places[code]) else { continue };
                    let Some(number) = number.at(row) else { continue };
                    let at = self.edges.until(ts.saturating_add_unsigned(dur.at(row).unwrap_or(0)));
                    let first = (place - chunk.start) * each;
                    if !durations {
                        chart.add(first, at, number);
                        continue;
                    }
                    let Some(list) = lists.at(row) else { continue };
                    for (bucket, n) in list.iter().enumerate() {
                        chart.add(first + bucket.saturating_sub(*BUCKETS.start()).min(n_buckets), at, *n);
                    }
                    chart.add(first + n_buckets + 1, at, number);
                }
                Ok(())
            })?;
            for place in chunk.clone() {
                let (first, whose) = ((place - chunk.start) * each, Whose::Call(&self.calls[place]));
                match of {
                    Of::Durations => self.histogram(&chart, first, whose, sink)?,
                    Of::Count => self.one(&CALLS, whose, &mut chart.counter(first, true), sink)?,
                    Of::Errors => self.one(&CALL_ERRORS, whose, &mut chart.counter(first, true), sink)?,
                }
            }
        }
        Ok(())
    }

    fn histogram(&self, chart: &Chart, first: usize, whose: Whose<'_>, sink: &mut dyn Sink) -> Result<()> {
        let n_buckets = BUCKETS.clone().count();
        let metadata = self.recording.metadata();
        let series = Series { family: &CALL_DURATION, scale: Scale::Seconds, metadata, whose, part: None };
        // A call has durations exactly if its sum is known.
        let mut sums = chart.counter(first + n_buckets + 1, true).peekable();
        if sums.peek().is_none() {
            return Ok(());
        }
        let mut buckets: Vec<_> = (0..=n_buckets).map(|b| chart.counter(first + b, true).peekable()).collect();
        let mut counted = vec![0_u64; buckets.len()];
        for (ns, sum_ns) in sums {
            for (bucket, counted) in buckets.iter_mut().zip(&mut counted) {
                while let Some((_, n)) = bucket.next_if(|(until, _)| *until <= ns) {
                    *counted = n;
                }
            }
            sink.histogram(&series, Some(&Counted { ns, buckets: &counted, sum_ns }))?;
        }
        sink.histogram(&series, None)
    }

    fn lost(&self, sink: &mut dyn Sink) -> Result<()> {
        let (losses, _) = osd_signals::losses::read(self.recording, self.range.as_ref())?;
        let mut kinds: BTreeMap<(&str, &str), Chart> = BTreeMap::new();
        for loss in &losses {
            let chart = kinds.entry((&loss.stream, &loss.reason)).or_insert_with(|| Chart::new(1, self.edges));
            chart.add(0, self.edges.until(loss.ts_ns.saturating_add_unsigned(loss.dur_ns)), loss.count);
        }
        for ((stream, reason), chart) in kinds {
            self.one(&LOST, Whose::Loss { stream, reason }, &mut chart.counter(0, true), sink)?;
        }
        Ok(())
    }

    fn info(&self, sink: &mut dyn Sink) -> Result<()> {
        let mut points = (0..self.edges.len).map(|at| (self.edges.ns(at), 1));
        self.one(&INFO, Whose::Recording, &mut points, sink)
    }

    /// 0 before it and after it, so that nobody takes it for longer than it was.
    fn anomaly(&self, window: &Window, sink: &mut dyn Sink) -> Result<()> {
        let (first, last) = (self.edges.until(window.start_ns), self.edges.until(window.end_ns));
        let value = |at| if (first..=last).contains(&at) { window.severity } else { 0.0 };
        let mut points =
            (first - 1..=(last + 1).min(self.edges.len - 1)).map(|at| (self.edges.ns(at), value(at).to_bits()));
        let (metadata, whose) = (self.recording.metadata(), Whose::Window(window));
        sink.series(&Series { family: &ANOMALY, scale: Scale::Real, metadata, whose, part: None }, &mut points)
    }
}

/// Calls `tell` with the points, if there are any.
fn some(points: Points<'_>, tell: impl FnOnce(Points<'_>) -> Result<()>) -> Result<()> {
    let mut points = points.peekable();
    if points.peek().is_some() { tell(&mut points) } else { Ok(()) }
}
