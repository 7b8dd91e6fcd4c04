//! The screen of `osd record --tui`, beside the recording that it shows.

use super::alarms;
use super::replay::tui;
use super::status::Reporter;
use crate::failure::{Failure, Result};
use osd_record::{Config, Control};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// The screen, in a thread of its own.
pub(super) struct Screen {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

impl Screen {
    /// Shows what is recorded. Whoever leaves it ends the recording.
    pub(super) fn start(
        reporter: &mut Reporter,
        config: &Config,
        alarms: &alarms::Args,
        control: Control,
    ) -> Result<Self> {
        reporter.hold();
        let interval_ns = u64::try_from(config.interval.as_nanos()).unwrap_or(u64::MAX);
        let judge = alarms.config(&[interval_ns])?;
        let over = Arc::new(AtomicBool::new(false));
        let (output, is_over) = (config.output.clone(), Arc::clone(&over));
        let work = move || {
            let shown = tui::watch(&output, judge, &|| is_over.load(Ordering::Relaxed));
            // A terminal that cannot be used costs the screen and not the recording.
            if shown.is_ok() {
                control.stop();
            }
            shown
        };
        let thread = std::thread::Builder::new().name("osd-screen".into()).spawn(work).map_err(Failure::new)?;
        Ok(Self { over, thread })
    }

    /// The recording is closed, and so is the screen.
    pub(super) fn end(self) -> Result<()> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_else(|_| Err(Failure::new("the screen failed; the recording did not")))
    }
}
