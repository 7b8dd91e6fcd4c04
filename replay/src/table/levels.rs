//! What processes hold, such as memory, and what they are called.
//!
//! The level of a bin is the sum over processes of what each had in the first of its samples about that bin. A process that has no sample
//! about it holds what it had, for a few bins, unless it has ended: a tick that is late must not look as if memory went and came. Memory
//! that processes share counts once, as in [`osd_signals::shared`]; models see what each process has.

use super::columns::{Reading, place, places};
use super::life::Life;
use osd_detect::grid::Grid;
use osd_recording::rows::ProcessEvent;
use osd_signals::metric::{METRICS, MetricId};
use osd_signals::shared::Inherited;
use std::collections::{HashMap, VecDeque};

/// Bins that a process without a sample holds what it had, as in [`osd_signals::samples`].
const HOLD_BINS: i64 = 5;
/// Time for which it does where whole hosts are recorded: what did nothing has one sample for up to ten seconds, when they are over.
const HOLD_IDLE_NS: i64 = 11_000_000_000;
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
    memory: Memory,
}

/// Resident memory of a process: its own, and what others of its program may share; bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    own: u64,
    shared: u64,
}

#[derive(Debug, Default)]
struct Process {
    pid: u32,
    had: VecDeque<Had>,
    /// What it had in the last bin in which it had a sample, and which that was.
    last: Option<(i64, Values, Memory)>,
    /// It was forked while recorded, and first executed a program at this time; `i64::MAX`: it did not.
    copy_until_ns: Option<i64>,
    inherited: Option<Inherited>,
    program: String,
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
#[derive(Debug)]
pub(super) struct Levels {
    processes: HashMap<u64, Process>,
    page_bytes: u64,
    /// Bins for which a process holds what it had.
    hold_bins: i64,
}

/// The metrics that are levels, by their place among the metrics.
fn levels() -> impl Iterator<Item = usize> {
    (0..METRICS.len()).filter(|m| METRICS[*m].is_level()).take(8)
}

impl Process {
    /// What it has for itself and what it shares, by a sample.
    fn memory(&mut self, reading: &Reading, page_bytes: u64) -> Memory {
        let of = |name: &str| place(name).and_then(|p| reading.at(p)).unwrap_or(0);
        let (anon, shared) = (of("rss_anon_bytes"), of("rss_file_bytes").saturating_add(of("rss_shmem_bytes")));
        if self.copy_until_ns.is_none_or(|until| reading.ts_ns >= until) {
            return Memory { own: anon, shared };
        }
        let inherited = self.inherited.get_or_insert_with(|| Inherited::new(anon as f64));
        let own = inherited.own(anon as f64, of("minor_faults") as f64 * page_bytes as f64);
        Memory { own: own as u64, shared }
    }
}

impl Levels {
    pub(super) fn new(page_bytes: u64) -> Self {
        Self { processes: HashMap::new(), page_bytes, hold_bins: HOLD_BINS }
    }

    /// The recording has no samples of processes that do nothing, until they do something; a bin is `step_ns` long.
    pub(super) fn with_idle(mut self, step_ns: i64) -> Self {
        self.hold_bins = HOLD_BINS.max(HOLD_IDLE_NS / step_ns.max(1));
        self
    }

    pub(super) fn sample(&mut self, reading: &Reading) {
        let mut values = [None; 8];
        for (value, metric) in values.iter_mut().zip(levels()) {
            let own = places()[metric].iter().filter_map(|p| reading.at(*p));
            *value = own.fold(None, |sum: Option<u64>, v| Some(sum.unwrap_or(0).saturating_add(v)));
        }
        let cpu_ns = place("cpu_ns").and_then(|p| reading.at(p)).unwrap_or(0);
        let end_ns = reading.ts_ns.saturating_add_unsigned(reading.dur_ns);
        let process = self.processes.entry(reading.proc).or_default();
        process.pid = reading.pid;
        let memory = process.memory(reading, self.page_bytes);
        let at = process.had.partition_point(|h| (h.ts_ns, h.end_ns) <= (reading.ts_ns, end_ns));
        process.had.insert(at, Had { ts_ns: reading.ts_ns, end_ns, cpu_ns, values, memory });
    }

    /// Something happened in the life of a process.
    pub(super) fn life(&mut self, life: &Life<'_>) {
        let (ts_ns, (proc, pid), name) = (life.ts_ns, life.who, life.name);
        let process = self.processes.entry(proc).or_default();
        process.pid = pid;
        match life.event {
            ProcessEvent::Exit => process.ended_ns = Some(ts_ns),
            ProcessEvent::Fork => process.copy_until_ns = Some(process.copy_until_ns.unwrap_or(i64::MAX)),
            ProcessEvent::Exec => process.copy_until_ns = process.copy_until_ns.map(|until| until.min(ts_ns)),
            ProcessEvent::Running => {}
        }
        if !life.program.is_empty() {
            life.program.clone_into(&mut process.program);
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
        let mut shared: HashMap<&str, u64> = HashMap::new();
        let rss = levels().position(|m| METRICS[m].id == MetricId::Rss);
        for (proc, process) in &mut self.processes {
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
            let first = process.had.iter().find(about).map(|h| (h.values, h.memory));
            if let Some((values, memory)) = first {
                process.last = Some((n, values, memory));
            }
            let ended = process.ended_ns.is_some_and(|end| end < to);
            let held = process
                .last
                .filter(|(last, ..)| n - last <= self.hold_bins && !ended)
                .map(|(_, v, memory)| (v, memory));
            let (values, memory) = first.or(held).unwrap_or_default();
            for (at, (sum, value)) in sums.iter_mut().zip(values).enumerate() {
                if let Some(value) = value {
                    let value = if Some(at) == rss { memory.own } else { value };
                    *sum = Some(u64::saturating_add(sum.unwrap_or(0), value));
                }
            }
            let most = shared.entry(process.program.as_str()).or_default();
            *most = memory.shared.max(*most);
            while process.had.front().is_some_and(|h| h.end_ns <= to) {
                process.had.pop_front();
            }
            // One that stays is not at the front.
            process.had.retain(|h| h.end_ns > to);
        }
        if let Some(sum) = rss.and_then(|at| sums[at].as_mut()) {
            *sum = shared.values().fold(*sum, |sum, bytes| sum.saturating_add(*bytes));
        }
        let forget = to.saturating_sub(REMEMBER_BINS.saturating_mul(bin.step_ns));
        self.processes.retain(|_, p| !p.had.is_empty() || p.ended_ns.is_none_or(|end| end > forget));
        used.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let means = areas.into_iter().map(|area| area as f64 / bin.step_ns as f64).collect();
        Ended { sums, means, used }
    }

    /// PID of a process and what it was called at that time; nothing if nobody knew then.
    pub(super) fn name(&self, proc: u64, ts_ns: i64) -> (u32, String) {
        let Some(process) = self.processes.get(&proc) else { return (0, String::new()) };
        let known = process.names.partition_point(|(from, _)| *from < ts_ns);
        let name = known.checked_sub(1).and_then(|last| process.names.get(last)).map_or("", |n| &n.1);
        (process.pid, name.to_owned())
    }
}
