//! The whole of a recording, observed.

use super::observed::{Observed, Span};
use super::{calls, metrics, rows};
use crate::Result;
use osd_findings::{About, SideRecording};
use osd_recording::{Kind, Recording};
use osd_signals::Table;
use std::collections::BTreeMap;

/// Seconds at the start and at the end of a recording that are not compared, if it lasts for ten times as long: programs start and end
/// differently from how they run.
const EDGE_S: f64 = 1.0;

/// Bins of counts at most: names by the thousand must fit in memory, however long the recording is.
const MOST_BINS: f64 = 4_096.0;

/// What is in `recording`.
pub(crate) fn read(recording: &Recording) -> Result<Observed> {
    let table = Table::read(recording, None)?;
    let grid = table.grid;
    let length_s = grid.seconds(grid.len);
    let skip_s = if length_s >= 10.0 * EDGE_S { EDGE_S } else { 0.0 };
    let from_ns = grid.start_ns.saturating_add((skip_s * 1e9) as i64);
    let inside_s = (length_s - 2.0 * skip_s).max(0.0);
    let bin_s = (inside_s / MOST_BINS).ceil().max(1.0);
    let bins = (inside_s / bin_s + 1e-6).floor() as usize;
    let span = Span { from_ns, bin_ns: (bin_s * 1e9) as i64, bins };
    let m = recording.metadata();
    let first_name = table.processes.values().min_by_key(|l| l.met_ns).map(|l| l.comm.clone()).unwrap_or_default();
    let mut out = Observed {
        side: SideRecording {
            path: recording.path().display().to_string(),
            recording_id: m.recording_id.clone(),
            hostname: m.host.hostname.clone(),
            target: if m.target.command.is_empty() { first_name } else { m.target.command.join(" ") },
            started_ns: m.started_ns,
            seconds: bins as f64 * bin_s,
        },
        bins,
        bin_s,
        values: BTreeMap::new(),
        series: BTreeMap::new(),
        per_s: 1e9 / grid.step_ns.max(1) as f64,
        counts: BTreeMap::new(),
        latencies: BTreeMap::new(),
        time_s: BTreeMap::new(),
        blind: vec![],
    };
    metrics::read(&mut out, &table, span);
    calls::read(&mut out, recording, span)?;
    rows::read(&mut out, recording, &table, span)?;
    let has = |kind| recording.row_groups().iter().any(|g| g.kind == Some(kind));
    if !has(Kind::Tally) {
        out.blind.push(About::Call);
    }
    if !has(Kind::Syscall) {
        out.blind.extend([About::Error, About::File, About::Thread]);
    }
    Ok(out)
}
