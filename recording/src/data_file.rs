//! The Parquet file in the making: row groups, one after the other.
//!
//! Not the library's file writer, which keeps the description of every row group as a reader would need it: of a recording's
//! sixty-six columns that is 47 KiB a group, and a recorder that stays on would grow by it. Here a description goes to whoever wrote
//! the group; what the footer is to say of it, 3 KiB, is kept by [`crate::footer::Groups`].

use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::properties::WriterPropertiesPtr;
use parquet::file::writer::{SerializedRowGroupWriter, TrackedWrite};
use parquet::schema::types::SchemaDescPtr;
use std::io::Write;
use std::sync::Arc;

/// What a Parquet file begins and ends with.
pub(crate) const MAGIC: &[u8] = b"PAR1";

/// A Parquet file without its footer.
pub(crate) struct DataFile<W: Write> {
    sink: TrackedWrite<W>,
    schema: SchemaDescPtr,
    properties: WriterPropertiesPtr,
    n_groups: usize,
}

impl<W: Write + Send> DataFile<W> {
    /// Begins the file.
    pub(crate) fn new(sink: W, schema: SchemaDescPtr, properties: WriterPropertiesPtr) -> Result<Self> {
        let mut sink = TrackedWrite::new(sink);
        sink.write_all(MAGIC)?;
        sink.flush()?;
        Ok(Self { sink, schema, properties, n_groups: 0 })
    }

    /// Writes the row group whose columns `fill` writes; its description.
    pub(crate) fn add(
        &mut self,
        fill: impl FnOnce(&mut SerializedRowGroupWriter<'_, W>) -> Result<()>,
    ) -> Result<RowGroupMetaData> {
        let ordinal = i16::try_from(self.n_groups)
            .map_err(|_| ParquetError::General("a Parquet file has no more than 32 768 row groups".into()))?;
        let (schema, properties) = (Arc::clone(&self.schema), Arc::clone(&self.properties));
        let mut group = SerializedRowGroupWriter::new(schema, properties, &mut self.sink, ordinal, None);
        fill(&mut group)?;
        let described = group.close()?;
        self.sink.flush()?;
        self.n_groups += 1;
        Ok(Arc::unwrap_or_clone(described))
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
