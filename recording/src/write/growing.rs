//! What is under way of each kind: the row group that is growing, and how much may wait or grow.

use crate::group::Rows;
use crate::kind::Kind;
use crate::unfinished::Journal;

/// Rows of a kind that wait to become a batch: enough to encode well, few enough to be forgotten in memory.
const BATCH_ROWS: usize = 8 * 1024;
/// Likewise of those that become a page of each column: few enough for a processor's cache, and the page's header hardly counts.
const PAGE_ROWS: usize = 32 * 1024;

/// A row group of pages is not larger, full or not: it waits in memory.
const PAGED_BYTES: usize = 8 << 20;
/// Nor one of rows. Where processes come and go several kinds grow side by side.
const GROUP_BYTES: usize = 2 << 20;
/// A journal never grows beyond this; its group is sealed instead, full or not.
const JOURNAL_BYTES: u64 = 48 << 20;

/// Most rows of `kind` that wait.
pub(super) fn most_waiting(kind: Kind) -> usize {
    if kind.is_paged() { PAGE_ROWS } else { BATCH_ROWS }
}

/// Where the writing of one kind stands.
#[derive(Default)]
pub(super) struct KindState {
    pub(super) growing: Option<Growing>,
    /// Row groups before that one.
    pub(super) generation: u32,
    /// Rows so far.
    pub(super) n_rows: u64,
    /// Of the rows that wait, how many the journal has.
    pub(super) n_noted: usize,
    /// Bytes it took to note them.
    pub(super) passing_bytes: usize,
}

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
            Rows::Paged(_) => PAGED_BYTES,
        };
        self.rows.len() >= most
            || self.rows.bytes() >= most_bytes
            || self.journal.as_ref().is_some_and(|j| j.bytes() >= JOURNAL_BYTES)
    }
}
