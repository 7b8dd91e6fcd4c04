//! What rows count, summed over the spans of time that they are about.
//!
//! The rows of an interval are about the same span, but for those of processes that began or ended in it. So there are few spans, and what
//! they sum up are whole numbers, which come out the same in any order.

use super::columns::{MOST, Reading, columns};
use osd_detect::grid::Grid;
use osd_signals::coverage::Coverage;
use std::collections::{BTreeMap, HashMap};

/// Calls of one name in one span.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tallied {
    pub(super) count: u64,
    pub(super) errors: u64,
    pub(super) time_ns: u64,
    /// Of which it is known how long they took, and the logarithms to the base 2 of how long in ns, in halves: a bucket's calls lie at its
    /// middle.
    pub(super) timed: u64,
    pub(super) log2_halves: u64,
}

#[derive(Clone, Debug)]
struct Sums {
    columns: [u64; MOST],
    seen: [bool; MOST],
    has_samples: bool,
    /// By the number of their name.
    calls: HashMap<u32, Tallied>,
}

/// By when they begin and how long they are.
#[derive(Debug, Default)]
pub(super) struct Spans(BTreeMap<(i64, u64), Sums>);

/// The share of a span that lies in a bin.
fn share(bin: Grid, ts_ns: i64, dur_ns: u64) -> f64 {
    let mut out = 0.0;
    bin.spread(ts_ns, dur_ns, |_, share| out = share);
    out
}

impl Spans {
    fn of(&mut self, ts_ns: i64, dur_ns: u64) -> &mut Sums {
        self.0.entry((ts_ns, dur_ns)).or_insert_with(|| Sums {
            columns: [0; MOST],
            seen: [false; MOST],
            has_samples: false,
            calls: HashMap::new(),
        })
    }

    pub(super) fn sample(&mut self, reading: &Reading) {
        let sums = self.of(reading.ts_ns, reading.dur_ns);
        sums.has_samples = true;
        for place in 0..columns().len() {
            if let Some(value) = reading.at(place) {
                sums.seen[place] = true;
                sums.columns[place] = sums.columns[place].saturating_add(value);
            }
        }
    }

    pub(super) fn tally(&mut self, ts_ns: i64, dur_ns: u64, name: u32, more: Tallied) {
        let sum = self.of(ts_ns, dur_ns.max(1)).calls.entry(name).or_default();
        sum.count = sum.count.saturating_add(more.count);
        sum.errors = sum.errors.saturating_add(more.errors);
        sum.time_ns = sum.time_ns.saturating_add(more.time_ns);
        sum.timed = sum.timed.saturating_add(more.timed);
        sum.log2_halves = sum.log2_halves.saturating_add(more.log2_halves);
    }

    /// The share of `bin` (a grid of one) that samples cover.
    pub(super) fn coverage(&self, bin: Grid) -> f64 {
        let mut coverage = Coverage::new(bin);
        for ((ts_ns, dur_ns), sums) in self.before(bin) {
            if sums.has_samples {
                coverage.add(bin, *ts_ns, *dur_ns);
            }
        }
        coverage.shares().next().unwrap_or(0.0)
    }

    /// What these columns count in `bin`, and whether any sample about it has them.
    pub(super) fn counted(&self, bin: Grid, places: &[usize]) -> Option<f64> {
        let (mut sum, mut seen) = (0.0, false);
        for ((ts_ns, dur_ns), sums) in self.before(bin) {
            let share = share(bin, *ts_ns, *dur_ns);
            if share > 0.0 {
                seen |= places.iter().any(|p| sums.seen[*p]);
                let whole = places.iter().fold(0_u64, |all, p| all.saturating_add(sums.columns[*p]));
                sum += whole as f64 * share;
            }
        }
        seen.then_some(sum)
    }

    /// Calls, errors, time, timed calls and halves of logarithms of each name in `bin`; a name that has none is not there.
    pub(super) fn calls(&self, bin: Grid) -> HashMap<u32, [f64; 5]> {
        let mut out: HashMap<u32, [f64; 5]> = HashMap::new();
        for ((ts_ns, dur_ns), sums) in self.before(bin).filter(|(_, s)| !s.calls.is_empty()) {
            let share = share(bin, *ts_ns, *dur_ns);
            if share > 0.0 {
                for (name, t) in &sums.calls {
                    let sum = out.entry(*name).or_default();
                    let more = [t.count, t.errors, t.time_ns, t.timed, t.log2_halves];
                    sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more as f64 * share);
                }
            }
        }
        out
    }

    /// Spans that begin before `bin` is over, in order.
    fn before(&self, bin: Grid) -> impl Iterator<Item = (&(i64, u64), &Sums)> {
        self.0.range(..(bin.time(1), 0))
    }

    /// Forgets what is over at `ns`.
    pub(super) fn forget_until(&mut self, ns: i64) {
        self.0.retain(|(ts_ns, dur_ns), _| ts_ns.saturating_add_unsigned(*dur_ns) > ns);
    }
}
