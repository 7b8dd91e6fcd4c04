//! What threads are called, from `thread` rows: "db writer" says more than TID 1931.

use crate::grid::query;
use osd_recording::{Columns, Kind, Recording, Result};
use std::collections::HashMap;

/// The names of threads that are not those of their processes, by process and TID, each from when on.
#[derive(Clone, Debug, Default)]
pub struct ThreadNames(HashMap<(u64, u32), Vec<(i64, String)>>);

impl ThreadNames {
    /// Those of `recording`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(recording: &Recording) -> Result<Self> {
        let mut names: HashMap<(u64, u32), Vec<(i64, String)>> = HashMap::new();
        for batch in recording.read(&query(Kind::Thread, &["ts", "proc", "tid", "comm"], None))? {
            let batch = batch?;
            let columns = Columns::of(&batch, recording.path());
            let (proc, tid, comms) = (columns.u64("proc")?, columns.u64("tid")?, columns.text("comm")?);
            for (row, ts) in columns.ts()?.iter().enumerate() {
                let thread = (proc.at(row).unwrap_or(0), tid.at(row).unwrap_or(0) as u32);
                let comm = comms.at(row).unwrap_or_default();
                names.entry(thread).or_default().push((*ts, comm.to_owned()));
            }
        }
        names.values_mut().for_each(|own| own.sort());
        Ok(Self(names))
    }

    /// What the thread `tid` of `proc` was called at that time, if it had a name of its own; before its first, by that one, which was
    /// seen at the end of an interval.
    pub fn at(&self, proc: u64, tid: u32, ts_ns: i64) -> Option<&str> {
        let own = self.0.get(&(proc, tid))?;
        let known = own.partition_point(|(from, _)| *from <= ts_ns);
        own.get(known.saturating_sub(1)).map(|(_, name)| name.as_str())
    }
}
