//! Streams rows into a recording. Rows wait in a small buffer a kind, go from there as a batch (system calls: as pages) into the kind's
//! growing row group and its journal, and are in the file for good when the group is full. Memory stays bounded, and what was handed over
//! survives a crash.
//!
//! The file grows in a folder beside its own place (see `partial.rs`), with mode 0600, and gets its name when it is closed; without
//! [`WriterOptions::force`] an existing file is never replaced, not even one that appeared meanwhile.

use crate::batch::{Columnar, to_batch};
use crate::call_group::CallGroup;
use crate::calls::Calls;
use crate::disk::{SyncList, reserve, settle};
use crate::group::{self, Group};
use crate::names::Arch;
use crate::partial::{Journal, Partial, Taken};
use crate::rows::{Label, Loss, Process, Row, Sample, System, Tally};
use crate::schema::Kind;
use crate::sums::Summed;
use crate::{ClockPoint, Error, FORMAT_VERSION, Metadata, Recording, Result, footer, partial};
use arrow_array::RecordBatch;
use parquet::column::writer::ColumnCloseResult;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescPtr;
use std::fs::File;
use std::io::Write;
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

/// Rows of a kind that wait to become a batch: enough to encode well, few enough to be forgotten in memory.
const BATCH_ROWS: usize = 8 * 1024;
/// Likewise of system calls, which become a page of each column: few enough for a processor's cache, and the page's header hardly counts.
const PAGE_ROWS: usize = 32 * 1024;
/// System calls that become a page at a checkpoint already. Fewer are noted in the journal and go on waiting.
const WORTH_A_PAGE: usize = 8 * 1024;
/// And they become a page, however few, when noting them again and again has cost so many bytes.
const PASSING_BYTES: usize = 256 << 10;
/// A row group of system calls is not larger, full or not: it waits in memory.
const CALLS_BYTES: usize = 8 << 20;
/// Nor one of another kind. Where processes come and go several kinds grow side by side, and each column's writer holds as much again.
const GROUP_BYTES: usize = 2 << 20;
/// A journal never grows beyond this; its group is sealed instead, full or not.
const JOURNAL_BYTES: u64 = 48 << 20;

/// What [`Writer::close`] left behind.
#[derive(Clone, Debug)]
pub struct Closed {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// The metadata as written: row counts and `complete` filled in.
    pub metadata: Metadata,
}

#[derive(Default)]
struct Buffers {
    samples: Vec<Sample>,
    tallies: Vec<Tally>,
    syscalls: Calls,
    processes: Vec<Process>,
    systems: Vec<System>,
    losses: Vec<Loss>,
    labels: Vec<Label>,
}

impl Buffers {
    /// The rows of `kind` as a batch, if there are any; never of system calls, which become pages.
    fn take(&mut self, kind: Kind, arch: Arch) -> Option<std::result::Result<RecordBatch, arrow_schema::ArrowError>> {
        fn batch<R: Columnar>(
            rows: &mut Vec<R>,
            arch: Arch,
        ) -> Option<std::result::Result<RecordBatch, arrow_schema::ArrowError>> {
            (!rows.is_empty()).then(|| to_batch(rows, arch))
        }
        match kind {
            Kind::Sample => batch(&mut self.samples, arch),
            Kind::Tally => batch(&mut self.tallies, arch),
            Kind::Syscall => None,
            Kind::Process => batch(&mut self.processes, arch),
            Kind::System => batch(&mut self.systems, arch),
            Kind::Loss => batch(&mut self.losses, arch),
            Kind::Label => batch(&mut self.labels, arch),
        }
    }
}

/// The row group of one kind that is growing.
struct Growing {
    rows: Rows,
    /// `None` once the folder has no room for it.
    journal: Option<Journal>,
    /// How many syncs had been asked for when the journal was begun.
    n_syncs: u64,
}

enum Rows {
    Batches(Group),
    Calls(Box<CallGroup>),
}

impl Rows {
    fn len(&self) -> usize {
        match self {
            Self::Batches(group) => group.rows(),
            Self::Calls(group) => group.rows(),
        }
    }

    /// Memory held; also about what they will take in the file.
    fn bytes(&self) -> usize {
        match self {
            Self::Batches(group) => group.bytes(),
            Self::Calls(group) => group.bytes(),
        }
    }
}

/// A recording being written. Dropping it without [`Writer::close`] removes the unfinished file, unless writing has failed or
/// [`Writer::keep`] was called: then it stays for `osd recover`.
pub struct Writer {
    path: PathBuf,
    options: WriterOptions,
    partial: Partial,
    data: SerializedFileWriter<Summed<File>>,
    schema: SchemaDescPtr,
    buffers: Buffers,
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
    keep: bool,
}

impl Writer {
    /// Begins a recording at `path`.
    ///
    /// # Errors
    /// [`Error::Exists`] if `path` is there and `force` is not set, [`Error::Unfinished`] if what a dead recorder left of it is;
    /// [`Error::Busy`] while another one writes it; [`Error::Io`] if it cannot be created.
    pub fn create(path: impl Into<PathBuf>, options: WriterOptions) -> Result<Self> {
        let path = path.into();
        let io = |source| Error::Io { action: "create", path: path.clone(), source };
        match path.symlink_metadata() {
            Ok(m) if m.is_dir() => return Err(io(std::io::ErrorKind::IsADirectory.into())),
            Ok(_) if !options.force => return Err(Error::Exists { path }),
            _ => {}
        }
        if path.file_name().is_none() {
            return Err(io(std::io::ErrorKind::InvalidFilename.into()));
        }
        let (partial, data) = Partial::create(&path, options.force).map_err(|taken| match taken {
            Taken::Busy => Error::Busy { path: partial::folder(&path) },
            Taken::Remains => Error::Unfinished { path: path.clone() },
            Taken::Io(source) => io(source),
        })?;
        let opened = group::file_writer(Summed::new(data)).and_then(|file| {
            let schema = group::parquet_schema()?;
            Ok((file, schema))
        });
        let (data, schema) = match opened {
            Ok(opened) => opened,
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
            schema,
            buffers: Buffers::default(),
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
        let done = self.partial.describe(&metadata);
        self.io("write", done)
    }

    /// Notes how the clocks stand.
    ///
    /// # Errors
    /// [`Error::Io`] if the index cannot be written.
    pub fn clock_point(&mut self, point: &ClockPoint) -> Result<()> {
        let done = self.partial.clock_point(point);
        self.io("write", done)
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`Error::Io`] if a batch cannot be written, e.g. because the disk is full.
    pub fn push(&mut self, row: impl Into<Row>) -> Result<()> {
        let row = row.into();
        let kind = row.kind();
        let b = &mut self.buffers;
        let waiting = match row {
            Row::Sample(r) => add(&mut b.samples, r),
            Row::Tally(r) => add(&mut b.tallies, r),
            Row::Syscall(r) => {
                b.syscalls.push(r);
                b.syscalls.len()
            }
            Row::Process(r) => add(&mut b.processes, r),
            Row::System(r) => add(&mut b.systems, r),
            Row::Loss(r) => add(&mut b.losses, r),
            Row::Label(r) => add(&mut b.labels, r),
        };
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
            let waiting = &mut self.buffers.syscalls;
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
        let most = if kind == Kind::Syscall { PAGE_ROWS } else { BATCH_ROWS };
        most.min(self.options.rows_per_group)
    }

    /// Where it lies until it is closed.
    pub fn folder(&self) -> &Path {
        self.partial.dir()
    }

    /// Copies row group `i` of `from`, rows of `kind`, as it is.
    pub(crate) fn copy_group(&mut self, from: &Recording, i: usize, kind: Kind) -> Result<()> {
        let group = &from.parquet().row_groups()[i];
        let copied = self.data.next_row_group().and_then(|mut to| {
            for column in group.columns() {
                let close = ColumnCloseResult {
                    bytes_written: column.compressed_size().unsigned_abs(),
                    rows_written: group.num_rows().unsigned_abs(),
                    metadata: column.clone(),
                    bloom_filter: None,
                    column_index: None,
                    offset_index: None,
                };
                to.append_column(&from.chunks(), close)?;
            }
            to.close().map(drop)
        });
        let copied = copied.and_then(|()| Ok(self.data.flush()?));
        self.parquet("join", copied)?;
        self.rows[kind as usize] += group.num_rows().unsigned_abs();
        self.note_sealed(kind)
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
        self.data.bytes_written() as u64 + growing
    }

    /// Hands everything pushed so far to the operating system: from here on it survives the death of this process.
    ///
    /// # Errors
    /// As [`Writer::push`].
    pub fn checkpoint(&mut self) -> Result<()> {
        for kind in Kind::ALL {
            match kind {
                Kind::Syscall => {
                    let waiting = self.buffers.syscalls.len();
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
        let mut files = vec![self.data.inner().inner().try_clone(), self.partial.index_file().try_clone()];
        let journals = self.growing.iter().flatten().filter_map(|g| g.journal.as_ref());
        files.extend(journals.map(|j| j.file().try_clone()));
        let files = files.into_iter().collect::<std::io::Result<Vec<_>>>();
        let files = self.io("sync", files)?;
        let obsolete = std::mem::take(&mut self.obsolete);
        self.n_syncs += 1;
        Ok(SyncList { files, obsolete, data_bytes: self.data.bytes_written() as u64 })
    }

    /// A [`SyncList`] of this recording is done.
    ///
    /// # Errors
    /// [`Error::Io`] if the index cannot be written.
    pub fn synced(&mut self, done: &SyncList) -> Result<()> {
        let done = self.partial.synced(done.data_bytes);
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

    /// The disk is full: gives up the journals, whose rows are in memory too, so that there is room to close what was recorded. A crash
    /// from here on takes what was not sealed.
    pub fn make_room(&mut self) {
        self.journaling = false;
        let journals = self.growing.iter_mut().flatten().filter_map(|g| g.journal.take());
        self.obsolete.extend(journals.map(|j| j.path().to_owned()));
        for path in self.obsolete.drain(..) {
            let _ = std::fs::remove_file(path);
        }
    }

    /// Seals what is growing, writes the footer, and gives the file its name.
    ///
    /// `metadata.rows`, `format_version` and `complete` are filled in here.
    ///
    /// # Errors
    /// [`Error::Exists`] if another file took the name meanwhile, [`Error::Io`] if the disk refuses: the recording then stays unfinished
    /// in its folder.
    pub fn close(mut self, mut metadata: Metadata) -> Result<Closed> {
        Kind::ALL.into_iter().try_for_each(|kind| self.batch(kind).and_then(|()| self.seal(kind)))?;
        metadata.format_version = FORMAT_VERSION;
        metadata.complete = true;
        metadata.rows = Kind::ALL.into_iter().map(|k| (k.name().to_owned(), self.rows(k))).collect();
        let groups = self.data.flushed_row_groups().to_vec();
        let flushed = self.data.flush();
        self.io("write", flushed)?;
        let end = footer::encode(&self.schema, groups, &metadata, &self.data.inner().sums());
        let end = self.parquet("close", end)?;
        // Past the library, which would write a footer of its own; it is not asked for anything after this.
        let written = self.data.inner_mut().write_all(&end).and_then(|()| {
            let data = self.data.inner();
            // Gives back what was reserved and not needed.
            data.inner().set_len(data.position()).and_then(|()| data.inner().sync_all())
        });
        self.io("close", written)?;
        let bytes = self.data.inner().position();
        self.keep = true;
        match settle(&self.partial.data_path(), &self.path, self.options.force) {
            // Somebody removed the folder; the open file is all there is, and all that is needed.
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => self.settle_copy()?,
            other => other?,
        }
        let _ = self.partial.remove();
        Ok(Closed { path: self.path.clone(), bytes, metadata })
    }

    /// Gives the data its name by way of a copy.
    fn settle_copy(&mut self) -> Result<()> {
        use std::io::{Seek, SeekFrom};
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{}.copy", std::process::id()));
        let copy_path = PathBuf::from(name);
        let copied = partial::create_private(&copy_path).and_then(|mut copy| {
            let mut data = self.data.inner().inner();
            data.seek(SeekFrom::Start(0))?;
            std::io::copy(&mut data, &mut copy)?;
            copy.sync_all()
        });
        self.io("close", copied)?;
        settle(&copy_path, &self.path, self.options.force)
    }

    /// Turns the waiting rows of `kind` into a batch or page of its row group.
    fn batch(&mut self, kind: Kind) -> Result<()> {
        if kind == Kind::Syscall {
            return self.page(true);
        }
        let Some(batch) = self.buffers.take(kind, self.options.arch) else { return Ok(()) };
        let batch =
            batch.map_err(|e| Error::Contents { action: "write", path: self.path.clone(), detail: e.to_string() })?;
        self.encode(kind, &batch)
    }

    /// The growing row group of `kind`, and its journal.
    fn growing(&mut self, kind: Kind) -> Result<&mut Growing> {
        let i = kind as usize;
        if self.growing[i].is_none() {
            let rows = match kind {
                Kind::Syscall => CallGroup::new().map(|group| Rows::Calls(Box::new(group))).map_err(Into::into),
                _ => Group::new(kind).map(Rows::Batches),
            };
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
        let Growing { rows: Rows::Batches(group), journal, .. } = self.growing(kind)? else {
            unreachable!("system calls come as pages")
        };
        // Encoded first: if the journal then finds the disk full, the rows are in memory and only the net is gone.
        let encoded = group.add(batch);
        let journaled = journal.as_mut().map_or(Ok(()), |j| j.append(batch));
        self.parquet("write", encoded)?;
        self.io("write", journaled)?;
        self.seal_if_full(kind)
    }

    /// Puts the waiting system calls into their journal and, if it is to be `lasting`, into their row group as a page.
    fn page(&mut self, lasting: bool) -> Result<()> {
        let n = self.buffers.syscalls.len();
        if n == 0 || !lasting && (n == self.n_noted || !self.journaling) {
            return Ok(());
        }
        self.buffers.syscalls.sort();
        self.growing(Kind::Syscall)?;
        let Some(Growing { rows: Rows::Calls(group), journal, .. }) = &mut self.growing[Kind::Syscall as usize] else {
            unreachable!("asked for above")
        };
        let mut journaled = Ok(());
        self.frame.clear();
        let encoded = group.encode(&self.buffers.syscalls, self.options.arch);
        let encoded = encoded.map(|pages| {
            if let Some(journal) = journal {
                group.note(&pages, lasting, &mut self.frame);
                journaled = journal.append_frame(&self.frame);
            }
            // Whatever the journal says: if the disk is full, the rows are in memory and only the net is gone.
            if lasting {
                group.add(pages);
            }
        });
        self.io("write", encoded)?;
        if lasting {
            self.buffers.syscalls.clear();
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
        let full = growing.rows.len() >= self.rows_per_group(i)
            || growing.journal.as_ref().is_some_and(|j| j.bytes() >= JOURNAL_BYTES)
            || growing.rows.bytes() >= if kind == Kind::Syscall { CALLS_BYTES } else { GROUP_BYTES };
        if full { self.seal(kind) } else { Ok(()) }
    }

    /// The longer the recording, the bigger its row groups, so that its footer grows slower than the recording.
    fn rows_per_group(&self, kind: usize) -> usize {
        let first = self.options.rows_per_group;
        let most = if kind == Kind::Syscall as usize { 32 } else { 8 };
        usize::try_from(self.rows[kind] / 16).unwrap_or(usize::MAX).clamp(first, first.saturating_mul(most))
    }

    /// Writes the row group of `kind` into the file.
    fn seal(&mut self, kind: Kind) -> Result<()> {
        let i = kind as usize;
        let Some(growing) = &self.growing[i] else { return Ok(()) };
        // Asked before the group is given away: without room it stays in memory and in its journal.
        let room = reserve(self.data.inner().inner(), self.data.bytes_written() as u64, growing.rows.bytes() as u64);
        self.io("write", room)?;
        let Some(growing) = self.growing[i].take() else { return Ok(()) };
        let sealed = match growing.rows {
            Rows::Batches(group) => group.finish(&mut self.data),
            Rows::Calls(calls) => {
                let rows = calls.rows();
                let chunks = calls.finish(self.schema.columns());
                chunks.and_then(|chunks| group::write_chunks(&mut self.data, chunks, rows))
            }
        };
        self.parquet("write", sealed)?;
        self.note_sealed(kind)?;
        if let Some(journal) = growing.journal {
            if growing.n_syncs == self.n_syncs {
                // All of it is newer than the last sync, so a power cut may take it anyway; and under a storm these are big and many.
                drop(std::fs::remove_file(journal.path()));
            } else {
                self.obsolete.push(journal.path().to_owned());
            }
        }
        Ok(())
    }

    /// Puts the row group written last into the index.
    fn note_sealed(&mut self, kind: Kind) -> Result<()> {
        let i = kind as usize;
        if let Some(group) = self.data.flushed_row_groups().last() {
            let thrift = footer::encode_group(&self.schema, group.clone());
            let thrift = self.parquet("write", thrift)?;
            let noted = self.partial.sealed(kind, self.generation[i], &thrift, self.data.inner());
            match noted {
                // Without journals the index is for nobody.
                Err(_) if !self.journaling => {}
                noted => self.io("write", noted)?,
            }
        }
        self.generation[i] += 1;
        Ok(())
    }

    fn io<T>(&mut self, action: &'static str, result: std::io::Result<T>) -> Result<T> {
        self.keep |= result.is_err();
        result.map_err(|source| Error::Io { action, path: self.path.clone(), source })
    }

    fn parquet<T>(&mut self, action: &'static str, result: parquet::errors::Result<T>) -> Result<T> {
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

fn add<R>(buffer: &mut Vec<R>, row: R) -> usize {
    buffer.push(row);
    buffer.len()
}
