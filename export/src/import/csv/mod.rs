//! Tables of metrics, a row a time: `unit.rs` what a number counts, `named.rs` which column is
//! what, `text.rs` fields and numbers, `survey.rs` the first reading, `import.rs` the second.
//!
//! What `osd export --series` writes is read back; of any other table the columns that osd knows or is told of.

mod import;
mod named;
mod survey;
mod text;
mod unit;

use crate::import::time::TimeUnit;
pub(super) use import::import;
pub use named::Column;
pub(super) use survey::is_header;

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
    pub(super) fn is_told(&self) -> bool {
        self.time.is_some() || !self.columns.is_empty() || self.times_are_ends.is_some()
    }
}
