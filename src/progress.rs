//! How far work is, on one line of stderr with the time left, if that is a terminal: nothing at all
//! otherwise.

use crate::format;
use crate::output::draw;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// The line is drawn so often, and not before the work has taken as long.
const PAUSE: Duration = Duration::from_millis(200);

/// Work that goes on.
pub(crate) struct Progress {
    what: &'static str,
    shown: bool,
    began: Instant,
    drawn: Option<Instant>,
}

impl Progress {
    /// `what` is done: "exporting".
    pub(crate) fn new(what: &'static str, quiet: bool) -> Self {
        let shown = !quiet && std::io::stderr().is_terminal();
        Self { what, shown, began: Instant::now(), drawn: None }
    }

    /// `done` of `all` is done.
    pub(crate) fn at(&mut self, done: u64, all: u64) {
        if !self.shown || self.drawn.unwrap_or(self.began).elapsed() < PAUSE {
            return;
        }
        self.drawn = Some(Instant::now());
        draw(format_args!("\r\x1b[K{}", line(self.what, done, all, self.began.elapsed())));
    }

    /// The line makes room for what comes next.
    pub(crate) fn over(&mut self) {
        if self.drawn.take().is_some() {
            draw("\r\x1b[K");
        }
    }
}

fn line(what: &str, done: u64, all: u64, since: Duration) -> String {
    let share = if all == 0 { 1.0 } else { (done as f64 / all as f64).min(1.0) };
    let left_ns = if share > 0.0 { since.as_nanos() as f64 * (1.0 - share) / share } else { f64::MAX };
    let left = match left_ns {
        ns if ns < 1e15 => format!(", {} left", format::duration(ns as u64)),
        _ => String::new(),
    };
    format!("{what}: {:.0} %{left}", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_follows_from_what_is_done() {
        assert_eq!(line("exporting", 1, 4, Duration::from_secs(10)), "exporting: 25 %, 30.0 s left");
        assert_eq!(line("exporting", 0, 4, Duration::from_secs(10)), "exporting: 0 %");
        assert_eq!(line("exporting", 5, 4, Duration::from_secs(10)), "exporting: 100 %, 0 ns left");
    }
}
