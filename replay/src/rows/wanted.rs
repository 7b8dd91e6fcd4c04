//! Which rows somebody wants.

use osd_recording::Kind;
use std::ops::Range;

/// Which rows. The default is all of them.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Of these kinds.
    pub kinds: Option<Vec<Kind>>,
    /// These columns, and `ts` and `dur_ns`; those that a kind does not have are passed over. Without, all of each kind.
    pub columns: Option<Vec<&'static str>>,
    /// Rows that begin in this range, replay time, UTC ns.
    pub begin_in: Option<Range<i64>>,
    /// Rows that were known after this, replay time, UTC ns: to go on where one was.
    pub after_ns: Option<i64>,
}
