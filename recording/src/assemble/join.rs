//! Several recordings of one session to one: row groups are copied as they are, checked against their sums on the way.
//!
//! Each part begins by introducing the processes that were running; in the whole only the first introduction of each stays.

use crate::about::Metadata;
use crate::error::{Error, Result};
use crate::kind::Kind;
use crate::read::{Columns, Query, Recording};
use crate::write::{Closed, Writer, WriterOptions};
use arrow_array::{BooleanArray, RecordBatch};
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
        for batch in part.read(&Query::kind(Kind::Process))? {
            writer.add_batch(Kind::Process, &unseen(&batch?, part.path(), &mut introduced)?)?;
        }
        part.metadata().losses.iter().for_each(|loss| metadata.add_loss(loss));
        let known = metadata.clock.0.last().map_or(i64::MIN, |p| p.boottime_ns);
        metadata.clock.0.extend(part.metadata().clock.0.iter().filter(|p| p.boottime_ns > known));
    }
    writer.close(metadata)
}

/// The rows of `batch`, read from `path`, without those that say again that a process is running.
fn unseen(batch: &RecordBatch, path: &Path, introduced: &mut HashSet<u64>) -> Result<RecordBatch> {
    let columns = Columns::of(batch, path);
    let (procs, events) = (columns.u64("proc")?, columns.text("event")?);
    let is_new = |row| introduced.insert(procs.at(row).unwrap_or(0)) || events.at(row) != Some("running");
    let keep: BooleanArray = (0..columns.len()).map(is_new).map(Some).collect();
    arrow_select::filter::filter_record_batch(batch, &keep).map_err(|e| Error::Contents {
        action: "join",
        path: path.to_owned(),
        detail: e.to_string(),
    })
}
