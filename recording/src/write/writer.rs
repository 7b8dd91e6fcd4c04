//! Streams rows into a recording. Rows wait in a small buffer a kind, go from there as a batch (or
//! as pages) into the kind's growing row group and its journal, and are in the file for good when
//! the group is full. Memory stays bounded, and what was handed over survives a crash.
//!
//! The file grows in a folder beside its own place (see `unfinished/`), with mode 0600, and gets its name when it is closed; without
//! [`WriterOptions::force`] an existing file is never replaced, not even one that appeared meanwhile.

use super::growing::{Growing, KindState, most_waiting};
use super::sync::SyncList;
use crate::about::{ClockPoint, FORMAT_VERSION, Metadata};
use crate::disk::output;
use crate::error::{Error, Result};
use crate::kind::{Calls, Kind, Row, Values, Waiting, schema};
use crate::parquet_file::DataFile;
use crate::parquet_file::footer::Groups;
use crate::parquet_file::sums::Summed;
use crate::syscall::Arch;
use crate::unfinished::{self, Partial, Taken};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::ChunkReader;
use std::fs::File;
use std::path::{Path, PathBuf};

/// How to write.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    /// Replace an existing file, and what a recorder that died left of one.
    pub force: bool,
    /// What syscall numbers mean.
    pub arch: Arch,
    /// Rows of one kind in a row group, at first; many times as many in a long recording, whose footer would grow otherwise.
    pub rows_per_group: usize,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self { force: false, arch: Arch::native().unwrap_or(Arch::X86_64), rows_per_group: 128 * 1024 }
    }
}

/// Rows that become a page at a checkpoint already. Fewer are noted in the journal and go on waiting.
const WORTH_A_PAGE: usize = 8 * 1024;
/// And they become a page, however few, when noting them again and again has cost so many bytes.
const PASSING_BYTES: usize = 256 << 10;

/// A recording being written. Dropping it without [`Writer::close`] removes the unfinished file, unless writing has failed or
/// [`Writer::keep`] was called: then it stays for `osd recover`.
pub struct Writer {
    pub(super) path: PathBuf,
    pub(super) options: WriterOptions,
    pub(super) partial: Partial,
    pub(super) data: DataFile<Summed<File>>,
    /// What the footer will say of the row groups in it; of each, the index has it.
    pub(super) groups: Groups,
    /// Of those that the index could not take, the last: here.
    pub(super) kept: Vec<Vec<u8>>,
    pub(super) waiting: Waiting,
    pub(super) kinds: [KindState; Kind::ALL.len()],
    /// Room for what goes into a journal.
    pub(super) frame: Vec<u8>,
    /// Journals of sealed groups, to be deleted once `data` is on the disk.
    pub(super) obsolete: Vec<PathBuf>,
    pub(super) n_syncs: u64,
    pub(super) journaling: bool,
    pub(super) keep: bool,
}

impl Writer {
    /// Begins a recording at `path`, or at what it leads to.
    ///
    /// # Errors
    /// As [`output::recording_place`]; [`Error::Unfinished`] if what a dead recorder left of it is;
    /// [`Error::Busy`] while another one writes it; [`Error::Io`] if it cannot be created.
    pub fn create(path: impl Into<PathBuf>, options: WriterOptions) -> Result<Self> {
        let path = output::recording_place(&path.into(), options.force)?;
        let io = |source| Error::Io { action: "create", path: path.clone(), source };
        let (partial, data) = Partial::create(&path, options.force).map_err(|taken| match taken {
            Taken::Busy => Error::Busy { path: unfinished::folder(&path) },
            Taken::Remains => Error::Unfinished { path: path.clone() },
            Taken::Io(source) => io(source),
        })?;
        let data = match schema::parquet_schema().and_then(|schema| DataFile::new(Summed::new(data), schema)) {
            Ok(data) => data,
            Err(e) => {
                let _ = partial.remove();
                return Err(Error::parquet("create", &path, e));
            }
        };
        Ok(Self {
            path,
            options,
            partial,
            data,
            groups: Groups::default(),
            kept: Vec::new(),
            waiting: Waiting::default(),
            kinds: Default::default(),
            frame: Vec::new(),
            obsolete: Vec::new(),
            n_syncs: 0,
            journaling: true,
            keep: false,
        })
    }

    /// Says what is recorded, for whoever has to recover it. Rows handed over before are safe without; nobody knows what they are.
    ///
    /// # Errors
    /// [`Error::Io`] if the index cannot be written.
    pub fn describe(&mut self, metadata: &Metadata) -> Result<()> {
        let metadata = Metadata { format_version: FORMAT_VERSION, complete: false, ..metadata.clone() };
        let done = self.partial.index.describe(&metadata);
        self.io("write", done)
    }

    /// Notes how the clocks stand.
    ///
    /// # Errors
    /// [`Error::Io`] if the index cannot be written.
    pub fn clock_point(&mut self, point: &ClockPoint) -> Result<()> {
        let done = self.partial.index.clock_point(point);
        self.io("write", done)
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`Error::Io`] if a batch cannot be written, e.g. because the disk is full.
    pub fn push(&mut self, row: impl Into<Row>) -> Result<()> {
        let row = row.into();
        let kind = row.kind();
        self.waiting.push(row);
        self.kinds[kind as usize].n_rows += 1;
        if self.waiting.of(kind).len() >= self.most_waiting(kind) { self.encode(kind) } else { Ok(()) }
    }

    /// Adds system calls.
    ///
    /// # Errors
    /// As [`Writer::push`]. [`Writer::rows`] says how many of them are in.
    pub fn push_calls(&mut self, calls: &Calls) -> Result<()> {
        let most = self.most_waiting(Kind::Syscall);
        let mut from = 0;
        while from < calls.len() {
            let waiting = &mut self.waiting.syscall.0;
            let to = (from + most.saturating_sub(waiting.len())).min(calls.len());
            waiting.append(calls, from..to);
            self.kinds[Kind::Syscall as usize].n_rows += (to - from) as u64;
            from = to;
            if waiting.len() >= most {
                self.encode(Kind::Syscall)?;
            }
        }
        Ok(())
    }

    fn most_waiting(&self, kind: Kind) -> usize {
        most_waiting(kind).min(self.options.rows_per_group)
    }

    /// Where it lies until it is closed.
    pub fn folder(&self) -> &Path {
        self.partial.dir()
    }

    /// Copies a row group of `from`, rows of `kind`, as it is.
    pub(crate) fn copy_group(&mut self, group: &RowGroupMetaData, from: &impl ChunkReader, kind: Kind) -> Result<()> {
        let copied = self.data.add(|to| {
            group.columns().iter().try_for_each(|column| {
                let close = ColumnCloseResult {
                    bytes_written: column.compressed_size().unsigned_abs(),
                    rows_written: group.num_rows().unsigned_abs(),
                    metadata: column.clone(),
                    bloom_filter: None,
                    column_index: None,
                    offset_index: None,
                };
                to.append_column(from, close)
            })
        });
        let copied = self.parquet("join", copied)?;
        self.kinds[kind as usize].n_rows += group.num_rows().unsigned_abs();
        self.note_sealed(kind, copied)
    }

    /// Adds `n` rows of `kind` that never waited.
    pub(crate) fn add_rows(&mut self, kind: Kind, rows: &dyn Values, n: usize) -> Result<()> {
        self.kinds[kind as usize].n_rows += n as u64;
        self.gather(kind, Some((rows, n)))
    }

    /// Rows of `kind` so far.
    pub fn rows(&self, kind: Kind) -> u64 {
        self.kinds[kind as usize].n_rows
    }

    fn growing(&self) -> impl Iterator<Item = &Growing> {
        self.kinds.iter().filter_map(|k| k.growing.as_ref())
    }

    /// About the size that the file would have if it were closed now, footer and waiting rows aside.
    pub fn bytes_written(&self) -> u64 {
        let growing = self.growing().map(|g| g.rows.bytes() as u64).sum::<u64>();
        self.data.position() + growing
    }

    /// Hands everything pushed so far to the operating system: from here on it survives the death of this process.
    ///
    /// # Errors
    /// As [`Writer::push`].
    pub fn checkpoint(&mut self) -> Result<()> {
        for kind in Kind::ALL {
            if kind.is_paged() {
                let n = self.waiting.of(kind).len();
                self.page(kind, n >= WORTH_A_PAGE || self.kinds[kind as usize].passing_bytes >= PASSING_BYTES)?;
            } else {
                self.gather(kind, None)?;
            }
        }
        Ok(())
    }

    /// What must reach the disk for everything before the last [`Writer::checkpoint`] to survive a power cut, and what may then go.
    /// The caller runs it, where waiting does no harm, and reports with [`Writer::synced`].
    ///
    /// # Errors
    /// [`Error::Io`] if the system has no file handle left.
    pub fn sync_list(&mut self) -> Result<SyncList> {
        let mut files = vec![self.data.inner().inner().try_clone(), self.partial.index.file().try_clone()];
        let journals = self.growing().filter_map(|g| g.journal.as_ref());
        files.extend(journals.map(|j| j.file().try_clone()));
        let files = files.into_iter().collect::<std::io::Result<Vec<_>>>();
        let files = self.io("sync", files)?;
        let obsolete = std::mem::take(&mut self.obsolete);
        self.n_syncs += 1;
        Ok(SyncList { files, obsolete, data_bytes: self.data.position() })
    }

    /// A [`SyncList`] of this recording is done.
    ///
    /// # Errors
    /// [`Error::Io`] if the index cannot be written.
    pub fn synced(&mut self, done: &SyncList) -> Result<()> {
        let done = self.partial.index.synced(done.data_bytes);
        self.io("write", done)
    }

    /// A [`SyncList`] of this recording could not be run: the error to report. Dropping the writer leaves the recording unfinished.
    pub fn sync_failed(&mut self, source: std::io::Error) -> Error {
        self.keep = true;
        Error::Io { action: "sync", path: self.path.clone(), source }
    }

    /// From here on dropping the writer leaves the recording unfinished instead of removing it: it holds something worth having.
    pub fn keep(&mut self) {
        self.keep = true;
    }

    /// The disk is full: gives up what was kept free for that, and the journals, whose rows are in memory too, so that there is room to
    /// close what was recorded. A crash from here on takes what was not sealed.
    pub fn make_room(&mut self) {
        self.journaling = false;
        self.partial.give_room();
        let journals = self.kinds.iter_mut().filter_map(|k| k.growing.as_mut()?.journal.take());
        self.obsolete.extend(journals.map(|j| j.path().to_owned()));
        for path in self.obsolete.drain(..) {
            let _ = std::fs::remove_file(path);
        }
    }

    pub(super) fn io<T>(&mut self, action: &'static str, result: std::io::Result<T>) -> Result<T> {
        self.keep |= result.is_err();
        result.map_err(|source| Error::Io { action, path: self.path.clone(), source })
    }

    pub(super) fn parquet<T>(&mut self, action: &'static str, result: parquet::errors::Result<T>) -> Result<T> {
        self.keep |= result.is_err();
        result.map_err(|e| Error::parquet(action, &self.path, e))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.keep && !std::thread::panicking() {
            let _ = self.partial.remove();
        }
    }
}
