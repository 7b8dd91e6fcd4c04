//! A recording that is still being written, followed until it is closed.
//!
//! Its recorder hands rows over several times a second, and those of an interval when the interval is over. So what was known before
//! the last whole interval is all there, and what came since waits for the next look.

use super::args::Args;
use super::lines::Lines;
use super::play::{NAP, stopped};
use super::times;
use crate::failure::{Failure, Result};
use crate::format;
use crate::inputs;
use crate::output::{Output, say};
use osd_recording::{Columns, Kind, Query, Recording};
use osd_replay::rows::{Cursor, Wanted};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    if args.alarms.detect {
        return Err(Failure::new("--follow has no --detect").hint("osd record --detect says it while it records"));
    }
    let [path] = &args.files[..] else {
        return Err(Failure::new("several recordings cannot be followed").hint("name one"));
    };
    let path = inputs::files(std::slice::from_ref(path))?.pop().unwrap_or_else(|| path.clone());
    let mut lines = None;
    let mut after_ns = None;
    let mut rows = 0_u64;
    loop {
        let began = Instant::now();
        let busy = osd_recording::is_being_written(&path);
        let recording = Recording::open(&path)?;
        let unfinished = recording.is_unfinished();
        if unfinished && !busy && !args.quiet {
            let path = path.display();
            say(format_args!("note: its recorder was killed: this is all there is. hint: osd recover {path}"));
        }
        let until = if unfinished && busy { whole_until(&recording)? } else { Some(i64::MAX) };
        let lines = lines.get_or_insert_with(|| {
            args.format.map(|format| Lines::new(format, vec![recording.path().display().to_string()], Output::stdout()))
        });
        if let Some(until) = until.filter(|until| after_ns.is_none_or(|after| *until > after)) {
            let started_ns = recording.metadata().started_ns;
            let wanted = Wanted {
                kinds: (!args.only.is_empty()).then(|| args.only.clone()),
                begin_in: times::range(args.from.as_deref(), args.to.as_deref(), started_ns)?,
                after_ns,
                ..Wanted::default()
            };
            let mut cursor = Cursor::new(vec![recording], wanted);
            while let Some(block) = cursor.next_until(until)? {
                rows += block.rows.num_rows() as u64;
                if let Some(lines) = lines {
                    lines.write(&block)?;
                }
            }
            if let Some(lines) = lines {
                lines.see()?;
            }
            after_ns = Some(until);
        }
        if after_ns == Some(i64::MAX) || stopped() {
            break;
        }
        while began.elapsed() < LOOK && !stopped() {
            std::thread::sleep(NAP);
        }
    }
    if let Some(Some(lines)) = lines {
        lines.finish()?;
    }
    if !args.quiet {
        say(format_args!("followed {}", format::plural(format::count(rows), "row")));
    }
    Ok(ExitCode::SUCCESS)
}

/// Up to when all rows are there: the end of the last interval but one. `None` before there is one.
fn whole_until(recording: &Recording) -> Result<Option<i64>> {
    let mut ends = (None, None);
    let query = Query { kinds: Some(vec![Kind::System]), columns: Some(vec!["ts", "dur_ns"]), ts_ns: None };
    for batch in recording.read(&query)? {
        let batch = batch?;
        let columns = Columns::of(&batch, recording.path());
        let dur = columns.u64("dur_ns")?;
        for (row, ts) in columns.ts()?.iter().enumerate() {
            let end = Some(ts.saturating_add_unsigned(dur.at(row).unwrap_or(0)));
            if end > ends.1 {
                ends = (ends.1, end);
            }
        }
    }
    Ok(ends.0)
}
