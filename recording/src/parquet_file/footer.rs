//! The footer: Parquet's own metadata, with osd's JSON, the sums of the data, and a checksum of the
//! footer itself.
//!
//! A checksum cannot cover itself, so it is taken with eight zeros in its place. Readers other than osd see three more keys and pass
//! over them.

use super::data_file::{CREATED_BY, MAGIC};
use super::sums::Sums;
use super::thrift::{self, number, varint};
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
use std::io::Write;
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

/// What a footer says of row groups, without what it says of each: that is some kilobytes, and a recorder that stays on would grow
/// by it. Who pushes a group keeps it and gives it back when the footer is written.
#[derive(Default)]
pub(crate) struct Groups {
    n: usize,
    rows: i64,
    bytes: u64,
    /// Where in a footer they go; the same in each, since only schema and version come before.
    place: usize,
    /// Bytes that follow them in one without keys.
    after: usize,
}

impl Groups {
    /// Counts one. Gives it as a footer of its own, without length and magic.
    pub(crate) fn push(&mut self, schema: &SchemaDescPtr, group: RowGroupMetaData) -> Result<Vec<u8>> {
        if self.n == 0 {
            let without = parquet_bytes(schema, vec![], vec![])?;
            let no_rows = group.clone().into_builder().set_num_rows(0).build()?;
            self.place = list_place(&without, &parquet_bytes(schema, vec![no_rows], vec![])?)?;
            self.after = without.len() - self.place - 1;
        }
        let rows = group.num_rows();
        let mut alone = parquet_bytes(schema, vec![group], vec![])?;
        alone.truncate(alone.len() - END as usize);
        self.bytes += self.inside(&alone)?.len() as u64;
        self.n += 1;
        self.rows += rows;
        Ok(alone)
    }

    /// What a footer of one group says of it.
    fn inside<'a>(&self, alone: &'a [u8]) -> Result<&'a [u8]> {
        let rows = alone.get(self.place - 2..).and_then(thrift::length);
        let end = (alone.len() + END as usize).checked_sub(self.after);
        let inside = rows.zip(end).and_then(|(rows, end)| alone.get(self.place + rows..end));
        inside.ok_or_else(|| ParquetError::General("this is no footer of one row group".into()))
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.n
    }

    /// About how long the footer will be.
    pub(crate) fn footer_bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes the footer, which is all that follows the data. `groups` are those that were pushed, as [`Groups::push`] gave them: no more
    /// than one is held.
    pub(crate) fn write(
        &self,
        out: &mut impl Write,
        schema: &SchemaDescPtr,
        arrow: &Schema,
        about: (&Metadata, &Sums),
        groups: impl Iterator<Item = Result<Vec<u8>>>,
    ) -> Result<()> {
        let json = serde_json::to_string(about.0).map_err(|e| ParquetError::General(e.to_string()))?;
        let entry = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
        let keys = vec![
            entry(ARROW_KEY, encode_arrow_schema(arrow)),
            entry(METADATA_KEY, json),
            entry(SUMS_KEY, about.1.to_text()),
            entry(FOOTER_KEY, UNSUMMED.to_owned()),
        ];
        self.write_parquet(out, parquet_bytes(schema, vec![], keys)?, groups)
    }

    /// Puts the groups into `without`, a footer without any, and the checksum into its place, if it has one.
    fn write_parquet(
        &self,
        out: &mut impl Write,
        without: Vec<u8>,
        groups: impl Iterator<Item = Result<Vec<u8>>>,
    ) -> Result<()> {
        let without = &without[..without.len() - END as usize];
        let (head, tail) = match self.n {
            0 => (&without[..0], without),
            _ => (&without[..self.place - 2], &without[self.place + 1..]),
        };
        let mut out = Hashed { out, hasher: crc32fast::Hasher::new(), length: 0 };
        out.write_all(head)?;
        if self.n > 0 {
            // The number of rows, the field of the list, and its header: its length in four bits, or as a varint behind.
            let mut middle = Vec::new();
            number(&mut middle, self.rows);
            middle.extend([LIST, (self.n.min(15) as u8) << 4 | STRUCTS]);
            if self.n >= 15 {
                varint(&mut middle, self.n as u64);
            }
            out.write_all(&middle)?;
        }
        let mut n = 0;
        for alone in groups {
            out.write_all(self.inside(&alone?)?)?;
            n += 1;
        }
        if n != self.n {
            return Err(ParquetError::General(format!("{n} of {} row groups can be described", self.n)));
        }
        // The sum is over the zeros that are in its place now.
        let place = sum_place(tail).unwrap_or(tail.len());
        let (before, after) = tail.split_at(place);
        let digits = &after[..after.len().min(UNSUMMED.len())];
        out.write_all(before)?;
        out.hasher.update(after);
        let length = u32::try_from(out.length + after.len() as u64)
            .map_err(|_| ParquetError::General("a footer of more than 4 GiB cannot be written".into()))?;
        let sum = format!("{:08x}", out.hasher.finalize());
        let out = out.out;
        out.write_all(&sum.as_bytes()[..digits.len()])?;
        out.write_all(&after[digits.len()..])?;
        out.write_all(&length.to_le_bytes())?;
        Ok(out.write_all(MAGIC)?)
    }
}

/// Sums and counts what passes through.
struct Hashed<'a, W> {
    out: &'a mut W,
    hasher: crc32fast::Hasher,
    length: u64,
}

impl<W: Write> Hashed<'_, W> {
    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        self.out.write_all(bytes)
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
