//! `osd replay`: recordings once more, in the order and at the pace of then.

mod args;
mod detecting;
mod follow;
mod following;
mod lines;
mod play;
pub(crate) mod tui;

use crate::failure::{Failure, Result};
use crate::format;
use crate::inputs;
use crate::output::{Output, say};
use crate::times;
pub(crate) use args::Args;
use detecting::Detecting;
use lines::Lines;
use osd_recording::Recording;
use osd_replay::rows::{Cursor, Wanted, apart, clocks};
use play::{Player, Turn};
use std::process::ExitCode;

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    crate::interrupt::stop_by(&crate::interrupt::ignored_signals(), play::stop);
    if args.tui {
        tui::check("--format table writes rows as text")?;
    }
    if args.follow && args.tui {
        let following = following::Following::new(follow::path(&args)?, true);
        let intervals = [following.look()?.recording.metadata().interval_ns];
        tui::follow(&following, args.alarms.config(&intervals)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.follow {
        return follow::run(&args);
    }
    let recordings = inputs::recordings(&args.files)?;
    if args.tui {
        let intervals: Vec<u64> = recordings.iter().map(|r| r.metadata().interval_ns).collect();
        let config = args.alarms.config(&intervals)?;
        tui::run(recordings, args.speed, args.laps, config)?;
        return Ok(ExitCode::SUCCESS);
    }
    if !args.quiet {
        say_of(&recordings);
    }
    let started_ns = recordings.iter().map(|r| r.metadata().started_ns).min().unwrap_or(0);
    let range = times::range(started_ns, args.from, args.to)?;
    let intervals: Vec<u64> = recordings.iter().map(|r| r.metadata().interval_ns).collect();
    if args.alarms.runs_a_command() {
        crate::interrupt::outlive_pipes();
    }
    let mut detecting = args.alarms.config(&intervals)?.map(|config| {
        let announcer = args.alarms.announcer(args.quiet);
        Detecting::new(recordings.clone(), config, range.clone(), announcer, args.quiet)
    });
    let wanted =
        Wanted { kinds: (!args.only.is_empty()).then(|| args.only.clone()), begin_in: range, ..Wanted::default() };
    #[cfg(feature = "export")]
    let serving = args.serve.map(|address| serve(address, &recordings, args.quiet)).transpose()?;
    let paths = recordings.iter().map(|r| r.path().display().to_string()).collect();
    let cursor = Cursor::new(recordings, wanted);
    if cursor.span().is_empty() {
        return Err(Failure::new("nothing was recorded in that time").hint(times_of(&cursor)));
    }
    let mut lines = args.format.map(|format| Lines::new(format, paths, Output::stdout()));
    let mut player = Player::new(cursor, args.speed, args.laps, args.quiet);
    player.play(&mut |turn| {
        #[cfg(feature = "export")]
        match (turn, &serving) {
            (Turn::Rows(block), Some(serving)) => serving.block(block.kind, &block.rows)?,
            (Turn::Lap, Some(serving)) => serving.restart(),
            _ => {}
        }
        match turn {
            Turn::Rows(block) => lines.iter_mut().try_for_each(|l| l.write(block))?,
            // Someone waits for each row.
            Turn::Until(_) => lines.iter_mut().try_for_each(Lines::see)?,
            Turn::Lap => {}
        }
        match (turn, &mut detecting) {
            (Turn::Until(now_ns), Some(detecting)) => detecting.advance(*now_ns),
            (Turn::Lap, Some(detecting)) => {
                detecting.rewind();
                Ok(())
            }
            _ => Ok(()),
        }
    })?;
    if let Some(lines) = lines {
        lines.finish()?;
    }
    if let Some(detecting) = detecting {
        detecting.finish()?;
    }
    player.summary();
    Ok(ExitCode::SUCCESS)
}

/// What times there are.
fn times_of(cursor: &Cursor) -> String {
    let of = |m: &osd_recording::Metadata| (m.started_ns, m.ended_ns);
    let spans = cursor.recordings().iter().map(|r| of(r.metadata()));
    let (from, to) = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or_default();
    format!("it lasts from {} to {}", format::time(from), format::time(to))
}

/// Listens, and says where.
#[cfg(feature = "export")]
fn serve(
    address: std::net::SocketAddr,
    recordings: &[Recording],
    quiet: bool,
) -> Result<crate::command::serve::Serving> {
    if recordings.len() > 1 {
        let what = "--serve takes one recording: two hosts have the same names for different processes";
        return Err(Failure::new(what).hint("osd export --to openmetrics tells them apart"));
    }
    let (server, warning) = crate::command::serve::bind(address)?;
    if !quiet {
        for line in warning.iter().flatten() {
            say(format_args!("note: {line}"));
        }
        say(format_args!("serving http://{}/metrics", server.address()));
    }
    crate::command::serve::Serving::replay(server)
}

/// What one should know of these recordings before they are merged.
fn say_of(recordings: &[Recording]) {
    let name = |i: usize| recordings[i].path().display();
    for recording in recordings.iter().filter(|r| r.is_unfinished()) {
        let path = recording.path();
        match osd_recording::is_being_written(path) {
            true => say(format_args!(
                "note: {} is still being written: this is what is there now; --follow goes on with it",
                path.display()
            )),
            false => say(format_args!(
                "note: {} was never closed: its recorder was killed. hint: osd recover {0}",
                path.display()
            )),
        }
    }
    for (i, after_ns) in apart(recordings) {
        say(format_args!(
            "warning: {} begins {} after those before it have ended: they have no time in common, and the time between is passed over",
            name(i),
            format::duration(after_ns)
        ));
    }
    for (i, clock) in clocks(recordings).iter().enumerate().filter(|(_, c)| c.uncertainty_ns > 0) {
        let how = match clock.same_boot {
            true => "aligned with the others of its boot",
            false => "of another host: merged by UTC as that host had it",
        };
        let uncertain = format::duration(clock.uncertainty_ns.unsigned_abs());
        say(format_args!("note: {} is {how}, uncertain by {uncertain} by its own clocks", name(i)));
    }
}
