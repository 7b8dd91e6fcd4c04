//! The end of a session, and of the threads in it: last totals are read when a thread has left its processor for good, and the file is closed
//! when nobody's are to come any more, or have been waited for long enough.

use super::Session;
use crate::budget::spending::Spending;
use crate::config::{Config, Outcome};
use crate::error::Result;
use crate::host;
use crate::host::command::Child;
use crate::output::rotation::Rotation;
use crate::output::writer_thread::Batch;
use crate::session::labels;
use osd_recording::rows::{Row, Sample};
use std::time::{Duration, Instant};

/// Threads that have ended and are held by the kernel side until they are read, at most.
const MOST_HELD: usize = 512;
/// Longest that one is held: an interval may last an hour.
const LONGEST_HELD: Duration = Duration::from_secs(1);

impl Session {
    /// Whether those who have ended are to be read before the interval is over.
    pub(super) fn ends_are_due(&self) -> bool {
        match self.ledger.n_ending() {
            0 => false,
            n => n > MOST_HELD || self.ends_read.elapsed() > LONGEST_HELD,
        }
    }

    /// Reads what those used who have ended. Their life records are read in between: what a thread used before its end must be known first.
    pub(super) fn read_ended(&mut self, rows: &mut Vec<Row>) -> Result<()> {
        self.ends_read = Instant::now();
        if self.ledger.n_ending() == 0 {
            return Ok(());
        }
        let mut ended = self.probes.read_ended(self.ledger.ending())?;
        self.drain_lives(rows);
        let again = !self.probes.holds_ended();
        ended.retain(|e| self.ledger.thread_gone(e, again));
        self.probes.release_ended(&ended);
        Ok(())
    }

    /// Waits until every thread that has ended has left its processor for good, at most for `patience`.
    fn await_ends(&mut self, patience: Duration) -> Result<()> {
        const NAP: Duration = Duration::from_millis(2);
        let deadline = Instant::now() + patience;
        loop {
            let mut batch = Batch::default();
            self.read_ended(&mut batch.rows)?;
            self.hand_over(batch)?;
            if self.ledger.n_ending() == 0 || Instant::now() >= deadline {
                return Ok(());
            }
            std::thread::sleep(NAP);
        }
    }

    /// After the last interval: what those used who ended shortly before it.
    fn settle_ends(&mut self) -> Result<()> {
        self.await_ends(Duration::from_millis(200))?;
        let samples = self.ledger.late_samples(self.interval_start_ns);
        let unseen = self.unseen;
        let mut batch = Batch::default();
        batch.rows.extend(samples.into_iter().map(|s| Sample { unseen, ..s }.into()));
        self.note_losses(0, 0, &mut batch.rows)?;
        self.hand_over(batch)
    }

    pub(super) fn finish(mut self, config: &Config, rotation: Rotation, asked: bool) -> Result<Outcome> {
        self.probes.detach();
        while self.drain()? {}
        // Nobody is left whose time goes on without being recorded: what their end took belongs to their last interval.
        if self.ledger.n_live() == 0 {
            self.await_ends(Duration::from_secs(2))?;
        }
        self.ending = true;
        self.tick()?;
        self.settle_ends()?;
        // A bad labels file is reported after the recording is safe, not instead of it.
        let labels = config.labels.as_deref().map_or_else(|| Ok(Vec::new()), labels::read);
        let rows = labels.iter().flatten().cloned().map(Row::from).collect();
        self.writing.send(Batch { rows, ..Batch::default() })?;
        self.clock.0.push(host::read_clocks());
        let mut status = self.status();
        let exit_code = self.child.as_mut().and_then(Child::ended);
        self.metadata.target.exit_code = exit_code;
        self.metadata.ended_ns = self.interval_start_ns;
        self.metadata.clock = self.clock.clone();
        self.metadata.self_cost.budget = self.spending.as_mut().map(Spending::close);
        let n_processes = self.ledger.n_processes();
        let still_running = self.ledger.still_running();
        let full = self.writing.is_full();
        let asked = asked || self.target_failed || self.timed_out || exit_code.is_some_and(|code| code != 0);
        let recordings = rotation.finish(self.writing.close(self.metadata)?, asked)?;
        labels?;
        if let Some(last) = recordings.last() {
            status.bytes = last.bytes;
        }
        let not_recorded = self.not_recorded;
        Ok(Outcome { recordings, status, exit_code, still_running, not_recorded, n_processes, disk_full: full })
    }
}
