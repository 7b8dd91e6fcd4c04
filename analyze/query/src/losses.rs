//! What is missing where a statement looked, so that whoever reads an answer learns that it is not
//! whole.

use crate::Touched;
use osd_recording::{Kind, Recording, Result};
use std::collections::BTreeMap;

/// Whether rows of a kind are incomplete when something of this stream was lost.
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
    for loss in osd_signals::losses::read(recording, None)?.0 {
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
