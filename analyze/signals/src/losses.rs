//! What a recording says of itself beside the data: losses, located in time, and labels.

use crate::Table;
use crate::columns::{Numbers, Texts, times};
use osd_recording::rows::{Label, Loss};
use osd_recording::{Kind, Query, Recording, Result};
use std::collections::BTreeMap;
use std::ops::Range;

/// Losses and labels that begin in `range`, in order of time.
///
/// # Errors
/// If the recording cannot be read.
pub fn read(recording: &Recording, range: Option<&Range<i64>>) -> Result<(Vec<Loss>, Vec<Label>)> {
    let (mut losses, mut labels) = (vec![], vec![]);
    let columns = vec!["ts", "dur_ns", "count", "stream", "reason", "name", "note", "kind"];
    let query = Query { kinds: Some(vec![Kind::Loss, Kind::Label]), columns: Some(columns), ts_ns: range.cloned() };
    for batch in recording.read(&query)? {
        let batch = batch?;
        let [dur, count] = ["dur_ns", "count"].map(|name| Numbers::of(&batch, name));
        let texts = ["kind", "stream", "reason", "name", "note"].map(|name| Texts::of(&batch, name));
        for (row, ts) in times(&batch).iter().enumerate() {
            let text = |i: usize| texts[i].text(row).unwrap_or_default().to_owned();
            let (ts_ns, dur_ns) = (*ts, dur.u64(row).unwrap_or(0));
            if text(0) == Kind::Label.name() {
                labels.push(Label { ts_ns, dur_ns, name: text(3), note: text(4) });
            } else {
                let (stream, reason, count) = (text(1), text(2), count.u64(row).unwrap_or(0));
                losses.push(Loss { ts_ns, dur_ns, stream, reason, count });
            }
        }
    }
    losses.sort_by(|a, b| (a.ts_ns, &a.stream, &a.reason).cmp(&(b.ts_ns, &b.stream, &b.reason)));
    labels.sort_by(|a, b| (a.ts_ns, &a.name).cmp(&(b.ts_ns, &b.name)));
    Ok((losses, labels))
}

/// Of each loss, in order: the share of the calls of its span that have an event row, 0..=1; `None` for losses of other
/// things, and where there were no calls.
pub fn coverage(losses: &[Loss], table: &Table) -> Vec<Option<f64>> {
    // An interval may have a loss for each of several reasons. An event row has what none of them took.
    let mut lost: BTreeMap<(i64, u64), u64> = BTreeMap::new();
    for loss in losses.iter().filter(|l| l.stream == "syscall") {
        let sum = lost.entry((loss.ts_ns, loss.dur_ns)).or_default();
        *sum = sum.saturating_add(loss.count);
    }
    let of_loss = |loss: &Loss| {
        let lost = lost.get(&(loss.ts_ns, loss.dur_ns)).filter(|_| loss.stream == "syscall")?;
        let first = table.grid.bin(loss.ts_ns)?;
        let end_ns = loss.ts_ns.saturating_add_unsigned(loss.dur_ns.saturating_sub(1));
        let last = table.grid.bin(end_ns).unwrap_or(table.grid.len - 1);
        let calls: f64 = table.calls.iter().map(|c| c.count[first..=last].iter().sum::<f64>()).sum();
        (calls > 0.0).then(|| (1.0 - *lost as f64 / calls).clamp(0.0, 1.0))
    };
    losses.iter().map(of_loss).collect()
}
