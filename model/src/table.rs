//! Scores as a Parquet file, derived from a recording and a model and naming both.
//!
//! Columns: `ts` (UTC ns, the interval's beginning), `score` (null where the row is not judged), `threshold`, `anomalous`, and for each
//! feature `NAME_part` (its share of the score before the kernel), `NAME_expected` and `NAME_actual` (its unit; null where nothing was
//! forecast or seen). The footer key [`METADATA_KEY`] holds [`Metadata`] as JSON.

use crate::artifact::Model;
use crate::score::Scored;
use crate::{Error, Result};
use arrow_array::{ArrayRef, BooleanArray, Float64Array, RecordBatch, TimestampNanosecondArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use osd_detect::detector::Sight;
use osd_recording::output::OutputFile;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::{KeyValue, ParquetMetaDataReader};
use parquet::file::properties::WriterProperties;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// Key of the metadata in the Parquet footer.
pub const METADATA_KEY: &str = "osd.scores";

/// What the scores are of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// Version of the osd that scored.
    pub osd_version: String,
    /// The recording.
    pub recording_id: String,
    /// [`Model::id`].
    pub model_id: String,
    /// Features in order.
    pub features: Vec<String>,
    /// Their units.
    pub units: Vec<String>,
    /// Time between rows.
    pub interval_ns: u64,
    /// Scores from here on are alarms.
    pub threshold: f64,
    /// The rate that the threshold stands for; none where it was given.
    pub false_alarms_per_hour: Option<f64>,
    /// Whether scores know only what came before them.
    pub online: bool,
    /// Rows that are not judged because the model had seen too little.
    pub warm_up_rows: u64,
}

/// What the scores in a Parquet file are of; nothing if it holds none, or cannot be read.
pub fn read_metadata(path: &Path) -> Option<Metadata> {
    let file = File::open(path).ok()?;
    // What does not even name them is not worth a parser: it may be anything.
    let bytes = file.metadata().ok()?.len();
    let mut end = vec![0; bytes.min(FOOTER_BYTES) as usize];
    file.read_exact_at(&mut end, bytes - bytes.min(FOOTER_BYTES)).ok()?;
    end.windows(METADATA_KEY.len()).find(|w| *w == METADATA_KEY.as_bytes())?;
    let parquet = ParquetMetaDataReader::new().parse_and_finish(&file).ok()?;
    let pairs = parquet.file_metadata().key_value_metadata()?;
    let json = pairs.iter().find(|p| p.key == METADATA_KEY)?.value.as_ref()?;
    serde_json::from_str(json).ok()
}

/// A footer of scores is shorter.
const FOOTER_BYTES: u64 = 4 << 20;

/// Describes `scored`.
pub fn describe(model: &Model, scored: &Scored) -> Metadata {
    Metadata {
        osd_version: env!("CARGO_PKG_VERSION").into(),
        recording_id: scored.series.recording_id.clone(),
        model_id: model.id.clone(),
        features: scored.features.iter().map(|f| f.name.to_owned()).collect(),
        units: scored.features.iter().map(|f| f.unit.to_owned()).collect(),
        interval_ns: model.config.interval_ns,
        threshold: scored.threshold,
        false_alarms_per_hour: scored.options.threshold.is_none().then_some(scored.options.false_alarms_per_hour),
        online: scored.options.sight == Sight::Online,
        warm_up_rows: scored.warm_up as u64,
    }
}

/// The scores as columns.
fn batch(scored: &Scored) -> std::result::Result<RecordBatch, arrow_schema::ArrowError> {
    let rows = scored.total.len();
    let mut fields = vec![
        Field::new("ts", DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), false),
        Field::new("score", DataType::Float64, true),
        Field::new("threshold", DataType::Float64, false),
        Field::new("anomalous", DataType::Boolean, false),
    ];
    let times: Vec<i64> = (0..rows).map(|r| scored.series.grid.time(r)).collect();
    let judged = |r: usize, v: f64| scored.judged[r].then_some(v);
    let score: Float64Array = (0..rows).map(|r| judged(r, scored.total[r])).collect();
    let anomalous: BooleanArray = (0..rows).map(|r| Some(scored.anomalous(r))).collect();
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampNanosecondArray::from(times).with_timezone("UTC")),
        Arc::new(score),
        Arc::new(Float64Array::from(vec![scored.threshold; rows])),
        Arc::new(anomalous),
    ];
    for (m, feature) in scored.features.iter().enumerate() {
        let known = |v: f64| v.is_finite().then_some(v);
        let part: Float64Array = (0..rows).map(|r| judged(r, scored.parts.row(r)[m])).collect();
        let expected: Float64Array = scored.expected.column(m).map(known).collect();
        let actual: Float64Array = scored.series.table.column(m).map(known).collect();
        for (what, values) in [("part", part), ("expected", expected), ("actual", actual)] {
            fields.push(Field::new(format!("{}_{what}", feature.name), DataType::Float64, true));
            columns.push(Arc::new(values));
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// Writes the scores to `path`, which appears when it is whole; through it, if it is a device or FIFO.
///
/// # Errors
/// As [`osd_recording::output`] says, or the disk says no.
pub fn write(path: &Path, model: &Model, scored: &Scored, force: bool) -> Result<()> {
    let failed = |detail: String| Error::Scores { path: path.to_owned(), detail };
    let file = OutputFile::create(path, force)?;
    let metadata = serde_json::to_string(&describe(model, scored)).map_err(|e| failed(e.to_string()))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_key_value_metadata(Some(vec![KeyValue::new(METADATA_KEY.to_owned(), metadata)]))
        .build();
    let batch = batch(scored).map_err(|e| failed(e.to_string()))?;
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).map_err(|e| failed(e.to_string()))?;
    writer.write(&batch).map_err(|e| failed(e.to_string()))?;
    let file = writer.into_inner().map_err(|e| failed(e.to_string()))?;
    Ok(file.finish()?)
}
