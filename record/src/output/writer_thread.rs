//! The writing thread: rows go in at one end, closed recordings come out at the other.
//!
//! The way in holds a bounded number of batches. A writer that is behind holds the session back, the ring fills, and the kernel counts
//! what finds no room: memory stays bounded and nothing is lost without a number. Four times a second everything goes to the operating system,
//! so that `kill -9` takes less than a second; every few seconds a third thread waits for the disk, so that a power cut takes little more.

use crate::error::{Error, Result};
use crate::host;
use crate::host::capabilities::Keep;
use osd_recording::rows::{Loss, Row};
use osd_recording::{Calls, ClockPoint, Closed, Kind, LossTotal, Metadata, SyncList, Writer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const CHECKPOINT: Duration = Duration::from_millis(250);
const SYNC: Duration = Duration::from_secs(3);

/// Rows on their way to the file.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) syscalls: Calls,
    pub(crate) rows: Vec<Row>,
}

enum Command {
    Rows(Box<Batch>),
    Describe(Box<Metadata>),
    Clock(ClockPoint),
    /// The session has begun: whatever ends it, the recording stays.
    Keep,
    /// Close this one and go on in that one.
    Next(Box<Metadata>, Box<Writer>),
    Close(Box<Metadata>),
}

/// What the session may know of the thread's work.
#[derive(Default)]
struct Progress {
    bytes: AtomicU64,
    full: AtomicBool,
}

/// The thread, from outside.
pub(crate) struct WriterHandle {
    commands: SyncSender<Command>,
    closed: Receiver<Closed>,
    /// Batches come back empty: memory that is there already costs no page faults.
    returned: Receiver<Calls>,
    spare: Option<Calls>,
    thread: Option<JoinHandle<Result<()>>>,
    progress: Arc<Progress>,
}

impl WriterHandle {
    /// Starts it; it gives up all privilege but `keep`, if there is one.
    pub(crate) fn start(writer: Writer, keep: Option<Keep>) -> Result<Self> {
        let (commands, inbox) = sync_channel(16);
        let (outbox, closed) = channel();
        let (give_back, returned) = sync_channel(2);
        let progress = Arc::new(Progress::default());
        let shared = Arc::clone(&progress);
        let thread = std::thread::Builder::new()
            .name("osd-writer".into())
            .spawn(move || {
                if let Some(keep) = keep {
                    keep.narrow(|| true).map_err(|source| Error::Os { action: "give up privileges", source })?;
                }
                WriterThread::new(writer, outbox, give_back, shared)?.work(&inbox)
            })
            .map_err(|source| Error::Os { action: "start the writer thread", source })?;
        Ok(Self { commands, closed, returned, spare: None, thread: Some(thread), progress })
    }

    /// An empty batch.
    pub(crate) fn batch(&mut self) -> Batch {
        let syscalls = self.spare.take().or_else(|| self.returned.try_recv().ok()).unwrap_or_default();
        Batch { syscalls, rows: Vec::new() }
    }

    /// Hands rows over if there is room, or gives them back.
    ///
    /// # Errors
    /// What stopped the writer, if it has stopped.
    pub(crate) fn offer(&mut self, batch: Batch) -> Result<Option<Batch>> {
        if batch.rows.is_empty() && batch.syscalls.is_empty() {
            self.spare = Some(batch.syscalls);
            return Ok(None);
        }
        match self.commands.try_send(Command::Rows(Box::new(batch))) {
            Ok(()) => Ok(None),
            Err(TrySendError::Full(Command::Rows(batch))) => Ok(Some(*batch)),
            Err(_) => self.join().map(|()| None),
        }
    }

    /// Hands rows over; waits while the writer is behind.
    ///
    /// # Errors
    /// What stopped the writer, if it has stopped.
    pub(crate) fn send(&mut self, batch: Batch) -> Result<()> {
        if batch.rows.is_empty() && batch.syscalls.is_empty() {
            self.spare = Some(batch.syscalls);
            return Ok(());
        }
        self.give(Command::Rows(Box::new(batch)))
    }

    /// Says what is being recorded, for whoever may have to recover it.
    pub(crate) fn describe(&mut self, metadata: &Metadata) -> Result<()> {
        self.give(Command::Describe(Box::new(metadata.clone())))
    }

    /// Says that recording has begun: a session that fails from here on leaves what it has to `osd recover`.
    pub(crate) fn keep(&mut self) -> Result<()> {
        self.give(Command::Keep)
    }

    pub(crate) fn clock(&mut self, point: ClockPoint) -> Result<()> {
        self.give(Command::Clock(point))
    }

    /// Closes the recording and goes on in `writer`.
    pub(crate) fn next(&mut self, metadata: Metadata, writer: Writer) -> Result<()> {
        self.give(Command::Next(Box::new(metadata), Box::new(writer)))
    }

    fn give(&mut self, command: Command) -> Result<()> {
        match self.commands.send(command) {
            Ok(()) => Ok(()),
            Err(_) => self.join(),
        }
    }

    /// Bytes in the file so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.progress.bytes.load(Ordering::Relaxed)
    }

    /// Whether the disk is full; what comes now is kept only as far as it is small.
    pub(crate) fn is_full(&self) -> bool {
        self.progress.full.load(Ordering::Relaxed)
    }

    /// Recordings closed since the last time.
    pub(crate) fn closed(&self) -> Vec<Closed> {
        self.closed.try_iter().collect()
    }

    /// Closes the last recording. Gives all that were closed and not asked for yet.
    pub(crate) fn close(mut self, metadata: Metadata) -> Result<Vec<Closed>> {
        // A writer that has stopped takes no commands; why it stopped is what joining it says.
        let _ = self.commands.send(Command::Close(Box::new(metadata)));
        self.join()?;
        Ok(self.closed())
    }

    /// Waits for the thread to end, which it does when it has failed or has nothing more to come.
    fn join(&mut self) -> Result<()> {
        let broken = |why| Error::Os { action: "write the recording", source: std::io::Error::other(why) };
        let thread = self.thread.take().ok_or_else(|| broken("the writer has stopped"))?;
        thread.join().unwrap_or_else(|_| Err(broken("the writer thread panicked")))
    }
}

impl Drop for WriterHandle {
    /// A session that failed waits for the writer to take its unfinished file away.
    fn drop(&mut self) {
        // The other end of this channel is gone, and with it the last way to send the writer anything.
        self.commands = sync_channel(0).0;
        let _ = self.join();
    }
}

/// The thread, from inside.
struct WriterThread {
    writer: Writer,
    outbox: Sender<Closed>,
    give_back: SyncSender<Calls>,
    progress: Arc<Progress>,
    syncer: Syncer,
    last_checkpoint: Instant,
    /// Calls that came when the disk was full: the first one's time, and how many.
    dropped: Option<(i64, u64)>,
}

impl WriterThread {
    fn new(
        writer: Writer,
        outbox: Sender<Closed>,
        give_back: SyncSender<Calls>,
        progress: Arc<Progress>,
    ) -> Result<Self> {
        let syncer = Syncer::start()?;
        Ok(Self { writer, outbox, give_back, progress, syncer, last_checkpoint: Instant::now(), dropped: None })
    }

    fn work(mut self, inbox: &Receiver<Command>) -> Result<()> {
        loop {
            match inbox.recv_timeout(CHECKPOINT.saturating_sub(self.last_checkpoint.elapsed())) {
                Ok(Command::Rows(batch)) => self.write(*batch)?,
                Ok(Command::Describe(metadata)) => self.survive(|writer| writer.describe(&metadata))?,
                Ok(Command::Clock(point)) => self.survive(|writer| writer.clock_point(&point))?,
                Ok(Command::Keep) => self.writer.keep(),
                Ok(Command::Next(metadata, writer)) => {
                    let done = std::mem::replace(&mut self.writer, *writer);
                    self.writer.keep();
                    self.syncer.forget();
                    let closed = self.close(done, *metadata)?;
                    let _ = self.outbox.send(closed);
                }
                Ok(Command::Close(metadata)) => {
                    let Self { writer, .. } = self;
                    let closed = close(writer, *metadata, self.dropped)?;
                    let _ = self.outbox.send(closed);
                    return Ok(());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    // Why it did is the session's to tell; what came until then is handed over to the system.
                    self.survive(Writer::checkpoint)?;
                    let source = std::io::Error::other("the session ended early");
                    return Err(Error::Os { action: "write the recording", source });
                }
            }
            if self.last_checkpoint.elapsed() >= CHECKPOINT {
                self.survive(Writer::checkpoint)?;
                if !self.is_full() {
                    self.syncer.turn(&mut self.writer)?;
                }
                self.last_checkpoint = Instant::now();
            }
            self.progress.bytes.store(self.writer.bytes_written(), Ordering::Relaxed);
        }
    }

    fn is_full(&self) -> bool {
        self.progress.full.load(Ordering::Relaxed)
    }

    fn write(&mut self, batch: Batch) -> Result<()> {
        let mut calls = batch.syscalls;
        if let Some(ts_ns) = calls.first_ts_ns() {
            let before = self.writer.rows(Kind::Syscall);
            if !self.is_full() {
                self.survive(|writer| writer.push_calls(&calls))?;
            }
            self.count_dropped(ts_ns, calls.len() as u64 - (self.writer.rows(Kind::Syscall) - before));
            calls.clear();
            // Two wait already: a burst does not keep its memory for the rest of the recording.
            let _ = self.give_back.try_send(calls);
        }
        // The rest is small, and needed to say what was lost.
        for row in batch.rows {
            self.survive(|writer| writer.push(row))?;
        }
        Ok(())
    }

    fn count_dropped(&mut self, ts_ns: i64, n: u64) {
        if n > 0 {
            self.dropped.get_or_insert((ts_ns, 0)).1 += n;
        }
    }

    /// Does `what`; if that finds the disk full, makes room to close what there is, and tells the session.
    fn survive(&mut self, what: impl FnOnce(&mut Writer) -> osd_recording::Result<()>) -> Result<()> {
        match what(&mut self.writer) {
            Err(e) if e.is_storage_full() => {
                self.writer.make_room();
                self.progress.full.store(true, Ordering::Relaxed);
                Ok(())
            }
            other => Ok(other?),
        }
    }

    fn close(&mut self, writer: Writer, metadata: Metadata) -> Result<Closed> {
        close(writer, metadata, self.dropped.take())
    }
}

fn close(mut writer: Writer, mut metadata: Metadata, dropped: Option<(i64, u64)>) -> Result<Closed> {
    if let Some((ts_ns, count)) = dropped {
        let (stream, reason) = ("syscall".to_owned(), "disk_full".to_owned());
        let dur_ns = (metadata.ended_ns - ts_ns).max(0).unsigned_abs();
        metadata.losses.push(LossTotal { stream: stream.clone(), reason: reason.clone(), count });
        let row = Loss { ts_ns, dur_ns, stream, reason, count };
        match writer.push(row) {
            Err(e) if !e.is_storage_full() => return Err(e.into()),
            _ => writer.make_room(),
        }
    }
    // Here and not earlier: by now nearly all of the encoding has been done and shows in the cost.
    (metadata.self_cost.cpu_ns, metadata.self_cost.peak_rss_bytes) = host::own_usage();
    Ok(writer.close(metadata)?)
}

/// Waits for the disk, in a thread of its own.
struct Syncer {
    lists: SyncSender<SyncList>,
    done: Receiver<std::io::Result<SyncList>>,
    busy: bool,
    /// What is under way belongs to a recording that is closed by now.
    stale: bool,
    next: Instant,
}

impl Syncer {
    fn start() -> Result<Self> {
        let (lists, inbox) = sync_channel::<SyncList>(1);
        let (outbox, done) = channel();
        std::thread::Builder::new()
            .name("osd-syncer".into())
            .spawn(move || {
                for list in inbox {
                    let outcome = list.run().map(|()| list);
                    if outbox.send(outcome).is_err() {
                        return;
                    }
                }
            })
            .map_err(|source| Error::Os { action: "start the sync thread", source })?;
        Ok(Self { lists, done, busy: false, stale: false, next: Instant::now() + SYNC })
    }

    fn forget(&mut self) {
        self.stale = self.busy;
    }

    /// Notes what is done, and asks for more when it is time. Never waits.
    fn turn(&mut self, writer: &mut Writer) -> Result<()> {
        if let Ok(outcome) = self.done.try_recv() {
            self.busy = false;
            let list = outcome.map_err(|source| writer.sync_failed(source))?;
            if !std::mem::take(&mut self.stale) {
                match writer.synced(&list) {
                    Err(e) if !e.is_storage_full() => return Err(e.into()),
                    _ => {}
                }
            }
        }
        if !self.busy && Instant::now() >= self.next {
            self.next = Instant::now() + SYNC;
            self.busy = self.lists.try_send(writer.sync_list()?).is_ok();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use osd_recording::{Recording, WriterOptions};

    /// What is left of a session that failed after its first row, before (`false`) or after it had begun.
    fn left_by_a_failed_session(begun: bool) -> Option<Recording> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.parquet");
        let mut writing = WriterHandle::start(Writer::create(&path, WriterOptions::default()).unwrap(), None).unwrap();
        writing.describe(&Metadata::default()).unwrap();
        if begun {
            writing.keep().unwrap();
        }
        let row = Loss { ts_ns: 1, dur_ns: 1, stream: "syscall".into(), reason: "ring_full".into(), count: 7 };
        writing.send(Batch { rows: vec![row.into()], ..Batch::default() }).unwrap();
        drop(writing);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), usize::from(begun));
        Recording::open(path).ok()
    }

    #[test]
    fn a_session_that_fails_leaves_what_it_recorded_and_one_that_could_not_begin_leaves_nothing() {
        assert!(left_by_a_failed_session(false).is_none());
        let recording = left_by_a_failed_session(true).unwrap();
        assert!(recording.is_unfinished());
        assert_eq!(recording.metadata().lost("syscall"), 7, "rows handed over last are there");
    }
}
