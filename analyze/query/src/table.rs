//! The table `recording`: all rows of all files, of which only the row groups are read that may
//! hold what is asked for.
//!
//! A row group holds rows of one kind, and its statistics say which. So `kind = 'syscall'` chooses row groups and is neither read nor
//! compared row by row. Where the statistics of any row group leave it open, `kind` is a filter like others. All other filters run
//! inside the Parquet reader. The row groups are dealt out to as many parts as there are threads.

use crate::reading::Readers;
use crate::touched::Touched;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session as CatalogSession, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::common::config::TableParquetOptions;
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetAccessPlan;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfigBuilder, ParquetFileReaderFactory, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown};
use datafusion::object_store::ObjectMeta;
use datafusion::object_store::path::Path as ObjectPath;
use datafusion::physical_plan::ExecutionPlan;
use osd_recording::{Recording, RowGroup};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

/// All files as one table; the file's name is a constant of each.
#[derive(Debug)]
pub(crate) struct RecordingTable {
    schema: TableSchema,
    files: Vec<PartitionedFile>,
    readers: Arc<Readers>,
    /// Whether the statistics of every row group say of which kind all its rows are.
    decided: bool,
    touched: Arc<Mutex<Vec<Touched>>>,
}

impl RecordingTable {
    pub(crate) fn new(recordings: &[Recording], touched: Arc<Mutex<Vec<Touched>>>) -> Self {
        // Columns that a newer minor version added are shown too; those that an older file lacks are null.
        let mut fields = osd_recording::schema::arrow_schema().fields().to_vec();
        for recording in recordings {
            for field in recording.schema().fields() {
                if field.name() != "recording" && fields.iter().all(|f| f.name() != field.name()) {
                    fields.push(Arc::new(field.as_ref().clone().with_nullable(true)));
                }
            }
        }
        let name = Field::new("recording", dictionary(), false);
        let schema =
            TableSchema::builder(Arc::new(Schema::new(fields))).with_table_partition_cols(vec![Arc::new(name)]).build();
        let files = recordings.iter().enumerate().map(file).collect();
        let decided = recordings.iter().flat_map(Recording::row_groups).all(|group| group.kind.is_some());
        Self { schema, files, readers: Arc::new(Readers(recordings.to_vec())), decided, touched }
    }

    /// Whether the columns of `filters` are decoded first, and of the others only the rows that these leave.
    ///
    /// Rows that follow one another in time are, or lie far from one another, cost next to nothing to pick. With few other columns,
    /// decoding all of them takes less time than picking: half of it where two of three rows are wanted. Measured by `make bench-sql`.
    fn filters_first(&self, projection: Option<&Vec<usize>>, filters: &[Expr]) -> bool {
        const FEW: usize = 4;
        let rest = filters.iter().filter(|f| !(self.decided && wanted_kind(f).is_some()));
        let mut asked: Vec<&str> = rest.flat_map(|f| f.column_refs()).map(|c| c.name.as_str()).collect();
        asked.sort_unstable();
        asked.dedup();
        let columns = projection.map_or(self.schema.table_schema().fields().len(), Vec::len);
        asked.is_empty() || asked.contains(&"ts") || columns.saturating_sub(asked.len()) >= FEW
    }

    /// Files with their row groups that `filters` do not rule out, in `parts` parts at most, of about as many rows each.
    fn parts(&self, filters: &[Expr], parts: usize) -> Vec<FileGroup> {
        let times = Touched::of(filters).ts_ns;
        let kinds: Vec<&str> = filters.iter().filter_map(wanted_kind).collect();
        let wanted = |group: &RowGroup| {
            let kind = !self.decided || kinds.iter().all(|name| group.kind.is_some_and(|kind| kind.name() == *name));
            kind && group.ts_ns.is_none_or(|(first, last)| first < times.end && last >= times.start)
        };
        let mut all = vec![];
        for (file, recording) in self.readers.0.iter().enumerate() {
            let groups = recording.row_groups().iter().enumerate().filter(|(_, group)| wanted(group));
            all.extend(groups.map(|(place, group)| (file, place, group.rows)));
        }
        let rows: u64 = all.iter().map(|(_, _, rows)| rows).sum();
        let each = rows.div_ceil(parts.max(1) as u64).max(1);
        let mut cut: Vec<Vec<(usize, ParquetAccessPlan)>> = vec![vec![]];
        let mut before = 0;
        for (file, group, rows) in all {
            if before >= each * cut.len() as u64 {
                cut.push(vec![]);
            }
            before += rows;
            let Some(part) = cut.last_mut() else { continue };
            if part.last().is_none_or(|(last, _)| *last != file) {
                part.push((file, ParquetAccessPlan::new_none(self.readers.0[file].row_groups().len())));
            }
            part.iter_mut().next_back().into_iter().for_each(|(_, plan)| plan.scan(group));
        }
        let scan = |(file, plan): (usize, ParquetAccessPlan)| self.files[file].clone().with_extension(plan);
        cut.into_iter().map(|part| FileGroup::new(part.into_iter().map(scan).collect())).collect()
    }
}

/// The name that `kind` must have by this filter, if it says just that.
fn wanted_kind(filter: &Expr) -> Option<&str> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = filter else { return None };
    match (left.as_ref(), right.as_ref()) {
        (Expr::Column(column), Expr::Literal(value, _)) | (Expr::Literal(value, _), Expr::Column(column))
            if column.name == "kind" =>
        {
            value.try_as_str().flatten()
        }
        _ => None,
    }
}

fn dictionary() -> DataType {
    DataType::Dictionary(Box::new(DataType::UInt16), Box::new(DataType::Utf8))
}

fn file((place, recording): (usize, &Recording)) -> PartitionedFile {
    let meta = PartitionedFile::new("", recording.bytes()).object_meta;
    let name = ScalarValue::Utf8(Some(recording.path().display().to_string()));
    let name = ScalarValue::Dictionary(Box::new(DataType::UInt16), Box::new(name));
    let location = ObjectPath::from(place.to_string());
    PartitionedFile::new_from_meta(ObjectMeta { location, ..meta }).with_partition_values(vec![name])
}

type Scan<'a> = Pin<Box<dyn Future<Output = std::result::Result<Arc<dyn ExecutionPlan>, DataFusionError>> + Send + 'a>>;

impl TableProvider for RecordingTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.schema.table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> std::result::Result<Vec<TableProviderFilterPushDown>, DataFusionError> {
        let exact = |filter: &&Expr| self.decided && wanted_kind(filter).is_some();
        let pushed = |filter| match exact(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Inexact,
        };
        Ok(filters.iter().map(pushed).collect())
    }

    // What `#[async_trait]` would expand to.
    fn scan<'s, 'b, 'c, 'd, 'a>(
        &'s self,
        state: &'b dyn CatalogSession,
        projection: Option<&'c Vec<usize>>,
        filters: &'d [Expr],
        limit: Option<usize>,
    ) -> Scan<'a>
    where
        's: 'a,
        'b: 'a,
        'c: 'a,
        'd: 'a,
        Self: 'a,
    {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner).push(Touched::of(filters));
        Box::pin(async move {
            let mut parquet =
                TableParquetOptions { global: state.config_options().execution.parquet.clone(), ..Default::default() };
            parquet.global.pushdown_filters |= self.filters_first(projection, filters);
            let readers: Arc<dyn ParquetFileReaderFactory> = Arc::clone(&self.readers) as _;
            let source = ParquetSource::new(self.schema.clone())
                .with_table_parquet_options(parquet)
                .with_parquet_file_reader_factory(readers);
            let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
                .with_file_groups(self.parts(filters, state.config().target_partitions()))
                .with_projection_indices(projection.cloned())?
                .with_limit(limit)
                .build();
            let plan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(config);
            Ok(plan)
        })
    }
}
