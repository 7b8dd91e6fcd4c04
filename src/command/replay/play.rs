//! The loop of a replay: rows when they are due, a status line, and the end when somebody asks for
//! it.

use crate::failure::Result;
use crate::format;
use crate::output::{draw, say};
use osd_replay::pace::{Pace, Speed};
use osd_replay::rows::{Block, Clock, Cursor};
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

static STOPPED: AtomicBool = AtomicBool::new(false);

/// Asks for the end. Async-signal-safe.
pub(super) fn stop() {
    STOPPED.store(true, Ordering::Relaxed);
}

/// Whether somebody asked for it.
pub(super) fn stopped() -> bool {
    STOPPED.load(Ordering::Relaxed)
}

/// Longest time without a look at whether somebody asked for the end.
pub(super) const NAP: Duration = Duration::from_millis(50);

/// What a replay tells whoever takes part in it.
pub(super) enum Turn<'a> {
    /// Rows are due.
    Rows(&'a Block),
    /// All rows were given that were known at this time, recording time; nothing is due for now.
    Until(i64),
    /// It begins again.
    Lap,
}

/// What takes part.
pub(super) type Take<'a> = dyn FnMut(&Turn<'_>) -> Result<()> + 'a;

/// Plays recordings.
pub(super) struct Player {
    cursor: Cursor,
    pace: Pace,
    began: Instant,
    live: bool,
    quiet: bool,
    rows: u64,
    drawn: Option<(Instant, u64)>,
}

impl Player {
    pub(super) fn new(cursor: Cursor, speed: Speed, laps: bool, quiet: bool) -> Self {
        let pace = Pace::new(cursor.span(), speed, laps, 0);
        let live = !quiet && std::io::stderr().is_terminal();
        Self { cursor, pace, began: Instant::now(), live, quiet, rows: 0, drawn: None }
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Gives rows when they are due, until the end.
    pub(super) fn play(&mut self, take: &mut Take<'_>) -> Result<()> {
        loop {
            let over = self.pace.is_over(self.now_ns()) || self.pace.span().end <= self.pace.position(self.now_ns());
            // What was known after the last interval is of the recording all the same.
            let until = if over { i64::MAX } else { self.pace.position(self.now_ns()) };
            while let Some(block) = self.cursor.next_until(until)? {
                self.rows += block.rows.num_rows() as u64;
                take(&Turn::Rows(&block))?;
                self.draw();
                if stopped() {
                    return Ok(());
                }
            }
            take(&Turn::Until(until))?;
            self.draw();
            if stopped() {
                return Ok(());
            }
            if self.pace.next_lap(self.now_ns()) {
                self.cursor.rewind();
                take(&Turn::Lap)?;
                continue;
            }
            match self.cursor.peek()? {
                Some(next) => self.await_row(next),
                None if over => return Ok(()),
                // Nothing more in it, but it lasts a while.
                None => self.await_row(self.pace.span().end),
            }
        }
    }

    /// Sleeps until `next` is due, but not for long; passes over time in which nothing was recorded.
    fn await_row(&mut self, next: i64) {
        let now_ns = self.now_ns();
        let at = self.pace.position(now_ns);
        if let Some(from) = self.gap_end(at).filter(|from| *from <= next) {
            self.pace.seek(from, now_ns);
        }
        let wait = self.pace.wait_ns(next, now_ns).map_or(NAP, Duration::from_nanos);
        if !wait.is_zero() {
            std::thread::sleep(wait.min(NAP));
        }
    }

    /// Where the next recording begins, if none has this time.
    fn gap_end(&self, at_ns: i64) -> Option<i64> {
        let spans = self.cursor.recordings().iter().zip(self.cursor.clocks()).map(|(r, Clock { shift_ns, .. })| {
            let m = r.metadata();
            // Its last interval may be known a little later.
            let slack = i64::try_from(m.interval_ns).unwrap_or(0);
            m.started_ns.saturating_add(*shift_ns)..m.ended_ns.saturating_add(*shift_ns).saturating_add(slack)
        });
        let spans: Vec<_> = spans.collect();
        if spans.iter().any(|span| span.contains(&at_ns)) {
            return None;
        }
        spans.iter().map(|span| span.start).filter(|start| *start > at_ns).min()
    }

    fn draw(&mut self) {
        if !self.live {
            return;
        }
        let now = Instant::now();
        let (before, rows) = self.drawn.unwrap_or((self.began, 0));
        let seconds = now.duration_since(before).as_secs_f64();
        if seconds < 1.0 && self.drawn.is_some() {
            return;
        }
        let rate = (self.rows - rows) as f64 / seconds.max(1e-3);
        self.drawn = Some((now, self.rows));
        let span = self.pace.span();
        let at = self.pace.position(self.now_ns());
        let length = span.end.abs_diff(span.start);
        draw(format_args!(
            "\r\x1b[Kreplaying {} of {} at {}: {}, {} rows, {} rows/s{} (Ctrl-C ends it)",
            format::duration(at.abs_diff(span.start)),
            format::duration(length),
            self.pace.speed(),
            format::time(at),
            format::count(self.rows),
            format::count(rate as u64),
            match self.pace.n_laps() {
                0 => String::new(),
                n => format!(", lap {}", n + 1),
            },
        ));
    }

    /// What was replayed.
    pub(super) fn summary(&self) {
        if self.live {
            draw("\r\x1b[K");
        }
        if self.quiet {
            return;
        }
        let seconds = self.began.elapsed().as_secs_f64();
        let rate = format::count((self.rows as f64 / seconds.max(1e-3)) as u64);
        let rows = format::plural(format::count(self.rows), "row");
        say(format_args!("replayed {rows} in {seconds:.1} s ({rate} a second)"));
        if self.cursor.n_late() > 0 {
            let late = format::plural(format::count(self.cursor.n_late()), "row");
            say(format_args!(
                "warning: {late} came after others that were known later: the file has them far from their place"
            ));
        }
    }
}
