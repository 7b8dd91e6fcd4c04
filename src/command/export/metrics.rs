//! Metrics on their way out, and findings as log records.

use crate::format;
use crate::output::Output;
use crate::progress::Progress;
use osd_export::metric::{Anomaly, Backfill, Written};
use osd_export::otlp::{Endpoint, Out};
use osd_export::{Result, otlp as telemetry, prom};
use osd_findings::Findings;
use osd_recording::Recording;
use std::ops::Range;

/// What of the recordings.
pub(super) fn what(range: Option<Range<i64>>, step_ns: u64, most: u32, findings: &[Findings]) -> Backfill<'_> {
    let anomalies = findings.iter().map(|f| Anomaly { recording_id: &f.recording.recording_id, windows: &f.windows });
    Backfill { step_ns, range, most_processes: most as usize, anomalies: anomalies.collect() }
}

pub(super) fn openmetrics(
    recordings: &[Recording],
    what: &Backfill<'_>,
    out: &mut Output,
    progress: &mut Progress,
) -> Result<String> {
    // To compare with what is read elsewhere: there samples may be dropped without a word.
    prom::write(recordings, what, out, |done, all| progress.at(done, all)).map(said)
}

fn said(written: Written) -> String {
    let samples = format::plural(format::count(written.samples), "sample");
    format!("exported {samples} of {} series", format::count(written.series))
}

fn way(endpoint: Option<Endpoint>, out: &mut Output) -> Out<&mut Output> {
    endpoint.map_or_else(|| Out::Lines(out), Out::Post)
}

/// Metrics, and to a collector the findings too: a file holds one of them.
pub(super) fn otlp(
    recordings: &[Recording],
    what: &Backfill<'_>,
    findings: &[Findings],
    endpoint: Option<Endpoint>,
    out: &mut Output,
    progress: &mut Progress,
) -> Result<String> {
    let posts = endpoint.is_some();
    let mut way = way(endpoint, out);
    let (written, rejected) = telemetry::metrics(recordings, what, &mut way, |done, all| progress.at(done, all))?;
    let mut said = said(written) + &not_kept(rejected);
    if posts && !findings.is_empty() {
        said = format!("{said}\n{}", records(recordings, findings, &mut way)?);
    }
    Ok(said)
}

pub(super) fn otlp_logs(
    recordings: &[Recording],
    findings: &[Findings],
    endpoint: Option<Endpoint>,
    out: &mut Output,
) -> Result<String> {
    records(recordings, findings, &mut way(endpoint, out))
}

fn records(recordings: &[Recording], findings: &[Findings], way: &mut Out<&mut Output>) -> Result<String> {
    let (mut n, mut rejected) = (0, 0);
    for found in findings {
        let of = recordings.iter().find(|r| r.metadata().recording_id == found.recording.recording_id);
        if let Some(recording) = of {
            rejected += telemetry::logs(recording, &found.windows, way)?;
            n += found.windows.len() as u64;
        }
    }
    Ok(format!("exported {}", format::plural(format::count(n), "finding")) + &not_kept(rejected))
}

fn not_kept(rejected: u64) -> String {
    match rejected {
        0 => String::new(),
        n => format!("; the collector did not keep {}", format::count(n)),
    }
}
