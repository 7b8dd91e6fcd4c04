//! Features: what a model sees of a recording.
//!
//! A feature is a metric that is made of `sample` rows, over all recorded processes, on a regular grid of the recording's
//! interval, in the phase of its first sample. Counters are spread over the bins that a row overlaps and become rates.
//! Levels are means over time, so that a forecast does not see the moment at which a tick came: the analysis, which looks
//! for steps, holds them instead ([`osd_signals::samples`]). A bin is *valid* if samples cover it and nothing that counts
//! was lost in it; the short first and last are not.

use crate::{Error, Result, absent};
use osd_detect::grid::Grid;
use osd_detect::series::Table;
use osd_recording::{Kind, Recording};
use osd_signals::coverage::Coverage;
use osd_signals::metric::METRICS;
use osd_signals::{grid, losses, samples};
use parquet::file::statistics::Statistics;

/// One number of each interval: a metric that models see.
pub use osd_signals::metric::Metric as Feature;

/// Every feature; those of [`DEFAULT`] first.
pub fn all() -> impl Iterator<Item = &'static Feature> {
    METRICS.iter().filter(|m| m.model_floor.is_some())
}

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
        let feature = all().find(|f| f.name == name).ok_or_else(unknown)?;
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
    let grid = bins(recording)?;
    let sums = Sums::read(recording, features, grid)?;
    for (feature, seen) in features.iter().zip(&sums.seen) {
        if !seen {
            return Err(absent::error(recording, feature, grid.len));
        }
    }
    let covered: Vec<f64> = sums.coverage.shares().collect();
    let mut valid: Vec<bool> = covered.iter().map(|c| *c >= COVERED).collect();
    mask_losses(recording, grid, &sums.calls, &mut valid)?;
    let mut table = Table::new(features.len());
    let mut row = vec![0.0; features.len()];
    for bin in 0..grid.len {
        for ((value, sum), feature) in row.iter_mut().zip(&sums.features).zip(features) {
            let per = if feature.is_level() { 1.0 } else { feature.factor() / grid.seconds(1) };
            *value = if covered[bin] > 0.0 { sum[bin] * per } else { f64::NAN };
        }
        table.push(&row);
    }
    Ok(Series { recording_id: recording.metadata().recording_id.clone(), grid, table, valid })
}

/// The bins of a recording. Here nothing is guessed: a model is bound to an interval.
fn bins(recording: &Recording) -> Result<Grid> {
    let path = || recording.path().to_owned();
    let interval_ns = recording.metadata().interval_ns;
    let none = || Error::TooShort { path: path(), found: 0, wanted: 1, interval_ns };
    let (start_ns, last) = grid::sample_span(recording).ok_or_else(none)?;
    let step_ns = i64::try_from(interval_ns).unwrap_or(0);
    if step_ns <= 0 {
        return Err(Error::damaged(recording.path(), "the recording does not say its interval"));
    }
    let bins = last.saturating_sub(start_ns) / step_ns + 1;
    if bins > MOST_BINS {
        return Err(Error::TooLong { path: path(), bins, most: MOST_BINS });
    }
    Ok(Grid { start_ns, step_ns, len: usize::try_from(bins).unwrap_or(1) })
}

/// Sums over the samples.
struct Sums {
    /// By feature, then bin.
    features: Vec<Vec<f64>>,
    /// Whether any sample has the feature.
    seen: Vec<bool>,
    coverage: Coverage,
    /// System calls of each bin.
    calls: Vec<f64>,
}

impl Sums {
    fn read(recording: &Recording, features: &[&'static Feature], grid: Grid) -> Result<Self> {
        let mut columns = vec!["n_syscalls"];
        let own: Vec<_> = features
            .iter()
            .map(|f| {
                columns.extend(f.columns());
                columns.len() - f.columns().len()..columns.len()
            })
            .collect();
        let zeros = || vec![0.0; grid.len];
        let mut sums: Vec<Vec<f64>> = features.iter().map(|_| zeros()).collect();
        let mut seen = vec![false; features.len()];
        let (mut coverage, mut calls) = (Coverage::new(grid), zeros());
        samples::for_each(recording, grid, None, &columns, |sample| {
            coverage.add(grid, sample.ts_ns, sample.dur_ns);
            let n_calls = sample.value(0).unwrap_or(0) as f64;
            sample.shares.iter().for_each(|(bin, share)| calls[*bin] += n_calls * share);
            for (i, own) in own.iter().enumerate() {
                let mut value = 0.0;
                for v in own.clone().filter_map(|column| sample.value(column)) {
                    seen[i] = true;
                    value += v as f64;
                }
                for (bin, share) in sample.shares {
                    // A rate's share is that of its row; a level's, that of the bin.
                    let part = share * sample.dur_ns as f64 / grid.step_ns as f64;
                    sums[i][*bin] += value * if features[i].is_level() { part } else { *share };
                }
            }
        })?;
        Ok(Self { features: sums, seen, coverage, calls })
    }
}

/// Bins in which something is missing from what the features count. Lost events are in the counts, and no loss here.
fn mask_losses(recording: &Recording, grid: Grid, calls: &[f64], valid: &mut [bool]) -> Result<()> {
    for loss in losses::read(recording, None)?.0 {
        let (stream, reason) = (loss.stream.as_str(), loss.reason.as_str());
        let counted = matches!((stream, reason), ("sample", _) | ("tally" | "network" | "process", "recursion_miss"));
        if !counted {
            continue;
        }
        let n = loss.count as f64;
        grid.spread(loss.ts_ns, loss.dur_ns.max(1), |bin, share| {
            if stream == "sample" || n * share > MISSING * calls[bin] {
                valid[bin] = false;
            }
        });
    }
    Ok(())
}
