//! Reads an unfinished recording: what its recorder had handed over when it was killed, or has handed over so far.
//!
//! The sealed row groups are used where they lie; the journals of those still growing are encoded again, in memory, as a tail that
//! follows them. [`Recording`] reads the two as one file, and [`recover`] writes the tail and a footer, so that they are one.

use crate::data_file::MAGIC;
use crate::encoded::Rows;
use crate::footer::{self, Groups};
use crate::frame::Frames;
use crate::group;
use crate::output::{self, settle};
use crate::partial::{self, Sealed};
use crate::schema::Kind;
use crate::source::Source;
use crate::sums::{BLOCK, Checker, Summed, Sums};
use crate::{ClockPoint, Closed, Error, FORMAT_VERSION, Metadata, Query, Recording, Result, WriterOptions};
use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use bytes::Bytes;
use parquet::file::metadata::{FileMetaData, ParquetMetaData, ParquetMetaDataBuilder, RowGroupMetaData};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What an unfinished recording holds.
pub(crate) struct Remains {
    pub(crate) source: Source,
    pub(crate) parquet: ParquetMetaData,
    pub(crate) metadata: Metadata,
    /// Bytes of `data` that count, and their sums.
    sums: Sums,
    tail: Bytes,
}

/// Kind, generation and description of a sealed row group.
type Placed = (Kind, u32, RowGroupMetaData);
/// What each journal holds, and whether it is the whole of its row group.
type Journals = BTreeMap<(Kind, u32), (Rows, bool)>;

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
        let schema = group::parquet_schema().map_err(bad)?;
        let rows = described.iter().map(RowGroupMetaData::num_rows).sum();
        let file = FileMetaData::new(1, rows, None, None, schema, None);
        let parquet = ParquetMetaDataBuilder::new(file).set_row_groups(described).build();
        let source = Source::new(data, at, tail.clone(), Some(Checker::new(sums.clone())));
        Ok(Self { source, parquet, metadata: index.metadata, sums, tail })
    }
}

fn read_journals(dir: &Path) -> std::io::Result<Journals> {
    let mut journals = Journals::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if let Some(name) = partial::journal_name(&entry.file_name()) {
            match partial::read_journal(name.0, &entry.path()) {
                Ok(journal) => drop(journals.insert(name, journal)),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
    }
    Ok(journals)
}

/// What the index says.
#[derive(Default)]
struct Index {
    metadata: Metadata,
    sealed: Vec<(Sealed, RowGroupMetaData)>,
    synced: u64,
}

impl Index {
    fn read(dir: &Path) -> Result<Self> {
        let path = dir.join("index");
        let frames = Frames::open(&path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => Error::AFolder { path: dir.to_owned() },
            _ => Error::Io { action: "read", path: path.clone(), source },
        })?;
        let mut index = Self::default();
        let mut points: Vec<ClockPoint> = Vec::new();
        for frame in frames {
            // A frame that passed its checksum and still makes no sense is of a newer osd: pass over it.
            let Some((tag, body)) = frame.split_first() else { continue };
            match *tag {
                partial::DESCRIBED => {
                    if let Ok(metadata) = serde_json::from_slice::<Metadata>(body) {
                        if metadata.format_version > FORMAT_VERSION {
                            let found = metadata.format_version;
                            return Err(Error::NewerFormat { path: dir.to_owned(), found, max: FORMAT_VERSION });
                        }
                        index.metadata = metadata;
                        points.clear();
                    }
                }
                partial::CLOCK => points.extend(serde_json::from_slice::<ClockPoint>(body)),
                partial::SYNCED => {
                    if let Ok(bytes) = body.try_into() {
                        index.synced = u64::from_le_bytes(bytes);
                    }
                }
                partial::SEALED => match sealed(body) {
                    Some(group) => index.sealed.push(group),
                    None => break,
                },
                _ => {}
            }
        }
        index.metadata.clock.0.append(&mut points);
        Ok(index)
    }

    /// The row groups that are whole in `data`, and the sums of the data up to their end.
    fn sealed_groups(&self, data: &File) -> std::io::Result<(Vec<Placed>, Sums)> {
        let length = data.metadata()?.len();
        let mut sums = Sums::default();
        let mut groups = Vec::new();
        for (entry, group) in &self.sealed {
            let Some(kind) = Kind::from_name(&entry.kind) else { break };
            if entry.end > length || entry.end < sums.position || entry.from_block > sums.blocks.len() {
                break;
            }
            // What was synced is on the disk as written; of the rest a power cut may have kept the length and not the bytes.
            if entry.end > self.synced && !matches_sums(data, entry)? {
                break;
            }
            sums.blocks.truncate(entry.from_block);
            sums.blocks.extend(&entry.blocks);
            sums.position = entry.end;
            groups.push((kind, entry.generation, group.clone()));
        }
        Ok((groups, sums))
    }
}

fn sealed(body: &[u8]) -> Option<(Sealed, RowGroupMetaData)> {
    let length = u32::from_le_bytes(body.get(..4)?.try_into().ok()?) as usize;
    let rest = &body[4..];
    let entry = serde_json::from_slice(rest.get(..length)?).ok()?;
    Some((entry, footer::decode_group(&rest[length..]).ok()?))
}

fn matches_sums(data: &File, entry: &Sealed) -> std::io::Result<bool> {
    let mut buffer = vec![0; BLOCK as usize];
    for (i, sum) in entry.blocks.iter().enumerate() {
        let start = (entry.from_block + i) as u64 * BLOCK;
        let Some(n) = entry.end.checked_sub(start).map(|n| n.min(BLOCK) as usize) else { return Ok(false) };
        data.read_exact_at(&mut buffer[..n], start)?;
        if crc32fast::hash(&buffer[..n]) != *sum {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Journals to row groups that begin at `at` in the file. Without any, and nothing before them, the file's magic alone.
fn encode_tail(
    journals: Journals,
    at: u64,
    n_before: usize,
) -> parquet::errors::Result<(Bytes, Vec<RowGroupMetaData>)> {
    let mut file = group::data_file(Vec::new())?;
    let mut groups = Vec::new();
    for (rows, _) in journals.into_values().filter(|(rows, _)| rows.len() > 0) {
        groups.push(rows.finish(&mut file)?);
    }
    let by = at as i64 - MAGIC.len() as i64;
    let groups = groups.into_iter().enumerate().map(|(i, g)| footer::shifted(g, by, n_before + i));
    let groups = groups.collect::<parquet::errors::Result<_>>()?;
    Ok((Bytes::from(std::mem::take(file.inner_mut())).slice(MAGIC.len()..), groups))
}

/// Sums up what the rows of an unfinished recording say and its metadata could not know yet.
pub(crate) fn complete_metadata(recording: &mut Recording) -> Result<()> {
    let mut rows: BTreeMap<String, u64> = Kind::ALL.into_iter().map(|k| (k.name().to_owned(), 0)).collect();
    let mut last_ns = i64::MIN;
    for group in recording.row_groups() {
        if let Some(kind) = group.kind {
            *rows.entry(kind.name().to_owned()).or_default() += group.rows;
        }
        last_ns = group.ts_ns.map_or(last_ns, |(_, max)| max.max(last_ns));
    }
    let mut losses: BTreeMap<(String, String), u64> = BTreeMap::new();
    for batch in recording.read(&Query::kind(Kind::Loss))? {
        let batch = batch?;
        let text = |name: &str| batch.column_by_name(name).map(|c| texts(c));
        let count = batch.column_by_name("count").and_then(|c| c.as_primitive_opt::<UInt64Type>().cloned());
        let (Some(stream), Some(reason), Some(count)) = (text("stream"), text("reason"), count) else { continue };
        for i in 0..batch.num_rows() {
            if let (Some(stream), Some(reason)) = (stream.get(i).cloned(), reason.get(i).cloned()) {
                let total = losses.entry((stream, reason)).or_default();
                *total = total.saturating_add(count.value(i));
            }
        }
    }
    let metadata = recording.metadata_mut();
    metadata.format_version = FORMAT_VERSION;
    metadata.rows = rows;
    metadata.losses =
        losses.into_iter().map(|((stream, reason), count)| crate::LossTotal { stream, reason, count }).collect();
    metadata.ended_ns = metadata.ended_ns.max(last_ns).max(metadata.started_ns);
    metadata.complete = false;
    Ok(())
}

/// Where a flight recorder for `output` keeps its last minutes, in parts.
pub fn flight_folder(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".flight");
    name.into()
}

/// Joins what a flight recorder that died kept for `path`.
///
/// # Errors
/// [`Error::Busy`] while it is alive, [`Error::Io`] if there is none, and as [`recover`] and [`crate::join`].
pub fn recover_flight(path: &Path, options: WriterOptions) -> Result<Closed> {
    let output = &output::recording_place(path, options.force)?;
    let dir = flight_folder(output);
    let io = |source| Error::Io { action: "recover", path: dir.clone(), source };
    if let Ok(pid) = File::open(dir.join("pid"))
        && pid.try_lock().is_err()
    {
        return Err(Error::Busy { path: dir });
    }
    let names = || -> Result<Vec<PathBuf>> {
        let entries = std::fs::read_dir(&dir).map_err(io)?.collect::<std::io::Result<Vec<_>>>().map_err(io)?;
        let mut paths: Vec<PathBuf> = entries.iter().map(std::fs::DirEntry::path).collect();
        paths.retain(|p| p.file_name().is_some_and(|n| n != "pid"));
        paths.sort();
        Ok(paths)
    };
    for path in names()?.iter().filter(|p| p.is_dir()) {
        recover(path, false)?;
    }
    let paths = names()?;
    let parts = paths.iter().map(Recording::open).collect::<Result<Vec<_>>>()?;
    let closed = crate::join(&parts, output, options)?;
    for path in paths.iter().chain([&dir.join("pid")]) {
        std::fs::remove_file(path).map_err(io)?;
    }
    std::fs::remove_dir(&dir).map_err(io)?;
    Ok(closed)
}

fn texts(column: &dyn Array) -> Vec<String> {
    use arrow_array::types::Int32Type;
    let Some(keys) = column.as_dictionary_opt::<Int32Type>() else { return Vec::new() };
    let Some(values) = keys.downcast_dict::<arrow_array::StringArray>() else { return Vec::new() };
    values.into_iter().map(|v| v.unwrap_or_default().to_owned()).collect()
}

/// Closes the recording that was to become `path`: gives it a footer and its name. Its metadata keep `complete: false`.
///
/// # Errors
/// [`Error::Busy`] while its recorder is alive; [`Error::Io`] if there is nothing to recover or the disk refuses; as
/// [`output::recording_place`] if something is at `path`. In each case everything stays as it was.
pub fn recover(path: &Path, force: bool) -> Result<Closed> {
    let named = if path.is_dir() { path.with_extension("") } else { path.to_owned() };
    let output = output::recording_place(&named, force)?;
    let dir = partial::folder(&output);
    let io = |action| {
        let path = dir.clone();
        move |source| Error::Io { action, path, source }
    };
    let index = File::open(dir.join("index")).map_err(io("recover"))?;
    index.try_lock().map_err(|_| Error::Busy { path: dir.clone() })?;

    let remains = Remains::read(&dir)?;
    let (sums, tail, groups) = (remains.sums.clone(), remains.tail.clone(), remains.parquet.row_groups().to_vec());
    let metadata = Recording::from_remains(&dir, remains)?.metadata().clone();
    partial::give_room(&dir);
    let mut data = File::options().read(true).write(true).open(dir.join("data")).map_err(io("recover"))?;
    let at = sums.position;
    data.set_len(at).and_then(|()| data.seek(SeekFrom::Start(at))).map_err(io("recover"))?;
    let mut data = Summed::resume(data, &sums);
    let bad = |e| Error::damaged(&dir, e);
    if at == 0 {
        data.write_all(MAGIC).map_err(io("recover"))?;
    }
    data.write_all(&tail).map_err(io("recover"))?;
    let schema = group::parquet_schema().map_err(bad)?;
    let groups = Groups::of(&schema, groups).map_err(bad)?;
    let end = groups.encode(&schema, &metadata, &data.sums()).map_err(bad)?;
    data.write_all(&end).map_err(io("recover"))?;
    data.inner().sync_all().map_err(io("recover"))?;
    let bytes = data.position();
    settle(&dir.join("data"), &output, force)?;
    partial::remove(&dir).map_err(io("tidy up"))?;
    Ok(Closed { path: output, bytes, metadata })
}

#[cfg(test)]
mod tests;
