//! Time in bins of equal length, and what lasts spread over them.

/// Bins of equal length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Where the first begins, UTC ns.
    pub start_ns: i64,
    /// Length of each.
    pub step_ns: i64,
    /// How many.
    pub len: usize,
}

impl Grid {
    /// The bin that `ts_ns` is in, if it is in one.
    pub fn bin(&self, ts_ns: i64) -> Option<usize> {
        let bin = usize::try_from((ts_ns.checked_sub(self.start_ns)?).div_euclid(self.step_ns)).ok()?;
        (bin < self.len).then_some(bin)
    }
    /// Where `bin` begins.
    pub fn time(&self, bin: usize) -> i64 {
        self.start_ns.saturating_add(self.step_ns.saturating_mul(bin as i64))
    }
    /// Length of `bins`.
    pub fn seconds(&self, bins: usize) -> f64 {
        bins as f64 * self.step_ns as f64 / 1e9
    }
    /// How many bins `seconds` are, the nearest.
    pub fn bins(&self, seconds: f64) -> usize {
        (seconds * 1e9 / self.step_ns as f64).round() as usize
    }
    /// Calls `add` with each bin that `ts_ns .. ts_ns + dur_ns` overlaps and the share of the span that lies in it.
    pub fn spread(&self, ts_ns: i64, dur_ns: u64, mut add: impl FnMut(usize, f64)) {
        let (length, step) = (dur_ns.max(1) as f64, self.step_ns as f64);
        let from = (ts_ns as i128 - i128::from(self.start_ns)) as f64;
        let to = from + length;
        let first = (from / step).floor().max(0.0);
        let last = ((to / step).ceil()).min(self.len as f64);
        let mut bin = first;
        while bin < last {
            let overlap = (to.min((bin + 1.0) * step) - from.max(bin * step)).max(0.0);
            if overlap > 0.0 {
                add(bin as usize, overlap / length);
            }
            bin += 1.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_spread_over_the_bins_it_overlaps() {
        let grid = Grid { start_ns: 1_000, step_ns: 100, len: 5 };
        let mut shares = vec![];
        grid.spread(1_050, 100, |b, s| shares.push((b, s)));
        assert_eq!(shares, [(0, 0.5), (1, 0.5)]);
        shares.clear();
        // What lies outside the grid is not forced into it.
        grid.spread(950, 100, |b, s| shares.push((b, s)));
        assert_eq!(shares, [(0, 0.5)]);
        shares.clear();
        grid.spread(1_400, 1_000, |b, s| shares.push((b, s)));
        assert_eq!(shares, [(4, 0.1)]);
        grid.spread(9_000, 10, |_, _| panic!("outside"));
    }
}
