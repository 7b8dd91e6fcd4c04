//! Where a session's recordings go: one file, a series of files, or a ring of the last minutes that
//! is kept when something happens.
//!
//! Each file of a series stands alone: it begins by introducing the processes that run. A flight recorder is a series in a folder of its
//! own, `NAME.flight`, of which only the newest parts are kept; a trigger joins them, and what comes for a while after, into one recording.

use crate::error::{Error, Result};
use crate::output::flight::Flight;
use crate::output::writer_thread::WriterHandle;
use osd_recording::output::recording_place;
use osd_recording::{Closed, Recording, Writer, WriterOptions, join, partial_folder};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How a session's recording is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cut {
    /// One file.
    #[default]
    Not,
    /// A new file whenever this one has that size or age; of them, the newest `keep`.
    Every {
        /// Bytes.
        bytes: Option<u64>,
        /// Age.
        age: Option<Duration>,
        /// Files kept; older ones are deleted.
        keep: Option<usize>,
    },
    /// The last `last`, written when a trigger comes, together with what follows for `after`.
    Flight {
        /// How far back.
        last: Duration,
        /// How much longer.
        after: Duration,
    },
}

/// A flight recorder is cut into this many parts, and one more is kept: the past is that much longer than asked for, at most.
const PARTS: u32 = 10;

/// The files of a session.
pub(crate) struct Rotation {
    output: PathBuf,
    options: WriterOptions,
    cut: Cut,
    began: Instant,
    kept: VecDeque<PathBuf>,
    saves: Vec<JoinHandle<osd_recording::Result<Closed>>>,
    n_saves: u32,
    /// When what a trigger asked for is complete.
    save_at: Option<Instant>,
    /// The part being written now ends what a trigger asked for.
    save_next: bool,
    flight: Option<Flight>,
}

impl Rotation {
    pub(crate) fn new(output: &Path, options: WriterOptions, cut: Cut) -> Result<Self> {
        let (output, flight) = match cut {
            // The writer looks.
            Cut::Not => (output.to_owned(), None),
            // Files of other names: what is there stays. What can never be a recording is a mistake all the same.
            Cut::Every { .. } => recording_place(output, true).map(|_| (output.to_owned(), None))?,
            Cut::Flight { .. } => {
                let output = recording_place(output, options.force)?;
                let flight = Flight::new(&output, options.force)?;
                (output, Some(flight))
            }
        };
        Ok(Self {
            output,
            options,
            cut,
            began: Instant::now(),
            kept: VecDeque::new(),
            saves: Vec::new(),
            n_saves: 0,
            save_at: None,
            save_next: false,
            flight,
        })
    }

    /// The next file, named by the UTC time at which it begins.
    pub(crate) fn next_writer(&mut self, utc_ns: i64) -> Result<Writer> {
        self.began = Instant::now();
        let path = match self.cut {
            Cut::Not => return Ok(Writer::create(&self.output, self.options.clone())?),
            Cut::Every { .. } => stamped(&self.output, utc_ns),
            Cut::Flight { .. } => {
                let name = PathBuf::from(self.output.file_name().unwrap_or_default());
                let dir = self.flight.as_ref().map_or_else(PathBuf::new, |f| f.dir.clone());
                stamped(&dir.join(name), utc_ns)
            }
        };
        Ok(Writer::create(path, self.options.clone())?)
    }

    /// An interval has ended at `utc_ns`: what was closed meanwhile is put away, and when this file is full, here is the next one.
    pub(crate) fn after_interval(
        &mut self,
        writing: &WriterHandle,
        triggered: bool,
        utc_ns: i64,
    ) -> Result<Option<Writer>> {
        if triggered {
            self.trigger();
        }
        self.put(&writing.closed())?;
        self.is_due(writing.bytes()).then(|| self.next_writer(utc_ns)).transpose()
    }

    /// Whether it is time for the next file, with `bytes` in this one.
    fn is_due(&mut self, bytes: u64) -> bool {
        let age = self.began.elapsed();
        match self.cut {
            Cut::Not => false,
            Cut::Every { bytes: limit, age: oldest, .. } => {
                limit.is_some_and(|limit| bytes >= limit) || oldest.is_some_and(|oldest| age >= oldest)
            }
            Cut::Flight { last, .. } => {
                if self.save_at.is_some_and(|at| Instant::now() >= at) {
                    self.save_at = None;
                    self.save_next = true;
                    return true;
                }
                age >= last / PARTS
            }
        }
    }

    /// Something happened: asks for a recording of it, if the last minutes are kept and none is being waited for.
    fn trigger(&mut self) {
        if let Cut::Flight { after, .. } = self.cut {
            self.save_at.get_or_insert_with(|| Instant::now() + after);
        }
    }

    /// Files that were closed meanwhile.
    fn put(&mut self, closed: &[Closed]) -> Result<()> {
        for closed in closed {
            self.kept.push_back(closed.path.clone());
            if std::mem::take(&mut self.save_next) {
                self.save()?;
            }
        }
        let keep = match self.cut {
            Cut::Not => return Ok(()),
            Cut::Every { keep, .. } => keep.unwrap_or(usize::MAX),
            // While a save waits for what follows, the past it asked for must not shrink.
            Cut::Flight { .. } if self.save_at.is_some() || self.save_next => return Ok(()),
            Cut::Flight { .. } => PARTS as usize + 1,
        };
        while self.kept.len() > keep {
            let Some(path) = self.kept.pop_front() else { break };
            match std::fs::remove_file(&path) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::Os { action: "delete an old recording", source });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Joins what is kept into a recording of its own, in a thread of its own. Open files outlive their names, so parts may be deleted.
    fn save(&mut self) -> Result<()> {
        let parts = self.kept.iter().map(Recording::open).collect::<osd_recording::Result<Vec<_>>>()?;
        self.n_saves += 1;
        let path = if self.n_saves == 1 { self.output.clone() } else { numbered(&self.output, self.n_saves) };
        let options = self.options.clone();
        let thread = std::thread::Builder::new()
            .name("osd-join".into())
            .spawn(move || join(&parts, &path, options))
            .map_err(|source| Error::Os { action: "start a thread", source })?;
        self.saves.push(thread);
        Ok(())
    }

    /// The session is over and its last file is closed. `wanted` says that a flight recorder's last minutes are. Gives what there is to
    /// look at.
    pub(crate) fn finish(mut self, closed: Vec<Closed>, wanted: bool) -> Result<Vec<Closed>> {
        let last = closed.last().cloned();
        // The last part ends a save that was still waiting for its time.
        self.save_next |= self.flight.is_some() && (self.save_at.take().is_some() || wanted);
        // Only the last of them: parts closed just before belong to the same save.
        let save_next = std::mem::take(&mut self.save_next);
        let (before, end) = closed.split_at(closed.len().saturating_sub(1));
        self.put(before)?;
        self.save_next = save_next;
        self.put(end)?;
        if self.flight.is_none() {
            return Ok(last.into_iter().collect());
        }
        let mut saved = Vec::new();
        for save in self.saves.drain(..) {
            let broken =
                || Error::Os { action: "join the parts", source: std::io::Error::other("the thread panicked") };
            saved.push(save.join().map_err(|_| broken())??);
        }
        for path in self.kept.drain(..) {
            let _ = std::fs::remove_file(path);
        }
        Ok(saved)
    }
}

/// `run.parquet` → `run.20261122T221500Z.parquet`; with a number where that is taken, also by one that is still being written.
fn stamped(path: &Path, utc_ns: i64) -> PathBuf {
    let time = jiff::Timestamp::from_nanosecond(i128::from(utc_ns)).unwrap_or_default();
    let stamp = time.strftime("%Y%m%dT%H%M%SZ").to_string();
    // Two digits, so that names sort by time.
    let names = std::iter::once(stamp.clone()).chain((2..).map(|n| format!("{stamp}-{n:02}")));
    let free = |path: &PathBuf| path.symlink_metadata().is_err() && partial_folder(path).symlink_metadata().is_err();
    names.map(|name| insert(path, &name)).find(free).unwrap_or_default()
}

/// `run.parquet` → `run.2.parquet`.
fn numbered(path: &Path, n: u32) -> PathBuf {
    insert(path, &n.to_string())
}

fn insert(path: &Path, middle: &str) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(".");
    name.push(middle);
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_series_are_named_by_their_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.parquet");
        let first = stamped(&path, 1_767_225_600_000_000_000);
        assert_eq!(first.file_name().unwrap(), "run.20260101T000000Z.parquet");
        std::fs::write(&first, "").unwrap();
        assert_eq!(stamped(&path, 1_767_225_600_999_999_999).file_name().unwrap(), "run.20260101T000000Z-02.parquet");
        assert_eq!(numbered(Path::new("/a/run"), 2), Path::new("/a/run.2"));
    }
}
