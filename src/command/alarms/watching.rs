//! A live detector that watches a recording while it is made.

use super::announcer::Announcer;
use crate::format;
use crate::output::say;
use osd_record::Watch;
use osd_recording::names::Arch;
use osd_recording::rows::Row;
use osd_recording::{Calls, Metadata};
use osd_replay::alarms::{Config, Live};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

/// Judges on the session's own thread, which costs it little; what is said is said by another one, which a terminal may hold up.
pub(crate) struct Watching {
    config: Config,
    live: Option<Live>,
    started_ns: i64,
    announcer: Option<Announcer>,
    said: Option<(Sender<osd_replay::alarms::Alarm>, JoinHandle<()>)>,
}

impl Watching {
    pub(crate) fn new(config: Config, announcer: Announcer) -> Self {
        Self { config, live: None, started_ns: 0, announcer: Some(announcer), said: None }
    }

    fn announce(&mut self) {
        for alarm in self.live.as_mut().map(Live::said).unwrap_or_default() {
            if let Some(mut announcer) = self.announcer.take() {
                let (sender, inbox) = channel();
                let started_ns = self.started_ns;
                let work = move || {
                    inbox.into_iter().for_each(|alarm| announcer.say(&alarm, started_ns, None));
                    if let Err(failure) = announcer.finish() {
                        failure.lines().for_each(say);
                    }
                };
                let thread = std::thread::Builder::new().name("osd-alarms".into()).spawn(work);
                self.said = thread.ok().map(|thread| (sender, thread));
            }
            if let Some((sender, _)) = &self.said {
                let _ = sender.send(alarm);
            }
        }
    }
}

impl Watch for Watching {
    fn begin(&mut self, about: &Metadata) {
        self.started_ns = about.started_ns;
        self.live = Some(Live::new(about, Arch::native(), &self.config));
    }

    fn rows(&mut self, rows: &[Row]) {
        if let Some(live) = &mut self.live {
            live.rows(rows);
        }
        self.announce();
    }

    fn calls(&mut self, calls: &Calls) {
        if let Some(live) = &mut self.live {
            live.calls(calls);
        }
    }

    fn end(&mut self) {
        if let Some(live) = &mut self.live {
            live.finish();
        }
        self.announce();
        if let Some((sender, thread)) = self.said.take() {
            drop(sender);
            let _ = thread.join();
        }
        let n_late = self.live.as_ref().map_or(0, Live::n_late);
        if n_late > 0 {
            let rows = format::plural(format::count(n_late), "row");
            say(format_args!("warning: {rows} came after their time had been judged: a replay may judge otherwise"));
        }
    }
}
