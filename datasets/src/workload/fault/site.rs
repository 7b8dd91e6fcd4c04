//! Where, how strongly and until when a fault runs, and how it paces itself.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::workload::Error;
use crate::workload::levers::Levers;
use crate::workload::stop::Stop;

/// Where, how strongly and until when a fault runs.
#[derive(Clone, Debug)]
pub struct Site {
    /// A folder to work in; it exists.
    pub folder: PathBuf,
    /// Files to look at; there is at least one.
    pub files: Vec<PathBuf>,
    /// Where `outgoing_transfer` sends to; `None` makes it fail.
    pub sink: Option<SocketAddr>,
    /// What can be done to the service itself.
    pub levers: Arc<Levers>,
    /// Descriptors the process may have open.
    pub open_files_limit: u64,
    /// See [`FaultSpec::strength`](super::FaultSpec::strength).
    pub strength: f64,
    /// When it began.
    pub start: Instant,
    /// When it is to end.
    pub end: Instant,
    /// Ends it earlier.
    pub stop: Stop,
}

impl Site {
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.end || self.stop.is_set()
    }

    /// Does `op` about `per_s` times a second until it is over, in bursts every 10 ms. What cannot be done in time is
    /// left out and not made up for.
    pub(super) fn pace(&self, per_s: f64, mut op: impl FnMut(u64) -> Result<(), Error>) -> Result<(), Error> {
        const TICK: Duration = Duration::from_millis(10);
        let owed_max = (per_s * 2.0 * TICK.as_secs_f64()).max(4.0);
        let (mut owed, mut n, mut then) = (0.0, 0, self.start);
        loop {
            let now = Instant::now();
            owed = (owed + per_s * (now - then).as_secs_f64()).min(owed_max);
            then = now;
            while owed >= 1.0 && !self.is_over() {
                op(n)?;
                n += 1;
                owed -= 1.0;
            }
            if !self.stop.sleep_until((now + TICK).min(self.end)) || Instant::now() >= self.end {
                return Ok(());
            }
        }
    }
}

/// What a fault has done so far, in its [unit](super::Fault::unit).
#[derive(Debug)]
pub(super) struct Done(pub(super) u64);
