//! A thread in the books: what was last read of it, and how far it is with its end.

use osd_bpf::wire::usage;

/// After this an ended process is forgotten even if a reader that is behind may yet come upon a call of it.
pub(super) const FORGET_NS: i64 = 20_000_000_000;

/// How far a thread is with its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum End {
    #[default]
    Not,
    /// It has said what it had used when its end began, at this time (UTC, ns).
    Begun(i64),
    /// Its last totals are known, since this time; what it has to say of its own, or says once more, may still come.
    Known(i64),
}

/// A thread.
pub(super) struct Thread {
    pub(super) last: usage,
    pub(super) end: End,
    /// The pass that met it last.
    pub(super) pass: u64,
}

impl Thread {
    /// Whether it was met in the pass that is being accounted for, or just before it.
    pub(super) fn met(&self, pass: u64) -> bool {
        self.pass + 1 >= pass
    }

    /// Whether its last totals are still to come.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.end, End::Begun(_))
    }
}
