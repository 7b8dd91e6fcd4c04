//! Several recordings of one session to one: row groups are copied as they are, checked against their sums on the way.
//!
//! Each part begins by introducing the processes that were running; in the whole only the first introduction of each stays.

use crate::about::Metadata;
use crate::error::{Error, Result};
use crate::kind::Kind;
use crate::read::{Query, Recording};
use crate::write::{Closed, Writer, WriterOptions};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, UInt64Type};
use arrow_array::{BooleanArray, RecordBatch, StringArray};
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
            writer.add_batch(
                Kind::Process,
                &unseen(&batch?, &mut introduced).map_err(|e| Error::Contents {
                    action: "join",
                    path: part.path().to_owned(),
                    detail: e.to_string(),
                })?,
            )?;
        }
        part.metadata().losses.iter().for_each(|loss| metadata.add_loss(loss));
        let known = metadata.clock.0.last().map_or(i64::MIN, |p| p.boottime_ns);
        metadata.clock.0.extend(part.metadata().clock.0.iter().filter(|p| p.boottime_ns > known));
    }
    writer.close(metadata)
}

/// The rows of `batch` without those that say again that a process is running.
fn unseen(
    batch: &RecordBatch,
    introduced: &mut HashSet<u64>,
) -> std::result::Result<RecordBatch, arrow_schema::ArrowError> {
    let procs = batch.column_by_name("proc").and_then(|c| c.as_primitive_opt::<UInt64Type>());
    let events = batch.column_by_name("event").and_then(|c| c.as_dictionary_opt::<Int32Type>());
    let (Some(procs), Some(events)) = (procs, events.and_then(|e| e.downcast_dict::<StringArray>())) else {
        return Ok(batch.clone());
    };
    let rows = procs.iter().zip(events);
    let keep: BooleanArray =
        rows.map(|(p, event)| Some(introduced.insert(p.unwrap_or(0)) || event != Some("running"))).collect();
    arrow_select::filter::filter_record_batch(batch, &keep)
}
