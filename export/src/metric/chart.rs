//! Values of some series at regular moments, the edges: what was counted until each, what held at
//! each.
//!
//! What a row counted is known when it is over, so it counts from the first edge on that is not before its end. That is what
//! somebody who had asked at that moment would have been told.

use std::ops::Range;

/// The moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edges {
    first_ns: i64,
    step_ns: i64,
    pub(crate) len: usize,
}

impl Edges {
    /// Multiples of `step_ns`: from the last one at or before `span` to the first one at or after it.
    /// `None` if these are more than `most`.
    pub(crate) fn over(span: &Range<i64>, step_ns: u64, most: usize) -> Option<Self> {
        let step_ns = i64::try_from(step_ns).ok()?.max(1);
        let first_ns = span.start.checked_sub(span.start.rem_euclid(step_ns))?;
        let length = span.end.max(span.start).checked_sub(first_ns)?;
        let len = usize::try_from(length / step_ns).ok()?.checked_add(2)?;
        first_ns.checked_add(step_ns.checked_mul(i64::try_from(len).ok()?)?)?;
        (len <= most).then_some(Self { first_ns, step_ns, len })
    }

    /// When the edge `at` is, UTC ns.
    pub(crate) fn ns(&self, at: usize) -> i64 {
        self.first_ns + self.step_ns * at as i64
    }

    /// The first edge that is not before `ns`, but never the very first: on that one nothing has happened.
    pub(crate) fn until(&self, ns: i64) -> usize {
        let after = ns.saturating_sub(self.first_ns).max(0);
        let at = after / self.step_ns + i64::from(after % self.step_ns > 0);
        (at as usize).clamp(1, self.len.saturating_sub(1).max(1))
    }
}

/// A cell without a value.
const NONE: u64 = u64::MAX;

/// The values, by series and edge.
pub(crate) struct Chart {
    edges: Edges,
    cells: Vec<u64>,
}

impl Chart {
    pub(crate) fn new(series: usize, edges: Edges) -> Self {
        Self { edges, cells: vec![NONE; series * edges.len.max(2)] }
    }

    fn cell(&mut self, series: usize, at: usize) -> &mut u64 {
        &mut self.cells[series * self.edges.len.max(2) + at]
    }

    /// It counted `n` more until this edge.
    pub(crate) fn add(&mut self, series: usize, at: usize, n: u64) {
        let cell = self.cell(series, at);
        *cell = if *cell == NONE { 0 } else { *cell }.saturating_add(n).min(NONE - 1);
    }

    /// It was `value` at this edge.
    pub(crate) fn set(&mut self, series: usize, at: usize, value: u64) {
        *self.cell(series, at) = value;
    }

    fn row(&self, series: usize) -> &[u64] {
        &self.cells[series * self.edges.len.max(2)..][..self.edges.len.max(2)]
    }

    /// When it is known: from the first edge at which something is to the one after the last.
    fn known(&self, series: usize) -> Range<usize> {
        let row = self.row(series);
        let first = row.iter().position(|v| *v != NONE);
        first.map_or(0..0, |first| first..row.iter().rposition(|v| *v != NONE).map_or(first, |last| last + 1))
    }

    /// What was counted until each edge, from 0 at the edge before it is known; where nothing is said, nothing was counted. It
    /// goes on until it is not known any more, or with `to_the_end` until the last edge.
    pub(crate) fn counter(&self, series: usize, to_the_end: bool) -> impl Iterator<Item = (i64, u64)> + '_ {
        let known = self.known(series);
        let end = if to_the_end && !known.is_empty() { self.row(series).len() } else { known.end };
        let mut sum = 0_u64;
        let counted = (known.start..end).map(move |at| {
            let n = self.row(series)[at];
            sum = sum.saturating_add(if n == NONE { 0 } else { n });
            (self.edges.ns(at), sum)
        });
        let zero = known.start.checked_sub(1).map(|before| (self.edges.ns(before), 0));
        zero.into_iter().chain(counted)
    }

    /// What it was at each edge at which that is known.
    pub(crate) fn gauge(&self, series: usize) -> impl Iterator<Item = (i64, u64)> + '_ {
        let all = self.row(series).iter().enumerate().filter(|(_, v)| **v != NONE);
        all.map(|(at, v)| (self.edges.ns(at), *v))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_multiples_of_the_step_around_the_span() {
        let edges = Edges::over(&(1_050..2_000), 100, 100).unwrap();
        assert_eq!((edges.ns(0), edges.len), (1_000, 12));
        assert_eq!([0, 1_000, 1_001, 1_100, 1_101, 9_999].map(|ns| edges.until(ns)), [1, 1, 1, 1, 2, 11]);
        assert_eq!(Edges::over(&(0..1_000), 1, 100), None);
        assert_eq!(Edges::over(&(i64::MIN..i64::MAX), 1_000_000_000, 1_000_000), None);
        assert_eq!(Edges::over(&(-150..-150), 100, 9).map(|e| (e.ns(0), e.len)), Some((-200, 2)));
    }

    #[test]
    fn a_counter_begins_at_zero_and_goes_on_while_it_is_known() {
        let edges = Edges::over(&(0..500), 100, 100).unwrap();
        let mut chart = Chart::new(2, edges);
        for (ns, n) in [(150, 3), (160, 4), (330, 5)] {
            chart.add(1, edges.until(ns), n);
        }
        let counted = |to_the_end| chart.counter(1, to_the_end).collect::<Vec<_>>();
        assert_eq!(counted(false), [(100, 0), (200, 7), (300, 7), (400, 12)]);
        assert_eq!(counted(true)[4..], [(500, 12), (600, 12)]);
        assert_eq!(chart.counter(0, true).count(), 0);
        chart.set(0, 2, 9);
        assert_eq!(chart.gauge(0).collect::<Vec<_>>(), [(200, 9)]);
    }
}
