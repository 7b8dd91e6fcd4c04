//! The descriptors of one process over time: which object a number was at a moment. Pure: calls in,
//! objects out.
//!
//! Records come nearly, but not quite, in the order of time, threads race, and a number is another object as soon as it was closed. So each
//! number has spans: from the return of the call that made it to the *entry* of the one that closed it. Spans of a number do not overlap,
//! because the kernel frees a number after the entry of `close` and hands it out before the return of the next `open`. A call belongs to
//! the span that holds its entry; between two spans it belongs to neither, for nobody can say.

use super::object::Object;
use std::collections::HashMap;
use std::sync::Arc;

/// Not ended yet.
pub(super) const OPEN: u64 = u64::MAX;

/// A descriptor from when it became what it is until that ended.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) object: Arc<Object>,
    /// An exec closes it.
    pub(super) cloexec: bool,
    /// The recording says what it is.
    pub(super) told: bool,
    /// Where it is summed up, in that interval.
    pub(super) slot: (u32, u32),
}

impl Span {
    pub(super) fn new(begin: u64, object: Arc<Object>, cloexec: bool) -> Self {
        Self { begin, end: OPEN, object, cloexec, told: false, slot: (0, 0) }
    }
}

/// Numbers below this are found by their index, others by a map: a program may ask for any.
const DIRECT: usize = 65_536;
/// Spans of a number that are kept without a look at whether they are needed, and most that are kept at all: a power of two.
const KEPT: usize = 16;
const MOST: usize = 16_384;

/// The descriptors of a process.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    low: Vec<Vec<Span>>,
    high: HashMap<i32, Vec<Span>>,
}

impl Table {
    fn spans(&mut self, fd: i32) -> &mut Vec<Span> {
        match usize::try_from(fd) {
            Ok(i) if i < DIRECT => {
                if self.low.len() <= i {
                    self.low.resize_with(i + 1, Vec::new);
                }
                &mut self.low[i]
            }
            _ => self.high.entry(fd).or_default(),
        }
    }

    fn known(&mut self, fd: i32) -> Option<&mut Vec<Span>> {
        match usize::try_from(fd) {
            Ok(i) if i < DIRECT => self.low.get_mut(i),
            _ => self.high.get_mut(&fd),
        }
    }

    /// `fd` is `span.object` from `span.begin` on. What it was before has ended by then, if nobody said when. Spans that ended before
    /// `settled` belong to no call that is still to come.
    pub(super) fn begin(&mut self, fd: i32, span: Span, settled: u64) {
        let spans = self.spans(fd);
        // Not each time: that they are many may be because they are needed.
        if spans.len() >= KEPT && spans.len().is_power_of_two() {
            spans.retain(|s| s.end >= settled);
        }
        if spans.len() >= MOST {
            spans.drain(..MOST / 2);
        }
        let at = spans.partition_point(|s| s.begin <= span.begin);
        let later = spans.get(at).map(|s| s.begin);
        if let Some(before) = at.checked_sub(1).and_then(|i| spans.get_mut(i)) {
            before.end = before.end.min(span.begin);
        }
        let end = later.map_or(span.end, |later| span.end.min(later));
        spans.insert(at, Span { end, ..span });
    }

    /// `fd` was closed by a call that began at `at`.
    pub(super) fn end(&mut self, fd: i32, at: u64) {
        let Some(spans) = self.known(fd) else { return };
        let held = spans.partition_point(|s| s.begin <= at);
        if let Some(span) = held.checked_sub(1).and_then(|i| spans.get_mut(i)) {
            span.end = span.end.min(at);
        }
    }

    /// The span that a call on `fd` belongs to which began at `at`.
    pub(super) fn at(&mut self, fd: i32, at: u64) -> Option<&mut Span> {
        let spans = self.known(fd)?;
        let i = spans.partition_point(|s| s.begin <= at).checked_sub(1)?;
        spans.get_mut(i).filter(|s| at <= s.end)
    }

    /// Whether anything is known of `fd`.
    pub(super) fn has(&mut self, fd: i32) -> bool {
        self.known(fd).is_some_and(|spans| !spans.is_empty())
    }

    /// The last span of `fd`, if it has not ended.
    pub(super) fn live(&mut self, fd: i32) -> Option<&mut Span> {
        self.known(fd)?.last_mut().filter(|s| s.end == OPEN)
    }

    /// Ends those that `which` holds of, of what was open at `at`.
    pub(super) fn end_all(&mut self, at: u64, which: impl Fn(i32, &Span) -> bool) {
        for (fd, spans) in self.all() {
            for span in spans.iter_mut().filter(|s| s.begin <= at && s.end > at) {
                if which(fd, span) {
                    span.end = at;
                }
            }
        }
    }

    /// From now on, those between the two numbers are closed by an exec.
    pub(super) fn close_at_exec(&mut self, first: i32, last: i32) {
        for (fd, spans) in self.all() {
            if (first..=last).contains(&fd) {
                spans.iter_mut().filter(|s| s.end == OPEN).for_each(|s| s.cloexec = true);
            }
        }
    }

    /// All that is open, with its number.
    pub(super) fn all_live(&mut self) -> impl Iterator<Item = (i32, &mut Span)> {
        self.all().filter_map(|(fd, spans)| Some((fd, spans.last_mut().filter(|s| s.end == OPEN)?)))
    }

    /// What another process starts with that was forked from this one at `at`.
    pub(super) fn fork(&self, at: u64) -> Self {
        let live = |spans: &Vec<Span>| -> Vec<Span> {
            let there = spans.iter().filter(|s| s.begin <= at && s.end > at);
            there.map(|s| Span { end: OPEN, told: false, slot: (0, 0), ..s.clone() }).collect()
        };
        let mut low: Vec<Vec<Span>> = self.low.iter().map(live).collect();
        while low.last().is_some_and(Vec::is_empty) {
            low.pop();
        }
        let high = self.high.iter().map(|(fd, spans)| (*fd, live(spans))).filter(|(_, s)| !s.is_empty()).collect();
        Self { low, high }
    }

    /// The recording that follows says nothing of any of them yet.
    pub(super) fn tell_again(&mut self) {
        self.all().flat_map(|(_, spans)| spans).for_each(|s| s.told = false);
    }

    fn all(&mut self) -> impl Iterator<Item = (i32, &mut Vec<Span>)> {
        let low = self.low.iter_mut().enumerate().map(|(i, spans)| (i as i32, spans));
        low.chain(self.high.iter_mut().map(|(fd, spans)| (*fd, spans)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::files::object::Kind;

    fn span(begin: u64, name: &str) -> Span {
        Span::new(begin, Arc::new(Object::new(Kind::File, name)), false)
    }

    fn at(table: &mut Table, fd: i32, at: u64) -> Option<String> {
        table.at(fd, at).map(|s| s.object.name.to_string())
    }

    #[test]
    fn a_close_that_takes_longer_than_the_next_open_ends_the_older_object() {
        let mut table = Table::default();
        table.begin(5, span(10, "old"), 0);
        // Opened while the close is under way, and told of before it.
        table.begin(5, span(40, "new"), 0);
        table.end(5, 30);
        assert_eq!(at(&mut table, 5, 29).as_deref(), Some("old"));
        assert_eq!(at(&mut table, 5, 30).as_deref(), Some("old"), "the call that closes it is about it");
        assert_eq!(at(&mut table, 5, 35), None, "nobody can say");
        assert_eq!(at(&mut table, 5, 40).as_deref(), Some("new"));
        assert_eq!((at(&mut table, 5, 9), at(&mut table, 6, 50), at(&mut table, -1, 50)), (None, None, None));
    }

    #[test]
    fn records_that_come_late_find_their_place() {
        let mut table = Table::default();
        table.begin(3, span(100, "c"), 0);
        table.begin(3, span(50, "b"), 0);
        table.end(3, 70);
        assert_eq!(at(&mut table, 3, 60).as_deref(), Some("b"));
        assert_eq!(at(&mut table, 3, 80), None);
        assert_eq!(at(&mut table, 3, 100).as_deref(), Some("c"));
    }

    #[test]
    fn what_nobody_saw_closed_ends_when_its_number_is_given_out_again() {
        let mut table = Table::default();
        table.begin(3, span(10, "a"), 0);
        table.begin(3, span(20, "b"), 0);
        assert_eq!(at(&mut table, 3, 19).as_deref(), Some("a"));
        assert_eq!(at(&mut table, 3, 21).as_deref(), Some("b"));
    }

    #[test]
    fn a_fork_has_what_was_open_then_and_an_exec_keeps_what_it_may() {
        let mut parent = Table::default();
        parent.begin(3, span(10, "kept"), 0);
        parent.begin(4, Span { cloexec: true, ..span(10, "closed") }, 0);
        parent.begin(70_000, span(10, "high"), 0);
        parent.begin(5, span(10, "gone"), 0);
        parent.end(5, 15);
        let mut child = parent.fork(20);
        parent.end(3, 25);
        assert_eq!((at(&mut child, 3, 30).as_deref(), at(&mut child, 5, 30)), (Some("kept"), None));
        assert_eq!((at(&mut parent, 3, 30), at(&mut parent, 4, 30).as_deref()), (None, Some("closed")));
        child.end_all(40, |_, s| s.cloexec);
        let open = [3, 4, 70_000].map(|fd| at(&mut child, fd, 41));
        assert_eq!(open.each_ref().map(Option::as_deref), [Some("kept"), None, Some("high")]);
        child.close_at_exec(3, i32::MAX);
        child.end_all(50, |_, s| s.cloexec);
        assert_eq!((at(&mut child, 3, 51), at(&mut child, 70_000, 51)), (None, None));
    }

    #[test]
    fn memory_is_bounded_however_often_a_number_is_used_again() {
        let mut table = Table::default();
        for i in 0..100_000 {
            table.begin(3, span(i * 10, "x"), 0);
        }
        assert!(table.spans(3).len() <= MOST);
        for i in 200_000..220_000 {
            table.begin(3, span(i * 10, "x"), i * 10 - 25);
        }
        assert!(table.spans(3).len() <= KEPT);
        table.begin(i32::MAX, span(1, "far"), 0);
        assert!(table.low.len() < 10);
    }

    proptest::proptest! {
        /// Two threads open and close under one number, each call as long as it likes as far as a kernel could do it; whatever order the
        /// records come in, a call made while an object was held finds that object.
        #[test]
        fn whatever_the_order_each_call_finds_the_object_it_was_made_on(
            steps in proptest::collection::vec((1u64..50, 1u64..50, 1u64..50), 1..40),
            order in proptest::prelude::any::<u64>(),
        ) {
            // open returns at `begin`, close is entered at `end`; the next open returns after that.
            let mut now = 0;
            let mut held = Vec::new();
            for (i, (gap, used, slack)) in steps.iter().enumerate() {
                let begin = now + gap;
                let end = begin + used;
                held.push((begin, end, i.to_string()));
                now = end + slack;
            }
            let mut records: Vec<(u64, usize, bool)> = Vec::new();
            for (i, _) in held.iter().enumerate() {
                // In the order of a shuffle, but openings before the closings of later rounds are applied, as the caller ensures.
                records.push((i as u64 * 2, i, true));
                records.push((i as u64 * 2 + 1 + (order >> (i % 60) & 1) * 2, i, false));
            }
            records.sort_unstable();
            let mut table = Table::default();
            for (_, i, opens) in records {
                let (begin, end, name) = &held[i];
                if opens { table.begin(7, span(*begin, name), 0) } else { table.end(7, *end) }
            }
            for (begin, end, name) in &held {
                for moment in [*begin, begin.midpoint(*end), *end] {
                    proptest::prop_assert_eq!(at(&mut table, 7, moment), Some(name.clone()));
                }
                proptest::prop_assert_eq!(at(&mut table, 7, end + 1).filter(|n| n == name), None);
            }
        }
    }
}
