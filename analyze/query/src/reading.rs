//! DataFusion's way to the bytes of a recording: through [`Recording`], which checks them against
//! their sums, knows what in a footer must not be trusted, and reads unfinished recordings too.

use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use osd_recording::Recording;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

/// The recordings of a session. A file's location is its place among them.
#[derive(Debug)]
pub(crate) struct Readers(pub(crate) Vec<Recording>);

impl ParquetFileReaderFactory for Readers {
    fn create_reader(
        &self,
        _partition_index: usize,
        file: PartitionedFile,
        _metadata_size_hint: Option<usize>,
        _metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let place = file.object_meta.location.as_ref().parse().ok();
        match place.and_then(|i: usize| self.0.get(i)) {
            Some(recording) => Ok(Box::new(Reader(recording.clone()))),
            None => Err(DataFusionError::Internal(format!("no recording {}", file.object_meta.location))),
        }
    }
}

struct Reader(Recording);

type Later<'a, T> = Pin<Box<dyn Future<Output = ParquetResult<T>> + Send + 'a>>;

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> Later<'_, bytes::Bytes> {
        let bytes = self.0.read_bytes(range).map_err(|e| ParquetError::External(Box::new(e)));
        Box::pin(std::future::ready(bytes))
    }

    fn get_metadata<'a>(&'a mut self, _: Option<&'a ArrowReaderOptions>) -> Later<'a, Arc<ParquetMetaData>> {
        Box::pin(std::future::ready(Ok(Arc::clone(self.0.parquet()))))
    }
}
