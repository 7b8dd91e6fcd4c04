//! Column chunks made of pages that are there already, and their place in a row group.

use super::page::{Page, null_page};
use bytes::Bytes;
use parquet::basic::{Compression, Encoding, Type as Physical, ZstdLevel};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::statistics::Statistics;
use parquet::file::writer::SerializedRowGroupWriter;
use parquet::schema::types::ColumnDescPtr;
use std::io::Write;
use std::sync::Arc;

/// One column of a row group, encoded.
pub(crate) struct Chunk {
    pub(crate) dictionary: Option<Page>,
    /// In order, with their headers.
    pub(crate) pages: Vec<Vec<u8>>,
    /// On these pages, nulls among them: of lists more than rows.
    pub(crate) n_values: usize,
    /// Of the pages, headers included.
    pub(crate) uncompressed: usize,
    pub(crate) encodings: Vec<Encoding>,
    pub(crate) statistics: Statistics,
    pub(crate) compressed: bool,
}

impl Chunk {
    /// `n` nulls.
    pub(crate) fn nulls(column: &ColumnDescPtr, n: usize) -> Result<Self> {
        let page = null_page(n, column.max_rep_level(), column.max_def_level());
        Ok(Self {
            dictionary: None,
            uncompressed: page.uncompressed,
            pages: vec![page.bytes],
            n_values: n,
            encodings: vec![Encoding::PLAIN, Encoding::RLE],
            statistics: numbers(column.physical_type(), None, n as u64)?,
            compressed: false,
        })
    }

    /// Writes it as the next column of `group`, which has `n` rows.
    pub(crate) fn append<W: Write + Send>(
        self,
        column: &ColumnDescPtr,
        n: usize,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<()> {
        let dictionary = self.dictionary.unwrap_or_default();
        let mut bytes = Vec::with_capacity(dictionary.bytes.len() + self.pages.iter().map(Vec::len).sum::<usize>());
        std::iter::once(&dictionary.bytes).chain(&self.pages).for_each(|page| bytes.extend_from_slice(page));
        let codec = if self.compressed { Compression::ZSTD(ZstdLevel::default()) } else { Compression::UNCOMPRESSED };
        let at = dictionary.bytes.len() as i64;
        let metadata = ColumnChunkMetaData::builder(Arc::clone(column))
            .set_encodings(self.encodings)
            .set_num_values(self.n_values as i64)
            .set_compression(codec)
            .set_total_compressed_size(bytes.len() as i64)
            .set_total_uncompressed_size((self.uncompressed + dictionary.uncompressed) as i64)
            .set_dictionary_page_offset((at > 0).then_some(0))
            .set_data_page_offset(at)
            .set_statistics(self.statistics)
            .build()?;
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: n as u64,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        group.append_column(&Bytes::from(bytes), close)
    }
}

/// Statistics of numbers between these two, which hold any 64-bit one of either sign; or of no value at all.
pub(crate) fn numbers(physical: Physical, range: Option<(i128, i128)>, n_nulls: u64) -> Result<Statistics> {
    let nulls = Some(n_nulls);
    let (min, max) = range.unzip();
    // Cut to the width of the column: unsigned numbers are kept as their bits.
    let (min64, max64) = (min.map(|v| v as i64), max.map(|v| v as i64));
    let (min32, max32) = (min.map(|v| v as i32), max.map(|v| v as i32));
    match physical {
        Physical::INT64 => Ok(Statistics::int64(min64, max64, None, nulls, false)),
        Physical::INT32 => Ok(Statistics::int32(min32, max32, None, nulls, false)),
        Physical::DOUBLE if range.is_none() => Ok(Statistics::double(None, None, None, nulls, false)),
        Physical::BYTE_ARRAY if range.is_none() => Ok(Statistics::byte_array(None, None, None, nulls, false)),
        other => Err(ParquetError::General(format!("no column of a recording is {other}"))),
    }
}
