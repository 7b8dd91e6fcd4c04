//! `osd replay --tui` and `osd record --tui`: the screen, on a terminal.
//!
//! What is on it and what keys do is [`osd_replay::screen`]'s; here are the terminal, the clock and the reading. It is drawn at most ten
//! times a second and only if something has changed, so that a slow link has time to follow. A second of the recording, and as much before it
//! as the strip is wide, is read for each picture; the detector goes on through the recording meanwhile, a little at a time.
//!
//! A recording that is being written is looked at twice a second. It is shown as it is replayed, at the speed of the world; so one can stop it,
//! go back in it, and come to its end again.

use super::following::{Following, Look};
use super::play;
use crate::failure::{Failure, Result};
use crate::format;
use crate::times;
use osd_recording::{Kind, Recording};
use osd_replay::alarms::{COLUMNS, Config, Event, Live};
use osd_replay::pace::{Pace, Speed};
use osd_replay::rows::{Cursor, Wanted};
use osd_replay::screen::{self, Act, Finding, Gather, Key, Lives, Moment, State};
use osd_replay::table::columns;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, KeyCode, KeyEventKind, KeyModifiers};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Between two pictures.
const FRAME: Duration = Duration::from_millis(100);
/// How long the detector reads on before keys are looked at again.
const JUDGE: Duration = Duration::from_millis(25);
/// Between two looks at a recording that is being written.
const LOOK: Duration = Duration::from_millis(500);

/// Refuses what is no terminal, with what to do `instead`.
pub(crate) fn check(instead: &str) -> Result<()> {
    if std::io::stdout().is_terminal() && std::io::stdin().is_terminal() {
        return Ok(());
    }
    Err(Failure::new("--tui needs a terminal, and stdin or stdout is none").hint(instead))
}

/// Shows one of `recordings`, which is all there is.
pub(super) fn run(recordings: Vec<Recording>, speed: Speed, laps: bool, config: Option<Config>) -> Result<()> {
    let n = recordings.len();
    let Ok([recording]) = <[Recording; 1]>::try_from(recordings) else {
        return Err(Failure::new(format!("--tui shows one recording, and there are {n}")).hint("name one of them"));
    };
    let title = format!("osd replay {}", recording.path().display());
    let look = Look { recording, until_ns: Some(i64::MAX) };
    let screen = Screen::new(look, title, speed, laps, &config.unwrap_or_default())?;
    screen.show(None, &play::stopped)
}

/// Shows what `following` looks at, from its end on. It stays when the recording is closed.
pub(super) fn follow(following: &Following, config: Option<Config>) -> Result<()> {
    let Some(look) = first_look(following, &play::stopped, false)? else { return Ok(()) };
    let title = format!("osd replay {}", look.recording.path().display());
    let screen = Screen::new(look, title, Speed::Times(1.0), false, &config.unwrap_or_default())?;
    screen.show(Some(following), &play::stopped)
}

/// Shows the recording that this process makes of `output`, until it `is_over` or the reader has had enough.
#[cfg(feature = "record")]
pub(crate) fn watch(output: &std::path::Path, config: Option<Config>, is_over: &dyn Fn() -> bool) -> Result<()> {
    // Not `output`: that may be the recording which this one will replace.
    let following = Following::new(osd_recording::partial_folder(output), true);
    let Some(look) = first_look(&following, is_over, true)? else { return Ok(()) };
    let title = format!("osd record -o {}; q closes it", output.display());
    let screen = Screen::new(look, title, Speed::Times(1.0), false, &config.unwrap_or_default())?;
    screen.show(Some(&following), is_over)
}

/// The first look that has something to show; `None` if all is over before. One that has not begun may be waited for.
fn first_look(following: &Following, is_over: &dyn Fn() -> bool, will_begin: bool) -> Result<Option<Look>> {
    loop {
        match following.look() {
            Ok(look) if look.until_ns.is_some() => return Ok(Some(look)),
            Err(failure) if !will_begin => return Err(failure),
            _ if is_over() => return Ok(None),
            _ => std::thread::sleep(FRAME),
        }
    }
}

/// The detector on its way through what is shown.
struct Judging {
    /// Over rows that were known until then.
    cursor: Cursor,
    until_ns: i64,
    /// It has read all of them.
    drained: bool,
    live: Live,
}

struct Screen {
    recording: Recording,
    state: State,
    lives: Lives,
    lives_after_ns: Option<i64>,
    judging: Option<Judging>,
    moment: Moment,
    began: Instant,
    color: bool,
}

impl Screen {
    fn new(look: Look, title: String, speed: Speed, laps: bool, config: &Config) -> Result<Self> {
        let m = look.recording.metadata();
        let step_ns = i64::try_from(m.interval_ns).ok().filter(|ns| *ns > 0).unwrap_or(100_000_000);
        let mut pace = Pace::new(m.started_ns..end_of(&look), speed, laps, 0);
        if !look.is_last() {
            pace.seek(end_of(&look), 0);
        }
        let live = Live::new(m, None, config);
        let (cursor, until_ns) = (judged(&look.recording, None), look.until_ns.unwrap_or(i64::MAX));
        let color = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        let state = State::new(title, pace, step_ns);
        let mut screen = Self {
            recording: look.recording.clone(),
            state,
            lives: Lives::default(),
            lives_after_ns: None,
            judging: Some(Judging { cursor, until_ns, drained: false, live }),
            moment: Moment::default(),
            began: Instant::now(),
            color,
        };
        screen.read_lives(until_ns)?;
        Ok(screen)
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn show(mut self, following: Option<&Following>, is_over: &dyn Fn() -> bool) -> Result<()> {
        // It restores the terminal after a panic, too.
        let mut terminal = ratatui::try_init().map_err(|e| Failure::new(format!("cannot use this terminal: {e}")))?;
        let outcome = self.run(&mut terminal, following, is_over);
        ratatui::restore();
        outcome
    }

    fn run(
        &mut self,
        terminal: &mut DefaultTerminal,
        mut following: Option<&Following>,
        is_over: &dyn Fn() -> bool,
    ) -> Result<()> {
        let failed = |e: std::io::Error| Failure::new(format!("cannot use this terminal: {e}"));
        let mut drawn: Option<(i64, Instant)> = None;
        let mut dirty = true;
        let mut looked = Instant::now();
        let start_ns = self.state.pace.span().start;
        self.state.follows = following.is_some();
        loop {
            if let Some(path) = following.filter(|_| looked.elapsed() >= LOOK) {
                looked = Instant::now();
                // Between one state and the next a folder may be half of either: the next look sees more.
                if let Ok(look) = path.look() {
                    if look.is_last() {
                        following = None;
                        self.state.follows = false;
                    }
                    self.see(look)?;
                    dirty = true;
                }
            }
            let now_ns = self.now_ns();
            self.state.pace.next_lap(now_ns);
            // In whole steps: between them nothing new is known.
            let at = self.state.pace.position(now_ns);
            let at = at - (at - start_ns).rem_euclid(self.state.step_ns);
            let moved = drawn.is_none_or(|(was, _)| was != at);
            if (moved || dirty) && drawn.is_none_or(|(_, when)| when.elapsed() >= FRAME) {
                let width = terminal.size().map_err(failed)?.width;
                if moved {
                    self.moment = self.gather(at, width.into())?;
                }
                let Self { state, moment, color, .. } = self;
                terminal.draw(|frame| screen::draw(frame, state, moment, at, *color, &clock)).map_err(failed)?;
                drawn = Some((at, Instant::now()));
                dirty = false;
            }
            dirty |= self.judge()?;
            if is_over() {
                return Ok(());
            }
            let busy = self.judging.as_ref().is_some_and(|j| !j.drained);
            let patience = if busy { Duration::from_millis(1) } else { Duration::from_millis(40) };
            if !is_there(patience) {
                return Ok(());
            }
            while event::poll(Duration::ZERO).map_err(failed)? {
                dirty = true;
                if let event::Event::Key(key) = event::read().map_err(failed)?
                    && key.kind != KeyEventKind::Release
                {
                    if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
                        return Ok(());
                    }
                    let Some(key) = of(key.code) else { continue };
                    let now_ns = self.now_ns();
                    if self.state.press(key, now_ns, &|text| times::Moment::parse(text).ok()?.utc_ns(start_ns))
                        == Act::Quit
                    {
                        return Ok(());
                    }
                    // One at a time is shown; what is held down need not be.
                    if !event::poll(Duration::ZERO).map_err(failed)? {
                        break;
                    }
                }
            }
        }
    }

    /// Takes what there is of the recording now.
    fn see(&mut self, look: Look) -> Result<()> {
        let Some(until_ns) = look.until_ns else { return Ok(()) };
        let now_ns = self.now_ns();
        self.state.pace.extend(end_of(&look), now_ns);
        self.recording = look.recording;
        if let Some(judging) = self.judging.as_mut().filter(|j| j.drained && j.until_ns < until_ns) {
            judging.cursor = judged(&self.recording, Some(judging.until_ns));
            (judging.until_ns, judging.drained) = (until_ns, false);
        }
        self.read_lives(until_ns)
    }

    /// What processes are called, of those that became known until then.
    fn read_lives(&mut self, until_ns: i64) -> Result<()> {
        let (kinds, names) = (Some(vec![Kind::Process]), Some(vec!["proc", "ppid", "comm", "exe"]));
        let wanted = Wanted { kinds, columns: names, after_ns: self.lives_after_ns, ..Wanted::default() };
        let mut cursor = Cursor::new(vec![self.recording.clone()], wanted);
        while let Some(block) = cursor.next_until(until_ns)? {
            self.lives.block(&block)?;
        }
        self.lives_after_ns = Some(until_ns);
        Ok(())
    }

    /// What there is to see at `at_ns`, with as many bins before it as fit.
    fn gather(&self, at_ns: i64, width: usize) -> Result<Moment> {
        let before = self.state.step_ns.saturating_mul(width as i64 + 2);
        let from = at_ns.saturating_sub(before);
        let mut gather = Gather::new(self.recording.metadata(), from, at_ns);
        let mut take = |kinds: Vec<Kind>, from: i64| -> Result<()> {
            let begin_in = Some(from..at_ns.saturating_add(1));
            let wanted = Wanted { kinds: Some(kinds), begin_in, ..Wanted::default() };
            let mut cursor = Cursor::new(vec![self.recording.clone()], wanted);
            while let Some(block) = cursor.next_until(at_ns)? {
                gather.block(&block)?;
            }
            Ok(())
        };
        take(vec![Kind::Sample, Kind::Tally, Kind::System], from.saturating_sub(self.state.step_ns))?;
        take(vec![Kind::Syscall], at_ns.saturating_sub(1_000_000_000.max(self.state.step_ns)))?;
        Ok(gather.moment(width, &self.lives))
    }

    /// Reads on with the detector for a moment; whether there is something new.
    fn judge(&mut self) -> Result<bool> {
        let Some(judging) = self.judging.as_mut().filter(|j| !j.drained) else { return Ok(false) };
        let began = Instant::now();
        while began.elapsed() < JUDGE && !judging.drained {
            match judging.cursor.next_until(judging.until_ns)? {
                Some(block) => {
                    judging.live.block(&block)?;
                    self.state.judged_ns = block.times().last().copied().unwrap_or(self.state.judged_ns);
                }
                None => judging.drained = true,
            }
        }
        let over = judging.drained && judging.until_ns == i64::MAX;
        if over {
            judging.live.finish();
            self.state.judged_ns = i64::MAX;
        }
        for alarm in judging.live.said() {
            let (id, start_ns, end_ns, sentence) = (alarm.id, alarm.start_ns, alarm.end_ns, alarm.sentence);
            let finding = Finding { id, start_ns, end_ns, sentence };
            match (alarm.event, self.state.findings.iter_mut().rfind(|f| f.id == id)) {
                (Event::End, Some(begun)) => *begun = finding,
                _ => self.state.findings.push(finding),
            }
        }
        if over {
            self.judging = None;
        }
        Ok(true)
    }
}

/// The rows that a detector judges, of those that were known after that.
fn judged(recording: &Recording, after_ns: Option<i64>) -> Cursor {
    let all = COLUMNS.iter().chain(columns()).copied().collect();
    Cursor::new(vec![recording.clone()], Wanted { columns: Some(all), after_ns, ..Wanted::default() })
}

/// Up to when there is something to show.
fn end_of(look: &Look) -> i64 {
    let m = look.recording.metadata();
    look.until_ns.filter(|_| !look.is_last()).unwrap_or(m.ended_ns).max(m.started_ns + 1)
}

/// Waits for a key, for so long at most; whether the terminal is still there. The library that reads keys would read the end of one that is
/// gone for ever.
fn is_there(patience: Duration) -> bool {
    let mut keys = libc::pollfd { fd: libc::STDIN_FILENO, events: libc::POLLIN, revents: 0 };
    // SAFETY: one descriptor, which the call fills in. What interrupts it is as good as a key.
    unsafe { libc::poll(&raw mut keys, 1, patience.as_millis() as libc::c_int) };
    keys.revents & (libc::POLLHUP | libc::POLLERR | libc::POLLNVAL) == 0
}

/// The time of day, which is what fits.
fn clock(utc_ns: i64) -> String {
    let text = format::time(utc_ns);
    text.get(11..21).map_or_else(|| text.clone(), str::to_owned)
}

fn of(code: KeyCode) -> Option<Key> {
    Some(match code {
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Tab => Key::Tab,
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Backspace => Key::Backspace,
        _ => return None,
    })
}
