//! System calls by second, from `tally` rows: exact counts, histograms of latencies, time.

use super::observed::{Observed, Span};
use osd_detect::histogram;
use osd_findings::About;
use osd_recording::{Columns, Kind, Recording, Result};
use osd_signals::grid::query;

pub(super) fn read(out: &mut Observed, recording: &Recording, span: Span) -> Result<()> {
    let columns = ["ts", "dur_ns", "syscall", "count", "total_ns", "latency_log2"];
    for batch in recording.read(&query(Kind::Tally, &columns, None))? {
        let batch = batch?;
        let columns = Columns::of(&batch, recording.path());
        let (names, count) = (columns.text("syscall")?, columns.u64("count")?);
        let (dur, total, histograms) =
            (columns.u64("dur_ns")?, columns.u64("total_ns")?, columns.list("latency_log2")?);
        for (row, ts) in columns.ts()?.iter().enumerate() {
            // A row is about its interval, and lies where the middle of that does.
            let middle = ts.saturating_add_unsigned(dur.at(row).unwrap_or(0) / 2);
            let (Some(name), Some(bin)) = (names.at(row), span.bin(middle)) else { continue };
            let key = (About::Call, name.to_owned());
            let counts = out.counts.entry(key).or_insert_with(|| vec![0.0; span.bins]);
            counts[bin] += count.at(row).unwrap_or(0) as f64;
            *out.time_s.entry(name.to_owned()).or_default() += total.at(row).unwrap_or(0) as f64 * 1e-9;
            if let Some(buckets) = histograms.at(row).filter(|b| !b.is_empty()) {
                let own = out.latencies.entry(name.to_owned()).or_insert_with(|| vec![vec![]; span.bins]);
                histogram::merge(&mut own[bin], buckets);
            }
        }
    }
    Ok(())
}
