//! Which part of each bin samples cover: a bin that is covered by less than half is a gap.

use osd_detect::grid::Grid;
use std::ops::Range;

/// Share of a bin that samples must cover. Ticks come a few per cent late; a bin of which more than half is missing would
/// be judged by less than was not seen.
pub const HALF: f64 = 0.5;

/// Which parts of each bin some sample covers: 64ths, as bits.
#[derive(Clone, Debug)]
pub struct Coverage {
    parts: Vec<u64>,
    /// From the first to the last instant that a sample covers.
    pub span: Option<Range<i64>>,
}

impl Coverage {
    /// Nothing is covered.
    pub fn new(grid: Grid) -> Self {
        Self { parts: vec![0; grid.len], span: None }
    }

    /// Adds a sample of `ts_ns .. ts_ns + dur_ns`.
    pub fn add(&mut self, grid: Grid, ts_ns: i64, dur_ns: u64) {
        let end_ns = ts_ns.saturating_add_unsigned(dur_ns);
        let mut met = false;
        grid.spread(ts_ns, dur_ns, |bin, _| {
            met = true;
            let part = |ns: i64, up: i64| {
                let since = i128::from(ns) - i128::from(grid.time(bin));
                ((since * 64 + i128::from(up)) / i128::from(grid.step_ns)).clamp(0, 64) as u32
            };
            // A part counts from its middle on.
            let (from, to) = (part(ts_ns, grid.step_ns / 2), part(end_ns, grid.step_ns / 2));
            let below = |n: u32| if n >= 64 { u64::MAX } else { (1 << n) - 1 };
            self.parts[bin] |= below(to) & !below(from);
        });
        if met {
            let whole = self.span.get_or_insert(ts_ns..end_ns);
            *whole = whole.start.min(ts_ns)..whole.end.max(end_ns);
        }
    }

    /// Share of each bin that is covered, 0..=1.
    pub fn shares(&self) -> impl Iterator<Item = f64> + '_ {
        self.parts.iter().map(|p| f64::from(p.count_ones()) / 64.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_samples_cover_both_counts_once() {
        let grid = Grid { start_ns: 0, step_ns: 100, len: 3 };
        let mut coverage = Coverage::new(grid);
        coverage.add(grid, 0, 50);
        coverage.add(grid, 25, 100);
        assert_eq!(coverage.shares().collect::<Vec<_>>(), [1.0, 0.25, 0.0]);
        assert_eq!(coverage.span, Some(0..125));
    }
}
