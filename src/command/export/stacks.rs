//! Stacks on their way out: folded, for pprof, or drawn.

use crate::failure::{Failure, Result};
use crate::format;
use crate::output::Output;
use osd_export::stack::{self, Event, Sums};
use osd_recording::Recording;
use std::io::Write;
use std::ops::Range;

/// How they are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Folded,
    Pprof,
    #[cfg(feature = "analyze")]
    Drawn,
}

/// Reads them; a recording without any is refused, because an empty picture would say that nothing ran.
pub(super) fn read(recordings: &[Recording], waits: bool, range: Option<&Range<i64>>) -> Result<Sums> {
    let event = if waits { Event::Wait } else { Event::Cpu };
    let sums = Sums::read(recordings, event, range)?;
    if sums.is_empty() {
        return Err(Failure::new("no stacks were taken in that time")
            .hint("record with --stacks: osd record -p PID --stacks -o run.parquet"));
    }
    Ok(sums)
}

pub(super) fn write(sums: &Sums, form: Form, out: &mut Output) -> osd_export::Result<String> {
    match form {
        Form::Folded => stack::folded(sums, &mut *out)?,
        Form::Pprof => stack::pprof(sums, &mut *out)?,
        #[cfg(feature = "analyze")]
        Form::Drawn => out.write_all(drawn(sums).as_bytes())?,
    }
    let n = sums.stacks.iter().fold(0_u64, |sum, s| sum.saturating_add(s.count));
    let different = format::plural(format::count(sums.stacks.len() as u64), "different one");
    Ok(format!("exported {}, {different}", format::plural(format::count(n), "stack")))
}

#[cfg(feature = "analyze")]
fn drawn(sums: &Sums) -> String {
    let seconds = (sums.span_ns.1 - sums.span_ns.0).max(1) as f64 / 1e9;
    let rate = |s: &stack::Stack| {
        let rate = s.ns as f64 / 1e9 / seconds;
        osd_findings::StackRate { frames: s.frames.clone(), before: rate, during: rate }
    };
    let rates: Vec<_> = sums.stacks.iter().map(rate).collect();
    let cores: f64 = rates.iter().map(|r| r.during).sum();
    let (title, what) = match sums.event {
        Event::Cpu => ("Where the CPU time went", "cores"),
        Event::Wait => ("Where threads waited", "threads within system calls"),
    };
    let note = format!("{cores:.2} {what} over {seconds:.1} s; a function stands on the one that called it");
    osd_report::flame_graph(title, &note, &rates).unwrap_or_default()
}
