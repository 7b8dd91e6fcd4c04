//! Batches as CSV, JSON, NDJSON or Arrow IPC, each written as soon as it comes.
//!
//! CSV has a header and holds lists as JSON. Nulls are empty in CSV and `null` in JSON. Arrow has texts as plain strings: a dictionary
//! of one batch is not that of the next.

use crate::{Error, Result};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_json::writer::{JsonArray, LineDelimited};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::Arc;

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// With a header; lists as JSON.
    Csv,
    /// An array of objects.
    Json,
    /// One object a line.
    Ndjson,
    /// Arrow's file format, which Feather is too: for files.
    Arrow,
    /// Arrow's stream format: for pipes.
    ArrowStream,
}

impl Form {
    fn name(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::Json => "JSON",
            Self::Ndjson => "NDJSON",
            Self::Arrow | Self::ArrowStream => "Arrow",
        }
    }
}

/// A table on its way out.
pub struct Writer<W: Write> {
    form: Form,
    /// Of the batches as they are written.
    schema: SchemaRef,
    sink: Sink<Noting<W>>,
    failed: Rc<RefCell<Option<io::Error>>>,
}

enum Sink<W: Write> {
    Csv(arrow_csv::Writer<W>),
    Json(arrow_json::Writer<W, JsonArray>, W),
    Ndjson(arrow_json::Writer<W, LineDelimited>),
    Arrow(FileWriter<W>),
    ArrowStream(StreamWriter<W>),
}

impl<W: Write> Writer<W> {
    /// Begins a table with the columns of `schema`.
    ///
    /// # Errors
    /// [`Error::Write`] if `out` takes no header.
    pub fn new(form: Form, schema: &SchemaRef, out: W) -> Result<Self> {
        let failed = Rc::default();
        let out = Noting { out: Rc::new(RefCell::new(out)), failed: Rc::clone(&failed) };
        let schema = Arc::new(Schema::new(schema.fields().iter().map(|f| written(form, f)).collect::<Vec<_>>()));
        let json = || arrow_json::WriterBuilder::new().with_explicit_nulls(true);
        let sink = match form {
            Form::Csv => {
                let mut writer = arrow_csv::WriterBuilder::new().with_header(true).build(out);
                // So that a table without rows has its header too.
                writer.write(&RecordBatch::new_empty(Arc::clone(&schema))).map(|()| Sink::Csv(writer))
            }
            Form::Json => Ok(Sink::Json(json().build(out.again()), out)),
            Form::Ndjson => Ok(Sink::Ndjson(json().build(out))),
            Form::Arrow => FileWriter::try_new(out, &schema).map(Sink::Arrow),
            Form::ArrowStream => StreamWriter::try_new(out, &schema).map(Sink::ArrowStream),
        };
        let sink = sink.map_err(|e| why(form, &failed, &e))?;
        Ok(Self { form, schema, sink, failed })
    }

    /// Writes a batch with the columns that were announced.
    ///
    /// # Errors
    /// [`Error::Write`] with what the system said; [`Error::Format`] if it has other columns.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let done = self.shaped(batch).and_then(|batch| match &mut self.sink {
            Sink::Csv(to) => to.write(&batch),
            Sink::Json(to, _) => to.write(&batch),
            Sink::Ndjson(to) => to.write(&batch),
            Sink::Arrow(to) => to.write(&batch),
            Sink::ArrowStream(to) => to.write(&batch),
        });
        done.map_err(|e| why(self.form, &self.failed, &e))
    }

    /// Writes what ends a table of this form. What `out` itself holds back is its owner's to flush.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn finish(mut self) -> Result<()> {
        let done = match &mut self.sink {
            Sink::Csv(_) => Ok(()),
            Sink::Json(to, out) => to.finish().and_then(|()| Ok(out.write_all(b"\n")?)),
            Sink::Ndjson(to) => to.finish(),
            Sink::Arrow(to) => to.finish(),
            Sink::ArrowStream(to) => to.finish(),
        };
        done.map_err(|e| why(self.form, &self.failed, &e))
    }

    fn shaped(&self, batch: &RecordBatch) -> std::result::Result<RecordBatch, ArrowError> {
        let column = |(column, field): (&ArrayRef, &Arc<Field>)| match field.data_type() {
            to if to == column.data_type() => Ok(Arc::clone(column)),
            _ if column.data_type().is_nested() => as_json(column),
            to => arrow_cast::cast(column, to),
        };
        let columns = batch.columns().iter().zip(self.schema.fields()).map(column);
        RecordBatch::try_new(Arc::clone(&self.schema), columns.collect::<std::result::Result<Vec<_>, _>>()?)
    }
}

/// A column as `form` has it.
fn written(form: Form, field: &Field) -> Field {
    let to = match (form, field.data_type()) {
        (Form::Csv, ty) if ty.is_nested() => return Field::new(field.name(), DataType::Utf8, true),
        (Form::Arrow | Form::ArrowStream, DataType::Dictionary(_, values)) => values.as_ref().clone(),
        (_, ty) => ty.clone(),
    };
    Field::new(field.name(), to, field.is_nullable())
}

/// Each value as JSON text.
fn as_json(column: &ArrayRef) -> std::result::Result<ArrayRef, ArrowError> {
    let schema = Arc::new(Schema::new(vec![Field::new("v", column.data_type().clone(), true)]));
    let batch = RecordBatch::try_new(schema, vec![Arc::clone(column)])?;
    let mut lines = vec![];
    let mut writer = arrow_json::WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut lines);
    writer.write(&batch).and_then(|()| writer.finish())?;
    drop(writer);
    let text = String::from_utf8(lines).map_err(|e| ArrowError::JsonError(e.to_string()))?;
    let value = |line: &str| {
        line.strip_prefix("{\"v\":").and_then(|l| l.strip_suffix('}')).filter(|v| *v != "null").map(str::to_owned)
    };
    Ok(Arc::new(text.lines().map(value).collect::<StringArray>()))
}

/// Keeps what the system said, of which Arrow keeps the words only.
struct Noting<W> {
    out: Rc<RefCell<W>>,
    failed: Rc<RefCell<Option<io::Error>>>,
}

impl<W> Noting<W> {
    fn again(&self) -> Self {
        Self { out: Rc::clone(&self.out), failed: Rc::clone(&self.failed) }
    }

    fn noted<T>(&self, done: io::Result<T>) -> io::Result<T> {
        done.map_err(|e| {
            let kind = e.kind();
            *self.failed.borrow_mut() = Some(e);
            kind.into()
        })
    }
}

impl<W: Write> Write for Noting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.noted(self.out.borrow_mut().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.noted(self.out.borrow_mut().flush())
    }
}

fn why(form: Form, failed: &RefCell<Option<io::Error>>, error: &ArrowError) -> Error {
    match failed.take() {
        Some(e) => Error::Write(e),
        None => Error::Format { format: form.name(), detail: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::UInt64Array;

    fn batch() -> RecordBatch {
        let n: ArrayRef = Arc::new(UInt64Array::from(vec![Some(1), None]));
        let text: ArrayRef = Arc::new(StringArray::from(vec!["a,\"b\"", "line\nbreak"]));
        RecordBatch::try_from_iter_with_nullable([("n", n, true), ("text", text, false)]).unwrap()
    }

    fn text(form: Form, batches: &[RecordBatch]) -> String {
        let mut out = vec![];
        let mut writer = Writer::new(form, &batch().schema(), &mut out).unwrap();
        batches.iter().for_each(|b| writer.write(b).unwrap());
        writer.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_is_quoted_and_a_table_without_rows_is_one() {
        let one = [batch()];
        assert_eq!(text(Form::Csv, &one), "n,text\n1,\"a,\"\"b\"\"\"\n,\"line\nbreak\"\n");
        assert_eq!(text(Form::Csv, &[]), "n,text\n");
        let objects = [r#"{"n":1,"text":"a,\"b\""}"#, r#"{"n":null,"text":"line\nbreak"}"#];
        assert_eq!(text(Form::Ndjson, &one), objects.join("\n") + "\n");
        assert_eq!(text(Form::Json, &one), format!("[{}]\n", objects.join(",")));
        assert_eq!((text(Form::Json, &[]), text(Form::Ndjson, &[])), ("[]\n".into(), String::new()));
    }

    #[test]
    fn what_the_system_says_is_kept() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::Error::from(io::ErrorKind::StorageFull))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        for form in [Form::Csv, Form::Json, Form::Ndjson, Form::Arrow, Form::ArrowStream] {
            let written = Writer::new(form, &batch().schema(), Full).and_then(|mut writer| {
                writer.write(&batch())?;
                writer.finish()
            });
            assert!(
                matches!(written, Err(Error::Write(e)) if e.kind() == io::ErrorKind::StorageFull),
                "{form:?} hides what happened"
            );
        }
    }
}
