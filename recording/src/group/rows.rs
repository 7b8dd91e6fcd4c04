//! Rows of a kind on their way to a row group, whichever way that is.

use super::gathered::GatheredGroup;
use super::paged::PagedGroup;
use crate::kind::Kind;
use crate::parquet_file::DataFile;
use parquet::errors::Result;
use parquet::file::metadata::RowGroupMetaData;
use std::io::{self, Write};

/// Rows that are to be a row group.
pub(crate) enum Rows {
    Gathered(Box<GatheredGroup>),
    Paged(Box<PagedGroup>),
}

impl Rows {
    pub(crate) fn new(kind: Kind) -> Result<Self> {
        match kind.is_paged() {
            true => Ok(Self::Paged(Box::new(PagedGroup::new(kind)?))),
            false => Ok(Self::Gathered(Box::new(GatheredGroup::new(kind)?))),
        }
    }

    /// What the whole frames of a journal hold.
    pub(crate) fn replay(kind: Kind, frames: impl Iterator<Item = Vec<u8>>) -> io::Result<Self> {
        match kind.is_paged() {
            true => Ok(Self::Paged(Box::new(PagedGroup::replay(kind, frames)?))),
            false => Ok(Self::Gathered(Box::new(GatheredGroup::replay(kind, frames)?))),
        }
    }

    /// Writes them into `file`.
    pub(crate) fn finish<W: Write + Send>(self, file: &mut DataFile<W>) -> Result<RowGroupMetaData> {
        match self {
            Self::Gathered(group) => group.finish(file),
            Self::Paged(group) => group.finish(file),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Gathered(group) => group.rows(),
            Self::Paged(group) => group.rows(),
        }
    }

    /// Memory held; also about what they will take in the file.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Gathered(group) => group.bytes(),
            Self::Paged(group) => group.bytes(),
        }
    }
}
