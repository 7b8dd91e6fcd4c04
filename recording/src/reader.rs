//! Opens recordings: the footer first, then only the row groups and columns a question needs.

use crate::schema::{self, Kind, Type};
use crate::{Error, FORMAT_VERSION, METADATA_KEY, Metadata, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::{DataType, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::statistics::Statistics;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An open recording: its footer, and the way to its rows.
#[derive(Debug)]
pub struct Recording {
    path: PathBuf,
    file: File,
    parquet: ArrowReaderMetadata,
    metadata: Metadata,
    row_groups: Vec<RowGroup>,
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
    /// # Errors
    /// Says which: cannot be opened, not Parquet, truncated, not a recording, or of a newer format.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let io = |action: &'static str| {
            let path = path.clone();
            move |source| Error::Io { action, path, source }
        };
        let mut file = File::open(&path).map_err(io("open"))?;
        if file.metadata().map_err(io("open"))?.is_dir() {
            return Err(io("open")(std::io::ErrorKind::IsADirectory.into()));
        }
        check_magic(&mut file, &path)?;
        let truncated = |detail: String| Error::Truncated { path: path.clone(), detail };
        let parquet = read_footer(&file).map_err(|e| truncated(e.to_string()))?;
        let metadata = read_metadata(&parquet, &path)?;
        let row_groups = describe_row_groups(&parquet);
        Ok(Self { path, file, parquet, metadata, row_groups })
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
    ///
    /// # Errors
    /// If the system cannot tell.
    pub fn bytes(&self) -> Result<u64> {
        let io = |source| Error::Io { action: "measure", path: self.path.clone(), source };
        Ok(self.file.metadata().map_err(io)?.len())
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
        let wanted = |g: &RowGroup| {
            let kind = query.kinds.as_ref().is_none_or(|kinds| g.kind.is_some_and(|k| kinds.contains(&k)));
            let time = match (&query.ts_ns, g.ts_ns) {
                (Some(range), Some((first, last))) => first < range.end && last >= range.start,
                _ => true,
            };
            kind && time
        };
        let groups = (0..self.row_groups.len()).filter(|i| wanted(&self.row_groups[*i])).collect();
        let file =
            self.file.try_clone().map_err(|source| Error::Io { action: "read", path: self.path.clone(), source })?;
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.parquet.clone())
            .with_row_groups(groups)
            .with_batch_size(64 * 1024);
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
        let batch = self.reader.next()?.map_err(|e| contents(&self.path, e)).and_then(|b| self.restrict(b));
        self.failed = batch.is_err();
        Some(batch)
    }
}

impl Batches {
    fn restrict(&self, mut batch: RecordBatch) -> Result<RecordBatch> {
        if let (Some(range), Some(ts)) = (&self.ts_ns, batch.column_by_name("ts")) {
            let ts = ts
                .as_primitive_opt::<TimestampNanosecondType>()
                .ok_or_else(|| contents(&self.path, "column `ts` is not timestamp[ns]"))?;
            let keep: BooleanArray = ts.iter().map(|t| Some(t.is_some_and(|t| range.contains(&t)))).collect();
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

const MAGIC: &[u8; 4] = b"PAR1";

fn check_magic(file: &mut File, path: &Path) -> Result<()> {
    let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let mut head = Vec::with_capacity(4);
    file.take(4).read_to_end(&mut head).map_err(io)?;
    if head != MAGIC {
        return Err(Error::NotParquet { path: path.to_owned() });
    }
    let length = file.seek(SeekFrom::End(0)).map_err(io)?;
    let mut tail = [0; 4];
    if length >= 12 {
        file.seek(SeekFrom::End(-4)).map_err(io)?;
        file.read_exact(&mut tail).map_err(io)?;
    }
    if &tail != MAGIC {
        let detail = format!("it ends after {length} bytes without a Parquet footer");
        return Err(Error::Truncated { path: path.to_owned(), detail });
    }
    Ok(())
}

/// Reads the footer. What the Arrow types are comes from this format and the Parquet types, never from the schema a file may carry for
/// Arrow: its decoder panics on damage.
fn read_footer(file: &File) -> parquet::errors::Result<ArrowReaderMetadata> {
    let footer = ParquetMetaDataReader::new().parse_and_finish(file)?;
    let plain = parquet_to_arrow_schema(footer.file_metadata().schema_descr(), None)?;
    let typed = plain.fields().iter().map(|field| {
        let known = schema::COLUMNS.iter().find(|c| c.name == field.name()).map(|c| c.ty);
        match (known, field.data_type()) {
            (Some(Type::Text), DataType::Utf8) => Arc::new(field.as_ref().clone().with_data_type(Type::Text.arrow())),
            _ => Arc::clone(field),
        }
    });
    let schema = Arc::new(Schema::new(typed.collect::<Vec<_>>()));
    ArrowReaderMetadata::try_new(Arc::new(footer), ArrowReaderOptions::new().with_schema(schema))
}

fn read_metadata(parquet: &ArrowReaderMetadata, path: &Path) -> Result<Metadata> {
    let not = |detail: String| Error::NotARecording { path: path.to_owned(), detail };
    let entries = parquet.metadata().file_metadata().key_value_metadata();
    let json = entries
        .and_then(|kv| kv.iter().find(|e| e.key == METADATA_KEY))
        .and_then(|e| e.value.as_deref())
        .ok_or_else(|| not(format!("its footer has no `{METADATA_KEY}`")))?;
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
    let schema = parquet.schema();
    for column in &schema::COLUMNS[..2] {
        let field = schema.field_with_name(column.name).map_err(|_| not(format!("no column `{}`", column.name)))?;
        if field.data_type() != &column.ty.arrow() {
            return Err(not(format!("column `{}` is {}", column.name, field.data_type())));
        }
    }
    serde_json::from_value(value).map_err(|e| not(format!("`{METADATA_KEY}`: {e}")))
}

fn describe_row_groups(parquet: &ArrowReaderMetadata) -> Vec<RowGroup> {
    let schema = parquet.metadata().file_metadata().schema_descr();
    let leaf = |name: &str| schema.columns().iter().position(|c| c.path().string() == name);
    let (kind, ts) = (leaf("kind"), leaf("ts"));
    let describe = |g: &parquet::file::metadata::RowGroupMetaData| {
        let statistics = |i: Option<usize>| i.and_then(|i| g.column(i).statistics());
        RowGroup {
            kind: match statistics(kind) {
                Some(Statistics::ByteArray(s)) if s.min_opt() == s.max_opt() => {
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

fn contents(path: &Path, error: impl std::fmt::Display) -> Error {
    Error::Contents { action: "read", path: path.to_owned(), detail: error.to_string() }
}
