//! The row groups that are growing, one a kind.

use crate::group::Rows;
use crate::unfinished::Journal;

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

impl Growing {
    /// Whether it is time to put it into the file, with `most` rows in a group.
    pub(super) fn is_full(&self, most: usize) -> bool {
        let most_bytes = match self.rows {
            Rows::Gathered(_) => GROUP_BYTES,
            Rows::Calls(_) => CALLS_BYTES,
        };
        self.rows.len() >= most
            || self.rows.bytes() >= most_bytes
            || self.journal.as_ref().is_some_and(|j| j.bytes() >= JOURNAL_BYTES)
    }
}
