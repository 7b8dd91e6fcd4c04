//! Rows that wait to become a batch, or, if they are system calls, a page.

use crate::kind::batch::{Columnar, to_batch};
use crate::kind::rows::{Label, Loss, Process, Row, Sample, System, Tally};
use crate::kind::{Calls, Kind};
use crate::syscall::Arch;
use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

/// Rows of a kind that wait to become a batch: enough to encode well, few enough to be forgotten in memory.
const BATCH_ROWS: usize = 8 * 1024;
/// Likewise of system calls, which become a page of each column: few enough for a processor's cache, and the page's header hardly counts.
const PAGE_ROWS: usize = 32 * 1024;

/// Most rows of `kind` that wait.
pub(super) fn most(kind: Kind) -> usize {
    if kind == Kind::Syscall { PAGE_ROWS } else { BATCH_ROWS }
}

/// Rows by kind.
#[derive(Default)]
pub(super) struct Waiting {
    samples: Vec<Sample>,
    tallies: Vec<Tally>,
    pub(super) syscalls: Calls,
    processes: Vec<Process>,
    systems: Vec<System>,
    losses: Vec<Loss>,
    labels: Vec<Label>,
}

impl Waiting {
    /// Adds a row; how many of its kind there are now.
    pub(super) fn push(&mut self, row: Row) -> usize {
        fn add<R>(rows: &mut Vec<R>, row: R) -> usize {
            rows.push(row);
            rows.len()
        }
        match row {
            Row::Sample(r) => add(&mut self.samples, r),
            Row::Tally(r) => add(&mut self.tallies, r),
            Row::Syscall(r) => {
                self.syscalls.push(r);
                self.syscalls.len()
            }
            Row::Process(r) => add(&mut self.processes, r),
            Row::System(r) => add(&mut self.systems, r),
            Row::Loss(r) => add(&mut self.losses, r),
            Row::Label(r) => add(&mut self.labels, r),
        }
    }

    /// The rows of `kind` as a batch, if there are any; never of system calls, which become pages.
    pub(super) fn take(&mut self, kind: Kind, arch: Arch) -> Option<Result<RecordBatch, ArrowError>> {
        fn batch<R: Columnar>(rows: &mut Vec<R>, arch: Arch) -> Option<Result<RecordBatch, ArrowError>> {
            (!rows.is_empty()).then(|| to_batch(rows, arch))
        }
        match kind {
            Kind::Sample => batch(&mut self.samples, arch),
            Kind::Tally => batch(&mut self.tallies, arch),
            Kind::Syscall => None,
            Kind::Process => batch(&mut self.processes, arch),
            Kind::System => batch(&mut self.systems, arch),
            Kind::Loss => batch(&mut self.losses, arch),
            Kind::Label => batch(&mut self.labels, arch),
        }
    }
}
