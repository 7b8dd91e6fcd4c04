//! Traces on their way out.

use crate::failure::{Failure, Result};
use crate::format;
use crate::output::Output;
use crate::progress::Progress;
use osd_export::trace::{Trace, chrome, perfetto};
use osd_findings::Findings;
use osd_recording::Recording;
use std::ops::Range;

/// A trace is of one recording: PIDs and clocks of two hosts would be in each other's way.
pub(super) fn check(recordings: &[Recording]) -> Result<()> {
    match recordings {
        [_] => Ok(()),
        all => Err(Failure::new(format!("a trace is of one recording, and these are {}", all.len()))
            .hint("name one of them; export each to a file of its own")),
    }
}

pub(super) fn write(
    recordings: &[Recording],
    as_json: bool,
    range: Option<Range<i64>>,
    findings: &[Findings],
    out: &mut Output,
    progress: &mut Progress,
) -> osd_export::Result<String> {
    let mut said = String::new();
    for recording in recordings {
        let windows = findings.first().map_or(&[][..], |f| &f.windows);
        let (trace, at) = (Trace { range: range.clone(), windows }, |done, all| progress.at(done, all));
        let told = if as_json {
            chrome(recording, &trace, &mut *out, at)
        } else {
            perfetto(recording, &trace, &mut *out, at)
        }?;
        let calls = format::plural(format::count(told.calls), "system call");
        let processes = format::plural(format::count(told.processes), "process");
        said = format!("exported {calls} of {processes}");
        if told.moved > 0 {
            said +=
                &format!("; {} overlapped the one before on their thread and were moved", format::count(told.moved));
        }
    }
    Ok(said)
}
