//! The rows of recordings, batch by batch: the columns of their kind, and the name of the recording
//! that each is from. `SELECT * FROM samples` of `osd sql` has the same columns and the same rows.

use crate::Result;
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray, new_null_array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use osd_recording::{Kind, Query, Recording, schema};
use std::ops::Range;
use std::sync::Arc;

/// Which rows of which recordings.
pub struct Rows<'a> {
    recordings: &'a [Recording],
    query: Query,
    schema: SchemaRef,
}

impl<'a> Rows<'a> {
    /// The rows of `kind` with its columns, or all rows with all columns, that begin in `range`.
    pub fn new(recordings: &'a [Recording], kind: Option<Kind>, range: Option<Range<i64>>) -> Self {
        let mut fields: Vec<Field> = match kind {
            // As in the views of `osd sql`, each of which holds one kind.
            Some(kind) => kind.columns().filter(|c| c.name != "kind").map(field).collect(),
            None => schema::COLUMNS.iter().map(field).collect(),
        };
        if kind.is_none() {
            // A later minor version may have more columns.
            for field in recordings.iter().flat_map(|r| r.schema().fields()) {
                if field.name() != NAME && fields.iter().all(|f| f.name() != field.name()) {
                    fields.push(field.as_ref().clone().with_nullable(true));
                }
            }
        }
        fields.push(Field::new(NAME, text(), false));
        let columns = kind.map(|kind| kind.columns().map(|c| c.name).filter(|name| *name != "kind").collect());
        let query = Query { kinds: kind.map(|kind| vec![kind]), ts_ns: range, columns };
        Self { recordings, query, schema: Arc::new(Schema::new(fields)) }
    }

    /// The columns of every batch.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Rows of the row groups that have to be read, some of which may begin outside of the range.
    pub fn most(&self) -> u64 {
        let kind = self.query.kinds.as_ref().and_then(|kinds| kinds.first());
        let in_range = |span: Option<(i64, i64)>| match (&self.query.ts_ns, span) {
            (Some(range), Some((first, last))) => first < range.end && last >= range.start,
            _ => true,
        };
        let groups = self.recordings.iter().flat_map(Recording::row_groups);
        groups.filter(|g| kind.is_none_or(|k| g.kind == Some(*k)) && in_range(g.ts_ns)).map(|g| g.rows).sum()
    }

    /// Calls `visit` with each batch, recording by recording, in the order of the file.
    ///
    /// # Errors
    /// If a recording cannot be read; what `visit` says.
    pub fn for_each(&self, mut visit: impl FnMut(&RecordBatch) -> Result<()>) -> Result<()> {
        for recording in self.recordings {
            let name: ArrayRef = Arc::new(StringArray::from(vec![recording.path().display().to_string()]));
            for batch in recording.read(&self.query)? {
                visit(&self.shaped(&batch?, &name)?)?;
            }
        }
        Ok(())
    }

    /// `batch` with the columns that it should have; of one that its file lacks, nulls.
    fn shaped(&self, batch: &RecordBatch, name: &ArrayRef) -> Result<RecordBatch> {
        let n = batch.num_rows();
        let column = |field: &Arc<Field>| match batch.column_by_name(field.name()) {
            _ if field.name() == NAME => {
                let codes = Int32Array::from(vec![0; n]);
                Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(codes, Arc::clone(name))?) as ArrayRef)
            }
            Some(column) => Ok(Arc::clone(column)),
            None => Ok(new_null_array(field.data_type(), n)),
        };
        let columns = self.schema.fields().iter().map(column).collect::<std::result::Result<Vec<_>, _>>();
        let shaped = columns.and_then(|columns| RecordBatch::try_new(Arc::clone(&self.schema), columns));
        shaped.map_err(|e| crate::Error::Format { format: "rows", detail: e.to_string() })
    }
}

/// The column that names the recording.
const NAME: &str = "recording";

fn text() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

fn field(column: &schema::Column) -> Field {
    Field::new(column.name, column.ty.arrow(), column.is_nullable())
}

#[cfg(test)]
mod tests {
    use super::*;
    use osd_synth::{START_NS, Synth};

    #[test]
    fn rows_of_a_kind_have_its_columns_and_those_of_all_kinds_all_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.parquet");
        Synth { duration_s: 5, fault_s: None, ..Synth::default() }.write(&path).unwrap();
        let recordings = [Recording::open(&path).unwrap()];
        let count = |rows: &Rows<'_>| {
            let mut n = 0;
            rows.for_each(|batch| {
                n += batch.num_rows();
                assert_eq!(batch.schema(), *rows.schema());
                Ok(())
            })
            .unwrap();
            n as u64
        };
        let metadata = recordings[0].metadata();
        for kind in Kind::ALL {
            let rows = Rows::new(&recordings, Some(kind), None);
            assert_eq!(rows.schema().fields().len(), kind.columns().count(), "without `kind`, with `recording`");
            assert_eq!(count(&rows), metadata.rows.get(kind.name()).copied().unwrap_or(0), "{kind:?}");
            assert_eq!(rows.most(), count(&rows));
        }
        let all = Rows::new(&recordings, None, None);
        assert_eq!(count(&all), metadata.rows.values().sum::<u64>());
        let second =
            Rows::new(&recordings, Some(Kind::Sample), Some(START_NS + 1_000_000_000..START_NS + 2_000_000_000));
        assert_eq!(count(&second), 10);
        assert!(second.most() >= 10);
    }
}
