//! The row groups that are growing, one a kind.

use crate::call_group::CallGroup;
use crate::data_file::DataFile;
use crate::group::{self, Group};
use crate::partial::Journal;
use crate::schema::Kind;
use parquet::errors::Result;
use parquet::file::metadata::RowGroupMetaData;
use std::io::Write;

/// A row group of system calls is not larger, full or not: it waits in memory.
const CALLS_BYTES: usize = 8 << 20;
/// Nor one of another kind. Where processes come and go several kinds grow side by side.
const GROUP_BYTES: usize = 2 << 20;
/// A journal never grows beyond this; its group is sealed instead, full or not.
const JOURNAL_BYTES: u64 = 48 << 20;

/// The row group of one kind that is growing.
pub(super) struct Growing {
    pub(super) rows: Rows,
    /// `None` once the folder has no room for it.
    pub(super) journal: Option<Journal>,
    /// How many syncs had been asked for when the journal was begun.
    pub(super) n_syncs: u64,
}

/// Its rows, encoded.
pub(super) enum Rows {
    Batches(Box<Group>),
    Calls(Box<CallGroup>),
}

impl Growing {
    /// Whether it is time to put it into the file, with `most` rows in a group.
    pub(super) fn is_full(&self, most: usize) -> bool {
        let most_bytes = match self.rows {
            Rows::Batches(_) => GROUP_BYTES,
            Rows::Calls(_) => CALLS_BYTES,
        };
        self.rows.len() >= most
            || self.rows.bytes() >= most_bytes
            || self.journal.as_ref().is_some_and(|j| j.bytes() >= JOURNAL_BYTES)
    }
}

impl Rows {
    pub(super) fn new(kind: Kind) -> Result<Self> {
        match kind {
            Kind::Syscall => Ok(Self::Calls(Box::new(CallGroup::new()?))),
            _ => Ok(Self::Batches(Box::new(Group::new(kind)?))),
        }
    }

    /// Writes them into `file`.
    pub(super) fn finish<W: Write + Send>(self, file: &mut DataFile<W>) -> Result<RowGroupMetaData> {
        match self {
            Self::Batches(group) => group.finish(file),
            Self::Calls(calls) => {
                let rows = calls.rows();
                let chunks = calls.finish(file.schema().columns())?;
                group::write_chunks(file, chunks, rows)
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Batches(group) => group.rows(),
            Self::Calls(group) => group.rows(),
        }
    }

    /// Memory held; also about what they will take in the file.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Batches(group) => group.bytes(),
            Self::Calls(group) => group.bytes(),
        }
    }
}
