//! `osd replay --follow`: rows, and what is unusual in them, as they are written, until the
//! recording is closed.

use super::args::Args;
use super::following::{Following, Look};
use super::lines::Lines;
use super::play::{NAP, stopped};
use crate::command::alarms::Announcer;
use crate::failure::{Failure, Result};
use crate::format;
use crate::inputs;
use crate::output::{Output, say};
use crate::times;
use osd_recording::Recording;
use osd_replay::alarms::{COLUMNS, Config, Live};
use osd_replay::rows::{Cursor, Wanted};
use osd_replay::table::columns;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);

/// The one recording that is named.
pub(super) fn path(args: &Args) -> Result<PathBuf> {
    let [path] = &args.files[..] else {
        return Err(Failure::new("several recordings cannot be followed").hint("name one"));
    };
    Ok(inputs::files(std::slice::from_ref(path))?.pop().unwrap_or_else(|| path.clone()))
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let following = Following::new(path(args)?, args.quiet);
    if args.alarms.runs_a_command() {
        crate::interrupt::outlive_pipes();
    }
    let mut lines = None;
    let mut judging = None;
    let mut after_ns = None;
    let mut rows = 0_u64;
    let mut recorded = 0_u64;
    loop {
        let began = Instant::now();
        let Look { recording, until_ns } = following.look()?;
        recorded = recorded.max(recording.metadata().rows.values().sum());
        let lines = lines.get_or_insert_with(|| {
            args.format.map(|format| Lines::new(format, vec![recording.path().display().to_string()], Output::stdout()))
        });
        // Before an interval is over, it may not be said what it is a recording of.
        if judging.is_none() && until_ns.is_some() {
            let config = args.alarms.config(&[recording.metadata().interval_ns])?;
            judging = Some(config.map(|config| Judging::new(&recording, &config, args.alarms.announcer(args.quiet))));
        }
        if let Some(until) = until_ns.filter(|until| after_ns.is_none_or(|after| *until > after)) {
            if let Some(Some(judging)) = &mut judging {
                judging.go_on(recording.clone(), after_ns, until)?;
            }
            let started_ns = recording.metadata().started_ns;
            let wanted = Wanted {
                kinds: (!args.only.is_empty()).then(|| args.only.clone()),
                begin_in: times::range(started_ns, args.from, args.to)?,
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
    if let Some(Some(judging)) = judging {
        judging.announcer.finish()?;
    }
    if !args.quiet {
        say(format_args!("followed {}", format::plural(format::count(rows), "row")));
        let all = args.only.is_empty() && args.from.is_none() && args.to.is_none() && after_ns == Some(i64::MAX);
        if all && rows < recorded {
            let late = format::plural(format::count(recorded - rows), "row");
            say(format_args!("warning: {late} came so late that they were passed over. hint: osd replay shows all"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A detector that judges what comes.
struct Judging {
    live: Live,
    announcer: Announcer,
}

impl Judging {
    fn new(recording: &Recording, config: &Config, announcer: Announcer) -> Self {
        Self { live: Live::new(recording.metadata(), None, config), announcer }
    }

    /// Judges what was known after `after_ns`, and until `until_ns`.
    fn go_on(&mut self, recording: Recording, after_ns: Option<i64>, until_ns: i64) -> Result<()> {
        let started_ns = recording.metadata().started_ns;
        let all = COLUMNS.iter().chain(columns()).copied().collect();
        let mut cursor = Cursor::new(vec![recording], Wanted { columns: Some(all), after_ns, ..Wanted::default() });
        while let Some(block) = cursor.next_until(until_ns)? {
            self.live.block(&block)?;
        }
        if until_ns == i64::MAX {
            self.live.finish();
        }
        for alarm in self.live.said() {
            self.announcer.say(&alarm, started_ns, None);
        }
        Ok(())
    }
}
