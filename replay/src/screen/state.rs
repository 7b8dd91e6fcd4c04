//! What the person has chosen, and where the replay is.

use crate::pace::{Pace, Speed};

/// A key, whatever the terminal calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// Arrows.
    Left,
    /// To the right.
    Right,
    /// Up.
    Up,
    /// Down.
    Down,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the beginning.
    Home,
    /// To the end.
    End,
    /// The next pane.
    Tab,
    /// Done.
    Enter,
    /// Never mind.
    Esc,
    /// Takes a character back.
    Backspace,
}

/// What a key asks of whoever runs the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Nothing but to draw.
    Draw,
    /// To end.
    Quit,
}

/// What keys are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Commands.
    Browse,
    /// The text of a filter.
    Filter(String),
    /// A time to go to.
    Goto(String),
    /// The help is shown.
    Help,
}

/// A list that can be scrolled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pane {
    /// Processes.
    Processes,
    /// System calls.
    Calls,
    /// Findings.
    Findings,
}

/// What processes are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Processor time.
    Cpu,
    /// Memory.
    Memory,
    /// System calls.
    Calls,
    /// PID.
    Pid,
}

/// An alarm, as the screen has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Its number.
    pub id: u64,
    /// When it began, replay time.
    pub start_ns: i64,
    /// When it ended; none while it lasts.
    pub end_ns: Option<i64>,
    /// What it is about.
    pub sentence: String,
}

/// The state of the screen.
#[derive(Clone, Debug)]
pub struct State {
    /// Where the replay is.
    pub pace: Pace,
    /// Length of a step: an interval of the recording.
    pub step_ns: i64,
    /// What keys are for.
    pub mode: Mode,
    /// The list that arrows scroll.
    pub pane: Pane,
    /// What processes are sorted by.
    pub sort: Sort,
    /// Whether processes are shown below their parents.
    pub tree: bool,
    /// Only names with this in them.
    pub filter: String,
    /// First row of each list.
    pub scroll: [usize; 3],
    /// In order of time.
    pub findings: Vec<Finding>,
    /// How far the detector has come, recording time.
    pub judged_ns: i64,
    /// Something to say, until the next key.
    pub message: String,
    /// What is replayed.
    pub title: String,
    /// It is still being written: at its end it goes on.
    pub follows: bool,
}

const MINUTE_NS: i64 = 60_000_000_000;

impl State {
    /// At the beginning.
    pub fn new(title: String, pace: Pace, step_ns: i64) -> Self {
        let judged_ns = pace.span().start;
        Self {
            pace,
            step_ns: step_ns.max(1),
            mode: Mode::Browse,
            pane: Pane::Processes,
            sort: Sort::Cpu,
            tree: false,
            filter: String::new(),
            scroll: [0; 3],
            findings: vec![],
            judged_ns,
            message: String::new(),
            title,
            follows: false,
        }
    }

    /// A key was pressed at `now_ns`. `time` reads a time as a person writes it, recording time.
    pub fn press(&mut self, key: Key, now_ns: u64, time: &dyn Fn(&str) -> Option<i64>) -> Act {
        self.message.clear();
        match std::mem::replace(&mut self.mode, Mode::Browse) {
            Mode::Help => Act::Draw,
            Mode::Filter(text) => self.edit(text, key, Mode::Filter, |state, text| state.filter = text),
            Mode::Goto(text) => self.edit(text, key, Mode::Goto, |state, text| match time(&text) {
                Some(ts_ns) => state.go(ts_ns, now_ns),
                None => state.message = format!("`{text}` is not a time: 90s, 1h2m, or 2026-01-31T12:00:00Z"),
            }),
            Mode::Browse => self.browse(key, now_ns),
        }
    }

    fn edit(
        &mut self,
        mut text: String,
        key: Key,
        mode: fn(String) -> Mode,
        done: impl FnOnce(&mut Self, String),
    ) -> Act {
        match key {
            Key::Enter => done(self, text),
            Key::Esc => {}
            Key::Backspace => {
                text.pop();
                self.mode = mode(text);
            }
            Key::Char(c) if !c.is_control() && text.chars().count() < 64 => {
                text.push(c);
                self.mode = mode(text);
            }
            _ => self.mode = mode(text),
        }
        Act::Draw
    }

    fn browse(&mut self, key: Key, now_ns: u64) -> Act {
        let span = self.pace.span();
        match key {
            Key::Char('q') => return Act::Quit,
            Key::Esc => self.filter.clear(),
            Key::Char('?' | 'h') => self.mode = Mode::Help,
            Key::Char('/') => self.mode = Mode::Filter(self.filter.clone()),
            Key::Char('g') => self.mode = Mode::Goto(String::new()),
            Key::Char(' ') => self.pace.pause(!self.pace.is_paused(), now_ns),
            Key::Left => self.pace.step(-self.step_ns, now_ns),
            Key::Right => self.pace.step(self.step_ns, now_ns),
            Key::PageUp => self.pace.step(-MINUTE_NS, now_ns),
            Key::PageDown => self.pace.step(MINUTE_NS, now_ns),
            Key::Home => self.go(span.start, now_ns),
            Key::End => {
                self.go(span.end, now_ns);
                self.pace.pause(!self.follows, now_ns);
            }
            Key::Char('n') => self.go_to_finding(true, now_ns),
            Key::Char('N') => self.go_to_finding(false, now_ns),
            Key::Char('+') => self.faster(2.0, now_ns),
            Key::Char('-') => self.faster(0.5, now_ns),
            Key::Char('s') => {
                self.sort = match self.sort {
                    Sort::Cpu => Sort::Memory,
                    Sort::Memory => Sort::Calls,
                    Sort::Calls => Sort::Pid,
                    Sort::Pid => Sort::Cpu,
                };
            }
            Key::Char('t') => self.tree = !self.tree,
            Key::Tab => {
                self.pane = match self.pane {
                    Pane::Processes => Pane::Calls,
                    Pane::Calls => Pane::Findings,
                    Pane::Findings => Pane::Processes,
                };
            }
            Key::Up => self.scroll[self.pane as usize] = self.scroll[self.pane as usize].saturating_sub(1),
            Key::Down => self.scroll[self.pane as usize] += 1,
            Key::Char(c) => self.message = format!("{c:?} does nothing: ? shows the keys"),
            Key::Enter | Key::Backspace => {}
        }
        Act::Draw
    }

    /// Goes to a time, and stands still there.
    fn go(&mut self, ts_ns: i64, now_ns: u64) {
        self.pace.pause(true, now_ns);
        self.pace.seek(ts_ns, now_ns);
    }

    fn go_to_finding(&mut self, next: bool, now_ns: u64) {
        let at = self.pace.position(now_ns);
        let found = match next {
            true => self.findings.iter().find(|f| f.start_ns > at),
            false => self.findings.iter().rev().find(|f| f.start_ns < at),
        };
        match found.map(|f| f.start_ns) {
            Some(start_ns) => self.go(start_ns, now_ns),
            None if next && self.judged_ns < self.pace.span().end => {
                self.message = "no finding after this yet: the detector is not at the end".into();
            }
            None => self.message = format!("no finding {} this", if next { "after" } else { "before" }),
        }
    }

    fn faster(&mut self, by: f64, now_ns: u64) {
        if let Speed::Times(times) = self.pace.speed() {
            self.pace.set_speed(Speed::Times((times * by).clamp(1.0 / 64.0, 4_096.0)), now_ns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    fn state() -> State {
        let pace = Pace::new(0..600 * S, Speed::Times(1.0), false, 0);
        let mut state = State::new("x".into(), pace, S / 10);
        let finding = |start| Finding { id: 0, start_ns: start * S, end_ns: None, sentence: String::new() };
        state.findings = vec![finding(100), finding(200)];
        state
    }

    fn at(state: &mut State, keys: &[Key]) -> i64 {
        let time = |text: &str| text.strip_suffix('s')?.parse::<i64>().ok().map(|s| s * S);
        keys.iter().for_each(|key| assert_eq!(state.press(*key, 0, &time), Act::Draw));
        state.pace.position(0)
    }

    #[test]
    fn keys_go_by_steps_minutes_findings_and_to_a_time() {
        use Key::{Char, End, Enter, Home, Left, PageDown, PageUp, Right};
        for (keys, to) in [
            (&[Right, Right][..], S / 5),
            (&[Right, Left, Left], 0),
            (&[PageDown, PageDown, PageUp], 60 * S),
            (&[Char('n'), Char('n')], 200 * S),
            (&[Char('n'), Char('n'), Char('N')], 100 * S),
            (&[End, Char('n')], 600 * S),
            (&[End, Home], 0),
            (&[Char('g'), Char('4'), Char('2'), Char('s'), Enter], 42 * S),
        ] {
            assert_eq!(at(&mut state(), keys), to, "{keys:?}");
        }
    }

    #[test]
    fn what_is_no_time_is_said_and_moves_nothing() {
        let mut state = state();
        assert_eq!(at(&mut state, &[Key::Char('g'), Key::Char('x'), Key::Enter]), 0);
        assert!(state.message.contains("`x` is not a time"));
        at(&mut state, &[Key::End, Key::Char('n')]);
        assert!(state.message.contains("no finding after this yet"), "{}", state.message);
    }

    #[test]
    fn a_filter_is_typed_kept_and_taken_back() {
        use Key::{Backspace, Char, Enter, Esc};
        let mut state = state();
        at(&mut state, &[Char('/'), Char('n'), Char('g'), Char('q'), Backspace, Enter]);
        assert_eq!(state.filter, "ng");
        at(&mut state, &[Char('/'), Char('x'), Esc]);
        assert_eq!(state.filter, "ng", "never mind");
        at(&mut state, &[Esc]);
        assert_eq!(state.filter, "");
        assert_eq!(state.press(Char('q'), 0, &|_| None), Act::Quit);
    }

    #[test]
    fn at_the_end_of_what_is_being_written_it_goes_on() {
        let mut state = state();
        state.follows = true;
        at(&mut state, &[Key::Left, Key::End]);
        state.pace.extend(610 * S, 0);
        assert_eq!(state.pace.position(3 * S as u64), 603 * S);
    }

    #[test]
    fn space_stops_and_runs_on_and_speed_doubles() {
        let mut state = state();
        at(&mut state, &[Key::Char(' ')]);
        assert_eq!(state.pace.position(9 * S as u64), 0);
        at(&mut state, &[Key::Char('+'), Key::Char('+'), Key::Char('-'), Key::Char(' ')]);
        assert_eq!(state.pace.position(9 * S as u64), 18 * S);
    }
}
