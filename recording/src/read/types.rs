//! The Arrow types of a file's columns.

use crate::column::Type;
use crate::kind::schema;
use crate::parquet_file::footer::{ARROW_KEY, SUMS_KEY};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::{encode_arrow_schema, parquet_to_arrow_schema};
use parquet::errors::Result;
use parquet::file::metadata::{FileMetaData, KeyValue, ParquetMetaData, ParquetMetaDataBuilder};
use std::sync::Arc;

/// The Arrow types of a file: from this format and the Parquet types. The schema that the file may carry for Arrow is not decoded,
/// because its decoder panics on damage; it is replaced by one that is known to be sound.
pub(crate) fn arrow(metadata: ParquetMetaData) -> Result<ArrowReaderMetadata> {
    let plain = parquet_to_arrow_schema(metadata.file_metadata().schema_descr(), None)?;
    let typed = plain.fields().iter().map(|field| {
        let is_text = schema::COLUMNS.iter().any(|c| c.name == field.name() && c.ty == Type::Text);
        match field.data_type() {
            arrow_schema::DataType::Utf8 if is_text => {
                Arc::new(field.as_ref().clone().with_data_type(Type::Text.arrow()))
            }
            _ => Arc::clone(field),
        }
    });
    let schema = Arc::new(arrow_schema::Schema::new(typed.collect::<Vec<_>>()));
    let file = metadata.file_metadata();
    let mut keys = file.key_value_metadata().cloned().unwrap_or_default();
    keys.retain(|e| e.key != ARROW_KEY && e.key != SUMS_KEY);
    keys.push(KeyValue::new(ARROW_KEY.to_owned(), encode_arrow_schema(&schema)));
    let file = FileMetaData::new(
        file.version(),
        file.num_rows(),
        file.created_by().map(str::to_owned),
        Some(keys),
        file.schema_descr_ptr(),
        file.column_orders().cloned(),
    );
    // Moved, not copied: a long recording has thousands.
    let groups = metadata.into_builder().take_row_groups();
    let metadata = ParquetMetaDataBuilder::new(file).set_row_groups(groups).build();
    ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new().with_schema(schema))
}
