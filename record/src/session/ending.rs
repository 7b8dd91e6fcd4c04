//! The end of a session: the source is stopped, what is left of it is read, and the file is closed.

use super::{Session, labels};
use crate::config::{Config, Outcome};
use crate::error::Result;
use crate::host;
use crate::host::command::Child;
use crate::output::rotation::Rotation;
use osd_recording::rows::Row;

impl Session {
    /// Closes the recording. `asked`: the caller wants what a flight recorder holds.
    pub(super) fn finish(mut self, config: &Config, rotation: Rotation, asked: bool) -> Result<Outcome> {
        self.source.stop(&mut self.sink)?;
        if !self.has_seen_all() {
            self.tick()?;
        }
        let held_back = self.source.end_file();
        self.sink.send(held_back)?;
        self.source.settle(&mut self.sink)?;
        self.sink.watched();
        // A bad labels file is reported after the recording is safe, not instead of it.
        let labels = config.labels.as_deref().map_or_else(|| Ok(Vec::new()), labels::read);
        self.sink.send(labels.iter().flatten().cloned().map(Row::from).collect())?;
        self.sink.clock.0.push(host::read_clocks());
        let mut status = self.status();
        let exit_code = self.child.as_mut().and_then(Child::ended);
        let target_failed = self.source.take_failure();
        let mut metadata = self.sink.metadata;
        metadata.target.exit_code = exit_code;
        metadata.ended_ns = self.sink.interval_start_ns;
        metadata.clock = self.sink.clock;
        metadata.self_cost.budget = self.source.close_budget();
        metadata.stacks = self.source.close_stacks();
        let n_processes = self.source.n_processes();
        let still_running = self.source.still_running();
        let full = self.sink.writer.is_full();
        let asked = asked || target_failed || self.timed_out || exit_code.is_some_and(|code| code != 0);
        let recordings = rotation.finish(self.sink.writer.close(metadata)?, asked)?;
        labels?;
        if let Some(last) = recordings.last() {
            status.bytes = last.bytes;
        }
        let not_recorded = self.not_recorded;
        Ok(Outcome { recordings, status, exit_code, still_running, not_recorded, n_processes, disk_full: full })
    }

    /// Whether the last interval is over: its source sees things at the end of intervals only, one has just ended, and nothing that matters
    /// has come after it.
    fn has_seen_all(&self) -> bool {
        let command_ended = self.child.as_ref().is_some_and(|c| c.peek().is_some());
        self.source.only_looks() && self.just_ticked && (self.end_was_seen || !command_ended)
    }
}
