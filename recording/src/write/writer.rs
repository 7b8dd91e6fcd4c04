//! Streams rows into a recording. Rows wait in a small buffer a kind, go from there as a batch (system calls: as pages) into the kind's
//! growing row group and its journal, and are in the file for good when the group is full. Memory stays bounded, and what was handed over
//! survives a crash.
//!
//! The file grows in a folder beside its own place (see `unfinished/`), with mode 0600, and gets its name when it is closed; without
//! [`WriterOptions::force`] an existing file is never replaced, not even one that appeared meanwhile.

use super::growing::Growing;
use super::sync::SyncList;
use super::waiting::{self, Waiting};
use crate::about::{ClockPoint, FORMAT_VERSION, Metadata};
use crate::disk::{output, reserve};
use crate::error::{Error, Result};
use crate::group::Rows;
use crate::kind::{Calls, Kind, Row, schema};
use crate::parquet_file::DataFile;
use crate::parquet_file::footer::Groups;
use crate::parquet_file::sums::Summed;
use crate::syscall::Arch;
use crate::unfinished::{self, Partial, Taken};
use arrow_array::RecordBatch;
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

/// System calls that become a page at a checkpoint already. Fewer are noted in the journal and go on waiting.
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
    /// What the footer will say of the row groups in it.
    pub(super) groups: Groups,
    waiting: Waiting,
    /// Of the waiting system calls, how many the journal has.
    n_noted: usize,
    /// Bytes it took to note them.
    passing_bytes: usize,
    frame: Vec<u8>,
    growing: [Option<Growing>; Kind::ALL.len()],
    generation: [u32; Kind::ALL.len()],
    rows: [u64; Kind::ALL.len()],
    /// Journals of sealed groups, to be deleted once `data` is on the disk.
    obsolete: Vec<PathBuf>,
    n_syncs: u64,
    journaling: bool,
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
            waiting: Waiting::default(),
            n_noted: 0,
            passing_bytes: 0,
            frame: Vec::new(),
            growing: [const { None }; Kind::ALL.len()],
            generation: [0; Kind::ALL.len()],
            rows: [0; Kind::ALL.len()],
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
        let waiting = self.waiting.push(row);
        self.rows[kind as usize] += 1;
        if waiting >= self.most_waiting(kind) { self.batch(kind) } else { Ok(()) }
    }

    /// Adds system calls.
    ///
    /// # Errors
    /// As [`Writer::push`]. [`Writer::rows`] says how many of them are in.
    pub fn push_calls(&mut self, calls: &Calls) -> Result<()> {
        let most = self.most_waiting(Kind::Syscall);
        let mut from = 0;
        while from < calls.len() {
            let waiting = &mut self.waiting.syscalls;
            let to = (from + most.saturating_sub(waiting.len())).min(calls.len());
            waiting.append(calls, from..to);
            self.rows[Kind::Syscall as usize] += (to - from) as u64;
            from = to;
            if waiting.len() >= most {
                self.page(true)?;
            }
        }
        Ok(())
    }

    fn most_waiting(&self, kind: Kind) -> usize {
        waiting::most(kind).min(self.options.rows_per_group)
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
        self.rows[kind as usize] += group.num_rows().unsigned_abs();
        self.note_sealed(kind, copied)
    }

    /// Adds rows that are laid out already, in the columns of `kind`.
    pub(crate) fn add_batch(&mut self, kind: Kind, batch: &RecordBatch) -> Result<()> {
        self.rows[kind as usize] += batch.num_rows() as u64;
        self.encode(kind, batch)
    }

    /// Rows of `kind` so far.
    pub fn rows(&self, kind: Kind) -> u64 {
        self.rows[kind as usize]
    }

    /// About the size that the file would have if it were closed now, footer and waiting rows aside.
    pub fn bytes_written(&self) -> u64 {
        let growing = self.growing.iter().flatten().map(|g| g.rows.bytes() as u64).sum::<u64>();
        self.data.position() + growing
    }

    /// Hands everything pushed so far to the operating system: from here on it survives the death of this process.
    ///
    /// # Errors
    /// As [`Writer::push`].
    pub fn checkpoint(&mut self) -> Result<()> {
        for kind in Kind::ALL {
            match kind {
                Kind::Syscall => {
                    let waiting = self.waiting.syscalls.len();
                    self.page(waiting >= WORTH_A_PAGE || self.passing_bytes >= PASSING_BYTES)?;
                }
                _ => self.batch(kind)?,
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
        let journals = self.growing.iter().flatten().filter_map(|g| g.journal.as_ref());
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
        let journals = self.growing.iter_mut().flatten().filter_map(|g| g.journal.take());
        self.obsolete.extend(journals.map(|j| j.path().to_owned()));
        for path in self.obsolete.drain(..) {
            let _ = std::fs::remove_file(path);
        }
    }

    /// Turns the waiting rows of `kind` into a batch or page of its row group.
    pub(super) fn batch(&mut self, kind: Kind) -> Result<()> {
        if kind == Kind::Syscall {
            return self.page(true);
        }
        let Some(batch) = self.waiting.take(kind, self.options.arch) else { return Ok(()) };
        let batch =
            batch.map_err(|e| Error::Contents { action: "write", path: self.path.clone(), detail: e.to_string() })?;
        self.encode(kind, &batch)
    }

    /// The growing row group of `kind`, and its journal.
    fn growing(&mut self, kind: Kind) -> Result<&mut Growing> {
        let i = kind as usize;
        if self.growing[i].is_none() {
            let rows = Rows::new(kind);
            let rows = self.parquet("write", rows)?;
            let journal = match self.journaling.then(|| self.partial.journal(kind, self.generation[i])) {
                // Somebody removed the folder: the rest is recorded without a net.
                Some(Err(e)) if e.kind() == std::io::ErrorKind::NotFound => None,
                Some(journal) => Some(self.io("write", journal)?),
                None => None,
            };
            self.growing[i] = Some(Growing { rows, journal, n_syncs: self.n_syncs });
        }
        let Some(growing) = &mut self.growing[i] else { unreachable!("just put there") };
        Ok(growing)
    }

    /// Puts a batch into the growing row group of its kind, and into its journal.
    fn encode(&mut self, kind: Kind, batch: &RecordBatch) -> Result<()> {
        self.growing(kind)?;
        let Some(Growing { rows: Rows::Gathered(group), journal, .. }) = &mut self.growing[kind as usize] else {
            unreachable!("asked for above; system calls come as pages")
        };
        self.frame.clear();
        // Encoded first: if the journal then finds the disk full, the rows are in memory and only the net is gone.
        let encoded = group.add(batch, journal.is_some().then_some(&mut self.frame));
        let journaled = match (journal, &encoded) {
            (Some(journal), Ok(())) => journal.append(&self.frame),
            _ => Ok(()),
        };
        // A burst should not keep its megabytes for the rest of the recording.
        self.frame.shrink_to(1 << 20);
        self.parquet("write", encoded)?;
        self.io("write", journaled)?;
        self.seal_if_full(kind)
    }

    /// Puts the waiting system calls into their journal and, if it is to be `lasting`, into their row group as a page.
    fn page(&mut self, lasting: bool) -> Result<()> {
        let n = self.waiting.syscalls.len();
        if n == 0 || !lasting && (n == self.n_noted || !self.journaling) {
            return Ok(());
        }
        self.waiting.syscalls.sort();
        self.growing(Kind::Syscall)?;
        let Some(Growing { rows: Rows::Calls(group), journal, .. }) = &mut self.growing[Kind::Syscall as usize] else {
            unreachable!("asked for above")
        };
        let mut journaled = Ok(());
        self.frame.clear();
        let encoded = group.encode(&self.waiting.syscalls, self.options.arch);
        let encoded = encoded.map(|pages| {
            if let Some(journal) = journal {
                group.note(&pages, lasting, &mut self.frame);
                journaled = journal.append(&self.frame);
            }
            // Whatever the journal says: if the disk is full, the rows are in memory and only the net is gone.
            if lasting {
                group.add(pages);
            }
        });
        self.io("write", encoded)?;
        if lasting {
            self.waiting.syscalls.clear();
            (self.n_noted, self.passing_bytes) = (0, 0);
        } else {
            self.n_noted = n;
            self.passing_bytes += self.frame.len();
        }
        self.io("write", journaled)?;
        if lasting { self.seal_if_full(Kind::Syscall) } else { Ok(()) }
    }

    fn seal_if_full(&mut self, kind: Kind) -> Result<()> {
        let i = kind as usize;
        let Some(growing) = &self.growing[i] else { return Ok(()) };
        if growing.is_full(self.rows_per_group(i)) { self.seal(kind) } else { Ok(()) }
    }

    /// The longer the recording, the bigger its row groups, so that its footer grows slower than the recording.
    fn rows_per_group(&self, kind: usize) -> usize {
        let first = self.options.rows_per_group;
        let most = if kind == Kind::Syscall as usize { 32 } else { 8 };
        usize::try_from(self.rows[kind] / 16).unwrap_or(usize::MAX).clamp(first, first.saturating_mul(most))
    }

    /// Writes the row group of `kind` into the file.
    pub(super) fn seal(&mut self, kind: Kind) -> Result<()> {
        let i = kind as usize;
        let Some(growing) = &self.growing[i] else { return Ok(()) };
        // Asked before the group is given away: without room it stays in memory and in its journal.
        let room = reserve(self.data.inner().inner(), self.data.position(), growing.rows.bytes() as u64);
        self.io("write", room)?;
        let Some(growing) = self.growing[i].take() else { return Ok(()) };
        let rows = growing.rows.len();
        let sealed = growing.rows.finish(&mut self.data);
        let sealed = self.parquet("write", sealed)?;
        self.note_sealed(kind, sealed)?;
        if let Some(mut journal) = growing.journal {
            if growing.n_syncs == self.n_syncs {
                // All of it is newer than the last sync, so a power cut may take it anyway; and under a storm these are big and many.
                drop(std::fs::remove_file(journal.path()));
            } else {
                // If there is no room for that, a power cut takes what comes next too.
                let _ = journal.end(rows);
                self.obsolete.push(journal.path().to_owned());
            }
        }
        let room = self.partial.keep_room(self.groups.footer_bytes());
        self.io("write", room)
    }

    /// Puts the row group written last into the index.
    fn note_sealed(&mut self, kind: Kind, group: RowGroupMetaData) -> Result<()> {
        let i = kind as usize;
        let described = self.groups.push(self.data.schema(), group);
        let described = self.parquet("write", described)?;
        match self.partial.index.sealed(kind, self.generation[i], &described, self.data.inner()) {
            // Without journals the index is for nobody.
            Err(_) if !self.journaling => {}
            noted => self.io("write", noted)?,
        }
        self.generation[i] += 1;
        Ok(())
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
