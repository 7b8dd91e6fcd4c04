//! SQL over one or many recordings.
//!
//! `recording` is the wide table as it is in the files, with a column that names the file; each kind has a view with its own columns.
//! Files of `osd score` among the recordings are the table `scores`.

use crate::containers;
use crate::functions;
use crate::grouping::DictionaryAggregates;
use crate::statements::{Statement, statements};
use crate::table::RecordingTable;
use crate::touched::Touched;
use crate::{Error, Result};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, SessionStateBuilder};
use datafusion::prelude::{DataFrame, ParquetReadOptions, SQLOptions, SessionConfig, SessionContext, lit};
use osd_recording::{Kind, Recording};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use url::Url;

/// Another name of a view, which is not listed.
const ALIAS: (&str, Kind) = ("system", Kind::System);

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
        // Of 8 192, 16 384 and 32 768 rows at once the middle was fastest, by a twentieth (`make bench-sql`).
        let mut config = SessionConfig::new().with_information_schema(true).with_batch_size(16 * 1024);
        let options = config.options_mut();
        options.execution.parquet.reorder_filters = true;
        // The table deals out its row groups itself.
        options.optimizer.repartition_file_scans = false;
        options.execution.time_zone = Some("+00:00".into());
        let state = SessionStateBuilder::new().with_config(config).with_default_features();
        let state = state.with_physical_optimizer_rule(Arc::new(DictionaryAggregates)).build();
        let context = SessionContext::new_with_state(state);
        functions::register(&context);
        containers::register(&context, &recordings);
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
        names.extend(Kind::ALL.into_iter().map(|kind| kind.table().to_owned()));
        let catalogs = self.context.catalog_names().into_iter().filter_map(|c| self.context.catalog(&c));
        for catalog in catalogs {
            let schemas = catalog.schema_names().into_iter().filter(|n| n != "information_schema");
            let mut own: Vec<String> =
                schemas.filter_map(|n| catalog.schema(&n)).flat_map(|schema| schema.table_names()).collect();
            own.sort();
            own.retain(|n| n != ALIAS.0 && !names.contains(n));
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
            for (name, kind) in Kind::ALL.into_iter().map(|kind| (kind.table(), kind)).chain([ALIAS]) {
                let mut columns: Vec<String> =
                    kind.columns().filter(|c| c.name != "kind").map(|c| format!("\"{}\"", c.name)).collect();
                if kind == Kind::Sample {
                    columns.insert(2, "dur_ns AS interval_ns".into());
                }
                // Whose process is in a container.
                if columns.iter().any(|c| c == "\"cgroup_id\"") && kind != Kind::Container {
                    columns.push(format!("{}(recording, cgroup_id) AS container", containers::NAME));
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
