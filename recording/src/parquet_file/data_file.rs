//! The Parquet file in the making: row groups, one after the other.
//!
//! Not the library's file writer, which keeps the description of every row group as a reader would need it: of a recording's
//! sixty-six columns that is 47 KiB a group, and a recorder that stays on would grow by it. Here a description goes to whoever wrote
//! the group, and to the index of the unfinished recording, from which the footer is made ([`super::footer::Groups`]).

use super::chunk::Chunk;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::{SerializedRowGroupWriter, TrackedWrite};
use parquet::schema::types::{ColumnDescPtr, SchemaDescPtr};
use std::io::Write;
use std::sync::Arc;

/// What a Parquet file begins and ends with.
pub(crate) const MAGIC: &[u8] = b"PAR1";
/// Who wrote it.
pub(super) const CREATED_BY: &str = concat!("osd version ", env!("CARGO_PKG_VERSION"));

/// A Parquet file without its footer.
pub(crate) struct DataFile<W: Write> {
    sink: TrackedWrite<W>,
    schema: SchemaDescPtr,
    properties: WriterPropertiesPtr,
    n_groups: usize,
    /// A row group could not be written to its end: nobody knows where in the file the next one would begin.
    broken: bool,
}

impl<W: Write + Send> DataFile<W> {
    /// Begins the file.
    pub(crate) fn new(sink: W, schema: SchemaDescPtr) -> Result<Self> {
        let properties = WriterProperties::builder()
            .set_created_by(CREATED_BY.to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_offset_index_disabled(true);
        let properties = Arc::new(properties.build());
        let mut sink = TrackedWrite::new(sink);
        sink.write_all(MAGIC)?;
        sink.flush()?;
        Ok(Self { sink, schema, properties, n_groups: 0, broken: false })
    }

    /// Writes the row group whose columns `fill` writes; its description. Once that has failed there are no more.
    pub(crate) fn add(
        &mut self,
        fill: impl FnOnce(&mut SerializedRowGroupWriter<'_, W>) -> Result<()>,
    ) -> Result<RowGroupMetaData> {
        let ordinal = i16::try_from(self.n_groups)
            .map_err(|_| ParquetError::General("a Parquet file has no more than 32 768 row groups".into()))?;
        if std::mem::replace(&mut self.broken, true) {
            return Err(ParquetError::General("an earlier row group could not be written".into()));
        }
        let (schema, properties) = (Arc::clone(&self.schema), Arc::clone(&self.properties));
        let mut group = SerializedRowGroupWriter::new(schema, properties, &mut self.sink, ordinal, None);
        fill(&mut group)?;
        let described = group.close()?;
        self.sink.flush()?;
        self.n_groups += 1;
        self.broken = false;
        Ok(Arc::unwrap_or_clone(described))
    }

    /// Writes columns, each at its place in the schema, as a row group of `rows` rows. The others are nulls.
    pub(crate) fn add_chunks(&mut self, chunks: Vec<(usize, Chunk)>, rows: usize) -> Result<RowGroupMetaData> {
        let columns: Vec<ColumnDescPtr> = self.schema.columns().to_vec();
        let mut own: Vec<Option<Chunk>> = columns.iter().map(|_| None).collect();
        chunks.into_iter().for_each(|(i, chunk)| own[i] = Some(chunk));
        self.add(|group| {
            own.into_iter().zip(&columns).try_for_each(|(own, column)| match own {
                Some(chunk) => chunk.append(column, rows, group),
                None => Chunk::nulls(column, rows)?.append(column, rows, group),
            })
        })
    }

    pub(crate) fn schema(&self) -> &SchemaDescPtr {
        &self.schema
    }

    /// Bytes so far.
    pub(crate) fn position(&self) -> u64 {
        self.sink.bytes_written() as u64
    }

    pub(crate) fn inner(&self) -> &W {
        self.sink.inner()
    }

    /// Past the count of [`Self::position`]: for what ends the file.
    pub(crate) fn inner_mut(&mut self) -> &mut W {
        self.sink.inner_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    /// Takes the magic, then half of one write, then everything.
    struct Hiccup(Vec<u8>, u32);

    impl Write for Hiccup {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1 += 1;
            match self.1 {
                2 => self.0.write(&bytes[..bytes.len() / 2]),
                3 => Err(io::Error::other("for once")),
                _ => self.0.write(bytes),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn after_a_row_group_that_was_cut_short_there_is_no_other_at_a_wrong_place() {
        let mut file = DataFile::new(Hiccup(Vec::new(), 0), crate::kind::schema::parquet_schema().unwrap()).unwrap();
        let mut add = || file.add_chunks(vec![], 3).map(drop);
        assert!(add().unwrap_err().to_string().contains("for once"));
        assert!(add().unwrap_err().to_string().contains("an earlier row group"));
    }
}
