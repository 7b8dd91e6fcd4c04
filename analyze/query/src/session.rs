//! SQL over one or many recordings.
//!
//! `recording` is the wide table as it is in the files, with a column that names the file; each kind has a view with its own columns.
//! `kind` and `ts` prune row groups by their statistics, and filters run inside the Parquet reader. Files of `osd score` among the
//! recordings are the table `scores`.

use crate::functions;
use crate::reading::Readers;
use crate::statements::{Statement, statements};
use crate::touched::Touched;
use crate::{Error, Result};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::{Session as CatalogSession, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::common::config::TableParquetOptions;
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfigBuilder, ParquetFileReaderFactory, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::object_store::ObjectMeta;
use datafusion::object_store::path::Path as ObjectPath;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{DataFrame, ParquetReadOptions, SQLOptions, SessionConfig, SessionContext, lit};
use osd_recording::{Kind, Recording};
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use url::Url;

/// The views, each over the rows of one kind.
const VIEWS: [(&str, Kind); 8] = [
    ("samples", Kind::Sample),
    ("tallies", Kind::Tally),
    ("syscalls", Kind::Syscall),
    ("processes", Kind::Process),
    ("systems", Kind::System),
    ("system", Kind::System),
    ("losses", Kind::Loss),
    ("labels", Kind::Label),
];

/// A query engine over recordings.
pub struct Session {
    context: SessionContext,
    runtime: tokio::runtime::Runtime,
    recordings: Vec<Recording>,
    touched: Arc<Mutex<Vec<Touched>>>,
}

/// The rows of one statement, batch by batch.
pub struct Answer<'a> {
    session: &'a Session,
    stream: SendableRecordBatchStream,
}

impl Session {
    /// Opens `paths`; each must be a recording or a file of scores.
    ///
    /// # Errors
    /// The first file that is neither, or [`Error::NoRecording`].
    pub fn open(paths: &[PathBuf]) -> Result<Self> {
        if paths.is_empty() {
            return Err(Error::NoRecording);
        }
        let (mut recordings, mut scores) = (vec![], vec![]);
        for path in paths {
            match Recording::open(path) {
                Ok(recording) => recordings.push(recording),
                Err(e) => match osd_model::table::read_metadata(path) {
                    Some(metadata) => scores.push((path.clone(), metadata.recording_id)),
                    None => return Err(e.into()),
                },
            }
        }
        Self::new(recordings, &scores)
    }

    /// The same over what is open already; `scores` are files of them, with the identity of the recording that each is of.
    ///
    /// # Errors
    /// If the tables cannot be made.
    pub fn new(recordings: Vec<Recording>, scores: &[(PathBuf, String)]) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().build().map_err(Error::Runtime)?;
        let mut config = SessionConfig::new().with_information_schema(true);
        let options = config.options_mut();
        options.execution.parquet.pushdown_filters = true;
        options.execution.parquet.reorder_filters = true;
        options.execution.time_zone = Some("+00:00".into());
        let context = SessionContext::new_with_config(config);
        functions::register(&context);
        let session = Self { context, runtime, recordings, touched: Arc::default() };
        session.register().map_err(|e| session.explain_error(&e))?;
        session.runtime.block_on(session.register_scores(scores)).map_err(|e| session.explain_error(&e))?;
        Ok(session)
    }

    /// The recordings, in the order given.
    pub fn recordings(&self) -> &[Recording] {
        &self.recordings
    }

    /// The tables and views there are.
    pub fn tables(&self) -> Vec<String> {
        let mut names: Vec<String> = vec!["recording".into()];
        names.extend(VIEWS.iter().filter(|(n, _)| *n != "system").map(|(n, _)| (*n).to_owned()));
        let catalogs = self.context.catalog_names().into_iter().filter_map(|c| self.context.catalog(&c));
        for catalog in catalogs {
            let schemas = catalog.schema_names().into_iter().filter(|n| n != "information_schema");
            let mut own: Vec<String> =
                schemas.filter_map(|n| catalog.schema(&n)).flat_map(|schema| schema.table_names()).collect();
            own.sort();
            own.retain(|n| n != "system" && !names.contains(n));
            names.extend(own);
        }
        names
    }

    /// Starts the one statement that `text` is.
    ///
    /// # Errors
    /// As [`statements`] and [`Session::run`]; [`Error::Sql`] if it is none or several.
    pub fn query(&self, text: &str) -> Result<Answer<'_>> {
        let mut all = statements(text)?;
        match (all.pop(), all.is_empty()) {
            (Some(only), true) => self.run(only),
            (only, _) => {
                let n = all.len() + usize::from(only.is_some());
                Err(Error::Sql { message: format!("{n} statements, and one is wanted"), hint: None })
            }
        }
    }

    /// Starts `statement`.
    ///
    /// # Errors
    /// [`Error::Sql`] with one line and the names there are, if it cannot be planned.
    pub fn run(&self, statement: Statement) -> Result<Answer<'_>> {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner).clear();
        // COPY and INSERT would write files behind the back of `--force`.
        let options = SQLOptions::new().with_allow_dml(false);
        let run = async {
            let plan = self.context.state().statement_to_plan(statement.0).await?;
            options.verify_plan(&plan)?;
            self.context.execute_logical_plan(plan).await?.execute_stream().await
        };
        let stream = self.runtime.block_on(run).map_err(|e| self.explain_error(&e))?;
        Ok(Answer { session: self, stream })
    }

    /// Where the last statement looks.
    pub fn touched(&self) -> Vec<Touched> {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn explain_error(&self, error: &DataFusionError) -> Error {
        Error::sql(error, &self.tables())
    }

    fn register(&self) -> std::result::Result<(), DataFusionError> {
        let table = RecordingTable::new(&self.recordings, Arc::clone(&self.touched));
        self.context.register_table("recording", Arc::new(table))?;
        let views = async {
            for (name, kind) in VIEWS {
                let mut columns: Vec<String> =
                    kind.columns().filter(|c| c.name != "kind").map(|c| format!("\"{}\"", c.name)).collect();
                if kind == Kind::Sample {
                    columns.insert(2, "dur_ns AS interval_ns".into());
                }
                let (columns, kind) = (columns.join(", "), kind.name());
                let view =
                    format!("CREATE VIEW {name} AS SELECT {columns}, recording FROM recording WHERE kind = '{kind}'");
                self.context.sql(&view).await?;
            }
            Ok(())
        };
        self.runtime.block_on(views)
    }

    /// The table `scores`: of each file, and the recording that it is about; by its path if that is open, else by its identity.
    async fn register_scores(&self, files: &[(PathBuf, String)]) -> std::result::Result<(), DataFusionError> {
        let mut all: Option<DataFrame> = None;
        for (path, id) in files {
            let open = self.recordings.iter().find(|r| r.metadata().recording_id == *id);
            let name = open.map_or_else(|| id.clone(), |r| r.path().display().to_string());
            let options = ParquetReadOptions { file_extension: "", ..ParquetReadOptions::default() };
            // A mere path would be a pattern if it has a `*` or `[`.
            let url =
                Url::from_file_path(path.canonicalize()?).map_err(|()| std::io::Error::other("no path of a file"))?;
            let one = self.context.read_parquet(url.as_str(), options).await?.with_column("recording", lit(name))?;
            // Models may have different features; what a file lacks is null.
            all = Some(match all {
                Some(before) => before.union_by_name(one)?,
                None => one,
            });
        }
        if let Some(all) = all {
            self.context.register_table("scores", all.into_view())?;
        }
        Ok(())
    }
}

impl Answer<'_> {
    /// The columns of the answer.
    pub fn schema(&self) -> SchemaRef {
        self.stream.schema()
    }
}

impl Iterator for Answer<'_> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let stream = &mut self.stream;
        let next = std::future::poll_fn(|cx| stream.as_mut().poll_next(cx));
        let batch = self.session.runtime.block_on(next)?;
        Some(batch.map_err(|e| self.session.explain_error(&e)))
    }
}

/// Writes an answer as one Parquet file.
///
/// # Errors
/// If a batch fails or `out` does.
pub fn write_parquet(answer: Answer<'_>, out: impl std::io::Write + Send) -> Result<()> {
    use datafusion::parquet::arrow::ArrowWriter;
    use datafusion::parquet::basic::{Compression, ZstdLevel};
    use datafusion::parquet::file::properties::WriterProperties;
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let failed = |e: datafusion::parquet::errors::ParquetError| Error::Write { detail: e.to_string() };
    let mut writer = ArrowWriter::try_new(out, answer.schema(), Some(properties)).map_err(failed)?;
    for batch in answer {
        writer.write(&batch?).map_err(failed)?;
    }
    writer.close().map(|_| ()).map_err(failed)
}

/// All files as one table; the file's name is a constant of each.
#[derive(Debug)]
struct RecordingTable {
    schema: TableSchema,
    files: Vec<PartitionedFile>,
    readers: Arc<Readers>,
    touched: Arc<Mutex<Vec<Touched>>>,
}

impl RecordingTable {
    fn new(recordings: &[Recording], touched: Arc<Mutex<Vec<Touched>>>) -> Self {
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
        Self { schema, files, readers: Arc::new(Readers(recordings.to_vec())), touched }
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
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
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
            let parquet =
                TableParquetOptions { global: state.config_options().execution.parquet.clone(), ..Default::default() };
            let readers: Arc<dyn ParquetFileReaderFactory> = Arc::clone(&self.readers) as _;
            let source = ParquetSource::new(self.schema.clone())
                .with_table_parquet_options(parquet)
                .with_parquet_file_reader_factory(readers);
            let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
                .with_file_groups(self.files.iter().map(|f| FileGroup::new(vec![f.clone()])).collect())
                .with_projection_indices(projection.cloned())?
                .with_limit(limit)
                .build();
            let plan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(config);
            Ok(plan)
        })
    }
}
