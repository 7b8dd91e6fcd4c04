//! `loss`: what was not recorded.

use super::common::{dur_ns, kind, ts};
use super::field::{Field, RowField};
use super::waiting::{ByRow, Rowed};

/// Something not recorded: counted instead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Start of the time in which it was lost.
    pub ts_ns: i64,
    /// Length of that time.
    pub dur_ns: u64,
    /// What: `syscall`, `path`, `process`, `tally`, `network` ...
    pub stream: String,
    /// Why: `ring_full`, `map_full`, `copy_fault`, `truncated` ...
    pub reason: String,
    /// How many.
    pub count: u64,
}

impl Rowed for Loss {
    const NAME: &'static str = "loss";
    const TABLE: &'static str = "losses";
    type Waiting = Vec<Self>;
}

impl ByRow for Loss {
    const FIELDS: &'static [RowField<Self>] = &[
        kind(),
        ts(),
        dur_ns(|r| Some(r.dur_ns)),
        Field::u64("count", "", "how many", |r| Some(r.count)),
        Field::text("stream", "", "what was lost", |r| Some(&r.stream)),
        Field::text("reason", "", "why", |r| Some(&r.reason)),
    ];

    fn ts_ns(&self) -> i64 {
        self.ts_ns
    }
}
