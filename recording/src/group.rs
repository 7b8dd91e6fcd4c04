//! A row group while it grows: rows are encoded as they come, so that what waits for the group to be full is pages, not rows.
//! System calls have their own way to pages (`call_group.rs`); all other kinds go through the library's.

use crate::chunk::Chunk;
use crate::data_file::DataFile;
use crate::schema::{self, Kind, Type};
use arrow_array::{ArrayRef, RecordBatch, new_null_array};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnDescPtr, ColumnPath, SchemaDescPtr};
use std::io::Write;
use std::sync::Arc;

/// Columns of one kind being encoded, and how many rows.
pub(crate) struct Group {
    /// Those of other kinds are made when the group is written.
    columns: Vec<Option<ArrowColumnWriter>>,
    rows: usize,
}

fn encode(column: &mut ArrowColumnWriter, index: usize, values: &ArrayRef) -> Result<()> {
    let schema = schema::arrow_schema();
    compute_leaves(schema.field(index), values)?.iter().try_for_each(|leaf| column.write(leaf))
}

/// A writer for each column that `kind` has. Not for the others: each holds a compressor and a decompressor. Every
/// column of the format is one Parquet leaf, a list of numbers included.
fn column_writers(kind: Kind) -> Result<Vec<ArrowColumnWriter>> {
    let own = kind.arrow_schema();
    // The library makes them for a file only. What they write goes into another one, where the same columns have more neighbours.
    let root = ArrowSchemaConverter::new().convert(&own)?.root_schema_ptr();
    let file = SerializedFileWriter::new(std::io::sink(), root, Arc::new(properties()))?;
    let n = own.fields().len();
    let columns = ArrowRowGroupWriterFactory::new(&file, own).create_column_writers(0)?;
    match columns.len() == n {
        true => Ok(columns),
        false => Err(ParquetError::General(format!("{} leaves for {n} columns", columns.len()))),
    }
}

impl Group {
    pub(crate) fn new(kind: Kind) -> Result<Self> {
        let mut own = column_writers(kind)?.into_iter();
        let columns = schema::COLUMNS.iter().map(|c| if c.kinds.contains(&kind) { own.next() } else { None });
        Ok(Self { columns: columns.collect(), rows: 0 })
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Memory held, roughly; also about what the group will take in the file.
    pub(crate) fn bytes(&self) -> usize {
        self.columns.iter().flatten().map(ArrowColumnWriter::get_estimated_total_bytes).sum()
    }

    /// Adds rows: a batch with columns of the kind's own, found by name.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        for (i, writer) in self.columns.iter_mut().enumerate() {
            let (Some(writer), column) = (writer, &schema::COLUMNS[i]) else { continue };
            match batch.column_by_name(column.name) {
                Some(values) => encode(writer, i, values)?,
                // Written by an older osd that did not have the column.
                None => encode(writer, i, &new_null_array(&column.ty.arrow(), batch.num_rows()))?,
            }
        }
        self.rows += batch.num_rows();
        Ok(())
    }

    /// Writes the group into `file`.
    pub(crate) fn finish<W: Write + Send>(self, file: &mut DataFile<W>) -> Result<RowGroupMetaData> {
        let own = self.columns.into_iter().map(|column| column.map(|c| Own::Library(Box::new(c)))).collect();
        write_group(file, own, self.rows)
    }
}

/// A column that a group has values for.
enum Own {
    Library(Box<ArrowColumnWriter>),
    Made(Box<Chunk>),
}

/// Writes columns that are chunks already, each at its place in the schema, as a row group of `rows` rows.
pub(crate) fn write_chunks<W: Write + Send>(
    file: &mut DataFile<W>,
    chunks: Vec<(usize, Chunk)>,
    rows: usize,
) -> Result<RowGroupMetaData> {
    let mut own: Vec<Option<Own>> = schema::COLUMNS.iter().map(|_| None).collect();
    chunks.into_iter().for_each(|(i, chunk)| own[i] = Some(Own::Made(Box::new(chunk))));
    write_group(file, own, rows)
}

/// Writes a row group. The fifty columns that are not of its kind are nulls.
fn write_group<W: Write + Send>(
    file: &mut DataFile<W>,
    own: Vec<Option<Own>>,
    rows: usize,
) -> Result<RowGroupMetaData> {
    let columns: Vec<ColumnDescPtr> = file.schema().columns().to_vec();
    file.add(|group| {
        own.into_iter().zip(&columns).try_for_each(|(own, column)| match own {
            Some(Own::Library(writer)) => writer.close()?.append_to_row_group(group),
            Some(Own::Made(chunk)) => chunk.append(column, rows, group),
            None => Chunk::nulls(column, rows)?.append(column, rows, group),
        })
    })
}

/// The Parquet schema of a recording.
pub(crate) fn parquet_schema() -> Result<SchemaDescPtr> {
    Ok(Arc::new(ArrowSchemaConverter::new().convert(&schema::arrow_schema())?))
}

/// A Parquet file in the making.
pub(crate) fn data_file<W: Write + Send>(sink: W) -> Result<DataFile<W>> {
    DataFile::new(sink, parquet_schema()?, Arc::new(properties()))
}

/// Encodings by what a column holds. Times differ little from row to row (delta); durations do not repeat, so a dictionary
/// only costs memory; everything else repeats (dictionary, run length). Pages and dictionaries are small because each open column
/// holds one of each, and a host where processes come and go fills them all (ADR 5). System calls do not come here.
fn properties() -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("osd version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_offset_index_disabled(true)
        .set_data_page_size_limit(64 * 1024)
        .set_dictionary_page_size_limit(64 * 1024)
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
