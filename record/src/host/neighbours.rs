//! Who else runs while the recorded processes wait for a processor.
//!
//! Looking at every process of the host costs some milliseconds, so it is done only while there is
//! waiting: from the interval in which the recorded threads waited for a tenth of it, once a second.

use super::proc::Stat;
use osd_recording::rows::Neighbour;
use std::collections::{HashMap, HashSet};

/// Waiting, as a share of an interval, from which on it is looked.
const WAITING: f64 = 0.1;
/// Time between looks.
const EVERY_NS: u64 = 1_000_000_000;
/// The neighbours that are named, and what one of them must have used of a processor to be.
const MOST: usize = 8;
const LEAST: f64 = 0.02;

/// What was seen at the last look.
struct Look {
    ts_ns: i64,
    /// By PID and start.
    used_ns: HashMap<(u32, u64), u64>,
}

/// The watch over them.
#[derive(Default)]
pub(crate) struct Neighbours {
    last: Option<Look>,
}

impl Neighbours {
    /// The rows at the end of an interval of `dur_ns` that ended at `end_ns`, in which the processes `recorded` waited for
    /// `waited_ns`; none between looks.
    pub(crate) fn interval(
        &mut self,
        end_ns: i64,
        dur_ns: u64,
        waited_ns: u64,
        recorded: impl Iterator<Item = u32>,
    ) -> Vec<Neighbour> {
        let waiting = waited_ns as f64 > WAITING * dur_ns as f64;
        let Some(last) = &self.last else {
            if waiting {
                self.last = Some(Look {
                    ts_ns: end_ns,
                    used_ns: look(&HashSet::new()).map(|(key, ns, _)| (key, ns)).collect(),
                });
            }
            return Vec::new();
        };
        let elapsed_ns = (end_ns - last.ts_ns).max(0).unsigned_abs();
        if waiting && elapsed_ns < EVERY_NS {
            return Vec::new();
        }
        // One's own are no neighbours, and neither is the recorder.
        let mut not: HashSet<u32> = recorded.collect();
        not.insert(std::process::id());
        let mut used_ns = HashMap::new();
        let mut rows: Vec<Neighbour> = Vec::new();
        for (key, ns, comm) in look(&not) {
            used_ns.insert(key, ns);
            let cpu_ns = ns.saturating_sub(last.used_ns.get(&key).copied().unwrap_or(0));
            if cpu_ns as f64 >= LEAST * elapsed_ns as f64 && cpu_ns > 0 {
                rows.push(Neighbour { ts_ns: last.ts_ns, dur_ns: elapsed_ns, pid: key.0, comm, cpu_ns });
            }
        }
        rows.sort_by(|a, b| b.cpu_ns.cmp(&a.cpu_ns).then(a.pid.cmp(&b.pid)));
        rows.truncate(MOST);
        self.last = waiting.then_some(Look { ts_ns: end_ns, used_ns });
        rows
    }
}

/// The processes of the host but those in `not`: PID and start, processor time, name.
fn look(not: &HashSet<u32>) -> impl Iterator<Item = ((u32, u64), u64, String)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok()).filter(|pid| !not.contains(pid));
    pids.filter_map(|pid| Stat::read(pid).map(|s| ((pid, s.start_ticks), s.cpu_ns, s.comm)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_runs_is_named_once_there_is_waiting_and_not_before() {
        let mut neighbours = Neighbours::default();
        let own = || std::iter::once(std::process::id());
        assert!(neighbours.interval(0, 100, 5, own()).is_empty() && neighbours.last.is_none());
        assert!(neighbours.interval(100, 100, 90, own()).is_empty() && neighbours.last.is_some());
        assert!(neighbours.interval(200, 100, 90, own()).is_empty(), "not every interval");
        // A neighbour that began at once: all that it has used is after the look.
        let mut busy = std::process::Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(300));
        let rows = neighbours.interval(1_000_000_200, 100, 90, own());
        busy.kill().unwrap();
        busy.wait().unwrap();
        let row = rows.iter().find(|r| r.pid == busy.id()).unwrap_or_else(|| panic!("{rows:?}"));
        assert!(row.comm == "sh" && row.cpu_ns > 50_000_000, "{row:?}");
        assert!(rows.iter().all(|r| r.pid != std::process::id()));
        let rows = neighbours.interval(1_100_000_200, 100, 0, own());
        assert!(neighbours.last.is_none() && rows.len() <= MOST, "the last stretch is told, then it is quiet");
    }
}
