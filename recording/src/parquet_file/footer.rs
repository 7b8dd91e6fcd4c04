//! The footer: Parquet's own metadata, with osd's JSON, the sums of the data, and a checksum of the footer itself.
//!
//! A checksum cannot cover itself, so it is taken with eight zeros in its place. Readers other than osd see three more keys and pass
//! over them.

use super::data_file::{CREATED_BY, MAGIC};
use super::sums::Sums;
use crate::about::{METADATA_KEY, Metadata};
use arrow_schema::Schema;
use parquet::arrow::encode_arrow_schema;
use parquet::basic::ColumnOrder;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, KeyValue, ParquetMetaData, ParquetMetaDataBuilder, ParquetMetaDataReader,
    ParquetMetaDataWriter, RowGroupMetaData,
};
use parquet::schema::types::SchemaDescPtr;
use std::sync::Arc;

/// Key of the sums of the data: position, colon, eight hex digits a block of 256 KiB.
pub(crate) const SUMS_KEY: &str = "osd.blocks";
/// Key of the CRC-32 of the footer, taken with [`UNSUMMED`] in its place.
const FOOTER_KEY: &str = "osd.footer";
const UNSUMMED: &str = "00000000";
/// Key of the Arrow schema, for readers other than osd.
pub(crate) const ARROW_KEY: &str = "ARROW:schema";

/// Length and magic that end the file.
pub(crate) const END: u64 = 8;

/// What a footer says of row groups, in the footer's own bytes: a fifteenth of the memory that the library would keep.
#[derive(Default)]
pub(crate) struct Groups {
    n: usize,
    rows: i64,
    bytes: Vec<u8>,
    /// Where in a footer they go; the same in each, since only schema and version come before.
    place: usize,
    /// Bytes that follow them in one without keys.
    after: usize,
}

impl Groups {
    /// These.
    pub(crate) fn of(schema: &SchemaDescPtr, groups: Vec<RowGroupMetaData>) -> Result<Self> {
        let mut all = Self::default();
        groups.into_iter().try_for_each(|group| all.push(schema, group).map(drop))?;
        Ok(all)
    }

    /// Adds one. Gives it as a footer of its own, for the index of an unfinished recording.
    pub(crate) fn push(&mut self, schema: &SchemaDescPtr, group: RowGroupMetaData) -> Result<Vec<u8>> {
        if self.n == 0 {
            let without = parquet_bytes(schema, vec![], vec![])?;
            let no_rows = group.clone().into_builder().set_num_rows(0).build()?;
            self.place = list_place(&without, &parquet_bytes(schema, vec![no_rows], vec![])?)?;
            self.after = without.len() - self.place - 1;
        }
        let rows = group.num_rows();
        let mut with = parquet_bytes(schema, vec![group], vec![])?;
        let begins = self.place + number(rows).len();
        self.bytes.extend(&with[begins..with.len() - self.after]);
        self.n += 1;
        self.rows += rows;
        with.truncate(with.len() - END as usize);
        Ok(with)
    }

    /// About how long the footer will be.
    pub(crate) fn footer_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The footer, ready to be written after the data.
    pub(crate) fn encode(
        &self,
        schema: &SchemaDescPtr,
        arrow: &Schema,
        metadata: &Metadata,
        sums: &Sums,
    ) -> Result<Vec<u8>> {
        let json = serde_json::to_string(metadata).map_err(|e| ParquetError::General(e.to_string()))?;
        let entry = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
        let keys = vec![
            entry(ARROW_KEY, encode_arrow_schema(arrow)),
            entry(METADATA_KEY, json),
            entry(SUMS_KEY, sums.to_text()),
            entry(FOOTER_KEY, UNSUMMED.to_owned()),
        ];
        let mut bytes = self.parquet_bytes(schema, keys)?;
        let end = bytes.len() - END as usize;
        match put_sum(&mut bytes[..end]) {
            true => Ok(bytes),
            false => Err(ParquetError::General("the footer has no place for its checksum".into())),
        }
    }

    /// What the library would write for all of them, without having all of them in its form.
    fn parquet_bytes(&self, schema: &SchemaDescPtr, keys: Vec<KeyValue>) -> Result<Vec<u8>> {
        let mut bytes = parquet_bytes(schema, vec![], keys)?;
        if self.n == 0 {
            return Ok(bytes);
        }
        // The number of rows, the field of the list, and its header: its length in four bits, or as a varint behind.
        let mut middle = number(self.rows);
        middle.push(LIST);
        middle.push((self.n.min(15) as u8) << 4 | STRUCTS);
        if self.n >= 15 {
            middle.extend(varint(self.n as u64));
        }
        middle.extend(&self.bytes);
        bytes.splice(self.place - 2..=self.place, middle);
        bytes.truncate(bytes.len() - END as usize);
        let length = u32::try_from(bytes.len())
            .map_err(|_| ParquetError::General("a footer of more than 4 GiB cannot be written".into()))?;
        bytes.extend(length.to_le_bytes());
        bytes.extend(MAGIC);
        Ok(bytes)
    }
}

// Thrift's compact protocol: the header of a list field that follows the one before it, and the elements' type in the header of the list.
const LIST: u8 = 0x19;
const STRUCTS: u8 = 0x0c;

/// Where in a footer the header of the list of row groups is, from two that are alike but for one group without rows: in both one byte.
/// Before it lies the number of rows, then the header of the field.
fn list_place(without: &[u8], with: &[u8]) -> Result<usize> {
    let place = without.iter().zip(with).position(|(a, b)| a != b).filter(|at| {
        *at >= 2 && without[*at - 2..=*at] == [0, LIST, STRUCTS] && with[*at - 2..=*at] == [0, LIST, 1 << 4 | STRUCTS]
    });
    place.ok_or_else(|| ParquetError::General("the footer has no place for its row groups".into()))
}

fn varint(mut n: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n >= 0x80 {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
    bytes
}

/// A signed number: sign in the last bit.
fn number(n: i64) -> Vec<u8> {
    varint((n << 1 ^ n >> 63) as u64)
}

/// Puts the checksum of `footer` into its place, if it has one.
fn put_sum(footer: &mut [u8]) -> bool {
    let Some(place) = sum_place(footer) else { return false };
    footer[place..place + 8].copy_from_slice(UNSUMMED.as_bytes());
    let sum = format!("{:08x}", crc32fast::hash(footer));
    footer[place..place + 8].copy_from_slice(sum.as_bytes());
    true
}

/// What [`Groups::push`] gave.
pub(crate) fn decode_group(bytes: &[u8]) -> Result<RowGroupMetaData> {
    let metadata = ParquetMetaDataReader::decode_metadata(bytes)?;
    check_numbers(&metadata)?;
    let mut groups = metadata.into_builder().take_row_groups();
    groups.pop().ok_or_else(|| ParquetError::General("no row group".into()))
}

/// The library's footer, with length and magic.
fn parquet_bytes(schema: &SchemaDescPtr, groups: Vec<RowGroupMetaData>, keys: Vec<KeyValue>) -> Result<Vec<u8>> {
    let rows = groups.iter().map(RowGroupMetaData::num_rows).sum();
    // Without an order for each column readers must not trust the statistics that prune row groups.
    let orders = schema.columns().iter().map(|c| {
        let order = ColumnOrder::sort_order_for_type(c.logical_type_ref(), c.converted_type(), c.physical_type());
        ColumnOrder::TYPE_DEFINED_ORDER(order)
    });
    let keys = (!keys.is_empty()).then_some(keys);
    let file =
        FileMetaData::new(1, rows, Some(CREATED_BY.to_owned()), keys, Arc::clone(schema), Some(orders.collect()));
    let metadata = ParquetMetaDataBuilder::new(file).set_row_groups(groups).build();
    let mut bytes = Vec::new();
    ParquetMetaDataWriter::new(&mut bytes, &metadata).finish()?;
    Ok(bytes)
}

/// Where the digits of the checksum are: after the last mention of its key, a field header and a length.
fn sum_place(footer: &[u8]) -> Option<usize> {
    let key = FOOTER_KEY.as_bytes();
    let at = footer.windows(key.len()).rposition(|w| w == key)? + key.len();
    (footer.get(at..at + 2) == Some(&[0x18, 8]) && footer.len() >= at + 10).then_some(at + 2)
}

/// Decodes a footer (without length and magic), after checking that it is the one that was written.
pub(crate) fn decode(footer: &[u8]) -> Result<ParquetMetaData> {
    let damaged = |what: &str| ParquetError::General(what.to_owned());
    let place = sum_place(footer);
    if let Some(place) = place {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&footer[..place]);
        hasher.update(UNSUMMED.as_bytes());
        hasher.update(&footer[place + 8..]);
        if footer[place..place + 8] != *format!("{:08x}", hasher.finalize()).as_bytes() {
            return Err(damaged("the footer does not match its checksum"));
        }
    } else if footer.windows(SUMS_KEY.len()).any(|w| w == SUMS_KEY.as_bytes()) {
        return Err(damaged("the footer has lost its checksum"));
    }
    let metadata = ParquetMetaDataReader::decode_metadata(footer)?;
    check_numbers(&metadata)?;
    Ok(metadata)
}

/// Refuses numbers that no file can have. The library takes them at their word, and panics on a negative one.
fn check_numbers(metadata: &ParquetMetaData) -> Result<()> {
    const MOST: i64 = 1 << 60;
    let possible = |n: i64| (0..MOST).contains(&n);
    let column = |c: &ColumnChunkMetaData| {
        let offsets = [Some(c.data_page_offset()), c.dictionary_page_offset()];
        let sizes = [c.compressed_size(), c.uncompressed_size(), c.num_values()];
        offsets.into_iter().flatten().chain(sizes).all(possible)
    };
    let mut rows = metadata.row_groups().iter().map(RowGroupMetaData::num_rows);
    let groups = metadata.row_groups().iter().flat_map(RowGroupMetaData::columns);
    let sum = rows.try_fold(0_i64, |sum, n| Some(sum + Some(n).filter(|n| possible(*n))?).filter(|sum| possible(*sum)));
    match sum.is_some() && groups.into_iter().all(column) {
        true => Ok(()),
        false => Err(ParquetError::General("the footer has numbers that no file can have".into())),
    }
}

/// The value of a key.
pub(crate) fn value<'a>(metadata: &'a ParquetMetaData, key: &str) -> Option<&'a str> {
    metadata.file_metadata().key_value_metadata()?.iter().find(|e| e.key == key)?.value.as_deref()
}

/// The same row group, `by` bytes further on in its file.
pub(crate) fn shifted(group: RowGroupMetaData, by: i64, ordinal: usize) -> Result<RowGroupMetaData> {
    let shift = |c: &ColumnChunkMetaData| {
        c.clone()
            .into_builder()
            .set_data_page_offset(c.data_page_offset() + by)
            .set_dictionary_page_offset(c.dictionary_page_offset().map(|o| o + by))
            .set_index_page_offset(None)
            .set_offset_index_offset(None)
            .set_offset_index_length(None)
            .set_column_index_offset(None)
            .set_column_index_length(None)
            .build()
    };
    let columns = group.columns().iter().map(shift).collect::<Result<Vec<_>>>()?;
    let offset = group.file_offset();
    let mut builder = group.into_builder().set_column_metadata(columns);
    if let Some(offset) = offset {
        builder = builder.set_file_offset(offset + by);
    }
    if let Ok(ordinal) = i16::try_from(ordinal) {
        builder = builder.set_ordinal(ordinal);
    }
    builder.build()
}

#[cfg(test)]
mod tests;
