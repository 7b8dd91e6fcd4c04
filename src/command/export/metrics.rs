//! Metrics on their way out.

use crate::format;
use crate::output::Output;
use crate::progress::Progress;
use osd_export::prom::{self, Anomaly, Backfill, Written};
use osd_findings::Findings;
use osd_recording::Recording;
use std::ops::Range;

pub(super) fn openmetrics(
    recordings: &[Recording],
    range: Option<Range<i64>>,
    (step_ns, most_processes): (u64, usize),
    findings: &[Findings],
    out: &mut Output,
    progress: &mut Progress,
) -> osd_export::Result<String> {
    let anomalies = findings.iter().map(|f| Anomaly { recording_id: &f.recording.recording_id, windows: &f.windows });
    let what = Backfill { step_ns, range, most_processes, anomalies: anomalies.collect() };
    let Written { samples, series } = prom::write(recordings, &what, out, |done, all| progress.at(done, all))?;
    // To compare with what is read elsewhere: there samples may be dropped without a word.
    Ok(format!("exported {} of {} series", format::plural(format::count(samples), "sample"), format::count(series)))
}
