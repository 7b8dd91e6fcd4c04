//! The cursor: streams of rows merged by when the rows were known.

use super::clocks::{self, Clock};
use super::stream::Stream;
use super::wanted::Wanted;
use crate::Result;
use arrow_array::RecordBatch;
use osd_recording::{Kind, Recording};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::Arc;

/// Rows of one kind of one recording that follow one another.
#[derive(Clone, Debug)]
pub struct Block {
    /// Place of the recording among those that are replayed.
    pub recording: usize,
    /// What they are.
    pub kind: Kind,
    /// The rows, in order.
    pub rows: RecordBatch,
    times: Arc<[i64]>,
    range: Range<usize>,
}

impl Block {
    /// When each was known, replay time, UTC ns; ascending, and not empty.
    pub fn times(&self) -> &[i64] {
        &self.times[self.range.clone()]
    }
}

/// Where a replay is in its recordings.
pub struct Cursor {
    recordings: Vec<Arc<Recording>>,
    clocks: Vec<Clock>,
    wanted: Wanted,
    streams: Vec<(usize, Stream)>,
    /// A time before which a stream has nothing, and whether that is the time of its next row.
    next: BinaryHeap<Reverse<(i64, usize, bool)>>,
}

impl Cursor {
    /// At the beginning of `recordings`.
    pub fn new(recordings: Vec<Recording>, wanted: Wanted) -> Self {
        let clocks = clocks::clocks(&recordings);
        let recordings = recordings.into_iter().map(Arc::new).collect();
        let mut cursor = Self { recordings, clocks, wanted, streams: vec![], next: BinaryHeap::new() };
        cursor.rewind();
        cursor
    }

    /// The recordings, in their order.
    pub fn recordings(&self) -> &[Arc<Recording>] {
        &self.recordings
    }

    /// How the time of each becomes replay time.
    pub fn clocks(&self) -> &[Clock] {
        &self.clocks
    }

    /// First and last moment of all recordings, replay time, within what is wanted.
    pub fn span(&self) -> Range<i64> {
        let of = |(r, c): (&Arc<Recording>, &Clock)| {
            let m = r.metadata();
            (m.started_ns.saturating_add(c.shift_ns), m.ended_ns.saturating_add(c.shift_ns))
        };
        let spans = self.recordings.iter().zip(&self.clocks).map(of);
        let (from, to) = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or((0, 0));
        match &self.wanted.begin_in {
            Some(range) => from.max(range.start)..to.min(range.end).max(from.max(range.start)),
            None => from..to,
        }
    }

    /// Goes to the first row that begins at `ts_ns` or later, replay time, and is wanted. By the statistics of the row groups: what lies
    /// before it is not read.
    pub fn seek(&mut self, ts_ns: i64) {
        let wanted = self.wanted.begin_in.clone().unwrap_or(i64::MIN..i64::MAX);
        let from = Wanted { begin_in: Some(ts_ns.max(wanted.start)..wanted.end), ..self.wanted.clone() };
        self.open(&from);
    }

    /// Back to the beginning.
    pub fn rewind(&mut self) {
        self.open(&self.wanted.clone());
    }

    fn open(&mut self, wanted: &Wanted) {
        self.streams.clear();
        self.next.clear();
        for (i, (recording, clock)) in self.recordings.iter().zip(&self.clocks).enumerate() {
            for kind in Kind::ALL.into_iter().filter(|k| wanted.kinds.as_ref().is_none_or(|kinds| kinds.contains(k))) {
                let stream = Stream::new(recording, kind, clock.shift_ns, wanted);
                if let Some(bound) = stream.bound() {
                    self.next.push(Reverse((bound, self.streams.len(), false)));
                    self.streams.push((i, stream));
                }
            }
        }
    }

    /// When the next row was known; `None` at the end.
    ///
    /// # Errors
    /// If a recording cannot be read.
    pub fn peek(&mut self) -> Result<Option<i64>> {
        while let Some(Reverse((_, at, is_head))) = self.next.peek().copied() {
            if is_head {
                break;
            }
            self.next.pop();
            if let Some(head) = self.streams[at].1.head()? {
                self.next.push(Reverse((head, at, true)));
            }
        }
        Ok(self.next.peek().map(|Reverse((time, ..))| *time))
    }

    /// The next rows that were known at `until_ns` at the latest; `None` if there are none yet, or no more.
    ///
    /// # Errors
    /// If a recording cannot be read.
    pub fn next_until(&mut self, until_ns: i64) -> Result<Option<Block>> {
        loop {
            let Some(time) = self.peek()?.filter(|t| *t <= until_ns) else { return Ok(None) };
            let Some(Reverse((_, at, _))) = self.next.pop() else { return Ok(None) };
            // Up to where another stream may have something; at the same time the stream that is first in their order comes first.
            let bound = self.next.peek().map(|Reverse((bound, other, _))| (*bound, at < *other));
            let (last, with_it) = bound.filter(|(bound, _)| *bound <= until_ns).unwrap_or((until_ns, true));
            let (recording, stream) = &mut self.streams[at];
            // Rows that come late are given at once.
            let given = stream.give(last, with_it).or_else(|| stream.give(time, true));
            if let Some(bound) = stream.bound() {
                self.next.push(Reverse((bound, at, false)));
            }
            if let Some((sorted, range)) = given {
                let rows = sorted.batch.slice(range.start, range.len());
                let (recording, kind) = (*recording, stream.kind());
                return Ok(Some(Block { recording, kind, rows, times: sorted.times, range }));
            }
        }
    }

    /// The next rows, whenever they were known.
    ///
    /// # Errors
    /// If a recording cannot be read.
    pub fn next_block(&mut self) -> Result<Option<Block>> {
        self.next_until(i64::MAX)
    }

    /// Rows that came after others of their kind which were known later: the file had them further away from their place than any
    /// recorder writes.
    pub fn n_late(&self) -> u64 {
        self.streams.iter().map(|(_, stream)| stream.n_late()).sum()
    }
}
