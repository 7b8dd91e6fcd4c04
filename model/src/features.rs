//! Features: what a model sees of a recording.
//!
//! A feature is a counter or a level of `sample` rows, summed over all recorded processes, on a regular grid of the recording's
//! interval, in the phase of its first sample. Counters are spread over the bins that a row overlaps and become rates; levels are means
//! over time. A bin is *valid* if samples cover it and nothing that counts was lost in it; the short first and last are not.

use crate::{Error, Result, absent};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, TimestampNanosecondType, UInt32Type, UInt64Type};
use arrow_array::{Array, RecordBatch};
use osd_detect::grid::Grid;
use osd_detect::series::Table;
use osd_recording::{Kind, Query, Recording};
use parquet::file::statistics::Statistics;
use std::collections::HashMap;

/// One number of each interval.
#[derive(Debug, PartialEq)]
pub struct Feature {
    /// As in `osd analyze`, and in `--features`.
    pub name: &'static str,
    /// Of its values.
    pub unit: &'static str,
    /// A level; else a rate.
    pub level: bool,
    /// Columns that are added up.
    pub columns: &'static [&'static str],
    /// From the columns' unit to the feature's.
    pub factor: f64,
    /// Least spread that a scaler believes, in the unit: a metric that never moves in training must not make a model shout at a trifle.
    pub floor: f64,
}

const fn rate(name: &'static str, unit: &'static str, columns: &'static [&'static str], floor: f64) -> Feature {
    Feature { name, unit, level: false, columns, factor: 1.0, floor }
}

const fn level(name: &'static str, unit: &'static str, columns: &'static [&'static str], floor: f64) -> Feature {
    Feature { name, unit, level: true, columns, factor: 1.0, floor }
}

const fn time(name: &'static str, unit: &'static str, columns: &'static [&'static str], floor: f64) -> Feature {
    Feature { name, unit, level: false, columns, factor: 1e-9, floor }
}

/// Every feature; those of [`DEFAULT`] first.
pub static ALL: [Feature; 13] = [
    time("cpu", "cores", &["cpu_ns"], 0.02),
    level("rss", "bytes", &["rss_anon_bytes", "rss_file_bytes", "rss_shmem_bytes"], 1_048_576.0),
    rate("net_rx", "bytes/s", &["net_rx_bytes"], 4_096.0),
    rate("net_tx", "bytes/s", &["net_tx_bytes"], 4_096.0),
    rate("syscalls", "calls/s", &["n_syscalls"], 20.0),
    time("runq", "s/s", &["runq_ns"], 0.01),
    rate("errors", "calls/s", &["n_syscall_errors"], 5.0),
    rate("write", "bytes/s", &["write_bytes"], 65_536.0),
    rate("read", "bytes/s", &["read_bytes"], 65_536.0),
    rate("faults", "faults/s", &["minor_faults", "major_faults"], 20.0),
    rate("ctx", "switches/s", &["ctx_voluntary", "ctx_involuntary"], 20.0),
    level("threads", "threads", &["n_threads"], 4.0),
    level("fds", "fds", &["n_fds"], 8.0),
];

/// What a model sees unless told otherwise, and `fds` where they could be counted: see [`usual`].
pub const DEFAULT: [&str; 6] = ["cpu", "rss", "net_rx", "net_tx", "syscalls", "runq"];

/// Share of samples without the number of open files up to which it is one of what a model sees.
const UNCOUNTED: f64 = 0.01;

/// The names of [`DEFAULT`], and `fds` if nearly every sample of every recording has it. Whoever may not look into a process, or was
/// recorded with hundreds of others, has none; the last sample of a process that ended never has.
pub fn usual(recordings: &[Recording]) -> Vec<&'static str> {
    let counted = |recording: &Recording| {
        let parquet = recording.parquet();
        let place = parquet.file_metadata().schema_descr().columns().iter().position(|c| c.name() == "n_fds");
        let samples =
            recording.row_groups().iter().zip(parquet.row_groups()).filter(|(g, _)| g.kind == Some(Kind::Sample));
        let (mut rows, mut nulls) = (0, 0);
        for (_, group) in samples {
            let statistics = place.and_then(|i| group.columns().get(i)?.statistics());
            rows += group.num_rows() as u64;
            nulls += statistics.and_then(Statistics::null_count_opt).unwrap_or(group.num_rows() as u64);
        }
        nulls as f64 <= UNCOUNTED * rows as f64
    };
    let fds = (!recordings.is_empty() && recordings.iter().all(counted)).then_some("fds");
    DEFAULT.into_iter().chain(fds).collect()
}

/// The features of these names, in this order.
///
/// # Errors
/// If one is unknown, or there twice, or there are none.
pub fn named<S: AsRef<str>>(names: &[S]) -> Result<Vec<&'static Feature>> {
    if names.is_empty() {
        return Err(Error::Features { detail: "none given".into() });
    }
    let mut out: Vec<&'static Feature> = vec![];
    for name in names.iter().map(AsRef::as_ref) {
        let unknown = || Error::UnknownFeature { name: name.to_owned() };
        let feature = ALL.iter().find(|f| f.name == name).ok_or_else(unknown)?;
        if out.contains(&feature) {
            return Err(Error::Features { detail: format!("`{name}` is there twice") });
        }
        out.push(feature);
    }
    Ok(out)
}

/// The features of one recording.
#[derive(Clone, Debug)]
pub struct Series {
    /// The recording's id.
    pub recording_id: String,
    /// Bins of its interval.
    pub grid: Grid,
    /// A row a bin, a column a feature, in their units; NaN where no sample is.
    pub table: Table,
    /// Whether the row is whole.
    pub valid: Vec<bool>,
}

impl Series {
    /// Rows that are whole.
    pub fn n_valid(&self) -> usize {
        self.valid.iter().filter(|v| **v).count()
    }
}

/// Bins that fit in memory: more than a week at 100 ms.
const MOST_BINS: i64 = 8_000_000;
/// Share of a bin that samples must cover. Ticks come late by a few per cent; what is shorter is an edge or a gap.
const COVERED: f64 = 0.9;
/// Share of an interval's calls that may be missing from the counts.
const MISSING: f64 = 0.01;

/// Reads the features of a recording.
///
/// # Errors
/// If it cannot be read, has no samples, or lacks a feature.
pub fn read(recording: &Recording, features: &[&'static Feature]) -> Result<Series> {
    let grid = grid(recording)?;
    let samples = Samples::read(recording, features, grid)?;
    for (feature, seen) in features.iter().zip(&samples.seen) {
        if !seen {
            return Err(absent::error(recording, feature, grid.len));
        }
    }
    let mut valid: Vec<bool> = samples.covered.iter().map(|c| *c >= COVERED).collect();
    mask_losses(recording, grid, &samples.calls, &mut valid)?;
    let mut table = Table::new(features.len());
    let mut row = vec![0.0; features.len()];
    for bin in 0..grid.len {
        for ((value, sum), feature) in row.iter_mut().zip(&samples.sums).zip(features) {
            let per = if feature.level { 1.0 } else { feature.factor / grid.seconds(1) };
            *value = if samples.covered[bin] > 0.0 { sum[bin] * per } else { f64::NAN };
        }
        table.push(&row);
    }
    Ok(Series { recording_id: recording.metadata().recording_id.clone(), grid, table, valid })
}

fn grid(recording: &Recording) -> Result<Grid> {
    let path = || recording.path().to_owned();
    let samples = recording.row_groups().iter().filter(|g| g.kind == Some(Kind::Sample));
    let (start_ns, last) = samples
        .filter_map(|g| g.ts_ns)
        .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
        .ok_or_else(|| Error::TooShort { path: path(), found: 0, wanted: 1 })?;
    let step_ns = i64::try_from(recording.metadata().interval_ns).unwrap_or(0);
    if step_ns <= 0 {
        return Err(Error::damaged(recording.path(), "the recording does not say its interval"));
    }
    let bins = last.saturating_sub(start_ns) / step_ns + 1;
    if bins > MOST_BINS {
        return Err(Error::TooLong { path: path(), bins, most: MOST_BINS });
    }
    Ok(Grid { start_ns, step_ns, len: usize::try_from(bins).unwrap_or(1) })
}

/// Sums over the sample rows.
struct Samples {
    /// By feature, then bin.
    sums: Vec<Vec<f64>>,
    /// Whether any row has the feature.
    seen: Vec<bool>,
    /// Largest share of each bin that one process's samples cover.
    covered: Vec<f64>,
    /// System calls of each bin.
    calls: Vec<f64>,
}

impl Samples {
    fn read(recording: &Recording, features: &[&'static Feature], grid: Grid) -> Result<Self> {
        let mut out = Self {
            sums: vec![vec![0.0; grid.len]; features.len()],
            seen: vec![false; features.len()],
            covered: vec![0.0; grid.len],
            calls: vec![0.0; grid.len],
        };
        let mut names = vec!["ts", "dur_ns", "proc", "n_syscalls"];
        features.iter().flat_map(|f| f.columns).for_each(|c| {
            if !names.contains(c) {
                names.push(c);
            }
        });
        // The bin that each process was in last, and how much of it its samples cover.
        let mut coverage: HashMap<u64, (usize, f64)> = HashMap::new();
        let query = Query { kinds: Some(vec![Kind::Sample]), columns: Some(names), ts_ns: None };
        for batch in recording.read(&query)? {
            let batch = batch?;
            let own: Vec<Vec<Numbers<'_>>> =
                features.iter().map(|f| f.columns.iter().map(|c| Numbers::of(&batch, c)).collect()).collect();
            let [dur, proc, calls] = ["dur_ns", "proc", "n_syscalls"].map(|name| Numbers::of(&batch, name));
            for (row, ts) in times(&batch).enumerate() {
                let dur_ns = dur.at(row).filter(|d| *d > 0).unwrap_or(grid.step_ns as u64);
                let mut shares: Vec<(usize, f64)> = vec![];
                grid.spread(ts, dur_ns, |bin, share| shares.push((bin, share)));
                let last = coverage.entry(proc.at(row).unwrap_or(0)).or_insert((0, 0.0));
                for (bin, share) in &shares {
                    let part = share * dur_ns as f64 / grid.step_ns as f64;
                    *last = if last.0 == *bin { (*bin, last.1 + part) } else { (*bin, part) };
                    out.covered[*bin] = out.covered[*bin].max(last.1);
                    out.calls[*bin] += calls.at(row).unwrap_or(0) as f64 * share;
                }
                for (i, columns) in own.iter().enumerate() {
                    let values: Vec<u64> = columns.iter().filter_map(|c| c.at(row)).collect();
                    out.seen[i] |= !values.is_empty();
                    let value = values.iter().map(|v| *v as f64).sum::<f64>();
                    for (bin, share) in &shares {
                        // A rate's share is that of its row; a level's, that of the bin.
                        let part = if features[i].level { share * dur_ns as f64 / grid.step_ns as f64 } else { *share };
                        out.sums[i][*bin] += value * part;
                    }
                }
            }
        }
        Ok(out)
    }
}

/// Bins in which something is missing from what the features count. Lost events are in the counts, and no loss here.
fn mask_losses(recording: &Recording, grid: Grid, calls: &[f64], valid: &mut [bool]) -> Result<()> {
    let columns = vec!["ts", "dur_ns", "count", "stream", "reason"];
    let query = Query { kinds: Some(vec![Kind::Loss]), columns: Some(columns), ts_ns: None };
    for batch in recording.read(&query)? {
        let batch = batch?;
        let [dur, count] = ["dur_ns", "count"].map(|name| Numbers::of(&batch, name));
        let [stream, reason] = ["stream", "reason"].map(|name| Words::of(&batch, name));
        for (row, ts) in times(&batch).enumerate() {
            let counted = matches!(
                (stream.at(row), reason.at(row)),
                ("sample", _) | ("tally" | "network" | "process", "recursion_miss")
            );
            if !counted {
                continue;
            }
            let n = count.at(row).unwrap_or(0) as f64;
            grid.spread(ts, dur.at(row).unwrap_or(1), |bin, share| {
                if stream.at(row) == "sample" || n * share > MISSING * calls[bin] {
                    valid[bin] = false;
                }
            });
        }
    }
    Ok(())
}

fn times(batch: &RecordBatch) -> impl Iterator<Item = i64> + '_ {
    let column = batch.column_by_name("ts").and_then(|c| c.as_primitive_opt::<TimestampNanosecondType>());
    column.into_iter().flat_map(|c| c.values().iter().copied())
}

/// A column of whole numbers, whatever its width; nothing where the file has none.
enum Numbers<'a> {
    Wide(&'a arrow_array::UInt64Array),
    Narrow(&'a arrow_array::UInt32Array),
    Absent,
}

impl<'a> Numbers<'a> {
    fn of(batch: &'a RecordBatch, name: &str) -> Self {
        let Some(column) = batch.column_by_name(name) else { return Self::Absent };
        let narrow = || column.as_primitive_opt::<UInt32Type>().map_or(Self::Absent, Self::Narrow);
        column.as_primitive_opt::<UInt64Type>().map_or_else(narrow, Self::Wide)
    }

    fn at(&self, row: usize) -> Option<u64> {
        match self {
            Self::Wide(c) => c.is_valid(row).then(|| c.value(row)),
            Self::Narrow(c) => c.is_valid(row).then(|| u64::from(c.value(row))),
            Self::Absent => None,
        }
    }
}

/// A column of words; empty where there is none.
struct Words<'a>(Option<(&'a arrow_array::DictionaryArray<Int32Type>, &'a arrow_array::StringArray)>);

impl<'a> Words<'a> {
    fn of(batch: &'a RecordBatch, name: &str) -> Self {
        let column = batch.column_by_name(name).and_then(|c| c.as_dictionary_opt::<Int32Type>());
        Self(column.and_then(|c| Some((c, c.values().as_string_opt::<i32>()?))))
    }

    fn at(&self, row: usize) -> &'a str {
        let word =
            self.0.and_then(|(codes, words)| codes.key(row).filter(|k| *k < words.len()).map(|k| words.value(k)));
        word.unwrap_or_default()
    }
}
