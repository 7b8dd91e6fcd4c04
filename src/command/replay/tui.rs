//! `osd replay --tui`: the screen, on a terminal.
//!
//! What is on it and what keys do is [`osd_replay::screen`]'s; here are the terminal, the clock and the reading. It is drawn at most ten
//! times a second and only if something has changed, so that a slow link has time to follow. A second of the recording, and as much before it
//! as the strip is wide, is read for each picture; the detector goes on through the recording meanwhile, a little at a time.

use super::{play, times};
use crate::failure::{Failure, Result};
use crate::format;
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

/// Refuses what is no terminal.
pub(super) fn check() -> Result<()> {
    if std::io::stdout().is_terminal() && std::io::stdin().is_terminal() {
        return Ok(());
    }
    Err(Failure::new("--tui needs a terminal, and stdin or stdout is none").hint("--format table writes rows as text"))
}

pub(super) fn run(recordings: Vec<Recording>, speed: Speed, laps: bool, config: Option<Config>) -> Result<()> {
    let n = recordings.len();
    let Ok([recording]) = <[Recording; 1]>::try_from(recordings) else {
        return Err(Failure::new(format!("--tui shows one recording, and there are {n}")).hint("name one of them"));
    };
    let mut screen = Screen::new(recording, speed, laps, config.unwrap_or_default())?;
    // It restores the terminal after a panic, too.
    let mut terminal = ratatui::try_init().map_err(|e| Failure::new(format!("cannot use this terminal: {e}")))?;
    let outcome = screen.run(&mut terminal);
    ratatui::restore();
    outcome
}

struct Screen {
    recording: Recording,
    state: State,
    lives: Lives,
    judging: Cursor,
    live: Option<Live>,
    moment: Moment,
    began: Instant,
    color: bool,
}

impl Screen {
    fn new(recording: Recording, speed: Speed, laps: bool, config: Config) -> Result<Self> {
        let m = recording.metadata();
        let step_ns = i64::try_from(m.interval_ns).ok().filter(|ns| *ns > 0).unwrap_or(100_000_000);
        let pace = Pace::new(m.started_ns..m.ended_ns.max(m.started_ns + 1), speed, laps, 0);
        let title = format!("osd replay {}", recording.path().display());
        let all = COLUMNS.iter().chain(columns()).copied().collect();
        let judging = Cursor::new(vec![recording.clone()], Wanted { columns: Some(all), ..Wanted::default() });
        let live = Some(Live::new(m, None, &config));
        let mut lives = Lives::default();
        let kinds = Some(vec![Kind::Process]);
        let names = Some(vec!["proc", "ppid", "comm", "exe"]);
        let mut cursor = Cursor::new(vec![recording.clone()], Wanted { kinds, columns: names, ..Wanted::default() });
        while let Some(block) = cursor.next_block()? {
            lives.block(&block)?;
        }
        let color = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        let state = State::new(title, pace, step_ns);
        let (moment, began) = (Moment::default(), Instant::now());
        Ok(Self { recording, state, lives, judging, live, moment, began, color })
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn run(&mut self, terminal: &mut DefaultTerminal) -> Result<()> {
        let failed = |e: std::io::Error| Failure::new(format!("cannot use this terminal: {e}"));
        let mut drawn: Option<(i64, Instant)> = None;
        let mut dirty = true;
        loop {
            let now_ns = self.now_ns();
            self.state.pace.next_lap(now_ns);
            // In whole steps: between them nothing new is known.
            let start_ns = self.state.pace.span().start;
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
            if play::stopped() {
                return Ok(());
            }
            let patience = if self.live.is_some() { Duration::from_millis(1) } else { Duration::from_millis(40) };
            while event::poll(patience).map_err(failed)? {
                dirty = true;
                if let event::Event::Key(key) = event::read().map_err(failed)?
                    && key.kind != KeyEventKind::Release
                {
                    if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
                        return Ok(());
                    }
                    let Some(key) = of(key.code) else { continue };
                    let now_ns = self.now_ns();
                    if self.state.press(key, now_ns, &|text| times::time(text, start_ns).ok()) == Act::Quit {
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
        let Some(live) = &mut self.live else { return Ok(false) };
        let began = Instant::now();
        let mut over = false;
        while began.elapsed() < JUDGE && !over {
            match self.judging.next_block()? {
                Some(block) => {
                    live.block(&block)?;
                    self.state.judged_ns = block.times().last().copied().unwrap_or(self.state.judged_ns);
                }
                None => {
                    live.finish();
                    self.state.judged_ns = i64::MAX;
                    over = true;
                }
            }
        }
        for alarm in live.said() {
            let finding = Finding { start_ns: alarm.start_ns, end_ns: alarm.end_ns, sentence: alarm.sentence };
            match alarm.event {
                Event::Begin => self.state.findings.push(finding),
                Event::End => {
                    self.state.findings.pop();
                    self.state.findings.push(finding);
                }
            }
        }
        if over {
            self.live = None;
        }
        Ok(true)
    }
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
