//! The end of threads: last totals are read when a thread has left its processor for good. A
//! recording is closed when nobody's are to come any more, or have been waited for long enough.

use super::recorder::BpfSource;
use crate::error::Result;
use crate::output::sink::Sink;
use crate::output::writer_thread::Batch;
use osd_recording::rows::{Row, Sample};
use std::time::{Duration, Instant};

/// Threads that have ended and are held by the kernel side until they are read, at most.
const MOST_HELD: usize = 512;
/// Longest that one is held: an interval may last an hour.
const LONGEST_HELD: Duration = Duration::from_secs(1);

impl BpfSource {
    /// Whether those who have ended are to be read before the interval is over.
    pub(super) fn ends_are_due(&self) -> bool {
        match self.ledger.n_ending() {
            0 => false,
            n => n > MOST_HELD || self.ends_read.elapsed() > LONGEST_HELD,
        }
    }

    /// Reads what those used who have ended. Their life records are read in between: what a thread used before its end must be known first.
    pub(super) fn read_ended(&mut self, rows: &mut Vec<Row>, sink: &Sink) -> Result<()> {
        self.ends_read = Instant::now();
        if self.ledger.n_ending() == 0 {
            return Ok(());
        }
        let mut ended = self.probes.read_ended(self.ledger.ending())?;
        self.drain_lives(rows, sink);
        let again = !self.probes.holds_ended();
        ended.retain(|e| self.ledger.thread_gone(e, again));
        self.probes.release_ended(&ended);
        Ok(())
    }

    /// Waits until every thread that has ended has left its processor for good, at most for `patience`.
    pub(super) fn await_ends(&mut self, patience: Duration, sink: &mut Sink) -> Result<()> {
        const NAP: Duration = Duration::from_millis(2);
        let deadline = Instant::now() + patience;
        loop {
            let mut batch = Batch::default();
            self.read_ended(&mut batch.rows, sink)?;
            self.hand_over(batch, sink)?;
            if self.ledger.n_ending() == 0 || Instant::now() >= deadline {
                return Ok(());
            }
            std::thread::sleep(NAP);
        }
    }

    /// After the last interval: what those used who ended shortly before it.
    pub(super) fn settle_ends(&mut self, sink: &mut Sink) -> Result<()> {
        self.await_ends(Duration::from_millis(200), sink)?;
        let samples = self.ledger.late_samples(sink.interval_start_ns);
        let unseen = self.unseen;
        let mut batch = Batch::default();
        batch.rows.extend(samples.into_iter().map(|s| Sample { unseen, ..s }.into()));
        self.note_losses(0, 0, &mut batch.rows, sink)?;
        self.hand_over(batch, sink)
    }
}
