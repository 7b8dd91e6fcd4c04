//! From a capture to a recording: once through it to learn when it was, and once more for the rows.

use super::line::{Line, What, line, reference};
use crate::import::gather::{Gather, Imported, Options};
use crate::import::read::{Sum, lines};
use crate::import::strace::takes_fd;
use crate::{Error, Result};
use osd_recording::ProcId;
use osd_recording::names::Arch;
use osd_recording::rows::{Owner, Process, ProcessEvent, Syscall};
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

/// A process that lives.
#[derive(Clone, Debug, Default)]
struct Known {
    owner: Owner,
    comm: String,
    exe: Option<String>,
    ppid: u32,
    parent: Option<ProcId>,
    start_ns: i64,
    /// What it gave to `exit_group`.
    code: Option<i32>,
}

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
    /// By PID.
    processes: HashMap<u32, Known>,
    /// Tasks that were started and not met yet: by whom, and when.
    born: HashMap<u32, (Known, i64)>,
    /// How many processes of a PID there were.
    lived: HashMap<u32, usize>,
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
            processes: HashMap::new(),
            born: HashMap::new(),
            lived: HashMap::new(),
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
                    if let Some(known) = self.processes.get_mut(&pid) {
                        known.code = Some((first & 0xff) as i32);
                    }
                    if !self.has_ends {
                        return self.end(pid, line.ts_ns);
                    }
                }
                Ok(())
            }
            What::Exit { nr, ret } => self.returned(pid, &line, nr, ret),
            What::Fork { child, comm } => {
                self.meet(pid, &line)?;
                let parent = self.processes.get(&pid).cloned().unwrap_or_default();
                // A PID that comes again: the end of the one before was not seen.
                self.end(child, line.ts_ns)?;
                self.born.insert(child, (Known { comm: comm.to_owned(), ..parent }, line.ts_ns));
                Ok(())
            }
            What::Exec { file } => {
                self.meet(pid, &line)?;
                if let Some(known) = self.processes.get_mut(&pid) {
                    (known.comm, known.exe) = (line.comm.to_owned(), Some(file.to_owned()));
                }
                self.event(pid, line.tid, line.ts_ns, ProcessEvent::Exec)
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
        if self.processes.contains_key(&pid) {
            return Ok(());
        }
        let nth = self.lived.entry(pid).or_default();
        let owner = self.gather.identity(pid, line.ts_ns, *nth);
        *nth += 1;
        let (known, event) = match self.born.remove(&pid) {
            Some((parent, start_ns)) => {
                let (ppid, of) = (parent.owner.pid, Some(parent.owner.proc));
                (Known { owner, ppid, parent: of, start_ns, code: None, ..parent }, ProcessEvent::Fork)
            }
            None => {
                let comm = line.comm.to_owned();
                (Known { owner, comm, start_ns: line.ts_ns, ..Known::default() }, ProcessEvent::Running)
            }
        };
        self.processes.insert(pid, known);
        self.event(pid, pid, line.ts_ns, event)
    }

    fn event(&mut self, pid: u32, tid: u32, ts_ns: i64, event: ProcessEvent) -> Result<()> {
        let Some(known) = self.processes.get(&pid).cloned() else { return Ok(()) };
        self.gather.process(Process {
            ts_ns,
            owner: known.owner,
            tid,
            event,
            ppid: known.ppid,
            parent: known.parent,
            comm: known.comm,
            exe: known.exe,
            argv: None,
            uid: 0,
            exit_code: known.code.filter(|_| event == ProcessEvent::Exit),
            exit_signal: None,
            start_ts_ns: known.start_ns,
            ns_pid: None,
            pid_ns: None,
        })
    }

    fn end(&mut self, pid: u32, ts_ns: i64) -> Result<()> {
        self.event(pid, pid, ts_ns, ProcessEvent::Exit)?;
        self.processes.remove(&pid);
        Ok(())
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
        let Some(owner) = self.processes.get(&pid).map(|known| known.owner) else { return Ok(()) };
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
        match self.processes.get_mut(&pid) {
            Some(known) if known.comm != line.comm => known.comm = line.comm.to_owned(),
            _ => return Ok(()),
        }
        self.event(pid, line.tid, line.ts_ns, ProcessEvent::Exec)
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
