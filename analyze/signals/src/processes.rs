//! The processes of a recording: what each was called at which time, and when it began.

use crate::columns::{Numbers, Texts, times};
use crate::grid::query;
use osd_recording::words::program;
use osd_recording::{Kind, Recording, Result};
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
    /// When it was born while recorded.
    pub born_ns: Option<i64>,
    /// When it was first met.
    pub met_ns: i64,
    /// Each time it began to run a program: its fork, its execs. In the order of the rows.
    pub starts_ns: Vec<i64>,
}

impl ProcessLife {
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
    let columns = ["ts", "proc", "pid", "event", "comm", "exe", "argv"];
    for batch in recording.read(&query(Kind::Process, &columns, None))? {
        let batch = batch?;
        let [proc, pid] = ["proc", "pid"].map(|name| Numbers::of(&batch, name));
        let texts = ["event", "comm", "exe", "argv"].map(|name| Texts::of(&batch, name));
        for (row, ts) in times(&batch).iter().enumerate() {
            let [event, comm, exe, argv] = [0, 1, 2, 3].map(|i| texts[i].text(row));
            let proc = proc.u64(row).unwrap_or(0);
            let comm = comm.map(|comm| program(comm, exe.unwrap_or_default()));
            let new = || ProcessLife { met_ns: *ts, ..ProcessLife::default() };
            let life = processes.entry(proc).or_insert_with(new);
            life.pid = pid.u64(row).unwrap_or(0) as u32;
            life.met_ns = life.met_ns.min(*ts);
            if let Some(comm) = comm.filter(|c| !c.is_empty()) {
                names.entry(proc).or_default().push((*ts, event == Some("exit"), comm.to_owned()));
            }
            for (field, value) in [(&mut life.comm, comm), (&mut life.exe, exe), (&mut life.argv, argv)] {
                // An exit row may know less than the rows before it.
                if let Some(value) = value.filter(|v| !v.is_empty()) {
                    value.clone_into(field);
                }
            }
            if matches!(event, Some("fork" | "exec")) {
                life.born_ns.get_or_insert(*ts);
                life.starts_ns.push(*ts);
            }
        }
    }
    for (proc, rows) in names {
        processes.entry(proc).or_default().set_names(rows);
    }
    Ok(processes)
}
