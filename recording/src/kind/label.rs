//! `label`: ground truth, or a person's mark.

use super::common::{dur_ns, kind, ts};
use super::field::{Field, RowField};
use super::waiting::{ByRow, Rowed};

/// A span with a name: ground truth of an injected fault, or a person's mark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// Start.
    pub ts_ns: i64,
    /// Length.
    pub dur_ns: u64,
    /// Short name, e.g. `fsync_storm`.
    pub name: String,
    /// Anything else.
    pub note: String,
}

impl Rowed for Label {
    const NAME: &'static str = "label";
    const TABLE: &'static str = "labels";
    type Waiting = Vec<Self>;
}

impl ByRow for Label {
    const FIELDS: &'static [RowField<Self>] = &[
        kind(),
        ts(),
        dur_ns(|r| Some(r.dur_ns)),
        Field::text("name", "", "short name", |r| Some(&r.name)),
        Field::text("note", "", "anything else", |r| Some(&r.note)),
    ];

    fn ts_ns(&self) -> i64 {
        self.ts_ns
    }
}
