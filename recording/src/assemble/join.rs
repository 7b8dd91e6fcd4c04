//! Several recordings of one session to one: row groups are copied as they are, checked against
//! their sums on the way.
//!
//! Each part begins by introducing the processes that were running; in the whole only the first introduction of each stays.

use crate::about::Metadata;
use crate::error::{Error, Result};
use crate::kind::{Kind, Value};
use crate::read::Recording;
use crate::write::{Closed, Writer, WriterOptions};
use std::collections::HashSet;
use std::path::Path;

/// Joins `parts`, which follow one another in time, into a recording at `path`.
///
/// # Errors
/// If a part cannot be read or the whole not written; [`Error::Contents`] if there is no part.
pub fn join(parts: &[Recording], path: &Path, options: WriterOptions) -> Result<Closed> {
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
        return Err(Error::Contents { action: "join", path: path.to_owned(), detail: "no parts".into() });
    };
    let mut metadata = Metadata { losses: Vec::new(), ..first.metadata().clone() };
    // A part that was cut off before its first row says nothing of time.
    metadata.ended_ns = parts.iter().map(|p| p.metadata().ended_ns).max().unwrap_or(metadata.ended_ns);
    metadata.target.exit_code = last.metadata().target.exit_code;
    metadata.self_cost = last.metadata().self_cost.clone();
    metadata.clock.0.clear();
    let mut writer = Writer::create(path, options)?;
    let mut introduced = HashSet::new();
    for part in parts {
        for (i, group) in part.row_groups().iter().enumerate() {
            match group.kind {
                Some(Kind::Process) => {}
                Some(kind) => writer.copy_group(&part.parquet().row_groups()[i], &part.chunks(), kind)?,
                None => {
                    return Err(Error::Contents {
                        action: "join",
                        path: part.path().to_owned(),
                        detail: "rows of an unknown kind".into(),
                    });
                }
            }
        }
        for rows in part.decoded(Kind::Process) {
            let mut rows = rows?;
            let (proc, event) = (rows.column("proc"), rows.column("event"));
            let (Some(proc), Some(event)) = (proc, event) else { continue };
            // Those that say again that a process is running are left out.
            rows.retain(|rows, row| {
                let proc = if let Value::Number(proc) = rows.at(proc, row) { proc } else { 0 };
                introduced.insert(proc) || rows.at(event, row) != Value::Text("running")
            });
            writer.add_rows(Kind::Process, &rows, rows.len())?;
        }
        part.metadata().losses.iter().for_each(|loss| metadata.add_loss(loss));
        let known = metadata.clock.0.last().map_or(i64::MIN, |p| p.boottime_ns);
        metadata.clock.0.extend(part.metadata().clock.0.iter().filter(|p| p.boottime_ns > known));
    }
    writer.close(metadata)
}
