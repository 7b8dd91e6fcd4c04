//! Which file or peer a descriptor is: what its number of that process was at that moment.
//!
//! The rows of the calls that use a descriptor have its number alone. What it is, a `descriptor` row says, or the row of the call that opened
//! it by a path. Of a call that opens, the number is what it is from its return on; of one that closes, until its entry: another thread may
//! be given the number before the close is over.

use osd_recording::{Batches, Columns, Kind, Recording, Result};
use osd_signals::grid::{self, query};
use osd_signals::parallel;
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

/// Openings and closings that are kept of each part of the rows; memory is bounded.
const CHANGES_MAX: usize = 500_000;

/// When a number of a process became which path; an empty one: it was closed, or became no file.
type Changes = HashMap<(u64, i64), Vec<(i64, String)>>;

/// The files of all processes.
#[derive(Debug, Default)]
pub(crate) struct Files(Changes);

impl Files {
    /// From the calls that open and close, of the rows that begin in `range`.
    pub(crate) fn read(recording: &Recording, range: Option<&Range<i64>>) -> Result<Self> {
        let query = query(Kind::Syscall, &["ts", "dur_ns", "proc", "syscall", "ret", "fd", "path"], range);
        let parts = parallel::read(recording, &query, |rows| part(rows, recording.path()))?;
        let mut all = Changes::new();
        for (key, changes) in parts.into_iter().flatten() {
            all.entry(key).or_default().extend(changes);
        }
        for batch in recording.read(&grid::query(Kind::Descriptor, &["ts", "proc", "fd", "path"], None))? {
            let batch = batch?;
            let columns = Columns::of(&batch, recording.path());
            let (proc, fd, paths) = (columns.u64("proc")?, columns.i64("fd")?, columns.text("path")?);
            for (row, ts) in columns.ts()?.iter().enumerate() {
                let (Some(proc), Some(fd), Some(path)) = (proc.at(row), fd.at(row), paths.at(row)) else { continue };
                all.entry((proc, fd)).or_default().push((*ts, path.to_owned()));
            }
        }
        // Of what is said of one moment, what a `descriptor` row says comes last: it was added last.
        all.values_mut().for_each(|changes| changes.sort_by_key(|(at, _)| *at));
        Ok(Self(all))
    }

    /// The path of descriptor `fd` of `proc` at that time, if it is known.
    pub(crate) fn path(&self, proc: u64, fd: i64, ts_ns: i64) -> Option<&str> {
        let changes = self.0.get(&(proc, fd))?;
        let known = changes.partition_point(|(at, _)| *at <= ts_ns);
        let (_, path) = changes.get(known.checked_sub(1)?)?;
        Some(path.as_str()).filter(|p| !p.is_empty())
    }
}

/// What a call does to the numbers.
#[derive(Clone, Copy)]
enum Does {
    /// Returns a number for the path it was given.
    Open,
    /// Returns a number that is no file, or not one that is known.
    Other,
    Close,
    /// Makes a socket the one that talks to the address it was given.
    Connect,
    Nothing,
}

fn does(syscall: &str) -> Does {
    match syscall {
        "open" | "openat" | "openat2" | "creat" => Does::Open,
        "socket" | "accept" | "accept4" | "eventfd" | "eventfd2" | "epoll_create" | "epoll_create1"
        | "timerfd_create" | "memfd_create" | "dup" | "dup2" | "dup3" | "signalfd" | "signalfd4" | "inotify_init"
        | "inotify_init1" | "pidfd_open" | "pidfd_getfd" => Does::Other,
        "close" => Does::Close,
        "connect" => Does::Connect,
        _ => Does::Nothing,
    }
}

fn part(rows: Batches, path: &Path) -> Result<Changes> {
    let (mut out, mut kept) = (Changes::new(), 0_usize);
    for batch in rows {
        let batch = batch?;
        let columns = Columns::of(&batch, path);
        let (proc, ret, fd) = (columns.u64("proc")?, columns.i64("ret")?, columns.i64("fd")?);
        let dur = columns.u64("dur_ns")?;
        let (names, paths) = (columns.text("syscall")?, columns.text("path")?);
        let of_code: Vec<Does> = names.all().map(does).collect();
        for (row, ts) in columns.ts()?.iter().enumerate() {
            let Some(code) = names.code(row) else { continue };
            let opened = ret.at(row).filter(|ret| *ret >= 0);
            let end = ts.saturating_add_unsigned(dur.at(row).unwrap_or(0));
            let (number, file, at) = match of_code[code] {
                Does::Open => (opened, paths.at(row).unwrap_or_default(), end),
                Does::Other => (opened, "", end),
                // The call itself is on what it closes.
                Does::Close => (fd.at(row), "", ts.saturating_add(1)),
                // One that does not wait for the answer is connected later, or never.
                Does::Connect => (fd.at(row), paths.at(row).unwrap_or_default(), *ts),
                Does::Nothing => continue,
            };
            let Some(number) = number else { continue };
            let changes = out.entry((proc.at(row).unwrap_or(0), number)).or_default();
            // That it is no file is said once.
            if kept < CHANGES_MAX && !(file.is_empty() && changes.last().is_some_and(|(_, path)| path.is_empty())) {
                kept += 1;
                changes.push((at, file.to_owned()));
            }
        }
    }
    Ok(out)
}
