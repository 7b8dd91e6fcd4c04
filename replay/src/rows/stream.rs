//! The rows of one kind of one recording, in the order in which they were known.
//!
//! In the file, rows that were written together are sorted by when they began, and what was written later was known later. So a row is
//! at most a batch away from its place: it is held until so many rows after it were read ([`window`]). What is further away than that,
//! which no recorder writes, comes late and is counted.

use super::wanted::Wanted;
use crate::{Error, Result};
use arrow_array::RecordBatch;
use arrow_select::interleave::interleave_record_batch;
use osd_recording::{Batches, Columns, Kind, Recording};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Rows read at a time, and rows that are held until as many after them were read. Calls come by the hundred thousand a second and are
/// written four times a second; of other kinds, what is written together is an interval of all processes.
fn window(kind: Kind) -> (usize, usize) {
    match kind {
        Kind::Syscall => (32 << 10, 32 << 10),
        // All at once: marks are made when a recording ends, wherever they lie.
        Kind::Label => (8 << 10, usize::MAX),
        Kind::System | Kind::Loss => (4 << 10, 4 << 10),
        _ => (8 << 10, 16 << 10),
    }
}

/// Rows in order, with their times.
#[derive(Clone, Debug)]
pub(super) struct Sorted {
    pub(super) batch: RecordBatch,
    /// When each was known, replay time.
    pub(super) times: Arc<[i64]>,
}

/// One kind of one recording.
pub(super) struct Stream {
    recording: Arc<Recording>,
    kind: Kind,
    columns: Option<Vec<&'static str>>,
    shift_ns: i64,
    /// Rows that begin in this range, recording time.
    begin_in: Range<i64>,
    /// Rows known after this, recording time.
    after_ns: Option<i64>,
    groups: VecDeque<usize>,
    open: Option<Batches>,
    /// Read and in order, but the next batch may have what comes before.
    held: Option<Sorted>,
    ready: Option<(Sorted, usize)>,
    given_to: i64,
    n_late: u64,
}

impl Stream {
    pub(super) fn new(recording: &Arc<Recording>, kind: Kind, shift_ns: i64, wanted: &Wanted) -> Self {
        let own = |ns: i64| if ns == i64::MIN || ns == i64::MAX { ns } else { ns.saturating_sub(shift_ns) };
        let begin_in = wanted.begin_in.clone().map_or(i64::MIN..i64::MAX, |r| own(r.start)..own(r.end));
        let after_ns = wanted.after_ns.map(own);
        let mut groups: Vec<(i64, usize)> = vec![];
        for (i, group) in recording.row_groups().iter().enumerate().filter(|(_, g)| g.kind == Some(kind)) {
            let in_range = group.ts_ns.is_none_or(|(first, last)| first < begin_in.end && last >= begin_in.start);
            let known = recording.group_span(i).zip(after_ns).is_none_or(|((_, end), after)| end > after);
            if in_range && known {
                groups.push((group.ts_ns.map_or(i64::MIN, |t| t.1), i));
            }
        }
        // Those of a recorder are in order already, those of recordings that were joined need not be.
        groups.sort_by_key(|g| g.0);
        Self {
            recording: Arc::clone(recording),
            kind,
            columns: wanted.columns.as_ref().map(|own| with_times(own, kind)),
            shift_ns,
            begin_in,
            after_ns,
            groups: groups.into_iter().map(|g| g.1).collect(),
            open: None,
            held: None,
            ready: None,
            given_to: i64::MIN,
            n_late: 0,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Rows that came after others which were known later.
    pub(super) fn n_late(&self) -> u64 {
        self.n_late
    }

    /// A time before which it has nothing; `None` at its end. Opens nothing.
    pub(super) fn bound(&self) -> Option<i64> {
        if let Some((sorted, at)) = &self.ready {
            return Some(sorted.times[*at]);
        }
        let of_held = self.held.as_ref().and_then(|h| h.times.first().copied());
        let of_open = self.open.as_ref().map(|_| i64::MIN);
        let of_group = |g: &usize| match self.recording.group_span(*g) {
            Some((first, _)) => first.max(self.begin_in.start).saturating_add(self.shift_ns),
            None => i64::MIN,
        };
        [of_held, of_open, self.groups.front().map(of_group)].into_iter().flatten().min()
    }

    /// The time of the next row; `None` at its end. Reads what it takes to know.
    pub(super) fn head(&mut self) -> Result<Option<i64>> {
        while self.ready.is_none() {
            match self.read()? {
                Some(next) => self.take_in(next)?,
                None => {
                    let Some(last) = self.held.take() else { return Ok(None) };
                    self.ready = Some((last, 0));
                }
            }
        }
        Ok(self.bound())
    }

    /// The next rows up to the first that is known after `last_ns`, or, if another stream comes first at the same time, at it.
    pub(super) fn give(&mut self, last_ns: i64, with_it: bool) -> Option<(Sorted, Range<usize>)> {
        let (sorted, at) = self.ready.take()?;
        let rest = &sorted.times[at..];
        let n = rest.partition_point(|t| if with_it { *t <= last_ns } else { *t < last_ns });
        if n == 0 {
            self.ready = Some((sorted, at));
            return None;
        }
        self.n_late += rest[..n].iter().take_while(|t| **t < self.given_to).count() as u64;
        self.given_to = self.given_to.max(rest[n - 1]);
        if at + n < sorted.times.len() {
            self.ready = Some((sorted.clone(), at + n));
        }
        Some((sorted, at..at + n))
    }

    /// The next batch of the file with its rows in order; not empty.
    fn read(&mut self) -> Result<Option<Sorted>> {
        loop {
            if self.open.is_none() {
                let Some(group) = self.groups.pop_front() else { return Ok(None) };
                let skip = self.rows_before(group)?;
                let columns = self.columns.as_deref();
                self.open = Some(self.recording.read_group(group, columns, window(self.kind).0, skip)?);
            }
            match self.open.as_mut().and_then(Iterator::next) {
                None => self.open = None,
                Some(batch) => {
                    if let Some(sorted) = self.sort(&batch?)? {
                        return Ok(Some(sorted));
                    }
                }
            }
        }
    }

    /// Rows at the beginning of a row group that begin before the range: those are passed over without a look at anything but `ts`.
    fn rows_before(&self, group: usize) -> Result<usize> {
        let from = self.begin_in.start;
        let whole = self.recording.row_groups()[group].ts_ns.is_none_or(|(first, _)| first >= from);
        if whole {
            return Ok(0);
        }
        let mut rows = 0;
        for batch in self.recording.read_group(group, Some(&["ts"]), 64 << 10, 0)? {
            let batch = batch?;
            let ts = Columns::of(&batch, self.recording.path()).ts()?;
            match ts.iter().position(|t| *t >= from) {
                Some(first) => return Ok(rows + first),
                None => rows += ts.len(),
            }
        }
        Ok(rows)
    }

    fn sort(&self, batch: &RecordBatch) -> Result<Option<Sorted>> {
        let columns = Columns::of(batch, self.recording.path());
        let dur = columns.u64("dur_ns")?;
        let mut known: Vec<(i64, usize)> = vec![];
        for (row, ts) in columns.ts()?.iter().enumerate() {
            // A mark is known where it begins: that is what it was made for.
            let dur = if self.kind == Kind::Label { 0 } else { dur.at(row).unwrap_or(0) };
            let end = ts.saturating_add_unsigned(dur);
            if self.begin_in.contains(ts) && self.after_ns.is_none_or(|after| end > after) {
                known.push((end.saturating_add(self.shift_ns), row));
            }
        }
        if known.is_empty() {
            return Ok(None);
        }
        if known.len() == batch.num_rows() && known.is_sorted_by_key(|k| k.0) {
            return Ok(Some(Sorted { batch: batch.clone(), times: known.into_iter().map(|k| k.0).collect() }));
        }
        known.sort_by_key(|k| k.0);
        let rows: Vec<(usize, usize)> = known.iter().map(|(_, row)| (0, *row)).collect();
        let times = known.into_iter().map(|k| k.0).collect();
        Ok(Some(Sorted { batch: self.pick(&[batch], &rows)?, times }))
    }

    /// Adds `next` to what is held, and lets go what no later row can come before.
    fn take_in(&mut self, next: Sorted) -> Result<()> {
        let window = window(self.kind).1;
        let Some(held) = self.held.take() else {
            self.held = Some(next);
            return Ok(());
        };
        let (n_held, n_next) = (held.times.len(), next.times.len());
        let in_order = held.times.last() <= next.times.first();
        if in_order && n_next >= window {
            self.ready = Some((held, 0));
            self.held = Some(next);
            return Ok(());
        }
        let mut merged: Vec<(i64, (usize, usize))> = Vec::with_capacity(n_held + n_next);
        merged.extend(held.times.iter().enumerate().map(|(row, t)| (*t, (0, row))));
        merged.extend(next.times.iter().enumerate().map(|(row, t)| (*t, (1, row))));
        if !in_order {
            merged.sort_by_key(|m| m.0);
        }
        let n_ready = merged.len().saturating_sub(window);
        let (first, last) = merged.split_at(n_ready);
        let both = [&held.batch, &next.batch];
        let part = |part: &[(i64, (usize, usize))]| -> Result<Sorted> {
            let rows: Vec<(usize, usize)> = part.iter().map(|m| m.1).collect();
            Ok(Sorted { batch: self.pick(&both, &rows)?, times: part.iter().map(|m| m.0).collect() })
        };
        let (first, last) = (if first.is_empty() { None } else { Some((part(first)?, 0)) }, part(last)?);
        (self.ready, self.held) = (first, Some(last));
        Ok(())
    }

    fn pick(&self, from: &[&RecordBatch], rows: &[(usize, usize)]) -> Result<RecordBatch> {
        // Of another dictionary, columns may not be put together.
        interleave_record_batch(from, rows)
            .map_err(|e| Error::Order { path: self.recording.path().display().to_string(), detail: e.to_string() })
    }
}

/// The columns asked for that rows of this kind have, and those that say when they were known.
fn with_times(columns: &[&'static str], kind: Kind) -> Vec<&'static str> {
    let own = kind.columns().map(|c| c.name);
    own.filter(|name| columns.contains(name) || matches!(*name, "ts" | "dur_ns")).collect()
}
