//! The metrics of a recording on a regular grid, one row a step: CPU, memory, network, system calls
//! of all recorded processes together, then what else there is.
//!
//! The table is that of [`osd_signals::Table`], so that what is exported is what `osd analyze` judges. It is in memory as a whole: a number
//! a metric and an interval.

use crate::{Error, Result};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, DictionaryArray, Float64Array, Int32Array, RecordBatch, StringArray, TimestampNanosecondArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use osd_recording::Recording;
use osd_signals::Table;
use osd_signals::metric::{METRICS, Metric};
use std::ops::Range;
use std::sync::Arc;

/// Rows of a batch.
const BATCH: usize = 16 * 1024;

/// Which recordings, over which time and in which steps.
pub struct Series<'a> {
    recordings: &'a [Recording],
    range: Option<Range<i64>>,
    /// Length of a step, ns; an interval of the recording if it is shorter.
    step_ns: u64,
    schema: SchemaRef,
}

impl<'a> Series<'a> {
    /// The metrics of `recordings` in `range`. A step of `step_ns` is rounded to whole intervals, one at least.
    ///
    /// # Errors
    /// If a recording has no samples in the range.
    pub fn new(recordings: &'a [Recording], range: Option<Range<i64>>, step_ns: u64) -> Result<Self> {
        recordings.iter().try_for_each(|r| osd_signals::grid::of(r, range.as_ref()).map(drop))?;
        let time = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
        let mut fields = vec![Field::new("ts", time, false)];
        fields.extend(METRICS.iter().map(|m| Field::new(column(m), DataType::Float64, true)));
        let text = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        fields.push(Field::new("recording", text, false));
        Ok(Self { recordings, range, step_ns, schema: Arc::new(Schema::new(fields)) })
    }

    /// The columns of every batch.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Calls `visit` with each batch.
    ///
    /// # Errors
    /// If a recording cannot be read or has no samples in the range; what `visit` says.
    pub fn for_each(&self, mut visit: impl FnMut(&RecordBatch) -> Result<()>) -> Result<()> {
        for recording in self.recordings {
            let table = Table::read(recording, self.range.as_ref())?;
            let bins = usize::try_from(self.step_ns / table.grid.step_ns.unsigned_abs().max(1)).unwrap_or(usize::MAX);
            let bins = bins.clamp(1, table.grid.len.max(1));
            let n = table.grid.len.div_ceil(bins);
            for from in (0..n).step_by(BATCH) {
                visit(&self.batch(recording, &table, bins, from..(from + BATCH).min(n))?)?;
            }
        }
        Ok(())
    }

    /// Steps `steps` of `bins` bins each.
    fn batch(&self, recording: &Recording, table: &Table, bins: usize, steps: Range<usize>) -> Result<RecordBatch> {
        let step_ns = table.grid.step_ns.saturating_mul(bins as i64);
        let ts = steps.clone().map(|s| table.grid.start_ns.saturating_add(step_ns.saturating_mul(s as i64)));
        let ts = TimestampNanosecondArray::from_iter_values(ts).with_timezone("UTC");
        let mut columns: Vec<ArrayRef> = vec![Arc::new(ts)];
        for metric in &METRICS {
            let values = table.metric(metric.id);
            let value = |step: usize| mean(values?.chunks(bins).nth(step)?);
            columns.push(Arc::new(steps.clone().map(value).collect::<Float64Array>()));
        }
        let name: ArrayRef = Arc::new(StringArray::from(vec![recording.path().display().to_string()]));
        let names = DictionaryArray::<Int32Type>::try_new(Int32Array::from(vec![0; steps.len()]), name);
        let batch = names.and_then(|names| {
            columns.push(Arc::new(names));
            RecordBatch::try_new(Arc::clone(&self.schema), columns)
        });
        batch.map_err(|e| Error::Format { format: "series", detail: e.to_string() })
    }
}

/// The mean of what is known.
fn mean(values: &[Option<f64>]) -> Option<f64> {
    let known = values.iter().flatten();
    let n = known.clone().count();
    (n > 0).then(|| known.sum::<f64>() / n as f64)
}

/// Its name with its unit last: `cpu_cores`, `rss_bytes`, `net_rx_bytes_per_s`, `syscalls_per_s`.
fn column(metric: &Metric) -> String {
    let unit = match metric.unit.split_once('/') {
        None => metric.unit.to_owned(),
        Some((what @ ("bytes" | "s"), _)) => format!("{what}_per_s"),
        Some(_) => "per_s".to_owned(),
    };
    // `threads` in threads, `fds` in files: said once.
    if metric.name == unit || unit == "files" { metric.name.to_owned() } else { format!("{}_{unit}", metric.name) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use osd_synth::Synth;

    #[test]
    fn every_column_has_its_unit() {
        let names: Vec<String> = METRICS.iter().map(column).collect();
        let headline = ["cpu_cores", "rss_bytes", "net_rx_bytes_per_s", "net_tx_bytes_per_s", "syscalls_per_s"];
        assert_eq!(names[..5], headline);
        assert!(names.iter().all(|n| n.chars().all(|c| c.is_ascii_lowercase() || c == '_')), "{names:?}");
    }

    #[test]
    fn a_step_is_the_mean_of_its_intervals() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.parquet");
        Synth { duration_s: 7, fault_s: None, ..Synth::default() }.write(&path).unwrap();
        let recordings = [Recording::open(&path).unwrap()];
        let cpu = |step_ns: u64| {
            let mut all = vec![];
            Series::new(&recordings, None, step_ns)
                .unwrap()
                .for_each(|batch| {
                    let column = batch.column_by_name("cpu_cores").unwrap();
                    let column = column.as_any().downcast_ref::<Float64Array>().unwrap();
                    all.extend(column.iter().map(Option::unwrap));
                    Ok(())
                })
                .unwrap();
            all
        };
        let (fine, coarse) = (cpu(0), cpu(2_000_000_000));
        assert_eq!((fine.len(), coarse.len()), (70, 4));
        for (step, mean) in fine.chunks(20).zip(coarse) {
            assert!((step.iter().sum::<f64>() / step.len() as f64 - mean).abs() < 1e-12);
        }
    }
}
