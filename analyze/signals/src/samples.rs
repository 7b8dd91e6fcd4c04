//! The `sample` rows of a recording, one after the other, and what of them the analysis adds up
//! over the grid.
//!
//! A row covers `ts .. ts + dur_ns`. Its counters are spread over the bins it overlaps, so a late tick or a short-lived
//! process adds what it did where it did it. Its levels hold until the next sample of the same process, unless that
//! stays away for long: in a sum over processes the steps are then those of processes, not of ticks that come at
//! different times.

use crate::coverage::Coverage;
use crate::grid::query;
use crate::metric::{METRICS, Metric, MetricId, N_LEVELS, PerMetric, Source};
use crate::processes::ProcessLife;
use crate::shared::Shared;
use osd_detect::grid::Grid;
use osd_recording::{Columns, Kind, Recording, Result, U64s};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// One row.
#[derive(Debug)]
pub struct Sample<'a> {
    /// When it begins, UTC ns.
    pub ts_ns: i64,
    /// How long it is; one bin if the recording does not say.
    pub dur_ns: u64,
    /// Whose it is.
    pub proc: u64,
    /// The bins that it overlaps, and its share of each.
    pub shares: &'a [(usize, f64)],
    columns: &'a [U64s<'a>],
    row: usize,
}

impl Sample<'_> {
    /// The value of a column, by its place in what [`for_each`] was asked for.
    pub fn value(&self, column: usize) -> Option<u64> {
        self.columns[column].at(self.row)
    }
}

/// Calls `visit` with each sample that begins in `range`; `columns` are those whose values it wants.
///
/// # Errors
/// If the recording cannot be read.
pub fn for_each(
    recording: &Recording,
    grid: Grid,
    range: Option<&Range<i64>>,
    columns: &[&'static str],
    mut visit: impl FnMut(&Sample<'_>),
) -> Result<()> {
    let mut names = vec!["ts", "dur_ns", "proc"];
    names.extend(columns);
    let mut shares: Vec<(usize, f64)> = vec![];
    for batch in recording.read(&query(Kind::Sample, &names, range))? {
        let batch = batch?;
        let all = Columns::of(&batch, recording.path());
        let (dur, proc) = (all.u64("dur_ns")?, all.u64("proc")?);
        let columns = columns.iter().map(|name| all.u64(name)).collect::<Result<Vec<_>>>()?;
        for (row, ts_ns) in all.ts()?.iter().enumerate() {
            let dur_ns = dur.at(row).filter(|d| *d > 0).unwrap_or(grid.step_ns as u64);
            shares.clear();
            grid.spread(*ts_ns, dur_ns, |bin, share| shares.push((bin, share)));
            let proc = proc.at(row).unwrap_or(0);
            visit(&Sample { ts_ns: *ts_ns, dur_ns, proc, shares: &shares, columns: &columns, row });
        }
    }
    Ok(())
}

/// Bins a process may be without a sample before its levels count as gone. A tick is late by one or two under load;
/// whoever is away for half a second at 100 ms is not held.
const HOLD_BINS: usize = 5;
/// As many processes are followed by themselves, the first that have samples; the others are in the sums only.
const MOST_PROCESSES: usize = 512;

/// Sums over the samples of a recording.
#[derive(Debug)]
pub struct Sums {
    /// By metric, then bin, before it is divided by time; `None` where no sample has it, NaN in bins of which no sample says it.
    pub metrics: PerMetric<Option<Vec<f64>>>,
    /// Which bins samples cover.
    pub coverage: Coverage,
    /// CPU of each process over the grid, cores.
    pub cpu_of: BTreeMap<u64, Vec<f32>>,
    /// Messages received and sent of each bin.
    pub messages: [Vec<f64>; 2],
}

/// The levels of a process.
#[derive(Clone, Copy)]
struct Held {
    /// The first bin that they do not fill yet.
    next: usize,
    /// Of the metrics that are levels, in their order.
    values: [f64; N_LEVELS],
    /// Which of them it has, a bit each.
    has: u32,
    /// Of memory, what it shares with others of its program.
    shared: f64,
}

/// A bit for each bin.
struct Bins(Vec<u64>);

impl Bins {
    fn add(&mut self, bin: usize) {
        self.0[bin / 64] |= 1 << (bin % 64);
    }

    fn has(&self, bin: usize) -> bool {
        self.0[bin / 64] >> (bin % 64) & 1 == 1
    }
}

impl Sums {
    /// Adds up the samples that begin in `range`.
    ///
    /// # Errors
    /// If the recording cannot be read.
    pub fn read(
        recording: &Recording,
        grid: Grid,
        range: Option<&Range<i64>>,
        processes: &BTreeMap<u64, ProcessLife>,
    ) -> Result<Self> {
        let mut columns = vec!["net_rx_msgs", "net_tx_msgs", "cpu_ns", "minor_faults"];
        let mut counters: Vec<(MetricId, f64, Range<usize>)> = vec![];
        let mut levels: Vec<(MetricId, Range<usize>)> = vec![];
        for metric in &METRICS {
            let own = columns.len()..columns.len() + metric.columns().len();
            columns.extend(metric.columns());
            match metric.source {
                Source::Counter(_, factor) => counters.push((metric.id, factor, own)),
                Source::Level(_) => levels.push((metric.id, own)),
                Source::Calls(_) | Source::Starts | Source::Latency(_) => {}
            }
        }
        let zeros = || vec![0.0; grid.len];
        let mut sums = PerMetric::from_fn(|m: &Metric| if m.columns().is_empty() { vec![] } else { zeros() });
        let mut seen = PerMetric::from_fn(|_| false);
        // Recorders have a column in every row or in none; of tables from elsewhere some fields are empty.
        let words = |m: &Metric| if m.columns().is_empty() { 0 } else { grid.len.div_ceil(64) };
        let mut known = PerMetric::from_fn(|m| Bins(vec![0; words(m)]));
        let mut coverage = Coverage::new(grid);
        let mut cpu_of: BTreeMap<u64, Vec<f32>> = BTreeMap::new();
        let mut messages = [zeros(), zeros()];
        let mut held: HashMap<u64, Held> = HashMap::new();
        let mut memory = Shared::new(recording.metadata().host.page_bytes, grid.len);
        let per_s = 1e9 / grid.step_ns as f64;
        for_each(recording, grid, range, &columns, |sample| {
            coverage.add(grid, sample.ts_ns, sample.dur_ns);
            for (id, factor, own) in &counters {
                for value in own.clone().filter_map(|c| sample.value(c)) {
                    seen[*id] = true;
                    sample.shares.iter().for_each(|(bin, _)| known[*id].add(*bin));
                    if value > 0 {
                        for (bin, share) in sample.shares {
                            sums[*id][*bin] += value as f64 * factor * share;
                        }
                    }
                }
            }
            if cpu_of.len() < MOST_PROCESSES || cpu_of.contains_key(&sample.proc) {
                let own = cpu_of.entry(sample.proc).or_insert_with(|| vec![0.0; grid.len]);
                let cpu_s = sample.value(2).unwrap_or(0) as f64 * 1e-9;
                for (bin, share) in sample.shares {
                    own[*bin] += (cpu_s * per_s * share) as f32;
                }
            }
            for (i, sum) in messages.iter_mut().enumerate() {
                for (bin, share) in sample.shares {
                    sum[*bin] += sample.value(i).unwrap_or(0) as f64 * share;
                }
            }
            let (Some((first, _)), Some((last, _))) = (sample.shares.first(), sample.shares.last()) else { return };
            let life = processes.get(&sample.proc);
            let mut values = [0.0; N_LEVELS];
            let (mut has, mut shared) = (0, 0.0);
            for (at, ((id, own), value)) in levels.iter().zip(&mut values).enumerate() {
                for level in own.clone().filter_map(|c| sample.value(c)) {
                    seen[*id] = true;
                    has |= 1 << at;
                    *value += level as f64;
                }
                if *id == MetricId::Rss {
                    let anon = own.clone().next().and_then(|c| sample.value(c)).unwrap_or(0) as f64;
                    shared = *value - anon;
                    let copied = life.is_some_and(|l| l.is_copy_at(sample.ts_ns));
                    *value = if copied { memory.own(sample.proc, anon, sample.value(3).unwrap_or(0)) } else { anon };
                }
            }
            let now = Held { next: *first, values, has, shared };
            let before = held.get(&sample.proc).copied().unwrap_or(now);
            let from = if first.saturating_sub(before.next) > HOLD_BINS { *first } else { before.next };
            let program = life.map_or("", |l| l.exe.as_str());
            for bin in from..=*last {
                let held = if bin < *first { &before } else { &now };
                for (at, ((id, _), value)) in levels.iter().zip(held.values).enumerate() {
                    sums[*id][bin] += value;
                    if held.has >> at & 1 == 1 {
                        known[*id].add(bin);
                    }
                }
                sums[MetricId::Rss][bin] += memory.put(program, bin, held.shared);
            }
            held.insert(sample.proc, Held { next: (*last + 1).max(before.next), ..now });
        })?;
        let metrics = sums.map(|metric, mut sum| {
            // The last sample of a process never has its open files.
            if metric.id != MetricId::Fds {
                let unknown =
                    sum.iter_mut().enumerate().filter(|(bin, _)| seen[metric.id] && !known[metric.id].has(*bin));
                unknown.for_each(|(_, sum)| *sum = f64::NAN);
            }
            seen[metric.id].then_some(sum)
        });
        Ok(Self { metrics, coverage, cpu_of, messages })
    }
}
