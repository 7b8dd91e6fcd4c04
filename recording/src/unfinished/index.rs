//! The index of an unfinished recording: what it is about, and which row groups are whole in its
//! data.

use super::frame::{FrameFile, Frames};
use crate::about::{ClockPoint, FORMAT_VERSION, Metadata};
use crate::error::{Error, Result};
use crate::kind::Kind;
use crate::parquet_file::footer;
use crate::parquet_file::sums::{BLOCK, Summed, Sums};
use parquet::file::metadata::RowGroupMetaData;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Entries of the index, by their first byte.
pub(crate) const DESCRIBED: u8 = b'D';
pub(crate) const CLOCK: u8 = b'C';
pub(crate) const SEALED: u8 = b'G';
pub(crate) const SYNCED: u8 = b'S';

/// What the index says of a sealed row group; Parquet's own description follows it in the frame.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sealed {
    pub(crate) kind: String,
    pub(crate) generation: u32,
    /// Where the group ends in `data`.
    pub(crate) end: u64,
    /// Sums of `data` from this block on, the begun one last.
    pub(crate) from_block: usize,
    pub(crate) blocks: Vec<u32>,
}

/// The index, to whoever writes.
#[derive(Debug)]
pub(crate) struct IndexFile {
    frames: FrameFile,
    n_whole: usize,
}

impl IndexFile {
    pub(super) fn new(file: File) -> Self {
        Self { frames: FrameFile::new(file), n_whole: 0 }
    }

    pub(crate) fn file(&self) -> &File {
        self.frames.file()
    }

    pub(crate) fn describe(&mut self, metadata: &Metadata) -> io::Result<()> {
        self.frames.append(&[&[DESCRIBED], &serde_json::to_vec(metadata)?])
    }

    pub(crate) fn clock_point(&mut self, point: &ClockPoint) -> io::Result<()> {
        self.frames.append(&[&[CLOCK], &serde_json::to_vec(point)?])
    }

    #[cfg(test)]
    pub(crate) fn refuse(&mut self, path: &Path) {
        self.frames.refuse(path);
    }

    /// The footers of one row group each that were given to [`Self::sealed`], in order.
    pub(crate) fn footers(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        self.frames.frames().filter_map(|frame| {
            let (_, thrift) = split(frame.strip_prefix(&[SEALED])?)?;
            Some(thrift.to_vec())
        })
    }

    /// Row group `generation` of `kind`, `thrift` by Parquet's description, is all in `data`.
    pub(crate) fn sealed<W>(&mut self, kind: Kind, generation: u32, thrift: &[u8], data: &Summed<W>) -> io::Result<()> {
        let blocks = data.since(self.n_whole);
        let entry =
            Sealed { kind: kind.name().into(), generation, end: data.position(), from_block: self.n_whole, blocks };
        let json = serde_json::to_vec(&entry)?;
        let length = (json.len() as u32).to_le_bytes();
        self.frames.append(&[&[SEALED], &length, &json, thrift])?;
        self.n_whole = data.n_whole();
        Ok(())
    }

    /// The first `bytes` of `data` are on the disk itself.
    pub(crate) fn synced(&mut self, bytes: u64) -> io::Result<()> {
        self.frames.append(&[&[SYNCED], &bytes.to_le_bytes()])
    }
}

/// Kind, generation and description of a sealed row group.
type Placed = (Kind, u32, RowGroupMetaData);

/// What the index says.
#[derive(Default)]
pub(crate) struct Index {
    pub(crate) metadata: Metadata,
    sealed: Vec<(Sealed, RowGroupMetaData)>,
    synced: u64,
}

impl Index {
    pub(crate) fn read(dir: &Path) -> Result<Self> {
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
                DESCRIBED => {
                    if let Ok(metadata) = serde_json::from_slice::<Metadata>(body) {
                        if metadata.format_version > FORMAT_VERSION {
                            let found = metadata.format_version;
                            return Err(Error::NewerFormat { path: dir.to_owned(), found, max: FORMAT_VERSION });
                        }
                        index.metadata = metadata;
                        points.clear();
                    }
                }
                CLOCK => points.extend(serde_json::from_slice::<ClockPoint>(body)),
                SYNCED => {
                    if let Ok(bytes) = body.try_into() {
                        index.synced = u64::from_le_bytes(bytes);
                    }
                }
                SEALED => match sealed(body) {
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
    pub(crate) fn sealed_groups(&self, data: &File) -> std::io::Result<(Vec<Placed>, Sums)> {
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
    let (json, thrift) = split(body)?;
    Some((serde_json::from_slice(json).ok()?, footer::decode_group(thrift).ok()?))
}

/// What osd says of a sealed group, and what Parquet says.
fn split(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = body.split_at_checked(4)?;
    rest.split_at_checked(u32::from_le_bytes(length.try_into().ok()?) as usize)
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
