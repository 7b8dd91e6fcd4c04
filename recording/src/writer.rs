//! Streams rows into a recording: one buffer a kind, a full buffer becomes a row group, memory stays bounded.
//!
//! The file grows under a temporary name beside its own, with mode 0600, and gets its name when it is closed; without
//! [`WriterOptions::force`] an existing file is never replaced, not even one that appeared meanwhile.

use crate::batch::{Columnar, to_batch};
use crate::names::Arch;
use crate::rows::{Label, Loss, Process, Row, Sample, Syscall, System, Tally};
use crate::schema::{self, Kind, Type};
use crate::{Error, FORMAT_VERSION, METADATA_KEY, Metadata, Result};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// How to write.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    /// Replace an existing file.
    pub force: bool,
    /// What syscall numbers mean.
    pub arch: Arch,
    /// Rows of one kind held before they become a row group.
    pub rows_per_group: usize,
}

impl Default for WriterOptions {
    fn default() -> Self {
        // 128 Ki syscall rows are 10 MB of memory and ~0.5 MB of file; bigger groups save little and delay more.
        Self { force: false, arch: Arch::native().unwrap_or(Arch::X86_64), rows_per_group: 128 * 1024 }
    }
}

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
    syscalls: Vec<Syscall>,
    processes: Vec<Process>,
    systems: Vec<System>,
    losses: Vec<Loss>,
    labels: Vec<Label>,
}

/// A recording being written. Dropping it without [`Writer::close`] removes the unfinished file.
pub struct Writer {
    path: PathBuf,
    partial: PathBuf,
    parquet: Option<ArrowWriter<BufWriter<File>>>,
    options: WriterOptions,
    buffers: Buffers,
    rows: [u64; Kind::ALL.len()],
}

impl Writer {
    /// Begins a recording at `path`.
    ///
    /// # Errors
    /// [`Error::Exists`] if `path` is there and `force` is not set; [`Error::Io`] if it cannot be created.
    pub fn create(path: impl Into<PathBuf>, options: WriterOptions) -> Result<Self> {
        let path = path.into();
        let io = |action, source| Error::Io { action, path: path.clone(), source };
        match path.symlink_metadata() {
            Ok(m) if m.is_dir() => return Err(io("create", std::io::ErrorKind::IsADirectory.into())),
            Ok(_) if !options.force => return Err(Error::Exists { path }),
            _ => {}
        }
        let name = path.file_name().ok_or_else(|| io("create", std::io::ErrorKind::InvalidFilename.into()))?;
        let partial =
            path.with_file_name(format!(".{}.{}.parquet.partial", name.to_string_lossy(), std::process::id()));
        let file = create_private(&partial).map_err(|e| io("create", e))?;
        let parquet = ArrowWriter::try_new(BufWriter::new(file), schema::arrow_schema(), Some(properties()))
            .map_err(|e| contents("create", &path, e))?;
        Ok(Self { path, partial, parquet: Some(parquet), options, buffers: Buffers::default(), rows: [0; 7] })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`Error::Contents`] if a full buffer cannot be written, e.g. because the disk is full.
    pub fn push(&mut self, row: impl Into<Row>) -> Result<()> {
        let limit = self.options.rows_per_group;
        let row = row.into();
        let kind = row.kind();
        let b = &mut self.buffers;
        let full = match row {
            Row::Sample(r) => add(&mut b.samples, r, limit),
            Row::Tally(r) => add(&mut b.tallies, r, limit),
            Row::Syscall(r) => add(&mut b.syscalls, r, limit),
            Row::Process(r) => add(&mut b.processes, r, limit),
            Row::System(r) => add(&mut b.systems, r, limit),
            Row::Loss(r) => add(&mut b.losses, r, limit),
            Row::Label(r) => add(&mut b.labels, r, limit),
        };
        self.rows[kind as usize] += 1;
        if full { self.seal(kind) } else { Ok(()) }
    }

    /// Adds system calls: [`Writer::push`] without a detour through [`Row`], whose size would be copied for every call.
    ///
    /// # Errors
    /// As [`Writer::push`].
    pub fn push_syscalls(&mut self, calls: impl IntoIterator<Item = Syscall>) -> Result<()> {
        for call in calls {
            self.rows[Kind::Syscall as usize] += 1;
            if add(&mut self.buffers.syscalls, call, self.options.rows_per_group) {
                self.seal(Kind::Syscall)?;
            }
        }
        Ok(())
    }

    /// Rows of `kind` so far.
    pub fn rows(&self, kind: Kind) -> u64 {
        self.rows[kind as usize]
    }

    /// Bytes in the file so far; rows still buffered are not among them.
    pub fn bytes_written(&self) -> u64 {
        self.parquet.as_ref().map_or(0, |p| p.bytes_written() as u64)
    }

    /// Writes what is buffered, then the footer, and gives the file its name.
    ///
    /// `metadata.rows`, `format_version` and `complete` are filled in here.
    ///
    /// # Errors
    /// [`Error::Exists`] if another file took the name meanwhile: the recording then stays under its temporary name.
    pub fn close(mut self, mut metadata: Metadata) -> Result<Closed> {
        for kind in Kind::ALL {
            self.seal(kind)?;
        }
        metadata.format_version = FORMAT_VERSION;
        metadata.complete = true;
        metadata.rows = Kind::ALL.into_iter().map(|k| (k.name().to_owned(), self.rows(k))).collect();
        let json = serde_json::to_string(&metadata).map_err(|e| contents("describe", &self.path, e))?;
        let Some(mut parquet) = self.parquet.take() else { unreachable!("close consumes the writer") };
        parquet.append_key_value_metadata(KeyValue::new(METADATA_KEY.to_owned(), json));
        let file = parquet.into_inner().map_err(|e| contents("close", &self.path, e))?;
        let io = |source| Error::Io { action: "close", path: self.path.clone(), source };
        let file = file.into_inner().map_err(|e| io(e.into_error()))?;
        file.sync_all().map_err(io)?;
        let bytes = file.metadata().map_err(io)?.len();
        if self.options.force {
            std::fs::rename(&self.partial, &self.path).map_err(io)?;
        } else {
            // A hard link refuses to replace; a rename would not.
            match std::fs::hard_link(&self.partial, &self.path) {
                Ok(()) => std::fs::remove_file(&self.partial).map_err(io)?,
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                    let kept = std::mem::take(&mut self.partial);
                    return Err(Error::Io {
                        action: "name the recording (it is kept beside it)",
                        path: kept,
                        source: e,
                    });
                }
                Err(_) => std::fs::rename(&self.partial, &self.path).map_err(io)?,
            }
        }
        self.partial = PathBuf::new();
        Ok(Closed { path: self.path.clone(), bytes, metadata })
    }

    /// Turns the buffer of `kind` into a row group.
    fn seal(&mut self, kind: Kind) -> Result<()> {
        let b = &mut self.buffers;
        match kind {
            Kind::Sample => seal(&mut b.samples, self.parquet.as_mut(), &self.options, &self.path),
            Kind::Tally => seal(&mut b.tallies, self.parquet.as_mut(), &self.options, &self.path),
            Kind::Syscall => seal(&mut b.syscalls, self.parquet.as_mut(), &self.options, &self.path),
            Kind::Process => seal(&mut b.processes, self.parquet.as_mut(), &self.options, &self.path),
            Kind::System => seal(&mut b.systems, self.parquet.as_mut(), &self.options, &self.path),
            Kind::Loss => seal(&mut b.losses, self.parquet.as_mut(), &self.options, &self.path),
            Kind::Label => seal(&mut b.labels, self.parquet.as_mut(), &self.options, &self.path),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.partial.as_os_str().is_empty() {
            let _ = std::fs::remove_file(&self.partial);
        }
    }
}

fn add<R>(buffer: &mut Vec<R>, row: R, limit: usize) -> bool {
    buffer.push(row);
    buffer.len() >= limit
}

fn seal<R: Columnar>(
    buffer: &mut Vec<R>,
    parquet: Option<&mut ArrowWriter<BufWriter<File>>>,
    options: &WriterOptions,
    path: &Path,
) -> Result<()> {
    let (false, Some(parquet)) = (buffer.is_empty(), parquet) else { return Ok(()) };
    let batch = to_batch(buffer, options.arch).map_err(|e| contents("write", path, e))?;
    parquet.write(&batch).and_then(|()| parquet.flush()).map_err(|e| contents("write", path, e))
}

fn contents(action: &'static str, path: &Path, error: impl std::fmt::Display) -> Error {
    Error::Contents { action, path: path.to_owned(), detail: error.to_string() }
}

fn create_private(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    // `create_new` follows no symlink; a stale file of the same pid is a dead recorder's.
    let open = || File::options().write(true).create_new(true).mode(0o600).open(path);
    match open() {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => std::fs::remove_file(path).and_then(|()| open()),
        other => other,
    }
}

/// Encodings by what a column holds. Times differ little from row to row (delta); durations do not repeat, so a dictionary
/// only costs memory; everything else repeats (dictionary, run length).
fn properties() -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("osd ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(16 * 1024 * 1024))
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for column in schema::COLUMNS {
        let path = ColumnPath::from(column.name);
        if column.ty == Type::Time {
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
        } else if matches!(column.name, "dur_ns" | "total_ns") {
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::BYTE_STREAM_SPLIT);
        }
    }
    properties.build()
}
