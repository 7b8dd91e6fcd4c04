//! A recording that is still being written, looked at again and again.
//!
//! Its recorder hands rows over several times a second, and those of an interval when the interval is over; where it does not get a
//! processor, later. So what was known a second before the end of the last interval is taken to be there, and what came since waits for the
//! next look.

use crate::failure::Result;
use crate::output::say;
use osd_recording::{Columns, Kind, Query, Recording};
use std::cell::Cell;
use std::path::PathBuf;

/// How late a recorder may hand rows over.
const LATE_NS: i64 = 1_000_000_000;

/// What one follows.
pub(crate) struct Following {
    path: PathBuf,
    quiet: bool,
    /// What the last look found: what began before is not looked at again.
    until_ns: Cell<Option<i64>>,
}

/// What there is now.
pub(crate) struct Look {
    /// As it is now.
    pub(crate) recording: Recording,
    /// All rows that were known by this time are there; of a recording that is over, all of them. `None` before there is a whole interval.
    pub(crate) until_ns: Option<i64>,
}

impl Look {
    /// Whether nothing comes after it.
    pub(crate) fn is_last(&self) -> bool {
        self.until_ns == Some(i64::MAX)
    }
}

impl Following {
    /// The recording that is written to `path`, or in that folder of an unfinished one. Unless `quiet` it is said if its recorder was killed.
    pub(crate) fn new(path: PathBuf, quiet: bool) -> Self {
        Self { path, quiet, until_ns: Cell::new(None) }
    }

    /// Looks.
    pub(crate) fn look(&self) -> Result<Look> {
        // Before it is opened: what is closed between the two is whole.
        let busy = osd_recording::is_being_written(&self.path);
        let recording = Recording::open(&self.path)?;
        let unfinished = recording.is_unfinished();
        if unfinished && !busy && !self.quiet {
            let path = self.path.display();
            say(format_args!("note: its recorder was killed: this is all there is. hint: osd recover {path}"));
        }
        if unfinished && busy {
            self.until_ns.set(whole_until(&recording, self.until_ns.get())?);
        } else {
            self.until_ns.set(Some(i64::MAX));
        }
        let until_ns = self.until_ns.get();
        Ok(Look { recording, until_ns })
    }
}

/// Up to when all rows are there: the end of the last interval that was over for a second when another one was. `None` before there is one.
/// `known` is what it was before.
fn whole_until(recording: &Recording, known: Option<i64>) -> Result<Option<i64>> {
    let mut ends: Vec<i64> = vec![];
    let query = Query {
        kinds: Some(vec![Kind::System]),
        columns: Some(vec!["ts", "dur_ns"]),
        ts_ns: known.map(|ns| ns..i64::MAX),
    };
    for batch in recording.read(&query)? {
        let batch = batch?;
        let columns = Columns::of(&batch, recording.path());
        let dur = columns.u64("dur_ns")?;
        for (row, ts) in columns.ts()?.iter().enumerate() {
            ends.push(ts.saturating_add_unsigned(dur.at(row).unwrap_or(0)));
        }
    }
    let last = ends.iter().max().copied().unwrap_or(i64::MIN);
    Ok(ends.into_iter().filter(|end| *end <= last.saturating_sub(LATE_NS)).max().max(known))
}
