//! What somebody says of a table that the table does not say itself.

use super::named::Column;
use crate::import::time::TimeUnit;

/// How to read a table.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// The column of times, and what its numbers count, where that is not to be guessed.
    pub time: Option<(String, Option<TimeUnit>)>,
    /// What columns are whose names do not say it.
    pub columns: Vec<Column>,
    /// A time is the end of what its row tells of. By default it is the beginning, or the end if there are counters that only grow.
    pub times_are_ends: Option<bool>,
}

impl Table {
    /// Somebody has said something of it.
    pub(in super::super) fn is_told(&self) -> bool {
        self.time.is_some() || !self.columns.is_empty() || self.times_are_ends.is_some()
    }
}
