//! What is usual, from other recordings: their tables, and what their rows say, read as the
//! baseline of a recording that has none of its own.

use crate::error::{Error, Result};
use crate::evidence::{Bin, Events, Latency, Stacks, Thread};
use osd_detect::grid::Grid;
use osd_recording::{Kind, Recording};
use osd_signals::metric::{METRICS, Metric, Source};
use osd_signals::{Table, failures, grid};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

/// The first and the last part of a recording are its target starting and being shut down.
const SETTLE_S: f64 = 1.0;
const CLOSING_S: f64 = 0.5;
/// Rows are looked at verbatim over so long.
const VERBATIM_S: f64 = 30.0;

/// One of the recordings.
pub(crate) struct Usual<'a> {
    pub(crate) recording: &'a Recording,
    pub(crate) table: Table,
    pub(crate) bins: Vec<Bin>,
    pub(crate) events: Events,
    pub(crate) latency: Latency,
    pub(crate) stacks: Stacks,
    /// Threads by the names of their process and of themselves.
    pub(crate) threads: BTreeMap<(String, String), Vec<Thread>>,
}

impl<'a> Usual<'a> {
    /// Reads each of `baselines`, which are to be compared with `recording`.
    ///
    /// # Errors
    /// If one cannot be read, is the recording itself, has another interval, or shares no metric with it.
    pub(crate) fn read(recording: &Recording, table: &Table, baselines: &'a [Recording]) -> Result<Vec<Self>> {
        let wanted = grid::interval_ns(recording);
        baselines
            .iter()
            .map(|baseline| {
                let path = baseline.path().to_owned();
                if baseline.metadata().recording_id == recording.metadata().recording_id {
                    return Err(Error::BaselineIsItself { path });
                }
                let found = grid::interval_ns(baseline);
                // Recorders keep to what they were told; more than a tenth is another interval.
                if (found - wanted).abs() * 10 > wanted {
                    return Err(Error::BaselineInterval { path, found_ns: found, wanted_ns: wanted });
                }
                let one = Self::of(baseline)?;
                let both =
                    |m: &Metric| m.opens_windows && one.table.metric(m.id).is_some() && table.metric(m.id).is_some();
                if !METRICS.iter().any(both) {
                    return Err(Error::BaselineMetrics { path });
                }
                Ok(one)
            })
            .collect()
    }

    fn of(recording: &'a Recording) -> Result<Self> {
        let mut table = Table::read(recording, None)?;
        let has_events = recording.kind_rows(Kind::Syscall) > 0;
        if has_events {
            failures::keep_failures(recording, &mut table, None)?;
        }
        let grid = table.grid;
        let (settle, closing) = (grid.bins(SETTLE_S).max(1), grid.bins(CLOSING_S));
        let mut bins = vec![Bin::Baseline; grid.len];
        bins[..settle.min(grid.len)].fill(Bin::Neither);
        bins[grid.len.saturating_sub(closing)..].fill(Bin::Neither);
        let events = if has_events { Events::read(recording, grid, &bins, None)? } else { Events::default() };
        let latency = Latency::read(recording, grid, &bins, None)?;
        let stacks = Stacks::read(recording, grid, &bins, None)?;
        let mut threads: BTreeMap<(String, String), Vec<Thread>> = BTreeMap::new();
        let end_ns = grid.time(grid.len);
        for thread in events.threads.keys() {
            let process = table.processes.get(&thread.proc).and_then(|l| l.comm_at(end_ns)).unwrap_or_default();
            let own = table.thread_names.at(thread.proc, thread.tid, end_ns).unwrap_or(process);
            threads.entry((process.to_owned(), own.to_owned())).or_default().push(*thread);
        }
        Ok(Self { recording, table, bins, events, latency, stacks, threads })
    }

    pub(crate) fn grid(&self) -> Grid {
        self.table.grid
    }

    /// Seconds of it that are a baseline.
    pub(crate) fn seconds(&self) -> f64 {
        self.grid().seconds(self.bins.iter().filter(|b| **b == Bin::Baseline).count())
    }

    /// The values of a metric; zeros where it counts calls and starts of which there were none.
    pub(crate) fn values(&self, metric: &Metric) -> Option<Cow<'_, [Option<f64>]>> {
        match (self.table.metric(metric.id), metric.source) {
            (Some(values), _) => Some(Cow::Borrowed(values)),
            (None, Source::Calls(_)) if self.table.calls.is_empty() => None,
            (None, Source::Calls(_) | Source::Starts) => Some(Cow::Owned(vec![Some(0.0); self.grid().len])),
            (None, _) => None,
        }
    }

    /// The values of baseline bins, of all that are given.
    pub(crate) fn known<'v>(&'v self, values: &'v [Option<f64>]) -> impl Iterator<Item = f64> + 'v {
        values.iter().zip(&self.bins).filter(|(_, b)| **b == Bin::Baseline).filter_map(|(v, _)| *v)
    }

    /// A part in its middle that is short enough to look at row by row, and how many seconds it has.
    pub(crate) fn middle(&self) -> (Range<i64>, f64) {
        let grid = self.grid();
        let (settle, closing) = (grid.bins(SETTLE_S).max(1).min(grid.len), grid.bins(CLOSING_S));
        let end = grid.len.saturating_sub(closing).max(settle);
        let length = grid.bins(VERBATIM_S).max(1).min(end - settle);
        let from = settle + (end - settle - length) / 2;
        (grid.time(from)..grid.time(from + length), grid.seconds(length))
    }
}
