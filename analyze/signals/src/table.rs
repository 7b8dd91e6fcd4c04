//! The table: metrics, calls and processes of a recording, each over the same bins.

use crate::calls::{self, CallSeries};
use crate::coverage::HALF;
use crate::metric::{METRICS, Metric, MetricId, PerMetric, Source};
use crate::processes::{self, ProcessLife};
use crate::samples::Sums;
use crate::threads::ThreadNames;
use crate::{Error, Result, grid};
use osd_detect::grid::Grid;
use osd_recording::Recording;
use std::collections::BTreeMap;
use std::ops::Range;

/// Everything that fits in memory whatever the number of events.
#[derive(Debug)]
pub struct Table {
    /// The bins.
    pub grid: Grid,
    /// Values by metric, then bin; `None` in a gap, and where the recording does not have the metric.
    pub metrics: PerMetric<Option<Vec<Option<f64>>>>,
    /// Every system call, the most frequent first.
    pub calls: Vec<CallSeries>,
    /// CPU of each process over the grid, cores.
    pub cpu_of: BTreeMap<u64, Vec<f32>>,
    /// Messages received and sent of each bin.
    pub messages: [Vec<f64>; 2],
    /// By identity.
    pub processes: BTreeMap<u64, ProcessLife>,
    /// Of threads that are not called as their processes.
    pub thread_names: ThreadNames,
    /// System calls in all.
    pub n_syscalls: u64,
}

impl Table {
    /// The table of `recording`, or of the rows that begin in `range`.
    ///
    /// # Errors
    /// If it cannot be read, or [`Error::NoSamples`] if `range` holds none.
    pub fn read(recording: &Recording, range: Option<&Range<i64>>) -> Result<Self> {
        let mut grid = grid::of(recording, range)?;
        let processes = processes::read(recording)?;
        let mut sums = Sums::read(recording, grid, range, &processes)?;
        if !sums.coverage.shares().any(|c| c >= HALF) {
            match sums.coverage.span.clone() {
                // Shorter than half an interval: its whole time is one bin.
                Some(span) => {
                    grid = Grid { start_ns: span.start, step_ns: (span.end - span.start).max(1), len: 1 };
                    sums = Sums::read(recording, grid, range, &processes)?;
                }
                None if range.is_some() => return Err(Error::NoSamples { path: recording.path().to_owned() }),
                // It ended before its first interval did.
                None => {}
            }
        }
        let covered: Vec<f64> = sums.coverage.shares().collect();
        let calls = calls::read(recording, grid, range)?;
        let starts = processes.values().flat_map(|life| &life.starts_ns);
        let starts: Vec<usize> =
            starts.filter(|ts| range.is_none_or(|r| r.contains(ts))).filter_map(|ts| grid.bin(*ts)).collect();
        let metrics = PerMetric::from_fn(|metric| values(metric, grid, &covered, &sums, &calls, &starts));
        let n_syscalls = calls.iter().fold(0_u64, |sum, call| sum.saturating_add(call.total));
        let Sums { cpu_of, messages, .. } = sums;
        let thread_names = ThreadNames::read(recording)?;
        Ok(Self { grid, metrics, calls, cpu_of, messages, processes, thread_names, n_syscalls })
    }

    /// The values of a metric, if the recording has it.
    pub fn metric(&self, id: MetricId) -> Option<&Vec<Option<f64>>> {
        self.metrics[id].as_ref()
    }

    /// The metrics that the recording has, with their values.
    pub fn present(&self) -> impl Iterator<Item = (&'static Metric, &Vec<Option<f64>>)> {
        METRICS.iter().filter_map(|m| Some((m, self.metrics[m.id].as_ref()?)))
    }
}

/// The values of `metric` in its unit; `None` in a gap, or for all if nothing says anything of it.
fn values(
    metric: &Metric,
    grid: Grid,
    covered: &[f64],
    sums: &Sums,
    calls: &[CallSeries],
    starts: &[usize],
) -> Option<Vec<Option<f64>>> {
    // The last bin ends with the recording: what it counts, it counts in less time.
    let seconds = |c: f64| grid.seconds(1) * c;
    let known = |value: f64, c: f64| (c >= HALF && !value.is_nan()).then_some(value);
    if let Source::Counter(..) | Source::Level(_) = metric.source {
        let sums = sums.metrics[metric.id].as_ref()?;
        let per = |c: f64| if metric.is_level() { 1.0 } else { 1.0 / seconds(c) };
        return Some(sums.iter().zip(covered).map(|(sum, c)| known(sum * per(*c), *c)).collect());
    }
    if let Source::Latency(names) = metric.source {
        return latency(calls.iter().filter(|call| names.contains(&call.name.as_str())), grid, covered);
    }
    let mut rates = vec![0.0; grid.len];
    match metric.source {
        Source::Calls(names) => {
            let mut own = calls.iter().filter(|call| names.contains(&call.name.as_str())).peekable();
            own.peek()?;
            for call in own {
                for ((rate, n), c) in rates.iter_mut().zip(&call.count).zip(covered) {
                    *rate += n / seconds(*c);
                }
            }
        }
        _ => {
            starts.first()?;
            starts.iter().for_each(|bin| rates[*bin] += 1.0 / seconds(covered[*bin]));
        }
    }
    Some(rates.into_iter().zip(covered).map(|(rate, c)| known(rate, *c)).collect())
}

/// How long nothing may be called before it is not known any more how long it takes.
const HOLD_S: f64 = 2.0;

/// How long one of `calls` takes in each bin, see [`Source::Latency`]; where none returned, as long as the last, for a while.
fn latency<'a>(calls: impl Iterator<Item = &'a CallSeries>, grid: Grid, covered: &[f64]) -> Option<Vec<Option<f64>>> {
    let (mut timed, mut log2_ns) = (vec![0.0; grid.len], vec![0.0; grid.len]);
    for call in calls {
        for (sum, more) in timed.iter_mut().zip(&call.timed).chain(log2_ns.iter_mut().zip(&call.log2_ns)) {
            *sum += more;
        }
    }
    if timed.iter().all(|n| *n == 0.0) {
        return None;
    }
    let hold = grid.bins(HOLD_S).max(1);
    let (mut sum, mut last) = (0.0, None::<(usize, f64)>);
    let of_bin = |bin: usize| {
        sum += timed[bin];
        if timed[bin] > 0.0 {
            let usual = sum / (bin + 1) as f64;
            last = Some((bin, f64::exp2(log2_ns[bin] / timed[bin]) * 1e-9 * (timed[bin] / usual).min(1.0)));
        }
        last.filter(|(at, _)| bin - at <= hold && covered[bin] >= HALF).map(|(_, value)| value)
    };
    Some((0..grid.len).map(of_bin).collect())
}
