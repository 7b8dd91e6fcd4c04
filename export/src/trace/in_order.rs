//! Calls in the order of their ends, which is that of each thread: one that was written with later
//! ones, because its ring was read last, goes back to its place.
//!
//! Rows that were written together are sorted by their begin. What is held back is what ended less than [`LATE_NS`] before the begin
//! of the newest row, and calls that last still longer: a few per thread.

/// How much later than the calls around it a call may have been written. The recorder reads all its rings every 10 ms; the rest is for
/// a machine that did not let it.
const LATE_NS: i64 = 2_000_000_000;

/// A call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) ts_ns: i64,
    pub(super) dur_ns: Option<u64>,
    pub(super) proc: u64,
    pub(super) pid: u32,
    pub(super) tid: u32,
    /// The number of its name among those met.
    pub(super) name: usize,
    pub(super) ret: Option<i64>,
    pub(super) errno: Option<i64>,
    pub(super) fd: Option<i64>,
    pub(super) path: Option<Box<str>>,
}

impl Call {
    pub(super) fn end_ns(&self) -> i64 {
        self.ts_ns.saturating_add_unsigned(self.dur_ns.unwrap_or(0))
    }
}

/// Calls that wait for what may come before them.
#[derive(Debug)]
pub(super) struct InOrder {
    held: Vec<Call>,
    /// The first so many are sorted: what the last look left.
    sorted: usize,
    newest_ns: i64,
}

impl Default for InOrder {
    fn default() -> Self {
        Self { held: Vec::new(), sorted: 0, newest_ns: i64::MIN }
    }
}

impl InOrder {
    pub(super) fn push(&mut self, call: Call) {
        self.newest_ns = self.newest_ns.max(call.ts_ns);
        self.held.push(call);
    }

    /// Those before which none comes any more; none as long as the new ones are few beside the held, so that a call is looked at a
    /// few times and not as often as rows are read.
    pub(super) fn ready(&mut self) -> impl Iterator<Item = Call> + '_ {
        let n = if self.held.len() < 2 * self.sorted { 0 } else { self.settle() };
        self.held.drain(..n)
    }

    /// All that are left.
    pub(super) fn rest(&mut self) -> impl Iterator<Item = Call> + '_ {
        self.settle();
        self.sorted = 0;
        self.held.drain(..)
    }

    /// Sorts, and gives how many are ready.
    fn settle(&mut self) -> usize {
        self.held.sort_by_key(|call| (call.end_ns(), call.ts_ns));
        let n = self.held.partition_point(|call| call.end_ns() <= self.newest_ns.saturating_sub(LATE_NS));
        self.sorted = self.held.len() - n;
        n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(tid: u32, ts_ms: i64, dur_ms: u64) -> Call {
        Call {
            ts_ns: ts_ms * 1_000_000,
            dur_ns: Some(dur_ms * 1_000_000),
            proc: 1,
            pid: 1,
            tid,
            name: 0,
            ret: None,
            errno: None,
            fd: None,
            path: None,
        }
    }

    /// Row groups as a recorder writes them: sorted by begin, some calls a group late, one thread in a call of ten seconds.
    #[test]
    fn a_call_that_was_written_late_goes_back_to_its_place() {
        let mut groups: Vec<Vec<Call>> = (0..30).map(|_| Vec::new()).collect();
        for ms in 0..30_000 {
            let late = ms % 7 == 0 && ms % 1_000 > 900;
            groups[(ms as usize / 1_000 + usize::from(late)).min(29)].push(call(1, ms, 1));
        }
        groups[15].push(call(2, 5_000, 10_000));
        groups[15].push(call(2, 15_001, 1));
        let mut order = InOrder::default();
        let mut told = Vec::new();
        for mut group in groups {
            group.sort_by_key(|call| call.ts_ns);
            for (n, row) in group.into_iter().enumerate() {
                order.push(row);
                if n % 100 == 99 {
                    told.extend(order.ready());
                }
            }
            assert!(order.held.len() < 8_000, "{}", order.held.len());
        }
        assert!(told.len() > 20_000, "{}", told.len());
        told.extend(order.rest());
        assert_eq!(told.len(), 30_002);
        for tid in [1, 2] {
            let of: Vec<&Call> = told.iter().filter(|call| call.tid == tid).collect();
            assert!(of.windows(2).all(|two| two[0].end_ns() <= two[1].ts_ns), "{tid}");
        }
        assert_eq!(order.rest().count(), 0);
    }
}
