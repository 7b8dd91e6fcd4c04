//! Where a session's rows go: the writer of the file under way, with the clock and the metadata
//! that belong to it.

use super::watch::Watch;
use super::writer_thread::{Batch, WriterHandle};
use crate::error::Result;
use crate::host::{self, Cgroups, HostMeter, Neighbours};
use crate::whom::names::Names;
use osd_recording::rows::Row;
use osd_recording::{ClockTable, Metadata, Writer};
use std::time::{Duration, Instant};

/// How often it is looked which control groups the processes are in, and in how many of these at most.
const MEETINGS_NS: i64 = 1_000_000_000;
const MOST_MET: usize = 64;
/// How often the three clocks are compared.
const CLOCK_POINTS: Duration = Duration::from_secs(5);

/// The file under way, and what goes into it whatever the source of the rest is.
pub(crate) struct Sink {
    pub(crate) writer: WriterHandle,
    pub(crate) clock: ClockTable,
    pub(crate) metadata: Metadata,
    /// Start of the interval under way (UTC).
    pub(crate) interval_start_ns: i64,
    host: HostMeter,
    cgroups: Cgroups,
    neighbours: Neighbours,
    pub(crate) names: Names,
    next_meeting_ns: i64,
    next_clock: Instant,
    watch: Vec<Box<dyn Watch>>,
}

impl Sink {
    pub(crate) fn new(writer: WriterHandle, clock: ClockTable, metadata: Metadata) -> Self {
        let next_clock = Instant::now() + CLOCK_POINTS;
        Self {
            writer,
            clock,
            metadata,
            interval_start_ns: 0,
            host: HostMeter::new(),
            cgroups: Cgroups::new(),
            neighbours: Neighbours::default(),
            names: Names::new(),
            next_meeting_ns: 0,
            next_clock,
            watch: Vec::new(),
        }
    }

    /// Has all of `watch` see what is handed over from now on.
    pub(crate) fn watched_by(&mut self, watch: Vec<Box<dyn Watch>>) {
        self.watch = watch;
    }

    /// Shows what is about to be handed over, if somebody watches.
    pub(crate) fn show(&mut self, batch: &Batch) {
        for watch in &mut self.watch {
            if !batch.syscalls.is_empty() {
                watch.calls(&batch.syscalls);
            }
            if !batch.rows.is_empty() {
                watch.rows(&batch.rows);
            }
        }
    }

    /// Everything was handed over.
    pub(crate) fn watched(&mut self) {
        for mut watch in std::mem::take(&mut self.watch) {
            watch.end();
        }
    }

    /// UTC now.
    pub(crate) fn now_ns(&self) -> i64 {
        self.clock.utc_ns(host::boottime_ns())
    }

    /// Hands rows over; waits while the writer is behind.
    ///
    /// # Errors
    /// What stopped the writer, if it has stopped.
    pub(crate) fn send(&mut self, mut rows: Vec<Row>) -> Result<()> {
        self.name_groups(&mut rows);
        let batch = Batch { rows, ..Batch::default() };
        self.show(&batch);
        self.writer.send(batch)
    }

    /// Adds what the control groups of the processes in `rows` are, of those that have not been told of.
    pub(crate) fn name_groups(&mut self, rows: &mut Vec<Row>) {
        let now_ns = self.now_ns();
        self.names.tell(rows, now_ns);
    }

    /// The first interval starts at `start_ns`: says what is being recorded.
    ///
    /// # Errors
    /// What stopped the writer, if it has stopped.
    pub(crate) fn begin(&mut self, start_ns: i64) -> Result<()> {
        self.interval_start_ns = start_ns;
        self.metadata.started_ns = start_ns;
        self.host.interval(0, 0);
        self.metadata.clock = self.clock.clone();
        for watch in &mut self.watch {
            watch.begin(&self.metadata);
        }
        self.writer.describe(&self.metadata)
    }

    /// Length of the interval if it ends at `end_ns`.
    pub(crate) fn dur_ns(&self, end_ns: i64) -> u64 {
        (end_ns - self.interval_start_ns).max(0).unsigned_abs()
    }

    /// What surrounds the recorded processes in the interval, which ends at `end_ns`: the host, the groups that they are in, and who
    /// else ran while they waited for `waited_ns`.
    pub(crate) fn surroundings<I: Iterator<Item = u32>>(
        &mut self,
        end_ns: i64,
        waited_ns: u64,
        live: impl Fn() -> I,
    ) -> Vec<Row> {
        let (start_ns, dur_ns) = (self.interval_start_ns, self.dur_ns(end_ns));
        if end_ns >= self.next_meeting_ns {
            self.next_meeting_ns = end_ns + MEETINGS_NS;
            self.cgroups.meet(live().take(MOST_MET));
        }
        let mut rows: Vec<Row> = self.host.interval(start_ns, dur_ns).into_iter().map(Row::from).collect();
        rows.extend(self.cgroups.interval(start_ns, dur_ns).into_iter().map(Row::from));
        rows.extend(self.names.again(end_ns));
        rows.extend(self.neighbours.interval(end_ns, dur_ns, waited_ns, live()).into_iter().map(Row::from));
        rows
    }

    /// Compares the clocks, if it is time.
    ///
    /// # Errors
    /// What stopped the writer, if it has stopped.
    pub(crate) fn compare_clocks(&mut self) -> Result<()> {
        let now = Instant::now();
        if now < self.next_clock {
            return Ok(());
        }
        // From now, not from when it was due: after a pause one comparison is enough.
        self.next_clock = now + CLOCK_POINTS;
        let point = host::read_clocks();
        self.clock.0.push(point);
        self.writer.clock(point)
    }

    /// Ends the file where the interval has just ended, and describes the one that follows it in `writer`.
    ///
    /// # Errors
    /// What stopped the writer, if it has stopped.
    pub(crate) fn turn_over(&mut self, writer: Writer) -> Result<()> {
        self.metadata.ended_ns = self.interval_start_ns;
        self.metadata.clock = self.clock.clone();
        self.writer.next(self.metadata.clone(), writer)?;
        // The first point converts all stamps of the session, so it is the first of each file.
        self.clock.0.truncate(1);
        self.clock.0.push(host::read_clocks());
        self.metadata.clock = self.clock.clone();
        self.metadata.recording_id = host::random_id();
        self.metadata.started_ns = self.interval_start_ns;
        self.metadata.losses.clear();
        self.metadata.stacks = None;
        self.writer.describe(&self.metadata)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use osd_recording::{Recording, WriterOptions};

    #[test]
    fn after_a_pause_clocks_are_compared_once_and_an_unfinished_recording_has_its_clock_table() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.parquet");
        let writer = WriterHandle::start(Writer::create(&path, WriterOptions::default()).unwrap(), None).unwrap();
        let clock = ClockTable(vec![host::read_clocks()]);
        let mut sink = Sink::new(writer, clock.clone(), Metadata::default());
        sink.writer.keep().unwrap();
        sink.begin(7).unwrap();
        // As after an hour of a stopped process.
        sink.next_clock = Instant::now().checked_sub(10 * CLOCK_POINTS).unwrap();
        sink.compare_clocks().unwrap();
        sink.compare_clocks().unwrap();
        assert_eq!(sink.clock.0.len(), 2);
        drop(sink);
        let unfinished = Recording::open(path).unwrap();
        let metadata = unfinished.metadata();
        assert_eq!((metadata.started_ns, metadata.clock.0.first()), (7, clock.0.first()));
    }
}
