//! What kept processes from running: stops by signals, quotas of control groups, other processes on
//! the processors.

use osd_recording::{Columns, Kind, Recording, Result};
use osd_signals::grid::query;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// In one span.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Surroundings {
    /// Share of the time of the processes asked about at whose ends they were stopped.
    pub(crate) stopped: f64,
    /// Their time on a processor, ready for one, and in all; ns.
    pub(crate) cpu_ns: u64,
    pub(crate) runq_ns: u64,
    pub(crate) time_ns: u64,
    /// Of control groups, by path.
    pub(crate) groups: BTreeMap<String, Group>,
    /// Who else ran: by name, PIDs and time on a processor.
    pub(crate) neighbours: BTreeMap<String, (BTreeSet<u32>, u64)>,
    /// Time in which neighbours were looked at.
    pub(crate) looked_ns: u64,
    /// Memory that the host could have given at the end, bytes.
    pub(crate) available: Option<u64>,
}

/// What the limits of a group came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Group {
    pub(crate) quota_ns: u64,
    pub(crate) period_ns: u64,
    pub(crate) n_periods: u64,
    pub(crate) n_throttled: u64,
    pub(crate) throttled_ns: u64,
    /// At the end, bytes.
    pub(crate) memory: Option<u64>,
    pub(crate) memory_max: Option<u64>,
}

impl Surroundings {
    /// In `span`, of the processes `procs`.
    pub(crate) fn read(recording: &Recording, span: &Range<i64>, procs: &BTreeSet<u64>) -> Result<Self> {
        let mut out = Self::default();
        out.samples(recording, span, procs)?;
        out.groups(recording, span)?;
        out.neighbours(recording, span)?;
        let columns = ["ts", "mem_available_bytes"];
        for batch in recording.read(&query(Kind::System, &columns, Some(span)))? {
            let batch = batch?;
            let available = Columns::of(&batch, recording.path()).u64("mem_available_bytes")?;
            out.available = (0..batch.num_rows()).rev().find_map(|row| available.at(row)).or(out.available);
        }
        Ok(out)
    }

    fn samples(&mut self, recording: &Recording, span: &Range<i64>, procs: &BTreeSet<u64>) -> Result<()> {
        let columns = ["ts", "dur_ns", "proc", "cpu_ns", "runq_ns", "n_stopped", "n_threads"];
        let mut stopped_ns = 0.0;
        for batch in recording.read(&query(Kind::Sample, &columns, Some(span)))? {
            let batch = batch?;
            let columns = Columns::of(&batch, recording.path());
            let (dur, proc) = (columns.u64("dur_ns")?, columns.u64("proc")?);
            let (cpu, runq) = (columns.u64("cpu_ns")?, columns.u64("runq_ns")?);
            let (stopped, threads) = (columns.u64("n_stopped")?, columns.u64("n_threads")?);
            for row in (0..batch.num_rows()).filter(|row| proc.at(*row).is_some_and(|p| procs.contains(&p))) {
                let dur_ns = dur.at(row).unwrap_or(0);
                self.time_ns += dur_ns;
                self.cpu_ns += cpu.at(row).unwrap_or(0);
                self.runq_ns += runq.at(row).unwrap_or(0);
                let share = stopped.at(row).unwrap_or(0) as f64 / threads.at(row).unwrap_or(1).max(1) as f64;
                stopped_ns += share.min(1.0) * dur_ns as f64;
            }
        }
        self.stopped = stopped_ns / (self.time_ns as f64).max(1.0);
        Ok(())
    }

    fn groups(&mut self, recording: &Recording, span: &Range<i64>) -> Result<()> {
        let columns = [
            "ts",
            "cgroup_path",
            "cpu_quota_ns",
            "cpu_period_ns",
            "n_periods",
            "n_throttled",
            "throttled_ns",
            "cgroup_memory_bytes",
            "cgroup_memory_max_bytes",
        ];
        for batch in recording.read(&query(Kind::Cgroup, &columns, Some(span)))? {
            let batch = batch?;
            let columns = Columns::of(&batch, recording.path());
            let paths = columns.text("cgroup_path")?;
            let (quota, period) = (columns.u64("cpu_quota_ns")?, columns.u64("cpu_period_ns")?);
            let (periods, throttled) = (columns.u64("n_periods")?, columns.u64("n_throttled")?);
            let (ns, memory) = (columns.u64("throttled_ns")?, columns.u64("cgroup_memory_bytes")?);
            let max = columns.u64("cgroup_memory_max_bytes")?;
            for row in 0..batch.num_rows() {
                let Some(path) = paths.at(row) else { continue };
                let group = self.groups.entry(path.to_owned()).or_default();
                group.n_periods += periods.at(row).unwrap_or(0);
                group.n_throttled += throttled.at(row).unwrap_or(0);
                group.throttled_ns += ns.at(row).unwrap_or(0);
                // A quota may be another at the edges: the least is the one that ran out.
                if let Some(least) = quota.at(row).filter(|ns| group.quota_ns == 0 || *ns < group.quota_ns) {
                    (group.quota_ns, group.period_ns) = (least, period.at(row).unwrap_or(0));
                }
                group.memory = memory.at(row).or(group.memory);
                group.memory_max = max.at(row).or(group.memory_max);
            }
        }
        Ok(())
    }

    fn neighbours(&mut self, recording: &Recording, span: &Range<i64>) -> Result<()> {
        let columns = ["ts", "dur_ns", "pid", "comm", "cpu_ns"];
        let mut looks: BTreeMap<i64, u64> = BTreeMap::new();
        for batch in recording.read(&query(Kind::Neighbour, &columns, Some(span)))? {
            let batch = batch?;
            let columns = Columns::of(&batch, recording.path());
            let (dur, pid, cpu, comms) =
                (columns.u64("dur_ns")?, columns.u64("pid")?, columns.u64("cpu_ns")?, columns.text("comm")?);
            for (row, ts) in columns.ts()?.iter().enumerate() {
                let (pids, sum) = self.neighbours.entry(comms.at(row).unwrap_or_default().to_owned()).or_default();
                pids.insert(pid.at(row).unwrap_or(0) as u32);
                *sum += cpu.at(row).unwrap_or(0);
                looks.insert(*ts, dur.at(row).unwrap_or(0));
            }
        }
        self.looked_ns = looks.values().sum();
        Ok(())
    }
}
