//! From a capture to a recording: once through it to learn when it was, and once more for the rows.

use super::line::{Line, What, line, reference};
use crate::import::gather::{Gather, Imported, Options};
use crate::import::lives::{Known, Lives};
use crate::import::read::{Sum, lines};
use crate::import::strace::takes_fd;
use crate::{Error, Result};
use osd_recording::names::Arch;
use osd_recording::rows::{ProcessEvent, Syscall};
use osd_recording::syscall::UNKNOWN;
use std::collections::HashMap;
use std::path::Path;

/// Earlier times are no times of day: perf's own clock counts from the boot.
const REAL_NS: i64 = 500_000_000_000_000_000;

/// Reads the capture `path`; `progress` hears how many of how many bytes are read.
///
/// # Errors
/// [`Error::Import`] if its lines do not say when they were; if the recording cannot be written.
pub(in super::super) fn import(path: &Path, options: &Options, mut progress: impl FnMut(u64, u64)) -> Result<Imported> {
    let there = path.metadata().map_err(|e| Error::Import {
        path: path.to_owned(),
        detail: e.to_string(),
        fix: "check the path",
    })?;
    let all = there.len().saturating_mul(2);
    let (mut sum, mut span, mut has_ends, mut offset_ns) = (Sum::default(), (i64::MAX, i64::MIN), false, None);
    lines(path, |_, text, bytes| {
        progress(bytes, all);
        sum.add(text);
        if let Some(line) = line(text) {
            span = (span.0.min(line.ts_ns), span.1.max(line.ts_ns));
            has_ends |= matches!(line.what, What::Gone { .. });
        } else if offset_ns.is_none() {
            offset_ns = reference(text);
        }
        Ok(())
    })?;
    let offset = offset_ns.unwrap_or(0);
    let span = (span.0.saturating_add(offset), span.1.saturating_add(offset));
    let gather = Gather::new(options, span, sum.number(), "perf")?;
    let mut reader = Reader::new(gather, options.arch, has_ends, offset, span.0 >= REAL_NS);
    lines(path, |number, text, bytes| {
        progress(there.len() + bytes, all);
        reader.line(number, text)
    })?;
    reader.finish()
}

/// What stands for a number where there is none.
const NO_NUMBER: i64 = -1;

/// A call that has not returned.
#[derive(Clone, Copy, Debug)]
struct Begun {
    nr: i64,
    ts_ns: i64,
    first: u64,
}

/// The second reading.
struct Reader {
    gather: Gather,
    arch: Arch,
    /// The events that tell of ends are there.
    has_ends: bool,
    /// From perf's times to UTC.
    offset_ns: i64,
    is_real: bool,
    /// Of each thread.
    begun: HashMap<u32, Begun>,
    lives: Lives,
    /// What processes gave to `exit_group`.
    codes: HashMap<u32, i32>,
    lines: u64,
    not_understood: u64,
    first_not_understood: Option<u64>,
    not_returned: u64,
    not_begun: u64,
    without_pid: bool,
}

impl Reader {
    fn new(gather: Gather, arch: Arch, has_ends: bool, offset_ns: i64, is_real: bool) -> Self {
        Self {
            gather,
            arch,
            has_ends,
            offset_ns,
            is_real,
            begun: HashMap::new(),
            lives: Lives::default(),
            codes: HashMap::new(),
            lines: 0,
            not_understood: 0,
            first_not_understood: None,
            not_returned: 0,
            not_begun: 0,
            without_pid: false,
        }
    }

    fn line(&mut self, number: u64, text: &str) -> Result<()> {
        self.lines += 1;
        let Some(line) = line(text) else {
            // Headers are comments.
            if !text.trim().is_empty() && !text.starts_with('#') {
                self.not_understood += 1;
                self.first_not_understood.get_or_insert(number);
            }
            return Ok(());
        };
        let line = Line { ts_ns: line.ts_ns.saturating_add(self.offset_ns), ..line };
        self.without_pid |= line.pid.is_none();
        let pid = line.pid.unwrap_or(line.tid);
        match line.what {
            // The idle task is nobody.
            _ if pid == 0 => Ok(()),
            What::Other => Ok(()),
            What::Enter { nr, first } => {
                self.meet(pid, &line)?;
                let begun = Begun { nr, ts_ns: line.ts_ns, first };
                self.not_returned += u64::from(self.begun.insert(line.tid, begun).is_some());
                if self.name(nr) == Some("exit_group") {
                    self.begun.remove(&line.tid);
                    self.codes.insert(pid, (first & 0xff) as i32);
                    if !self.has_ends {
                        return self.end(pid, line.ts_ns);
                    }
                }
                Ok(())
            }
            What::Exit { nr, ret } => self.returned(pid, &line, nr, ret),
            What::Fork { child, comm } => {
                self.meet(pid, &line)?;
                // A PID that comes again: the end of the one before was not seen.
                self.end(child, line.ts_ns)?;
                self.lives.start(pid, child, Some(comm), Some(line.ts_ns));
                Ok(())
            }
            What::Exec { file } => {
                self.meet(pid, &line)?;
                if let Some(known) = self.lives.get_mut(pid) {
                    (known.comm, known.exe) = (line.comm.to_owned(), Some(file.to_owned()));
                }
                self.executed(pid, &line)
            }
            What::Gone { tid } => {
                let open = self.begun.remove(&tid).and_then(|begun| self.name(begun.nr));
                self.not_returned += u64::from(open.is_some_and(|name| !matches!(name, "exit" | "exit_group")));
                if tid == pid { self.end(pid, line.ts_ns) } else { Ok(()) }
            }
        }
    }

    fn name(&self, nr: i64) -> Option<&'static str> {
        self.arch.syscall_name(u16::try_from(nr).ok()?)
    }

    /// Introduces a process that was not met before.
    fn meet(&mut self, pid: u32, line: &Line<'_>) -> Result<()> {
        let running = || Known { comm: line.comm.to_owned(), ..Known::default() };
        self.lives.meet(&mut self.gather, pid, line.ts_ns, running)
    }

    fn executed(&mut self, pid: u32, line: &Line<'_>) -> Result<()> {
        self.lives.event(&mut self.gather, (pid, line.tid), line.ts_ns, ProcessEvent::Exec, (None, None))
    }

    fn end(&mut self, pid: u32, ts_ns: i64) -> Result<()> {
        let code = self.codes.remove(&pid);
        self.lives.end(&mut self.gather, pid, ts_ns, (code, None))
    }

    fn returned(&mut self, pid: u32, line: &Line<'_>, nr: i64, ret: i64) -> Result<()> {
        self.meet(pid, line)?;
        // It was in a call when perf came. A return from a signal comes under no number, since the kernel restores the registers that hold it.
        let is_of = |begun: &Begun| nr == begun.nr || nr == NO_NUMBER;
        let Some(begun) = self.begun.remove(&line.tid).filter(is_of) else {
            self.not_begun += 1;
            return Ok(());
        };
        let nr = begun.nr;
        let name = self.name(nr);
        if name == Some("execve") && ret == 0 {
            self.renamed(pid, line)?;
        }
        let Some(owner) = self.lives.get(pid).map(|known| known.owner) else { return Ok(()) };
        self.gather.call(Syscall {
            ts_ns: begun.ts_ns,
            dur_ns: line.ts_ns.saturating_sub(begun.ts_ns).max(0).unsigned_abs(),
            owner,
            tid: line.tid,
            nr: u16::try_from(nr).unwrap_or(UNKNOWN).min(UNKNOWN),
            ret,
            fd: name.filter(|name| takes_fd(name)).map(|_| begun.first as i32),
            path: None,
        })
    }

    /// Where no event tells of programs that are run, the name tells.
    fn renamed(&mut self, pid: u32, line: &Line<'_>) -> Result<()> {
        match self.lives.get_mut(pid) {
            Some(known) if known.comm != line.comm => known.comm = line.comm.to_owned(),
            _ => return Ok(()),
        }
        self.executed(pid, line)
    }

    fn finish(self) -> Result<Imported> {
        let not_returned = self.not_returned + self.begun.len() as u64;
        let mut blind: Vec<String> = [
            "made from a capture of perf: CPU time, memory, network, storage, scheduling and the host are not known",
            "paths, arguments of programs, users, control groups and namespaces are not known; users are all 0",
        ]
        .map(str::to_owned)
        .into();
        let mut say = |is: bool, text: String| blind.extend(is.then_some(text));
        say(
            !self.is_real,
            "times count from when the host booted, told as if that had been in 1970 (perf ran without -k mono, or perf script without --header)"
                .into(),
        );
        say(
            self.without_pid,
            "threads are told as processes of their own (perf script ran without -F comm,pid,tid,time,event,trace)"
                .into(),
        );
        say(
            !self.has_ends,
            "that a process was killed is not known (perf ran without -e sched:sched_process_exit)".into(),
        );
        say(not_returned > 0, format!("{not_returned} calls had not returned when their thread or the capture ended"));
        say(
            self.not_begun > 0,
            format!("of {} calls the beginning is not there, and they have no row", self.not_begun),
        );
        let first = self.first_not_understood.unwrap_or(0);
        say(self.not_understood > 0, format!("{} lines were not understood, line {first} first", self.not_understood));
        let closed = self.gather.close(blind, 0)?;
        let Self { lines, not_understood, first_not_understood, .. } = self;
        Ok(Imported { closed, lines, not_understood, first_not_understood, not_returned, notes: vec![] })
    }
}
