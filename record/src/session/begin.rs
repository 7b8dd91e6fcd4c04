//! The beginning of a session: the targets are marked, a command is let go, and the first interval starts.

use super::Session;
use crate::config::{Config, What};
use crate::error::{Error, Result};
use crate::host;
use crate::host::command::Stopped;
use crate::output::writer_thread::Batch;
use crate::session::target;
use osd_recording::rows::ProcessEvent;
use std::collections::{HashMap, HashSet};
use std::time::Instant;

impl Session {
    /// From here on the targets are recorded.
    pub(super) fn mark_targets(&mut self, config: &Config) -> Result<()> {
        self.metadata.target.follow = config.follow;
        match &config.what {
            What::Pids(pids) => {
                self.metadata.target.pids.clone_from(pids);
                self.seed_all(pids, config.follow)?;
                if self.ledger.n_live() == 0 {
                    return Err(Error::NoProcess { pid: pids.first().copied().unwrap_or(0) });
                }
                let marked: HashSet<u32> = self.ledger.live_pids().map(|(_, pid)| pid).collect();
                self.not_recorded = target::not_recorded(pids, |pid| marked.contains(&pid));
                self.metadata.blind_spots.extend_from_slice(&self.not_recorded);
                self.open_books()?;
            }
            What::Command(command) => {
                let text = command.iter().map(|a| a.to_string_lossy().into_owned());
                self.metadata.target.command = text.collect();
                let stopped = Stopped::spawn(command, &config.ignored_signals)?;
                self.seed_all(&[stopped.pid()], false)?;
                self.open_books()?;
                self.child = Some(stopped.release()?);
            }
        }
        Ok(())
    }

    fn seed_all(&mut self, roots: &[u32], descendants: bool) -> Result<()> {
        let mut seeded = HashMap::new();
        let mut rows = Vec::new();
        loop {
            let pids = if descendants { host::proc::with_descendants(roots) } else { roots.iter().copied().collect() };
            let new: Vec<u32> = pids.into_iter().filter(|p| !seeded.contains_key(p)).collect();
            if new.is_empty() {
                break;
            }
            for pid in new {
                let seq = seeded.len() as u32 + 1;
                seeded.insert(pid, seq);
                if let Some(mut l) = self.probes.seed(pid, seq)? {
                    l.parent_seq = seeded.get(&l.ppid).copied().unwrap_or(0);
                    rows.push(
                        self.ledger.arrived(&l, ProcessEvent::Running, host::running_text(pid), &self.clock).into(),
                    );
                }
            }
        }
        self.writing.send(Batch { rows, ..Batch::default() })
    }

    /// Starts the first interval.
    fn open_books(&mut self) -> Result<()> {
        let usages = self.probes.sample()?;
        self.ledger.baseline(&usages);
        let now = host::boottime_ns();
        self.interval_start_ns = self.clock.utc_ns(now);
        self.metadata.started_ns = self.interval_start_ns;
        self.host.interval(0, 0);
        self.began = Instant::now();
        self.next_tick = self.began + self.interval;
        if let Some(spending) = &mut self.spending {
            spending.begin();
        }
        self.metadata.clock = self.clock.clone();
        self.writing.describe(&self.metadata)
    }
}
