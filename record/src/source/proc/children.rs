//! What children used that came and went between two looks at `/proc`, by what their parents waited
//! for.
//!
//! The kernel adds to a process, when it waits for a child, all that the child used (`cutime` and its like in proc_pid_stat(5)). What of that
//! is not accounted for by children that were watched was used by children that nobody saw, or by a child after the last look at it. It is
//! charged to the process that waited for them, for want of another.
//!
//! A child that is waited for between the looks at its parent and at itself must not be charged twice. So the parents' totals are read first,
//! then the children are looked at: whatever is in the totals is known to be gone by then.

use crate::host::proc::Waited;

/// The account of one process.
#[derive(Debug, Default)]
pub(super) struct Children {
    /// Waited for before the recording began.
    base: Waited,
    /// As it was read last.
    total: Waited,
    /// Of those that were watched and are gone: what they were charged themselves.
    seen: Waited,
    /// Charged here so far.
    charged: Waited,
}

impl Children {
    /// `base`: what does not count.
    pub(super) fn new(base: Waited) -> Self {
        Self { base, total: base, ..Self::default() }
    }

    /// What the kernel says now.
    pub(super) fn read(&mut self, total: Waited) {
        self.total = total;
    }

    /// A child that was watched has been waited for; `used` is what is accounted for of it and its own children.
    pub(super) fn credit(&mut self, used: Waited) {
        self.seen = zip(self.seen, used, u64::saturating_add);
    }

    /// All that is accounted for of the children, for whoever waits for this process.
    pub(super) fn accounted(&self) -> Waited {
        zip(zip(self.base, self.seen, u64::saturating_add), self.charged, u64::saturating_add)
    }

    /// What is to be charged since the last time. Never negative: ticks are coarse, and a child may be known to be gone before its parent's
    /// total says so.
    pub(super) fn charge(&mut self) -> Waited {
        let unseen = zip(zip(self.total, self.base, u64::saturating_sub), self.seen, u64::saturating_sub);
        let new = zip(unseen, self.charged, u64::saturating_sub);
        self.charged = zip(self.charged, new, u64::saturating_add);
        new
    }
}

/// Field by field.
pub(super) fn zip(a: Waited, b: Waited, f: impl Fn(u64, u64) -> u64) -> Waited {
    Waited {
        cpu_ns: f(a.cpu_ns, b.cpu_ns),
        minor_faults: f(a.minor_faults, b.minor_faults),
        major_faults: f(a.major_faults, b.major_faults),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu(cpu_ns: u64) -> Waited {
        Waited { cpu_ns, ..Waited::default() }
    }

    #[test]
    fn what_no_watched_child_accounts_for_is_charged_once() {
        let mut children = Children::new(cpu(1_000));
        children.read(cpu(1_050));
        assert_eq!((children.charge().cpu_ns, children.charge().cpu_ns), (50, 0));
        // One that was watched is gone, with 30 of its own; the total follows a look later and says 40.
        children.credit(cpu(30));
        assert_eq!(children.charge().cpu_ns, 0);
        children.read(cpu(1_090));
        assert_eq!(children.charge().cpu_ns, 10);
        assert_eq!(children.accounted().cpu_ns, 1_090);
    }

    #[test]
    fn a_child_known_better_than_by_ticks_is_no_debt() {
        let mut children = Children::new(cpu(0));
        children.credit(cpu(17));
        children.read(cpu(10));
        assert_eq!(children.charge().cpu_ns, 0);
        children.read(cpu(40));
        assert_eq!(children.charge().cpu_ns, 23);
    }
}
