//! What an unfinished recording holds: what its recorder had handed over when it was killed, or has
//! handed over so far.
//!
//! The sealed row groups are used where they lie; the journals of those still growing are encoded again, in memory, as a tail that
//! follows them. [`super::Recording`] reads the two as one file, and [`crate::recover`] writes the tail and a footer, so that they are
//! one.

use super::source::Source;
use crate::about::Metadata;
use crate::error::{Error, Result};
use crate::kind::{Kind, schema};
use crate::parquet_file::sums::{Checker, Sums};
use crate::parquet_file::{DataFile, MAGIC, footer};
use crate::unfinished::{Index, Journals, read_journals};
use bytes::Bytes;
use parquet::file::metadata::{FileMetaData, ParquetMetaData, ParquetMetaDataBuilder, RowGroupMetaData};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

/// What an unfinished recording holds.
pub(crate) struct Remains {
    pub(crate) source: Source,
    pub(crate) parquet: ParquetMetaData,
    pub(crate) metadata: Metadata,
    /// Bytes of `data` that count, and their sums.
    pub(crate) sums: Sums,
    pub(crate) tail: Bytes,
}

impl Remains {
    /// Reads the folder `dir`. Writes nothing, and does not mind that a recorder is still at work there.
    pub(crate) fn read(dir: &Path) -> Result<Self> {
        let io = |source| Error::Io { action: "read", path: dir.to_owned(), source };
        let bad = |e: parquet::errors::ParquetError| Error::damaged(dir, e);
        // In this order: a journal that is gone by now was sealed, and the index, read later, says so.
        let mut journals = read_journals(dir).map_err(io)?;
        let index = Index::read(dir)?;
        let data = File::open(dir.join("data")).map_err(io)?;
        let (groups, sums) = index.sealed_groups(&data).map_err(io)?;
        // Of each kind the generations that follow the sealed ones without a gap: what comes after a lost one is no prefix.
        let mut next: BTreeMap<Kind, u32> = BTreeMap::new();
        for (kind, generation, _) in &groups {
            next.insert(*kind, generation + 1);
        }
        journals.retain(|(kind, generation), (_, is_whole)| {
            let next = next.entry(*kind).or_default();
            let follows = generation == next;
            *next += u32::from(follows && *is_whole);
            follows
        });

        let mut described: Vec<RowGroupMetaData> = groups.into_iter().map(|(_, _, group)| group).collect();
        let at = sums.position.max(MAGIC.len() as u64);
        let (tail, added) = encode_tail(journals, at, described.len()).map_err(bad)?;
        described.extend(added);
        let schema = schema::parquet_schema().map_err(bad)?;
        let rows = described.iter().map(RowGroupMetaData::num_rows).sum();
        let file = FileMetaData::new(1, rows, None, None, schema, None);
        let parquet = ParquetMetaDataBuilder::new(file).set_row_groups(described).build();
        let source = Source::new(data, at, tail.clone(), Some(Checker::new(sums.clone())));
        Ok(Self { source, parquet, metadata: index.metadata, sums, tail })
    }
}

/// Journals to row groups that begin at `at` in the file. Without any, and nothing before them, the file's magic alone.
fn encode_tail(
    journals: Journals,
    at: u64,
    n_before: usize,
) -> parquet::errors::Result<(Bytes, Vec<RowGroupMetaData>)> {
    let mut file = DataFile::new(Vec::new(), schema::parquet_schema()?)?;
    let mut groups = Vec::new();
    for (rows, _) in journals.into_values().filter(|(rows, _)| rows.len() > 0) {
        groups.push(rows.finish(&mut file)?);
    }
    let by = at as i64 - MAGIC.len() as i64;
    let groups = groups.into_iter().enumerate().map(|(i, g)| footer::shifted(g, by, n_before + i));
    let groups = groups.collect::<parquet::errors::Result<_>>()?;
    Ok((Bytes::from(std::mem::take(file.inner_mut())).slice(MAGIC.len()..), groups))
}
