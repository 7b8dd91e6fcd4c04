//! The processes of a recording: what each was called at which time, and when it began.

use crate::grid::query;
use osd_recording::words::program;
use osd_recording::{Columns, Kind, Recording, Result};
use std::collections::{BTreeMap, HashMap};

/// What happened to one process.
#[derive(Clone, Debug, Default)]
pub struct ProcessLife {
    /// Its PID, which others may have had before and after it.
    pub pid: u32,
    /// The last name it had.
    pub comm: String,
    /// Its names, each from when on, in order of time.
    names: Vec<(i64, String)>,
    /// The program it ran last.
    pub exe: String,
    /// With these arguments.
    pub argv: String,
    /// The container that it was in last, for people.
    pub container: Option<String>,
    /// When it was born while recorded.
    pub born_ns: Option<i64>,
    /// When it was first met.
    pub met_ns: i64,
    /// It was forked while recorded, and first executed a program at this time; `i64::MAX`: it did not.
    copy_until_ns: Option<i64>,
    /// Each time it began to run a program: its fork, its execs. In the order of the rows.
    pub starts_ns: Vec<i64>,
}

impl ProcessLife {
    /// Whether it still was what its parent had forked.
    pub fn is_copy_at(&self, ts_ns: i64) -> bool {
        self.copy_until_ns.is_some_and(|until| ts_ns < until)
    }

    /// What it was called at that time; before its first row, by that one's name. `None` if no row names it.
    pub fn comm_at(&self, ts_ns: i64) -> Option<&str> {
        let known = self.names.partition_point(|(from, _)| *from <= ts_ns);
        self.names.get(known.saturating_sub(1)).map(|(_, name)| name.as_str())
    }

    /// Names as rows give them, in any order: when, whether the process ended with that row, and the name.
    fn set_names(&mut self, mut rows: Vec<(i64, bool, String)>) {
        rows.sort();
        for (ts_ns, ends, name) in rows {
            match self.names.last_mut() {
                // A program that names itself does so as it starts, and only its end shows the name.
                Some(last) if ends => last.1 = name,
                _ => self.names.push((ts_ns, name)),
            }
        }
    }
}

/// The processes of all of the recording, by identity.
///
/// # Errors
/// If the recording cannot be read.
pub fn read(recording: &Recording) -> Result<BTreeMap<u64, ProcessLife>> {
    let mut processes: BTreeMap<u64, ProcessLife> = BTreeMap::new();
    let mut names: HashMap<u64, Vec<(i64, bool, String)>> = HashMap::new();
    let containers = crate::containers::read(recording)?;
    let columns = ["ts", "proc", "pid", "cgroup_id", "event", "comm", "exe", "argv"];
    for batch in recording.read(&query(Kind::Process, &columns, None))? {
        let batch = batch?;
        let columns = Columns::of(&batch, recording.path());
        let (proc, pid, group) = (columns.u64("proc")?, columns.u64("pid")?, columns.u64("cgroup_id")?);
        let (events, comms) = (columns.text("event")?, columns.text("comm")?);
        let (exes, argvs) = (columns.text("exe")?, columns.text("argv")?);
        for (row, ts) in columns.ts()?.iter().enumerate() {
            let (event, comm, exe, argv) = (events.at(row), comms.at(row), exes.at(row), argvs.at(row));
            let proc = proc.at(row).unwrap_or(0);
            let comm = comm.map(|comm| program(comm, exe.unwrap_or_default()));
            let new = || ProcessLife { met_ns: *ts, ..ProcessLife::default() };
            let life = processes.entry(proc).or_insert_with(new);
            life.pid = pid.at(row).unwrap_or(0) as u32;
            life.met_ns = life.met_ns.min(*ts);
            if let Some(name) = group.at(row).and_then(|group| containers.get(&group)) {
                life.container = Some(name.clone());
            }
            if let Some(comm) = comm.filter(|c| !c.is_empty()) {
                names.entry(proc).or_default().push((*ts, event == Some("exit"), comm.to_owned()));
            }
            for (field, value) in [(&mut life.comm, comm), (&mut life.exe, exe), (&mut life.argv, argv)] {
                // An exit row may know less than the rows before it.
                if let Some(value) = value.filter(|v| !v.is_empty()) {
                    value.clone_into(field);
                }
            }
            match event {
                Some("fork") => life.copy_until_ns = Some(life.copy_until_ns.unwrap_or(i64::MAX)),
                Some("exec") => life.copy_until_ns = life.copy_until_ns.map(|until| until.min(*ts)),
                _ => {}
            }
            if matches!(event, Some("fork" | "exec")) {
                life.born_ns.get_or_insert(*ts);
                life.starts_ns.push(*ts);
            }
        }
    }
    // A first thread that takes another name gives it to its process.
    for batch in recording.read(&query(Kind::Thread, &["ts", "proc", "pid", "tid", "comm"], None))? {
        let batch = batch?;
        let columns = Columns::of(&batch, recording.path());
        let (proc, pid, tid) = (columns.u64("proc")?, columns.u64("pid")?, columns.u64("tid")?);
        let comms = columns.text("comm")?;
        for (row, ts) in columns.ts()?.iter().enumerate() {
            if let (Some(proc), Some(comm), true) = (proc.at(row), comms.at(row), pid.at(row) == tid.at(row)) {
                names.entry(proc).or_default().push((*ts, false, comm.to_owned()));
            }
        }
    }
    for (proc, rows) in names {
        let life = processes.entry(proc).or_default();
        life.set_names(rows);
        if let Some((_, last)) = life.names.last() {
            life.comm.clone_from(last);
        }
    }
    Ok(processes)
}
