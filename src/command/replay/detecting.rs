//! What a live detector would have said, said at the pace of the replay.
//!
//! The detector has a cursor of its own that begins where the recording does, wherever the replay begins: what it has learnt by a moment is
//! what it had learnt then.

use crate::command::alarms::Announcer;
use crate::failure::Result;
use crate::format;
use crate::output::say;
use osd_recording::Recording;
use osd_replay::alarms::{Alarm, COLUMNS, Config, Live, SLACK_NS};
use osd_replay::rows::{Cursor, Wanted};
use osd_replay::table::columns;
use std::collections::VecDeque;
use std::ops::Range;

pub(super) struct Detecting {
    cursor: Cursor,
    config: Config,
    lives: Vec<Live>,
    /// Known to the detector, which looks a little ahead, and to be said when it is time.
    waiting: VecDeque<(usize, Alarm)>,
    /// What is said: that of this range.
    range: Option<Range<i64>>,
    announcer: Announcer,
    quiet: bool,
}

fn lives(cursor: &Cursor, config: &Config) -> Vec<Live> {
    cursor.recordings().iter().map(|r| Live::new(r.metadata(), None, config)).collect()
}

impl Detecting {
    pub(super) fn new(
        recordings: Vec<Recording>,
        config: Config,
        range: Option<Range<i64>>,
        announcer: Announcer,
        quiet: bool,
    ) -> Self {
        let columns = COLUMNS.iter().chain(columns()).copied().collect();
        let cursor = Cursor::new(recordings, Wanted { columns: Some(columns), ..Wanted::default() });
        let lives = lives(&cursor, &config);
        Self { cursor, config, lives, waiting: VecDeque::new(), range, announcer, quiet }
    }

    /// Says what was known at `now_ns`, recording time.
    pub(super) fn advance(&mut self, now_ns: i64) -> Result<()> {
        while let Some(block) = self.cursor.next_until(now_ns.saturating_add(2 * SLACK_NS))? {
            let live = &mut self.lives[block.recording];
            live.block(&block)?;
            self.waiting.extend(live.said().into_iter().map(|alarm| (block.recording, alarm)));
        }
        if self.cursor.peek()?.is_none() {
            for (recording, live) in self.lives.iter_mut().enumerate() {
                live.finish();
                self.waiting.extend(live.said().into_iter().map(|alarm| (recording, alarm)));
            }
        }
        let clocks = self.cursor.clocks().to_vec();
        let at = |(recording, alarm): &(usize, Alarm)| alarm.at_ns.saturating_add(clocks[*recording].shift_ns);
        self.waiting.make_contiguous().sort_by_key(&at);
        while let Some((recording, alarm)) = self.waiting.pop_front_if(|w| at(w) <= now_ns) {
            let shift_ns = clocks[recording].shift_ns;
            if self.range.as_ref().is_none_or(|r| r.contains(&alarm.at_ns.saturating_add(shift_ns))) {
                let one = &self.cursor.recordings()[recording];
                let path = one.path().display().to_string();
                let of = (self.lives.len() > 1).then_some(path.as_str());
                self.announcer.say(&alarm, one.metadata().started_ns, of);
            }
        }
        Ok(())
    }

    /// From the beginning.
    pub(super) fn rewind(&mut self) {
        self.cursor.rewind();
        self.lives = lives(&self.cursor, &self.config);
        self.waiting.clear();
    }

    pub(super) fn finish(self) -> Result<()> {
        let n_late: u64 = self.lives.iter().map(Live::n_late).sum();
        if n_late > 0 && !self.quiet {
            let rows = format::plural(format::count(n_late), "row");
            say(format_args!("warning: {rows} came after their time had been judged"));
        }
        self.announcer.finish()
    }
}
