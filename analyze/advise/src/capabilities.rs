//! Capabilities that the kernel was asked for: those that a program used, those that it was
//! refused, and questions whose answer changes nothing.

use crate::coverage::{Gap, ends_of};
use crate::error::{Error, Result};
use crate::processes::{Processes, query};
use osd_recording::{Columns, Kind, Recording};
use std::collections::{BTreeMap, BTreeSet};

/// One capability.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// As `CAP_CHOWN`.
    pub name: String,
    /// Calls in which it was granted, probes left out.
    pub granted_in: BTreeSet<String>,
    /// Calls in which it was refused, probes left out.
    pub refused_in: BTreeSet<String>,
    /// Calls in which it was asked for, and the answer changed nothing.
    pub probed_in: BTreeSet<String>,
    /// Recordings in which it was asked for at all.
    pub runs: usize,
}

/// What the recordings show.
#[derive(Clone, Debug, Default)]
pub struct Capabilities {
    /// How many recordings.
    pub runs: usize,
    /// All that were asked for, by name.
    pub asked: Vec<Asked>,
    /// What may be missing; empty unless that is wanted.
    pub gaps: Vec<Gap>,
}

impl Capabilities {
    /// The names of those that were granted where the answer mattered.
    pub fn needed(&self) -> impl Iterator<Item = &str> {
        self.asked.iter().filter(|a| !a.granted_in.is_empty()).map(|a| a.name.as_str())
    }
}

/// Calls that make room in memory. They ask for CAP_SYS_ADMIN, unheard by the audit log, only to let a process that has it take the
/// last 3 % (`cap_vm_enough_memory` in `security/commoncap.c`, `__vm_enough_memory` in `mm/util.c`).
const TAKES_MEMORY: &[&str] = &[
    "brk",
    "clone",
    "clone3",
    "execve",
    "execveat",
    "fork",
    "memfd_create",
    "mmap",
    "mprotect",
    "mremap",
    "prctl",
    "remap_file_pages",
    "shmget",
    "unknown",
    "vfork",
];

fn is_probe(capability: &str, call: &str) -> bool {
    capability == "CAP_SYS_ADMIN" && TAKES_MEMORY.contains(&call)
}

/// The capabilities that the programs in `recordings` were asked for. `partial`: go on where some may be missing.
///
/// # Errors
/// [`Error::Coverage`]; what reading says.
pub fn capabilities(recordings: &[Recording], partial: bool) -> Result<Capabilities> {
    let mut asked: BTreeMap<String, Asked> = BTreeMap::new();
    let mut gaps = vec![];
    for recording in recordings {
        gaps.extend(missing(recording));
        let processes = Processes::read(recording)?;
        let mut here = BTreeSet::new();
        for batch in recording.read(&query(Kind::Capability, &["ts", "proc", "syscall", "capability", "answer"]))? {
            let batch = batch?;
            let columns = Columns::of(&batch, recording.path());
            let (procs, calls) = (columns.u64("proc")?, columns.text("syscall")?);
            let (names, answers) = (columns.text("capability")?, columns.text("answer")?);
            for (row, &ts) in columns.ts()?.iter().enumerate() {
                let (Some(name), Some(call)) = (names.at(row), calls.at(row)) else { continue };
                if processes.prepared_ns(procs.at(row).unwrap_or(0)).is_some_and(|exec| ts < exec) {
                    continue;
                }
                here.insert(name.to_owned());
                let entry =
                    asked.entry(name.to_owned()).or_insert_with(|| Asked { name: name.to_owned(), ..Asked::default() });
                let calls = match answers.at(row) {
                    _ if is_probe(name, call) => &mut entry.probed_in,
                    Some("granted") => &mut entry.granted_in,
                    _ => &mut entry.refused_in,
                };
                calls.insert(call.to_owned());
            }
        }
        for name in &here {
            if let Some(entry) = asked.get_mut(name) {
                entry.runs += 1;
            }
        }
    }
    if !gaps.is_empty() && !partial {
        return Err(Error::Coverage(gaps));
    }
    Ok(Capabilities { runs: recordings.len(), asked: asked.into_values().collect(), gaps })
}

/// Why `recording` may lack some.
fn missing(recording: &Recording) -> Vec<Gap> {
    let metadata = recording.metadata();
    let gap = |what: String, remedy: &str| Gap::of(recording, what, remedy);
    let mut gaps = vec![];
    if !metadata.families.iter().any(|f| f.name == "capabilities" && f.attach != "off") {
        let what = "it does not have what the kernel was asked for".to_owned();
        gaps.push(gap(what, "record with this osd, with BPF, on Linux 6.14 or later"));
        return gaps;
    }
    let lost = metadata.lost("capability");
    if lost > 0 {
        gaps.push(gap(
            format!("{lost} questions for capabilities are missing"),
            "record again, with less load at its start",
        ));
    }
    gaps.extend(ends_of(recording));
    gaps
}
