//! What a process did with each of its objects in one interval, and which of them get a row.

use super::changes::{Waiting, failed};
use super::object::Object;
use super::table::Span;
use crate::family::call_table::Use;
use osd_recording::rows::{File, Owner};
use std::collections::HashMap;
use std::sync::Arc;

/// Objects of a process that are told apart in one interval; the others are summed up.
const APART: usize = 4_096;
/// Rows of a process in one interval: so many with the most bytes, and as many with the most calls.
const MOST: usize = 16;

/// Calls on one object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) opens: u64,
    pub(super) reads: u64,
    pub(super) writes: u64,
    pub(super) bytes_read: u64,
    pub(super) bytes_written: u64,
    pub(super) syncs: u64,
    pub(super) renames: u64,
    pub(super) unlinks: u64,
    pub(super) errors: u64,
    pub(super) ns: u64,
}

impl Sum {
    /// Adds a call.
    pub(super) fn count(&mut self, w: &Waiting) {
        let bytes = u64::try_from(w.ret).unwrap_or(0);
        match w.does {
            Use::Reads => (self.reads, self.bytes_read) = (self.reads + 1, self.bytes_read.saturating_add(bytes)),
            Use::Writes => {
                (self.writes, self.bytes_written) = (self.writes + 1, self.bytes_written.saturating_add(bytes))
            }
            // They return how many messages.
            Use::ReadsMany => self.reads += 1,
            Use::WritesMany => self.writes += 1,
            Use::Syncs => self.syncs += 1,
            _ => {}
        }
        self.errors += u64::from(failed(w.ret));
        self.ns += w.took_ns;
    }

    fn add(&mut self, more: &Self) {
        let Self { opens, reads, writes, bytes_read, bytes_written, syncs, renames, unlinks, errors, ns } = more;
        self.opens += opens;
        self.reads += reads;
        self.writes += writes;
        self.bytes_read = self.bytes_read.saturating_add(*bytes_read);
        self.bytes_written = self.bytes_written.saturating_add(*bytes_written);
        self.syncs += syncs;
        self.renames += renames;
        self.unlinks += unlinks;
        self.errors += errors;
        self.ns += ns;
    }

    fn bytes(&self) -> u64 {
        self.bytes_read.saturating_add(self.bytes_written)
    }

    fn calls(&self) -> u64 {
        self.opens + self.reads + self.writes + self.syncs + self.renames + self.unlinks
    }
}

/// Those of a process.
#[derive(Debug, Default)]
pub(super) struct Sums {
    of: Vec<(Arc<Object>, Sum)>,
    index: HashMap<Arc<Object>, u32>,
    /// Of objects beyond those that are told apart.
    rest: Sum,
    n_rest: u64,
    /// Calls on descriptors of which nobody knows what they are.
    unknown: Sum,
}

impl Sums {
    /// Where `object` is summed up; `None` with the rest.
    pub(super) fn slot(&mut self, object: &Arc<Object>) -> Option<u32> {
        if let Some(slot) = self.index.get(object) {
            return Some(*slot);
        }
        if self.of.len() >= APART {
            return None;
        }
        let slot = self.of.len() as u32;
        self.of.push((Arc::clone(object), Sum::default()));
        self.index.insert(Arc::clone(object), slot);
        Some(slot)
    }

    /// The slot of what `span` is, in the interval `epoch`; `None`: of the rest.
    pub(super) fn slot_of(&mut self, span: &mut Span, epoch: u32) -> Option<u32> {
        const REST: u32 = u32::MAX;
        if span.slot.0 != epoch {
            let slot = self.slot(&span.object);
            if slot.is_none() {
                self.one_more();
            }
            span.slot = (epoch, slot.unwrap_or(REST));
        }
        Some(span.slot.1).filter(|slot| *slot != REST)
    }

    pub(super) fn at(&mut self, slot: Option<u32>) -> &mut Sum {
        match slot.and_then(|slot| self.of.get_mut(slot as usize)) {
            Some((_, sum)) => sum,
            None => &mut self.rest,
        }
    }

    /// One more object is summed up with the rest.
    pub(super) fn one_more(&mut self) {
        self.n_rest += 1;
    }

    pub(super) fn unknown(&mut self) -> &mut Sum {
        &mut self.unknown
    }

    pub(super) fn is_empty(&self) -> bool {
        self.of.is_empty() && self.rest == Sum::default() && self.unknown == Sum::default()
    }

    /// The rows of the interval. `reads` and `writes` that the tallies have and nobody here does are not attributed.
    pub(super) fn rows(mut self, (ts_ns, dur_ns): (i64, u64), owner: Owner, reads: u64, writes: u64) -> Vec<File> {
        let mut all = Sum::default();
        self.of.iter().for_each(|(_, sum)| all.add(sum));
        all.add(&self.rest);
        self.unknown.reads = reads.saturating_sub(all.reads);
        self.unknown.writes = writes.saturating_sub(all.writes);
        self.of.sort_by(|a, b| b.1.bytes().cmp(&a.1.bytes()).then_with(|| a.0.name.cmp(&b.0.name)));
        if let Some(others) = self.of.get_mut(MOST..) {
            others.sort_by(|a, b| b.1.calls().cmp(&a.1.calls()).then_with(|| a.0.name.cmp(&b.0.name)));
        }
        let n_others = self.of.len().saturating_sub(2 * MOST) as u64;
        for (_, sum) in self.of.drain((2 * MOST).min(self.of.len())..) {
            self.rest.add(&sum);
        }
        let row = |object_kind: &'static str, path: Option<&str>, n_objects, s: &Sum| File {
            ts_ns,
            dur_ns,
            owner,
            path: path.map(str::to_owned),
            object_kind,
            n_objects,
            n_opens: s.opens,
            n_reads: s.reads,
            n_writes: s.writes,
            bytes_read: s.bytes_read,
            bytes_written: s.bytes_written,
            n_syncs: s.syncs,
            n_renames: s.renames,
            n_unlinks: s.unlinks,
            errors: s.errors,
            total_ns: s.ns,
        };
        let mut rows: Vec<File> =
            self.of.iter().map(|(o, s)| row(o.kind.as_str(), Some(&o.name), Some(1), s)).collect();
        if self.rest != Sum::default() {
            rows.push(row(File::REST, None, Some(n_others + self.n_rest), &self.rest));
        }
        if self.unknown != Sum::default() {
            rows.push(row(File::NOT_ATTRIBUTED, None, None, &self.unknown));
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::files::object::Kind;

    #[test]
    fn rows_are_bounded_and_sum_up_to_all_that_was_counted() {
        let mut sums = Sums::default();
        for i in 0..5_000_u64 {
            let object = Arc::new(Object::new(Kind::File, i.to_string()));
            let slot = sums.slot(&object);
            if slot.is_none() {
                sums.one_more();
            }
            // The last to come has the most bytes, the first the most calls.
            let sum = sums.at(slot);
            sum.reads += 5_000 - i;
            sum.bytes_read += i;
        }
        sums.unknown().writes += 2;
        let (reads, bytes) = (5_000 * 5_001 / 2, 4_999 * 5_000 / 2);
        let rows = sums.rows((0, 1), Owner::default(), reads + 7, 2);
        assert_eq!(rows.len(), 2 * MOST + 2);
        assert_eq!(rows[0].path.as_deref(), Some("4095"), "the most bytes of those told apart");
        assert_eq!(rows[MOST].path.as_deref(), Some("0"), "the most calls");
        assert_eq!(rows.iter().map(|r| r.n_reads).sum::<u64>(), reads + 7);
        assert_eq!(rows.iter().map(|r| r.bytes_read).sum::<u64>(), bytes);
        let [.., rest, unknown] = rows.as_slice() else { panic!() };
        assert_eq!((rest.object_kind, rest.n_objects), (File::REST, Some(5_000 - 2 * MOST as u64)));
        assert_eq!((unknown.object_kind, unknown.n_reads, unknown.n_writes), (File::NOT_ATTRIBUTED, 7, 2));
    }

    #[test]
    fn nothing_that_happened_is_no_row() {
        assert!(Sums::default().is_empty());
        assert!(Sums::default().rows((0, 1), Owner::default(), 0, 0).is_empty());
    }
}
