//! Opens recordings: the footer first, then only the row groups and columns a question needs.

use super::columns::Columns;
use super::decoded::Decoded;
use super::remains::Remains;
use super::source::{Chunks, Source};
use super::types;
use crate::about::{FORMAT_VERSION, LossTotal, METADATA_KEY, Metadata};
use crate::error::{Error, Result};
use crate::kind::{Kind, Value, schema};
use crate::parquet_file::MAGIC;
use crate::parquet_file::footer::{self, SUMS_KEY};
use crate::parquet_file::sums::{Checker, Sums};
use crate::unfinished;
use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::{ArrowError, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An open recording: its footer, and the way to its rows.
#[derive(Clone, Debug)]
pub struct Recording {
    path: PathBuf,
    source: Arc<Source>,
    parquet: ArrowReaderMetadata,
    metadata: Metadata,
    row_groups: Vec<RowGroup>,
    unfinished: bool,
}

/// One row group, as the footer describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowGroup {
    /// Kind of all its rows; `None` for a kind this version does not know.
    pub kind: Option<Kind>,
    /// Rows.
    pub rows: u64,
    /// Compressed size.
    pub bytes: u64,
    /// Smallest and largest `ts`, UTC ns, where the statistics say.
    pub ts_ns: Option<(i64, i64)>,
}

/// What to read. The default reads everything.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Only rows of these kinds.
    pub kinds: Option<Vec<Kind>>,
    /// Only rows that start in this range, UTC ns.
    pub ts_ns: Option<Range<i64>>,
    /// Only these columns, in file order; unknown names are passed over.
    pub columns: Option<Vec<&'static str>>,
}

impl Query {
    /// Rows of one kind with the columns that kind fills.
    pub fn kind(kind: Kind) -> Self {
        Self { kinds: Some(vec![kind]), ts_ns: None, columns: Some(kind.columns().map(|c| c.name).collect()) }
    }

    /// The same, only rows that start in `range`.
    #[must_use]
    pub fn during(mut self, range: Range<i64>) -> Self {
        self.ts_ns = Some(range);
        self
    }
}

impl Recording {
    /// Opens the recording at `path`. Reads the footer only.
    ///
    /// What a recorder that was killed left of it is opened too, where there is no such file but an unfinished recording of that name:
    /// read-only, with [`Metadata::complete`] false. So is one that is still being written.
    ///
    /// # Errors
    /// Says which: cannot be opened, not Parquet, truncated, not a recording, or of a newer format.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let io = |source| Error::Io { action: "open", path: path.clone(), source };
        if path.is_dir() {
            return Self::open_unfinished(&path, &path);
        }
        let file = match File::open(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound && unfinished::folder(&path).is_dir() => {
                return Self::open_unfinished(&path, &unfinished::folder(&path));
            }
            other => other.map_err(io)?,
        };
        let (bytes, footer) = read_footer(&file, &path)?;
        let truncated = |e: ParquetError| Error::Truncated { path: path.clone(), detail: e.to_string() };
        let parquet = footer::decode(&footer).map_err(truncated)?;
        let metadata = read_metadata(&parquet, &path)?;
        let data_bytes = bytes - footer::END - footer.len() as u64;
        let checker = match footer::value(&parquet, SUMS_KEY).map(Sums::from_text) {
            // Written by an osd that took none.
            None => None,
            Some(Some(sums)) if sums.position == data_bytes => Some(Checker::new(sums)),
            Some(_) => return Err(truncated(ParquetError::General("its checksums do not cover its data".into()))),
        };
        let source = Source::new(file, bytes, Bytes::new(), checker);
        Self::assemble(path, source, parquet, metadata, false)
    }

    fn open_unfinished(path: &Path, dir: &Path) -> Result<Self> {
        Self::from_remains(path, Remains::read(dir)?)
    }

    pub(crate) fn from_remains(path: &Path, remains: Remains) -> Result<Self> {
        let mut recording = Self::assemble(path.to_owned(), remains.source, remains.parquet, remains.metadata, true)?;
        complete_metadata(&mut recording)?;
        Ok(recording)
    }

    fn assemble(
        path: PathBuf,
        source: Source,
        parquet: ParquetMetaData,
        metadata: Metadata,
        unfinished: bool,
    ) -> Result<Self> {
        let parquet = types::arrow(parquet)
            .map_err(|e| Error::NotARecording { path: path.clone(), detail: format!("its columns: {e}") })?;
        check_columns(&parquet, &path)?;
        let row_groups = describe_row_groups(&parquet);
        Ok(Self { path, source: Arc::new(source), parquet, metadata, row_groups, unfinished })
    }

    /// Whether it was never closed: what is here is what `osd recover` would make of it.
    pub fn is_unfinished(&self) -> bool {
        self.unfinished
    }

    /// Parquet's own description, without anything in it that must not be trusted.
    pub fn parquet(&self) -> &Arc<ParquetMetaData> {
        self.parquet.metadata()
    }

    /// Bytes `range` of the file, after checking them against their sums.
    ///
    /// # Errors
    /// If they are not all there, or not what was written.
    pub fn read_bytes(&self, range: Range<u64>) -> Result<Bytes> {
        self.source.read(range).map_err(|e| contents(&self.path, e))
    }

    pub(crate) fn chunks(&self) -> Chunks {
        Chunks(Arc::clone(&self.source))
    }

    /// The row groups of `kind`, decoded by hand.
    pub(crate) fn decoded(&self, kind: Kind) -> impl Iterator<Item = Result<Decoded>> + '_ {
        let groups = self.row_groups.iter().zip(self.parquet().row_groups());
        let own = groups.filter(move |(described, _)| described.kind == Some(kind));
        own.map(move |(_, group)| Decoded::of(kind, group, &self.source, &self.path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The footer's metadata.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The row groups, in file order.
    pub fn row_groups(&self) -> &[RowGroup] {
        &self.row_groups
    }

    /// The Arrow schema as this file has it.
    pub fn schema(&self) -> &SchemaRef {
        self.parquet.schema()
    }

    /// Size of the file.
    pub fn bytes(&self) -> u64 {
        self.source.bytes()
    }

    /// Rows of `kind`.
    pub fn kind_rows(&self, kind: Kind) -> u64 {
        self.row_groups.iter().filter(|g| g.kind == Some(kind)).map(|g| g.rows).sum()
    }

    /// Compressed bytes of the row groups of `kind`.
    pub fn kind_bytes(&self, kind: Kind) -> u64 {
        self.row_groups.iter().filter(|g| g.kind == Some(kind)).map(|g| g.bytes).sum()
    }

    /// Reads the rows a query asks for, row group by row group.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(&self, query: &Query) -> Result<Batches> {
        self.batches(query, self.wanted(query))
    }

    /// The same in `parts` iterators at most, each over row groups that follow one another and about as many rows: for threads
    /// that read side by side. One after the other they give what [`Recording::read`] gives.
    ///
    /// # Errors
    /// As there.
    pub fn read_parts(&self, query: &Query, parts: usize) -> Result<Vec<Batches>> {
        let wanted = self.wanted(query);
        let rows: u64 = wanted.iter().map(|g| self.row_groups[*g].rows).sum();
        let each = rows.div_ceil(parts.max(1) as u64).max(1);
        let mut cut: Vec<Vec<usize>> = vec![vec![]];
        let mut rows_before = 0;
        for group in wanted {
            if rows_before >= each * cut.len() as u64 {
                cut.push(vec![]);
            }
            rows_before += self.row_groups[group].rows;
            cut.last_mut().into_iter().for_each(|part| part.push(group));
        }
        cut.into_iter().map(|groups| self.batches(query, groups)).collect()
    }

    /// Reads the row group `group`, from row `skip` on, `batch_rows` at a time: for who reads several side by side and must not hold much of
    /// any. Without `columns`, those of its kind.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read_group(
        &self,
        group: usize,
        columns: Option<&[&'static str]>,
        batch_rows: usize,
        skip: usize,
    ) -> Result<Batches> {
        let of_kind = || self.row_groups.get(group).and_then(|g| g.kind).map(|k| k.columns().map(|c| c.name).collect());
        let columns: Option<Vec<&'static str>> = columns.map(<[_]>::to_vec).or_else(of_kind);
        let query = Query { columns, ..Query::default() };
        self.limited(&query, vec![group], batch_rows, skip)
    }

    /// Smallest `ts`, and a time at which every row of the row group is over, UTC ns, where the statistics say.
    pub fn group_span(&self, group: usize) -> Option<(i64, i64)> {
        let (first, last) = self.row_groups.get(group)?.ts_ns?;
        let columns = self.parquet().row_groups().get(group)?.columns();
        let dur = columns.iter().find(|c| c.column_path().string() == "dur_ns")?;
        let longest = match dur.statistics() {
            Some(Statistics::Int64(s)) if s.null_count_opt() == u64::try_from(dur.num_values()).ok() => 0,
            // Unsigned in the file.
            Some(Statistics::Int64(s)) => s.max_opt().copied()? as u64,
            _ => return None,
        };
        Some((first, last.saturating_add_unsigned(longest)))
    }

    /// The row groups that may hold rows of `query`.
    fn wanted(&self, query: &Query) -> Vec<usize> {
        let wanted = |g: &RowGroup| {
            let kind = query.kinds.as_ref().is_none_or(|kinds| g.kind.is_some_and(|k| kinds.contains(&k)));
            let time = match (&query.ts_ns, g.ts_ns) {
                (Some(range), Some((first, last))) => first < range.end && last >= range.start,
                _ => true,
            };
            kind && time
        };
        (0..self.row_groups.len()).filter(|i| wanted(&self.row_groups[*i])).collect()
    }

    fn batches(&self, query: &Query, groups: Vec<usize>) -> Result<Batches> {
        self.limited(query, groups, 64 * 1024, 0)
    }

    fn limited(&self, query: &Query, groups: Vec<usize>, batch_rows: usize, skip: usize) -> Result<Batches> {
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.chunks(), self.parquet.clone())
            .with_row_groups(groups)
            .with_batch_size(batch_rows);
        if skip > 0 {
            builder = builder.with_offset(skip);
        }
        let mut drop_ts = false;
        if let Some(columns) = &query.columns {
            let mut names = columns.clone();
            if query.ts_ns.is_some() && !names.contains(&"ts") {
                names.push("ts");
                drop_ts = true;
            }
            let mask = ProjectionMask::columns(builder.parquet_schema(), names);
            builder = builder.with_projection(mask);
        }
        let reader = builder.build().map_err(|e| contents(&self.path, e))?;
        Ok(Batches { path: self.path.clone(), reader, ts_ns: query.ts_ns.clone(), drop_ts, failed: false })
    }
}

/// Iterator over the batches of a [`Query`].
pub struct Batches {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
    ts_ns: Option<Range<i64>>,
    drop_ts: bool,
    failed: bool,
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        // Of pages that lie, under checksums that fit all the same, the library believes some things and panics. What was read before counts.
        let next = std::panic::catch_unwind(AssertUnwindSafe(|| self.reader.next()));
        let next = next.unwrap_or_else(|_| Some(Err(ArrowError::ParquetError("a page says what cannot be".into()))));
        let batch = next?.map_err(|e| contents(&self.path, e)).and_then(|b| self.restrict(b));
        self.failed = batch.is_err();
        Some(batch)
    }
}

impl Batches {
    fn restrict(&self, mut batch: RecordBatch) -> Result<RecordBatch> {
        if let Some(range) = &self.ts_ns {
            let ts = Columns::of(&batch, &self.path).ts()?;
            let keep: BooleanArray = ts.iter().map(|t| Some(range.contains(t))).collect();
            batch = arrow_select::filter::filter_record_batch(&batch, &keep).map_err(|e| contents(&self.path, e))?;
        }
        if self.drop_ts
            && let Ok(i) = batch.schema().index_of("ts")
        {
            batch.remove_column(i);
        }
        Ok(batch)
    }
}

/// Length of the file, and its footer without length and magic.
fn read_footer(file: &File, path: &Path) -> Result<(u64, Vec<u8>)> {
    let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let bytes = file.metadata().map_err(io)?.len();
    let mut head = [0; 4];
    if bytes < 4 || file.read_exact_at(&mut head, 0).is_err() || head != MAGIC {
        return Err(Error::NotParquet { path: path.to_owned() });
    }
    let truncated = |detail: String| Error::Truncated { path: path.to_owned(), detail };
    let mut end = [0; footer::END as usize];
    if bytes >= 4 + footer::END {
        file.read_exact_at(&mut end, bytes - footer::END).map_err(io)?;
    }
    if &end[4..] != MAGIC {
        return Err(truncated(format!("it ends after {bytes} bytes without a Parquet footer")));
    }
    let length = u64::from(u32::from_le_bytes([end[0], end[1], end[2], end[3]]));
    if length + 4 + footer::END > bytes {
        return Err(truncated(format!("a footer of {length} bytes does not fit into {bytes}")));
    }
    let mut footer = vec![0; length as usize];
    file.read_exact_at(&mut footer, bytes - footer::END - length).map_err(io)?;
    Ok((bytes, footer))
}

fn read_metadata(parquet: &ParquetMetaData, path: &Path) -> Result<Metadata> {
    let not = |detail: String| Error::NotARecording { path: path.to_owned(), detail };
    let json =
        footer::value(parquet, METADATA_KEY).ok_or_else(|| not(format!("its footer has no `{METADATA_KEY}`")))?;
    // The version first: a newer format may have changed the rest.
    let value: serde_json::Value =
        serde_json::from_str(json).map_err(|e| not(format!("`{METADATA_KEY}` is not JSON: {e}")))?;
    let version = value.get("format_version").and_then(serde_json::Value::as_u64);
    match version.and_then(|v| u32::try_from(v).ok()) {
        Some(found) if found > FORMAT_VERSION => {
            return Err(Error::NewerFormat { path: path.to_owned(), found, max: FORMAT_VERSION });
        }
        Some(1..) => {}
        _ => return Err(not(format!("`{METADATA_KEY}` has no format version"))),
    }
    serde_json::from_value(value).map_err(|e| not(format!("`{METADATA_KEY}`: {e}")))
}

fn check_columns(parquet: &ArrowReaderMetadata, path: &Path) -> Result<()> {
    let not = |detail: String| Error::NotARecording { path: path.to_owned(), detail };
    let schema = parquet.schema();
    for column in &schema::COLUMNS[..2] {
        let field = schema.field_with_name(column.name).map_err(|_| not(format!("no column `{}`", column.name)))?;
        if field.data_type() != &column.ty.arrow() {
            return Err(not(format!("column `{}` is {}", column.name, field.data_type())));
        }
    }
    Ok(())
}

fn describe_row_groups(parquet: &ArrowReaderMetadata) -> Vec<RowGroup> {
    let schema = parquet.metadata().file_metadata().schema_descr();
    let leaf = |name: &str| schema.columns().iter().position(|c| c.path().string() == name);
    let (kind, ts) = (leaf("kind"), leaf("ts"));
    let describe = |g: &parquet::file::metadata::RowGroupMetaData| {
        let statistics = |i: Option<usize>| i.and_then(|i| g.column(i).statistics());
        RowGroup {
            kind: match statistics(kind) {
                Some(Statistics::ByteArray(s))
                    if s.min_opt() == s.max_opt() && s.null_count_opt().unwrap_or(0) == 0 =>
                {
                    s.min_opt().and_then(|b| std::str::from_utf8(b.data()).ok()).and_then(Kind::from_name)
                }
                _ => None,
            },
            rows: u64::try_from(g.num_rows()).unwrap_or(0),
            bytes: u64::try_from(g.compressed_size()).unwrap_or(0),
            ts_ns: match statistics(ts) {
                Some(Statistics::Int64(s)) => s.min_opt().copied().zip(s.max_opt().copied()),
                _ => None,
            },
        }
    };
    parquet.metadata().row_groups().iter().map(describe).collect()
}

/// Sums up what the rows of an unfinished recording say and its metadata could not know yet.
fn complete_metadata(recording: &mut Recording) -> Result<()> {
    let mut rows: BTreeMap<String, u64> = Kind::ALL.into_iter().map(|k| (k.name().to_owned(), 0)).collect();
    let mut last_ns = i64::MIN;
    for group in recording.row_groups() {
        if let Some(kind) = group.kind {
            *rows.entry(kind.name().to_owned()).or_default() += group.rows;
        }
        last_ns = group.ts_ns.map_or(last_ns, |(_, max)| max.max(last_ns));
    }
    let mut losses: BTreeMap<(String, String), u64> = BTreeMap::new();
    for rows in recording.decoded(Kind::Loss) {
        let rows = rows?;
        let [stream, reason, count] = ["stream", "reason", "count"].map(|name| rows.column(name));
        let (Some(stream), Some(reason), Some(count)) = (stream, reason, count) else { continue };
        for row in 0..rows.len() {
            if let (Value::Text(stream), Value::Text(reason)) = (rows.at(stream, row), rows.at(reason, row)) {
                let total = losses.entry((stream.to_owned(), reason.to_owned())).or_default();
                let Value::Number(count) = rows.at(count, row) else { continue };
                *total = total.saturating_add(count);
            }
        }
    }
    let metadata = &mut recording.metadata;
    metadata.format_version = FORMAT_VERSION;
    metadata.rows = rows;
    metadata.losses = losses.into_iter().map(|((stream, reason), count)| LossTotal { stream, reason, count }).collect();
    metadata.ended_ns = metadata.ended_ns.max(last_ns).max(metadata.started_ns);
    metadata.complete = false;
    Ok(())
}

fn contents(path: &Path, error: impl std::fmt::Display) -> Error {
    Error::Contents { action: "read", path: path.to_owned(), detail: error.to_string() }
}
