//! Rows of a kind on their way to a row group, whichever way that is.

use super::gathered::Group;
use super::paged::CallGroup;
use crate::kind::Kind;
use crate::parquet_file::DataFile;
use parquet::errors::Result;
use parquet::file::metadata::RowGroupMetaData;
use std::io::{self, Write};

/// Rows that are to be a row group.
pub(crate) enum Rows {
    Gathered(Box<Group>),
    Calls(Box<CallGroup>),
}

impl Rows {
    pub(crate) fn new(kind: Kind) -> Result<Self> {
        match kind {
            Kind::Syscall => Ok(Self::Calls(Box::new(CallGroup::new()?))),
            _ => Ok(Self::Gathered(Box::new(Group::new(kind)?))),
        }
    }

    /// What the whole frames of a journal hold.
    pub(crate) fn replay(kind: Kind, frames: impl Iterator<Item = Vec<u8>>) -> io::Result<Self> {
        match kind {
            Kind::Syscall => Ok(Self::Calls(Box::new(CallGroup::replay(frames)?))),
            _ => Ok(Self::Gathered(Box::new(Group::replay(kind, frames)?))),
        }
    }

    /// Writes them into `file`.
    pub(crate) fn finish<W: Write + Send>(self, file: &mut DataFile<W>) -> Result<RowGroupMetaData> {
        match self {
            Self::Gathered(group) => group.finish(file),
            Self::Calls(calls) => {
                let rows = calls.rows();
                let chunks = calls.finish(file.schema().columns())?;
                file.add_chunks(chunks, rows)
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Gathered(group) => group.rows(),
            Self::Calls(group) => group.rows(),
        }
    }

    /// Memory held; also about what they will take in the file.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Gathered(group) => group.bytes(),
            Self::Calls(group) => group.bytes(),
        }
    }
}
