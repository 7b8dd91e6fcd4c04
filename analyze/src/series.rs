//! From samples and tallies to series on a regular grid.
//!
//! A row covers `ts .. ts + dur_ns`; its counters are spread over the bins it overlaps, so a late tick or a short-lived process adds
//! what it did where it did it. Levels hold from a sample to the next of the same process, unless it is away for long. A bin of
//! which samples cover less than half is a gap; of a recording that is shorter than that, its whole time is one bin.

use crate::metrics::{self, METRICS};
use crate::{Error, Result};
use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, Int64Type, UInt64Type};
use arrow::record_batch::RecordBatch;
use osd_detect::grid::Grid;
use osd_recording::words::program;
use osd_recording::{Kind, Query, Recording};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// One call over the grid.
#[derive(Clone, Debug)]
pub(crate) struct CallSeries {
    pub(crate) name: String,
    pub(crate) count: Vec<f64>,
    pub(crate) errors: Vec<f64>,
    pub(crate) time_ns: Vec<f64>,
    pub(crate) total: u64,
}

/// What happened to one process.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProcessLife {
    pub(crate) pid: u32,
    /// The last name it had.
    pub(crate) comm: String,
    /// Its names, each from when on, in order of time.
    names: Vec<(i64, String)>,
    pub(crate) exe: String,
    pub(crate) argv: String,
    /// When it was born while recorded.
    pub(crate) born_ns: Option<i64>,
    /// When it was first met.
    pub(crate) met_ns: i64,
}

impl ProcessLife {
    /// What it was called at that time; before its first row, by that one's name. `None` if no row names it.
    pub(crate) fn comm_at(&self, ts_ns: i64) -> Option<&str> {
        let known = self.names.partition_point(|(from, _)| *from <= ts_ns);
        self.names.get(known.saturating_sub(1)).map(|(_, name)| name.as_str())
    }

    /// Names as rows tell them, in any order.
    fn set_names(&mut self, mut told: Vec<(i64, bool, String)>) {
        told.sort();
        for (ts_ns, ends, name) in told {
            match self.names.last_mut() {
                // A program that names itself does so as it starts, and only its end shows the name.
                Some(last) if ends => last.1 = name,
                _ => self.names.push((ts_ns, name)),
            }
        }
    }
}

/// Everything that fits in memory whatever the number of events.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) grid: Grid,
    /// By place in [`METRICS`]; `None` where the recording does not have it.
    pub(crate) metrics: Vec<Option<Vec<Option<f64>>>>,
    pub(crate) calls: Vec<CallSeries>,
    /// CPU of each process over the grid, cores.
    pub(crate) cpu_of: BTreeMap<u64, Vec<f32>>,
    /// Messages received and sent per bin.
    pub(crate) messages: [Vec<f64>; 2],
    pub(crate) processes: BTreeMap<u64, ProcessLife>,
    pub(crate) n_syscalls: u64,
}

/// A column as `u64`; `None` where it is absent or null.
pub(crate) fn u64s(batch: &RecordBatch, name: &str) -> Result<Option<ArrayRef>> {
    batch.column_by_name(name).map(|c| to(c, &DataType::UInt64)).transpose()
}

pub(crate) fn to(column: &ArrayRef, ty: &DataType) -> Result<ArrayRef> {
    cast(column, ty).map_err(|e| Error::sql(&e.into(), &[]))
}

pub(crate) fn times(batch: &RecordBatch) -> Result<Vec<i64>> {
    let column = batch.column_by_name("ts").map(|c| to(c, &DataType::Int64)).transpose()?;
    Ok(column.map(|c| c.as_primitive::<Int64Type>().values().to_vec()).unwrap_or_default())
}

/// Codes and their texts of a dictionary column.
pub(crate) fn dictionary<'a>(
    batch: &'a RecordBatch,
    name: &str,
) -> Option<(&'a DictionaryArray<Int32Type>, Vec<&'a str>)> {
    let column = batch.column_by_name(name)?.as_dictionary_opt::<Int32Type>()?;
    let values = column.values().as_string_opt::<i32>()?;
    Some((column, values.iter().map(Option::unwrap_or_default).collect()))
}

pub(crate) fn text<'a>(column: Option<&(&'a DictionaryArray<Int32Type>, Vec<&'a str>)>, row: usize) -> Option<&'a str> {
    let (codes, values) = column?;
    values.get(codes.key(row)?).copied()
}

const SAMPLE_COLUMNS: [&str; 22] = [
    "ts",
    "dur_ns",
    "proc",
    "cpu_ns",
    "runq_ns",
    "ctx_voluntary",
    "ctx_involuntary",
    "rss_anon_bytes",
    "rss_file_bytes",
    "rss_shmem_bytes",
    "minor_faults",
    "major_faults",
    "net_rx_bytes",
    "net_tx_bytes",
    "net_rx_msgs",
    "net_tx_msgs",
    "read_bytes",
    "write_bytes",
    "n_syscalls",
    "n_syscall_errors",
    "n_threads",
    "n_fds",
];

/// Which metrics a counter column adds to, and its factor to the unit.
const COUNTERS: [(&str, usize, f64); 12] = [
    ("cpu_ns", metrics::CPU, 1e-9),
    ("runq_ns", metrics::RUNQ, 1e-9),
    ("ctx_voluntary", metrics::CTX, 1.0),
    ("ctx_involuntary", metrics::CTX, 1.0),
    ("minor_faults", metrics::FAULTS, 1.0),
    ("major_faults", metrics::FAULTS, 1.0),
    ("net_rx_bytes", metrics::NET_RX, 1.0),
    ("net_tx_bytes", metrics::NET_TX, 1.0),
    ("read_bytes", metrics::READ, 1.0),
    ("write_bytes", metrics::WRITE, 1.0),
    ("n_syscalls", metrics::SYSCALLS, 1.0),
    ("n_syscall_errors", metrics::ERRORS, 1.0),
];

const LEVELS: [(&str, usize); 5] = [
    ("rss_anon_bytes", metrics::RSS),
    ("rss_file_bytes", metrics::RSS),
    ("rss_shmem_bytes", metrics::RSS),
    ("n_threads", metrics::THREADS),
    ("n_fds", metrics::FDS),
];

/// Bins a process may be without a sample before its levels count as gone.
const HOLD_BINS: usize = 5;
/// As many processes are followed by themselves, the first that have samples; the others are in the sums only.
const MOST_PROCESSES: usize = 512;

pub(crate) fn read(recording: &Recording, range: Option<&Range<i64>>) -> Result<Table> {
    let mut table = Table::new(grid(recording, range)?);
    let (mut sums, mut seen, mut covered) = read_samples(recording, &mut table, range)?;
    if !covered.shares().any(|c| c >= HALF) {
        match covered.span.clone() {
            Some(span) => {
                table = Table::new(Grid { start_ns: span.start, step_ns: (span.end - span.start).max(1), len: 1 });
                (sums, seen, covered) = read_samples(recording, &mut table, range)?;
            }
            None if range.is_some() => {
                return Err(Error::NoSamples { path: recording.path().display().to_string() });
            }
            // It ended before its first interval did.
            None => {}
        }
    }
    let seconds = table.grid.seconds(1);
    let covered: Vec<f64> = covered.shares().collect();
    for (place, sum) in sums.into_iter().enumerate() {
        let is_level = LEVELS.iter().any(|(_, p)| *p == place);
        // The last bin ends with the recording: what it counts, it counts in less time.
        let per = |c: f64| if is_level { 1.0 } else { 1.0 / (seconds * c) };
        if seen[place] {
            let values = sum.iter().zip(&covered).map(|(v, c)| (*c >= HALF).then(|| v * per(*c)));
            table.metrics[place] = Some(values.collect());
        }
    }
    let zeros = || covered.iter().map(|c| (*c >= HALF).then_some(0.0)).collect::<Vec<_>>();
    read_tallies(recording, &mut table, range)?;
    for call in &table.calls {
        if let Some(place) = metrics::class_of(&call.name) {
            let values = table.metrics[place].get_or_insert_with(zeros);
            for ((value, count), c) in values.iter_mut().zip(&call.count).zip(&covered) {
                if let Some(v) = value {
                    *v += count / (seconds * c);
                }
            }
        }
    }
    read_processes(recording, &mut table, range, &covered)?;
    Ok(table)
}

impl Table {
    fn new(grid: Grid) -> Self {
        Self {
            grid,
            metrics: vec![None; METRICS.len()],
            calls: vec![],
            cpu_of: BTreeMap::new(),
            messages: [vec![0.0; grid.len], vec![0.0; grid.len]],
            processes: BTreeMap::new(),
            n_syscalls: 0,
        }
    }
}

/// Share of a bin that samples must cover.
const HALF: f64 = 0.5;

/// Which parts of each bin some sample covers: 64ths, as bits.
struct Covered {
    parts: Vec<u64>,
    /// From the first to the last instant that a sample covers.
    span: Option<Range<i64>>,
}

impl Covered {
    fn new(grid: Grid) -> Self {
        Self { parts: vec![0; grid.len], span: None }
    }

    fn add(&mut self, grid: Grid, ts_ns: i64, dur_ns: u64) {
        let end_ns = ts_ns.saturating_add_unsigned(dur_ns);
        let mut met = false;
        grid.spread(ts_ns, dur_ns, |bin, _| {
            met = true;
            let part = |ns: i64, up: i64| {
                let since = i128::from(ns) - i128::from(grid.time(bin));
                ((since * 64 + i128::from(up)) / i128::from(grid.step_ns)).clamp(0, 64) as u32
            };
            // A part counts from its middle on.
            let (from, to) = (part(ts_ns, grid.step_ns / 2), part(end_ns, grid.step_ns / 2));
            let below = |n: u32| if n >= 64 { u64::MAX } else { (1 << n) - 1 };
            self.parts[bin] |= below(to) & !below(from);
        });
        if met {
            let whole = self.span.get_or_insert(ts_ns..end_ns);
            *whole = whole.start.min(ts_ns)..whole.end.max(end_ns);
        }
    }

    fn shares(&self) -> impl Iterator<Item = f64> + '_ {
        self.parts.iter().map(|p| f64::from(p.count_ones()) / 64.0)
    }
}

fn grid(recording: &Recording, range: Option<&Range<i64>>) -> Result<Grid> {
    let m = recording.metadata();
    let empty = || Error::NoSamples { path: recording.path().display().to_string() };
    let samples = recording.row_groups().iter().filter(|g| g.kind == Some(Kind::Sample));
    let spans = samples.filter_map(|g| g.ts_ns).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    let Some((first, last)) = spans else {
        if range.is_some() {
            return Err(empty());
        }
        let length = m.ended_ns.saturating_sub(m.started_ns).max(1);
        return Ok(Grid { start_ns: m.started_ns, step_ns: length, len: 1 });
    };
    let mut step_ns = interval_ns(recording);
    // The phase of the first sample, so that rows fall into bins instead of across them.
    let mut start_ns = first;
    let mut end_ns = last.saturating_add(step_ns);
    if let Some(range) = range {
        let skip = range.start.saturating_sub(start_ns).max(0).div_euclid(step_ns);
        start_ns = start_ns.saturating_add(skip.saturating_mul(step_ns));
        end_ns = end_ns.min(range.end);
    }
    // A damaged clock must not ask for terabytes: two million bins are two days at 100 ms.
    const MOST_BINS: i64 = 2_000_000;
    let length = end_ns.saturating_sub(start_ns);
    if length <= 0 {
        return Err(empty());
    }
    if length / step_ns > MOST_BINS {
        step_ns = length / MOST_BINS + 1;
    }
    let len = usize::try_from((length + step_ns - 1) / step_ns).unwrap_or(1);
    Ok(Grid { start_ns, step_ns, len })
}

/// Wanted interval of the recording.
pub(crate) fn interval_ns(recording: &Recording) -> i64 {
    i64::try_from(recording.metadata().interval_ns).ok().filter(|ns| *ns > 0).unwrap_or(100_000_000)
}

fn query(kind: Kind, columns: &[&'static str], range: Option<&Range<i64>>) -> Query {
    Query { kinds: Some(vec![kind]), columns: Some(columns.to_vec()), ts_ns: range.cloned() }
}

type Sums = (Vec<Vec<f64>>, Vec<bool>, Covered);

fn read_samples(recording: &Recording, table: &mut Table, range: Option<&Range<i64>>) -> Result<Sums> {
    let grid = table.grid;
    let mut sums = vec![vec![0.0; grid.len]; METRICS.len()];
    let mut seen = vec![false; METRICS.len()];
    let mut covered = Covered::new(grid);
    // Next bin whose level each process has not filled, and the levels it had.
    let mut levels: HashMap<u64, (usize, [f64; LEVELS.len()])> = HashMap::new();
    for batch in recording.read(&query(Kind::Sample, &SAMPLE_COLUMNS, range))? {
        let batch = batch?;
        let ts = times(&batch)?;
        let column = |name: &str| u64s(&batch, name);
        let (dur, proc) = (column("dur_ns")?, column("proc")?);
        let counters = COUNTERS.iter().map(|(n, ..)| column(n)).collect::<Result<Vec<_>>>()?;
        let level_columns = LEVELS.iter().map(|(n, _)| column(n)).collect::<Result<Vec<_>>>()?;
        let messages = [column("net_rx_msgs")?, column("net_tx_msgs")?];
        for (row, ts) in ts.iter().enumerate() {
            let get = |c: &Option<ArrayRef>| {
                let c = c.as_ref()?.as_primitive_opt::<UInt64Type>()?;
                c.is_valid(row).then(|| c.value(row))
            };
            let dur_ns = get(&dur).filter(|d| *d > 0).unwrap_or(grid.step_ns as u64);
            let proc = get(&proc).unwrap_or(0);
            let mut last_bin = None;
            let mut shares: Vec<(usize, f64)> = vec![];
            grid.spread(*ts, dur_ns, |bin, share| shares.push((bin, share)));
            covered.add(grid, *ts, dur_ns);
            if let Some((bin, _)) = shares.last() {
                last_bin = Some(*bin);
            }
            for ((_, place, factor), c) in COUNTERS.iter().zip(&counters) {
                let Some(value) = get(c) else { continue };
                seen[*place] = true;
                if value > 0 {
                    for (bin, share) in &shares {
                        sums[*place][*bin] += value as f64 * factor * share;
                    }
                }
            }
            let per_s = 1e9 / grid.step_ns as f64;
            if table.cpu_of.len() < MOST_PROCESSES || table.cpu_of.contains_key(&proc) {
                let own = table.cpu_of.entry(proc).or_insert_with(|| vec![0.0; grid.len]);
                let cpu_s = get(&counters[0]).unwrap_or(0) as f64 * 1e-9;
                for (bin, share) in &shares {
                    own[*bin] += (cpu_s * per_s * share) as f32;
                }
            }
            for (sum, c) in table.messages.iter_mut().zip(&messages) {
                for (bin, share) in &shares {
                    sum[*bin] += get(c).unwrap_or(0) as f64 * share;
                }
            }
            if let (Some(last_bin), Some((first_bin, _))) = (last_bin, shares.first()) {
                let mut now = [0.0; LEVELS.len()];
                for (i, c) in level_columns.iter().enumerate() {
                    if let Some(v) = get(c) {
                        now[i] = v as f64;
                        seen[LEVELS[i].1] = true;
                    }
                }
                let (next, before) = levels.get(&proc).copied().unwrap_or((*first_bin, now));
                let from = if first_bin.saturating_sub(next) > HOLD_BINS { *first_bin } else { next };
                for (i, (_, place)) in LEVELS.iter().enumerate() {
                    let held = first_bin.saturating_sub(from);
                    for (k, sum) in sums[*place][from.min(last_bin)..=last_bin].iter_mut().enumerate() {
                        if from + k <= last_bin {
                            *sum += if k < held { before[i] } else { now[i] };
                        }
                    }
                }
                levels.insert(proc, ((last_bin + 1).max(next), now));
            }
        }
    }
    Ok((sums, seen, covered))
}

fn read_tallies(recording: &Recording, table: &mut Table, range: Option<&Range<i64>>) -> Result<()> {
    let grid = table.grid;
    let mut place_of: HashMap<String, usize> = HashMap::new();
    let columns = ["ts", "dur_ns", "syscall", "count", "errors", "total_ns"];
    for batch in recording.read(&query(Kind::Tally, &columns, range))? {
        let batch = batch?;
        let ts = times(&batch)?;
        let Some((codes, names)) = dictionary(&batch, "syscall") else { continue };
        let places: Vec<usize> = names
            .iter()
            .map(|name| {
                *place_of.entry((*name).to_owned()).or_insert_with(|| {
                    let zeros = || vec![0.0; grid.len];
                    table.calls.push(CallSeries {
                        name: (*name).to_owned(),
                        count: zeros(),
                        errors: zeros(),
                        time_ns: zeros(),
                        total: 0,
                    });
                    table.calls.len() - 1
                })
            })
            .collect();
        let column = |name: &str| u64s(&batch, name);
        let (dur, count, errors, time) = (column("dur_ns")?, column("count")?, column("errors")?, column("total_ns")?);
        for (row, ts) in ts.iter().enumerate() {
            let Some(place) = codes.key(row).and_then(|k| places.get(k)) else { continue };
            let get = |c: &Option<ArrayRef>| {
                let c = c.as_ref().and_then(|c| c.as_primitive_opt::<UInt64Type>());
                c.filter(|c| c.is_valid(row)).map_or(0, |c| c.value(row))
            };
            let dur_ns = get(&dur);
            let call = &mut table.calls[*place];
            let (count, errors, time) = (get(&count), get(&errors), get(&time));
            call.total = call.total.saturating_add(count);
            table.n_syscalls = table.n_syscalls.saturating_add(count);
            grid.spread(*ts, dur_ns.max(1), |bin, share| {
                call.count[bin] += count as f64 * share;
                call.errors[bin] += errors as f64 * share;
                call.time_ns[bin] += time as f64 * share;
            });
        }
    }
    table.calls.sort_by(|a, b| b.total.cmp(&a.total).then_with(|| a.name.cmp(&b.name)));
    Ok(())
}

fn read_processes(recording: &Recording, table: &mut Table, range: Option<&Range<i64>>, covered: &[f64]) -> Result<()> {
    let grid = table.grid;
    let columns = ["ts", "proc", "pid", "event", "comm", "exe", "argv"];
    let mut names: HashMap<u64, Vec<(i64, bool, String)>> = HashMap::new();
    // Names come from all of the recording; only births are bound to the range.
    for batch in recording.read(&query(Kind::Process, &columns, None))? {
        let batch = batch?;
        let ts = times(&batch)?;
        let (proc, pid) = (u64s(&batch, "proc")?, u64s(&batch, "pid")?);
        let texts = ["event", "comm", "exe", "argv"].map(|name| dictionary(&batch, name));
        for (row, ts) in ts.iter().enumerate() {
            let get = |c: &Option<ArrayRef>| {
                let c = c.as_ref().and_then(|c| c.as_primitive_opt::<UInt64Type>());
                c.filter(|c| c.is_valid(row)).map_or(0, |c| c.value(row))
            };
            let [event, comm, exe, argv] = [0, 1, 2, 3].map(|i| text(texts[i].as_ref(), row));
            let comm = comm.map(|comm| program(comm, exe.unwrap_or_default()));
            let new = || ProcessLife { met_ns: *ts, ..ProcessLife::default() };
            let life = table.processes.entry(get(&proc)).or_insert_with(new);
            life.pid = get(&pid) as u32;
            life.met_ns = life.met_ns.min(*ts);
            if let Some(comm) = comm.filter(|c| !c.is_empty()) {
                names.entry(get(&proc)).or_default().push((*ts, event == Some("exit"), comm.to_owned()));
            }
            for (field, value) in [(&mut life.comm, comm), (&mut life.exe, exe), (&mut life.argv, argv)] {
                // An exit row may know less than the rows before it.
                if let Some(value) = value.filter(|v| !v.is_empty()) {
                    value.clone_into(field);
                }
            }
            if matches!(event, Some("fork" | "exec")) {
                life.born_ns.get_or_insert(*ts);
                let inside = range.is_none_or(|r| r.contains(ts));
                if let (true, Some(bin)) = (inside, grid.bin(*ts)) {
                    let place = metrics::PROCESSES_STARTED;
                    let values = table.metrics[place]
                        .get_or_insert_with(|| covered.iter().map(|c| (*c >= HALF).then_some(0.0)).collect());
                    if let Some(value) = &mut values[bin] {
                        *value += 1.0 / (grid.seconds(1) * covered[bin]);
                    }
                }
            }
        }
    }
    for (proc, told) in names {
        table.processes.entry(proc).or_default().set_names(told);
    }
    Ok(())
}
