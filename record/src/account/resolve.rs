//! From a call as the kernel side tells it to a row: whose it was, when it began, which argument is
//! a descriptor.

use crate::account::ledger::Ledger;
use osd_bpf::wire::{NO_DURATION, NR_TABLE, call};
use osd_recording::rows::{Owner, Syscall};
use osd_recording::{Calls, ClockTable};

/// A call with its path.
pub(crate) type Call = (call, Option<Box<str>>);

/// Turns calls into rows.
pub(crate) struct Resolver<'a> {
    ledger: &'a Ledger,
    clock: &'a ClockTable,
    takes_fd: &'a [bool; NR_TABLE],
    /// The owner found last: most calls are of the same process as the one before.
    cached: Option<(u32, Owner)>,
}

impl<'a> Resolver<'a> {
    pub(crate) fn new(ledger: &'a Ledger, clock: &'a ClockTable, takes_fd: &'a [bool; NR_TABLE]) -> Self {
        Self { ledger, clock, takes_fd, cached: None }
    }

    /// Appends the row of `call` to `rows`, or the call to `stranded` if nobody has introduced its process yet.
    pub(crate) fn resolve(&mut self, (c, path): Call, rows: &mut Calls, stranded: &mut Vec<Call>) {
        let owner = match self.cached {
            Some((seq, owner)) if seq == c.process_seq => owner,
            _ => match self.ledger.owner(c.process_seq) {
                Some(owner) => {
                    self.cached = Some((c.process_seq, owner));
                    owner
                }
                None => return stranded.push((c, path)),
            },
        };
        let took_ns = if c.dur_ns == NO_DURATION { 0 } else { c.dur_ns };
        rows.push(Syscall {
            ts_ns: self.clock.utc_ns(c.exit_ns.saturating_sub(took_ns) as i64),
            dur_ns: c.dur_ns,
            owner,
            tid: c.tid,
            nr: u16::try_from(c.nr).unwrap_or(u16::MAX),
            ret: c.ret,
            fd: self.takes_fd[c.nr as usize & (NR_TABLE - 1)].then_some(c.fd),
            path,
        });
    }
}
