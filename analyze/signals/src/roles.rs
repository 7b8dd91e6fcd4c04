//! What groups of threads do over time: their calls, and the time that they wait in calls, from
//! event rows.
//!
//! Metrics are over all of a target. What a few of its threads do is lost in them: the twenty reads a second that ask a
//! peer, the job of a thread that sleeps for the rest. A *role* is the threads of one program that bear one name, numbers
//! aside: `worker-0` to `worker-15` are `worker-*`. Waiting is by the time itself, not by the call: a thread that waits in one
//! call for ten seconds waits in each of them.

use crate::grid::query;
use crate::metric::{MetricId, Source};
use crate::{Table, losses, parallel};
use osd_detect::grid::Grid;
use osd_recording::{Batches, Columns, Kind, Recording, Result};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;

/// The metrics whose calls wait for something else: a device, a peer, a lock.
pub const WAITS: [MetricId; 6] = [
    MetricId::LatencySync,
    MetricId::LatencyReads,
    MetricId::LatencyReceives,
    MetricId::LatencyWrites,
    MetricId::LatencyConnects,
    MetricId::CallsLocks,
];

/// More roles are not told apart: a target has a dozen, and one whose names are made up for each task has thousands.
const MOST: usize = 64;
/// Values that may be held of one series of all roles: 128 MiB.
const CELLS: usize = 1 << 25;

/// The threads of one program that bear one name.
#[derive(Clone, Debug)]
pub struct Role {
    /// The name of the process.
    pub process: String,
    /// The name of the threads, each number in it as `*`.
    pub name: String,
    /// When the first call of each thread, by process and TID, began.
    pub threads: BTreeMap<(u64, u32), i64>,
    /// Calls that began in each bin.
    calls: Vec<f32>,
    /// Seconds in each bin that they spent in calls of each of [`WAITS`]; empty if in none.
    waited: [Vec<f32>; WAITS.len()],
}

impl Role {
    /// Its calls in all.
    pub fn n_calls(&self) -> f64 {
        self.calls.iter().copied().map(f64::from).sum()
    }
}

/// All roles over a grid.
#[derive(Clone, Debug, Default)]
pub struct Roles {
    /// In the order in which they were met.
    pub roles: Vec<Role>,
    /// Whether all event rows of a bin are there.
    known: Vec<bool>,
    step_s: f64,
}

impl Roles {
    /// Those of `recording`, on the grid of its `table`, from the rows that begin in `range`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(recording: &Recording, table: &Table, range: Option<&Range<i64>>) -> Result<Self> {
        let grid = table.grid;
        let most = (CELLS / grid.len.max(1)).clamp(1, MOST);
        let query = query(Kind::Syscall, &["ts", "dur_ns", "proc", "tid", "syscall"], range);
        let parts = parallel::read(recording, &query, |rows| Part::read(rows, recording.path(), table, most))?;
        let mut all = Part::default();
        parts.into_iter().for_each(|part| all.add(part, most));
        let known = known(table, &losses::read(recording, range)?.0);
        Ok(Self { roles: all.roles, known, step_s: grid.seconds(1) })
    }

    /// Calls a second of a role.
    pub fn calls(&self, role: &Role) -> Vec<Option<f64>> {
        self.per_second(&role.calls)
    }

    /// Its threads that wait in calls of `WAITS[wait]`, mean of each bin; `None` if they never do.
    pub fn waiting(&self, role: &Role, wait: usize) -> Option<Vec<Option<f64>>> {
        Some(&role.waited[wait]).filter(|values| !values.is_empty()).map(|values| self.per_second(values))
    }

    fn per_second(&self, values: &[f32]) -> Vec<Option<f64>> {
        values.iter().zip(&self.known).map(|(v, known)| known.then(|| f64::from(*v) / self.step_s)).collect()
    }
}

/// Whether `call` is one of those of `wait`, which is one of [`WAITS`]. Who yields waits for nobody.
pub fn waits(wait: MetricId, call: &str) -> bool {
    match wait.metric().source {
        Source::Latency(names) | Source::Calls(names) => names.contains(&call) && call != "sched_yield",
        _ => false,
    }
}

/// What the calls of one of [`WAITS`] are called, several of them; `None` of other metrics.
pub fn noun(wait: MetricId) -> Option<&'static str> {
    match wait {
        MetricId::LatencySync => Some("flushes"),
        MetricId::LatencyReads => Some("reads"),
        MetricId::LatencyReceives => Some("receives"),
        MetricId::LatencyWrites => Some("writes"),
        MetricId::LatencyConnects => Some("connects"),
        MetricId::CallsLocks => Some("locks"),
        _ => None,
    }
}

/// `worker-12` is one of `worker-*`.
pub fn stem(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '0'..='9' if out.ends_with('*') => {}
            '0'..='9' => out.push('*'),
            c => out.push(c),
        }
    }
    out
}

/// Whether all that was called in a bin has a row.
fn known(table: &Table, losses: &[osd_recording::rows::Loss]) -> Vec<bool> {
    let grid = table.grid;
    let mut known = match table.metric(MetricId::Syscalls) {
        Some(values) => values.iter().map(Option::is_some).collect(),
        None => vec![true; grid.len],
    };
    for loss in losses.iter().filter(|l| l.stream == "syscall" && l.count > 0) {
        grid.spread(loss.ts_ns, loss.dur_ns, |bin, _| known[bin] = false);
    }
    known
}

/// The roles of a part of the rows.
#[derive(Default)]
struct Part {
    roles: Vec<Role>,
    index_of: HashMap<(String, String), usize>,
}

impl Part {
    /// The role of this name; `None` if there are too many.
    fn role(&mut self, process: &str, name: &str, most: usize) -> Option<usize> {
        let key = (process.to_owned(), stem(name));
        if let Some(index) = self.index_of.get(&key) {
            return Some(*index);
        }
        if self.roles.len() >= most {
            return None;
        }
        let (process, name) = key.clone();
        let (threads, calls, waited) = (BTreeMap::new(), vec![], Default::default());
        self.roles.push(Role { process, name, threads, calls, waited });
        self.index_of.insert(key, self.roles.len() - 1);
        Some(self.roles.len() - 1)
    }

    fn read(rows: Batches, path: &Path, table: &Table, most: usize) -> Result<Self> {
        let grid = table.grid;
        let mut out = Self::default();
        let mut role_of: HashMap<(u64, u32), Option<usize>> = HashMap::new();
        for batch in rows {
            let batch = batch?;
            let columns = Columns::of(&batch, path);
            let (proc, tid, dur) = (columns.u64("proc")?, columns.u64("tid")?, columns.u64("dur_ns")?);
            let calls = columns.text("syscall")?;
            let waits: Vec<Option<usize>> =
                calls.all().map(|name| WAITS.iter().position(|wait| self::waits(*wait, name))).collect();
            let mut last: Option<((u64, u32), Option<usize>)> = None;
            for (row, ts) in columns.ts()?.iter().enumerate() {
                let thread = (proc.at(row).unwrap_or(0), tid.at(row).unwrap_or(0) as u32);
                let index = match last {
                    Some((same, index)) if same == thread => index,
                    _ => *role_of.entry(thread).or_insert_with(|| {
                        let process = table.processes.get(&thread.0).map_or("", |life| life.comm.as_str());
                        let name = table.thread_names.at(thread.0, thread.1, *ts).unwrap_or(process);
                        let index = out.role(process, name, most)?;
                        out.roles[index].threads.insert(thread, *ts);
                        Some(index)
                    }),
                };
                last = Some((thread, index));
                let Some(role) = index.map(|index| &mut out.roles[index]) else { continue };
                if let Some(bin) = grid.bin(*ts) {
                    add(&mut role.calls, grid, bin, 1.0);
                }
                let wait = calls.code(row).and_then(|code| waits[code]);
                if let (Some(wait), Some(dur)) = (wait, dur.at(row)) {
                    let seconds = dur as f64 * 1e-9;
                    grid.spread(*ts, dur, |bin, share| add(&mut role.waited[wait], grid, bin, share * seconds));
                }
            }
        }
        Ok(out)
    }

    /// Adds what comes after it.
    fn add(&mut self, part: Self, most: usize) {
        for role in part.roles {
            let Some(index) = self.role(&role.process, &role.name, most) else { continue };
            let own = &mut self.roles[index];
            for (thread, first) in role.threads {
                own.threads.entry(thread).or_insert(first);
            }
            sum(&mut own.calls, role.calls);
            own.waited.iter_mut().zip(role.waited).for_each(|(own, more)| sum(own, more));
        }
    }
}

fn add(values: &mut Vec<f32>, grid: Grid, bin: usize, value: f64) {
    if values.is_empty() {
        values.resize(grid.len, 0.0);
    }
    values[bin] += value as f32;
}

fn sum(values: &mut Vec<f32>, more: Vec<f32>) {
    if values.is_empty() {
        *values = more;
    } else {
        values.iter_mut().zip(more).for_each(|(value, more)| *value += more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_by_numbers_are_one() {
        assert_eq!((stem("worker-12").as_str(), stem("pool-3-thread-07").as_str()), ("worker-*", "pool-*-thread-*"));
        assert_eq!((stem("redis-server").as_str(), stem("").as_str()), ("redis-server", ""));
    }

    #[test]
    fn no_call_waits_for_two_things() {
        let kinds = |call: &str| WAITS.iter().filter(|wait| waits(**wait, call)).count();
        let calls = ["futex", "recvfrom", "fsync", "read", "write", "connect"];
        assert_eq!(calls.map(kinds), [1; 6]);
        assert_eq!(["sched_yield", "openat", "epoll_wait"].map(kinds), [0; 3]);
        assert!(WAITS.iter().all(|wait| noun(*wait).is_some()) && noun(MetricId::Syscalls).is_none());
    }

    #[test]
    fn parts_are_added_by_name_and_no_more_roles_are_kept_than_allowed() {
        let grid = Grid { start_ns: 0, step_ns: 100, len: 4 };
        let part = |process: &str, name: &str, tid: u32, bin: usize| {
            let mut part = Part::default();
            let index = part.role(process, name, 8).unwrap();
            part.roles[index].threads.insert((1, tid), 50 + i64::from(tid));
            add(&mut part.roles[index].calls, grid, bin, 1.0);
            part
        };
        let mut all = Part::default();
        for part in [part("a", "worker-1", 7, 0), part("a", "worker-2", 8, 0), part("a", "worker-1", 7, 2)] {
            all.add(part, 2);
        }
        all.add(part("a", "timer", 9, 1), 2);
        all.add(part("b", "worker-1", 10, 1), 2);
        let [workers, timer] = &all.roles[..] else { panic!("{:?}", all.roles) };
        assert_eq!((workers.name.as_str(), workers.calls.as_slice()), ("worker-*", [2.0, 0.0, 1.0, 0.0].as_slice()));
        assert_eq!(workers.threads.keys().map(|(_, tid)| *tid).collect::<Vec<_>>(), [7, 8]);
        assert_eq!(timer.name, "timer");
    }
}
