//! What is to be done for processes that were met by a rule, until somebody has time for it.

use super::decode::NewGroup;
use crate::family::Loss;
use std::time::Instant;

/// Processes that matched and are not recorded: user space has no number for them.
pub(super) const TOO_MANY: Loss = Loss { stream: "process", reason: "too_many" };
/// Numbers of processes that user space gives.
pub(super) const MOST_SEQS: u32 = 65_535;

/// What is to be done for those that were met.
#[derive(Default)]
pub(super) struct Adopted {
    /// Groups that were made.
    pub(super) groups: Vec<NewGroup>,
    /// Processes with threads that are not marked yet.
    pub(super) threads: Vec<(u32, u32)>,
    pub(super) n_seqs: u32,
    /// Looks at processes that matched when all numbers had been given.
    pub(super) n_left_out: u64,
    pub(super) looked: Option<Instant>,
    pub(super) named: Option<Instant>,
}

impl Adopted {
    /// A number for a process that user space marks.
    pub(super) fn next_seq(&mut self) -> u32 {
        self.n_seqs += 1;
        self.n_seqs
    }
}
