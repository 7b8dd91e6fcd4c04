//! What a recording says of itself beside the data: losses, located in time, and labels.

use crate::series::{self, Table};
use crate::{Result, touched::Touched};
use arrow::array::{Array, AsArray};
use arrow::datatypes::UInt64Type;
use osd_findings::{LabelSpan, LossSpan};
use osd_recording::{Kind, Query, Recording};
use std::collections::BTreeMap;
use std::ops::Range;

/// Losses and labels that begin in `range`, in order of time.
pub(crate) fn read(recording: &Recording, range: Option<&Range<i64>>) -> Result<(Vec<LossSpan>, Vec<LabelSpan>)> {
    let (mut losses, mut labels) = (vec![], vec![]);
    let columns = ["ts", "dur_ns", "count", "stream", "reason", "name", "note", "kind"];
    let query =
        Query { kinds: Some(vec![Kind::Loss, Kind::Label]), columns: Some(columns.to_vec()), ts_ns: range.cloned() };
    for batch in recording.read(&query)? {
        let batch = batch?;
        let ts = series::times(&batch)?;
        let (dur, count) = (series::u64s(&batch, "dur_ns")?, series::u64s(&batch, "count")?);
        let texts = ["kind", "stream", "reason", "name", "note"].map(|n| series::dictionary(&batch, n));
        for (row, ts) in ts.iter().enumerate() {
            let get = |c: &Option<arrow::array::ArrayRef>| {
                let c = c.as_ref().and_then(|c| c.as_primitive_opt::<UInt64Type>());
                c.filter(|c| c.is_valid(row)).map_or(0, |c| c.value(row))
            };
            let word = |i: usize| series::text(texts[i].as_ref(), row).unwrap_or_default().to_owned();
            let (ts_ns, dur_ns) = (*ts, get(&dur));
            if word(0) == Kind::Label.name() {
                labels.push(LabelSpan { ts_ns, dur_ns, name: word(3), note: word(4) });
            } else {
                let (stream, reason, count) = (word(1), word(2), get(&count));
                losses.push(LossSpan { ts_ns, dur_ns, stream, reason, count, coverage: None });
            }
        }
    }
    losses.sort_by(|a, b| (a.ts_ns, &a.stream, &a.reason).cmp(&(b.ts_ns, &b.stream, &b.reason)));
    labels.sort_by(|a, b| (a.ts_ns, &a.name).cmp(&(b.ts_ns, &b.name)));
    Ok((losses, labels))
}

/// Says of each loss of calls what share of those of its span have an event row.
pub(crate) fn cover(losses: &mut [LossSpan], table: &Table) {
    // Of one interval several reasons may have their share, and what is left is what none of them took.
    let mut lost: BTreeMap<(i64, u64), u64> = BTreeMap::new();
    for loss in losses.iter().filter(|l| l.stream == "syscall") {
        let sum = lost.entry((loss.ts_ns, loss.dur_ns)).or_default();
        *sum = sum.saturating_add(loss.count);
    }
    for loss in losses.iter_mut().filter(|l| l.stream == "syscall") {
        let lost = lost.get(&(loss.ts_ns, loss.dur_ns)).copied().unwrap_or(loss.count);
        loss.coverage = coverage(table, loss.ts_ns, loss.dur_ns, lost);
    }
}

/// Share of the calls of a span that have an event row.
fn coverage(table: &Table, ts_ns: i64, dur_ns: u64, lost: u64) -> Option<f64> {
    let first = table.grid.bin(ts_ns)?;
    let last = table.grid.bin(ts_ns.saturating_add_unsigned(dur_ns.saturating_sub(1))).unwrap_or(table.grid.len - 1);
    let calls: f64 = table.calls.iter().map(|c| c.count[first..=last].iter().sum::<f64>()).sum();
    (calls > 0.0).then(|| (1.0 - lost as f64 / calls).clamp(0.0, 1.0))
}

/// What rows of a kind lack when something of this stream was lost.
fn concerns(stream: &str, kind: Kind) -> bool {
    match stream {
        "syscall" | "path" => kind == Kind::Syscall,
        "process" | "exe" | "argv" => kind == Kind::Process,
        "tally" => kind == Kind::Tally,
        "sample" | "network" | "io_uring" => kind == Kind::Sample,
        _ => false,
    }
}

/// What is missing, by stream and reason, where a statement looked: all of each loss that reaches into its time.
///
/// # Errors
/// If the recording cannot be read.
pub fn losses_where(recording: &Recording, touched: &[Touched]) -> Result<BTreeMap<(String, String), u64>> {
    let mut out: BTreeMap<(String, String), u64> = BTreeMap::new();
    // Nothing was lost in most recordings, and the footer says so.
    if recording.metadata().losses.iter().all(|l| l.count == 0) {
        return Ok(out);
    }
    for loss in read(recording, None)?.0 {
        let end_ns = loss.ts_ns.saturating_add_unsigned(loss.dur_ns.max(1));
        let meets = |t: &Touched| {
            let time = t.ts_ns.start < end_ns && t.ts_ns.end > loss.ts_ns;
            time && t.kind.is_none_or(|kind| concerns(&loss.stream, kind))
        };
        if loss.count > 0 && touched.iter().any(meets) {
            let sum = out.entry((loss.stream, loss.reason)).or_default();
            *sum = sum.saturating_add(loss.count);
        }
    }
    Ok(out)
}
