//! What processes hold, such as memory, and what they are called.
//!
//! The level of a bin is the sum over processes of what each had in the first of its samples about that bin. A process that has no sample
//! about it holds what it had, for a few bins, unless it has ended: a tick that is late must not look as if memory went and came.

use super::columns::{Reading, place, places};
use osd_detect::grid::Grid;
use osd_signals::metric::METRICS;
use std::collections::{HashMap, VecDeque};

/// Bins that a process without a sample holds what it had, as in [`osd_signals::samples`].
const HOLD_BINS: i64 = 5;
/// Bins after its end in which a process can still be named.
const REMEMBER_BINS: i64 = 64;

/// Levels of one metric each, in the order of the metrics that are levels; `None` where the row says nothing.
type Values = [Option<u64>; 8];

#[derive(Clone, Copy, Debug)]
struct Had {
    ts_ns: i64,
    end_ns: i64,
    cpu_ns: u64,
    values: Values,
}

#[derive(Debug, Default)]
struct Process {
    pid: u32,
    had: VecDeque<Had>,
    /// What it had in the last bin in which it had a sample, and which that was.
    last: Option<(i64, Values)>,
    ended_ns: Option<i64>,
    /// Names, each from when on, in order of time.
    names: Vec<(i64, String)>,
}

/// What a bin has of all processes.
pub(super) struct Ended {
    /// The sum of each level, of what each process had first.
    pub(super) sums: Vec<Option<u64>>,
    /// The sum of their means over the bin: what models see.
    pub(super) means: Vec<f64>,
    /// What each process used of processors, ns, most first.
    pub(super) used: Vec<(u64, f64)>,
}

/// All processes.
#[derive(Debug, Default)]
pub(super) struct Levels(HashMap<u64, Process>);

/// The metrics that are levels, by their place among the metrics.
fn levels() -> impl Iterator<Item = usize> {
    (0..METRICS.len()).filter(|m| METRICS[*m].is_level()).take(8)
}

impl Levels {
    pub(super) fn sample(&mut self, reading: &Reading) {
        let mut values = [None; 8];
        for (value, metric) in values.iter_mut().zip(levels()) {
            let own = places()[metric].iter().filter_map(|p| reading.at(*p));
            *value = own.fold(None, |sum: Option<u64>, v| Some(sum.unwrap_or(0).saturating_add(v)));
        }
        let cpu_ns = place("cpu_ns").and_then(|p| reading.at(p)).unwrap_or(0);
        let end_ns = reading.ts_ns.saturating_add_unsigned(reading.dur_ns);
        let process = self.0.entry(reading.proc).or_default();
        process.pid = reading.pid;
        let at = process.had.partition_point(|h| (h.ts_ns, h.end_ns) <= (reading.ts_ns, end_ns));
        process.had.insert(at, Had { ts_ns: reading.ts_ns, end_ns, cpu_ns, values });
    }

    /// Something happened in the life of a process.
    pub(super) fn life(&mut self, ts_ns: i64, (proc, pid): (u64, u32), name: &str, ends: bool) {
        let process = self.0.entry(proc).or_default();
        process.pid = pid;
        if ends {
            process.ended_ns = Some(ts_ns);
        }
        // Each from when on, whatever comes later: what is said of a moment must not depend on when it is said.
        if !name.is_empty() {
            let at = process.names.partition_point(|n| n.0 <= ts_ns);
            process.names.insert(at, (ts_ns, name.to_owned()));
        }
    }

    /// Ends `bin`, number `n`.
    pub(super) fn end(&mut self, bin: Grid, n: i64) -> Ended {
        let (from, to) = (bin.time(0), bin.time(1));
        let n_levels = levels().count();
        let mut sums = vec![None; n_levels];
        // By nanoseconds: whole numbers, so that any order of processes gives the same sum.
        let mut areas = vec![0_u128; n_levels];
        let mut used = vec![];
        for (proc, process) in &mut self.0 {
            let about = |h: &&Had| h.ts_ns < to && h.end_ns > from;
            let mut cpu = 0.0;
            for had in process.had.iter().filter(about) {
                let length = had.end_ns.abs_diff(had.ts_ns).max(1);
                bin.spread(had.ts_ns, length, |_, share| cpu += had.cpu_ns as f64 * share);
                let inside = had.end_ns.min(to).abs_diff(had.ts_ns.max(from));
                for (area, value) in areas.iter_mut().zip(had.values) {
                    *area += u128::from(value.unwrap_or(0)) * u128::from(inside);
                }
            }
            if cpu > 0.0 {
                used.push((*proc, cpu));
            }
            let first = process.had.iter().find(about).map(|h| h.values);
            if let Some(values) = first {
                process.last = Some((n, values));
            }
            let ended = process.ended_ns.is_some_and(|end| end < to);
            let held = process.last.filter(|(last, _)| n - last <= HOLD_BINS && !ended).map(|(_, values)| values);
            for (sum, value) in sums.iter_mut().zip(first.or(held).unwrap_or([None; 8])) {
                if let Some(value) = value {
                    *sum = Some(u64::saturating_add(sum.unwrap_or(0), value));
                }
            }
            while process.had.front().is_some_and(|h| h.end_ns <= to) {
                process.had.pop_front();
            }
            // One that stays is not at the front.
            process.had.retain(|h| h.end_ns > to);
        }
        let forget = to.saturating_sub(REMEMBER_BINS.saturating_mul(bin.step_ns));
        self.0.retain(|_, p| !p.had.is_empty() || p.ended_ns.is_none_or(|end| end > forget));
        used.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let means = areas.into_iter().map(|area| area as f64 / bin.step_ns as f64).collect();
        Ended { sums, means, used }
    }

    /// PID of a process and what it was called at that time; nothing if nobody knew then.
    pub(super) fn name(&self, proc: u64, ts_ns: i64) -> (u32, String) {
        let Some(process) = self.0.get(&proc) else { return (0, String::new()) };
        let known = process.names.partition_point(|(from, _)| *from < ts_ns);
        let name = known.checked_sub(1).and_then(|last| process.names.get(last)).map_or("", |n| &n.1);
        (process.pid, name.to_owned())
    }
}
