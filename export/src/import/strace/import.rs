//! From a capture to a recording: once through it to learn when it was and who is whose, and once
//! more for the rows.

use super::args;
use super::line::{End, Line, Ret, What, Wrong, line};
use super::who::{Origins, Pending, started};
use crate::import::gather::{Gather, Imported, Options};
use crate::import::read::{Sum, lines};
use crate::{Error, Result};
use osd_recording::names::Arch;
use osd_recording::rows::{NO_DURATION, Owner, Process, ProcessEvent, Syscall};
use osd_recording::syscall::UNKNOWN;
use std::collections::HashMap;
use std::path::Path;

/// Reads the capture `path`; `progress` hears how many of how many bytes are read.
///
/// # Errors
/// [`Error::Import`] if it is no capture with times; if the recording cannot be written.
pub(in super::super) fn import(path: &Path, options: &Options, mut progress: impl FnMut(u64, u64)) -> Result<Imported> {
    let refused = |detail: &str, fix| Error::Import { path: path.to_owned(), detail: detail.to_owned(), fix };
    let there = path.metadata().map_err(|e| refused(&e.to_string(), "check the path"))?;
    if !there.is_file() {
        return Err(refused("it is no file, and a capture is read twice", "save it to a file first"));
    }
    let all = there.len().saturating_mul(2);
    let survey = Survey::of(path, |done| progress(done, all))?;
    let fix = "trace with `strace -f -ttt -T -o FILE`, or with perf as `osd import --help` shows; options that leave times out cannot be \
               made up for";
    match survey {
        Survey { understood: 0, without_time: 0, .. } => {
            return Err(refused(
                "it is no output of strace, and none of perf script about raw_syscalls or of sysdig -j, and no table of metrics",
                fix,
            ));
        }
        Survey { understood, without_time, .. } if without_time > understood => {
            return Err(refused("its lines do not say when they were, in seconds since 1970", fix));
        }
        _ => {}
    }
    let gather = Gather::new(options, survey.span, survey.sum.number(), "strace")?;
    let mut reader = Reader::new(gather, options.arch, survey.origins);
    lines(path, |number, text, bytes| {
        progress(there.len() + bytes, all);
        reader.line(number, text)
    })?;
    reader.finish()
}

/// What the first reading learns.
#[derive(Default)]
struct Survey {
    origins: Origins,
    sum: Sum,
    span: (i64, i64),
    understood: u64,
    without_time: u64,
}

impl Survey {
    fn of(path: &Path, mut progress: impl FnMut(u64)) -> Result<Self> {
        let mut survey = Self { span: (i64::MAX, i64::MIN), ..Self::default() };
        lines(path, |_, text, bytes| {
            progress(bytes);
            survey.sum.add(text);
            match line(text) {
                Ok(line) => {
                    survey.understood += 1;
                    survey.origins.note(&line);
                    let dur_ns = match line.what {
                        What::Call { end, .. } => end.dur_ns.unwrap_or(0),
                        _ => 0,
                    };
                    survey.span.0 = survey.span.0.min(line.ts_ns);
                    survey.span.1 = survey.span.1.max(line.ts_ns.saturating_add_unsigned(dur_ns));
                }
                Err(Wrong::Time) => survey.without_time += 1,
                Err(Wrong::Other) => {}
            }
            Ok(())
        })?;
        Ok(survey)
    }
}

/// A thread that lives.
#[derive(Clone, Copy)]
struct Thread {
    owner: Owner,
}

/// What is known of a process beside its calls.
#[derive(Clone, Default)]
struct About {
    comm: String,
    exe: Option<String>,
    argv: Option<String>,
    ppid: u32,
    parent: Option<osd_recording::ProcId>,
    start_ns: i64,
}

/// A chain of parents that is longer is none.
const MOST_PARENTS: usize = 1_000;

/// The second reading.
struct Reader {
    gather: Gather,
    arch: Arch,
    origins: Origins,
    pending: Pending,
    threads: HashMap<u32, Thread>,
    about: HashMap<u64, About>,
    /// How many threads of a number have ended, and how many starts of one have returned.
    ended: HashMap<u32, usize>,
    started: HashMap<u32, usize>,
    lines: u64,
    not_understood: u64,
    first_not_understood: Option<u64>,
    not_returned: u64,
    not_timed: u64,
    not_named: u64,
    cut_paths: u64,
    other_abi: bool,
    without_tid: bool,
}

impl Reader {
    fn new(gather: Gather, arch: Arch, origins: Origins) -> Self {
        Self {
            gather,
            arch,
            origins,
            pending: Pending::default(),
            threads: HashMap::new(),
            about: HashMap::new(),
            ended: HashMap::new(),
            started: HashMap::new(),
            lines: 0,
            not_understood: 0,
            first_not_understood: None,
            not_returned: 0,
            not_timed: 0,
            not_named: 0,
            cut_paths: 0,
            other_abi: false,
            without_tid: false,
        }
    }

    fn line(&mut self, number: u64, text: &str) -> Result<()> {
        self.lines += 1;
        match line(text) {
            Ok(line) => self.understood(&line),
            Err(_) => {
                let is_word_of_strace = text.trim().is_empty() || text.starts_with("strace: Process ");
                self.other_abi |= text.contains("runs in 32 bit mode");
                if !is_word_of_strace && !text.starts_with("[ Process PID=") {
                    self.not_understood += 1;
                    self.first_not_understood.get_or_insert(number);
                }
                Ok(())
            }
        }
    }

    fn understood(&mut self, line: &Line<'_>) -> Result<()> {
        self.without_tid |= line.tid.is_none();
        let tid = line.tid.unwrap_or(0);
        let owner = self.thread(tid, line.ts_ns, 0)?;
        match line.what {
            What::Note => Ok(()),
            What::Unfinished { name, args } => {
                self.pending.begin(tid, line.ts_ns, name, args);
                Ok(())
            }
            What::Call { name, args, end } => self.call(tid, owner, line.ts_ns, (name, args, end)),
            What::Resumed { name, args, end } => match self.pending.resume(tid, name, args) {
                Some((ts_ns, args)) => self.call(tid, owner, ts_ns, (name, &args, end)),
                None => Ok(()),
            },
            What::Exited(code) => self.end(tid, line.ts_ns, (Some(code), None)),
            What::Killed(signal) => self.end(tid, line.ts_ns, (None, Some(number_of(signal)))),
        }
    }

    /// Whose the thread is. One that was not met before is introduced.
    fn thread(&mut self, tid: u32, ts_ns: i64, depth: usize) -> Result<Owner> {
        if let Some(thread) = self.threads.get(&tid) {
            return Ok(thread.owner);
        }
        let nth = self.ended.get(&tid).copied().unwrap_or(0);
        let origin = self.origins.get(tid, nth).filter(|o| depth < MOST_PARENTS && o.parent != tid);
        let parent = origin.map(|origin| self.thread(origin.parent, ts_ns, depth + 1)).transpose()?;
        // Who is in a circle with its parent was introduced on the way.
        if let Some(thread) = self.threads.get(&tid) {
            return Ok(thread.owner);
        }
        let owner = match (origin, parent) {
            (Some(origin), Some(parent)) if origin.is_thread => parent,
            (_, parent) => {
                let owner = self.gather.identity(tid, ts_ns, nth);
                let of_parent = parent.and_then(|p| self.about.get(&p.proc.0)).cloned();
                let known = parent.is_some();
                let about = About {
                    ppid: parent.map_or(0, |p| p.pid),
                    parent: parent.map(|p| p.proc),
                    start_ns: ts_ns,
                    ..of_parent.unwrap_or_else(|| About { comm: "unknown".into(), ..About::default() })
                };
                self.about.insert(owner.proc.0, about);
                let event = if known { ProcessEvent::Fork } else { ProcessEvent::Running };
                self.event(tid, owner, ts_ns, event, (None, None))?;
                owner
            }
        };
        self.threads.insert(tid, Thread { owner });
        Ok(owner)
    }

    fn event(
        &mut self,
        tid: u32,
        owner: Owner,
        ts_ns: i64,
        event: ProcessEvent,
        (exit_code, exit_signal): (Option<i32>, Option<i32>),
    ) -> Result<()> {
        let about = self.about.get(&owner.proc.0).cloned().unwrap_or_default();
        self.gather.process(Process {
            ts_ns,
            owner,
            tid,
            event,
            ppid: about.ppid,
            parent: about.parent,
            comm: about.comm,
            exe: about.exe,
            argv: about.argv,
            uid: 0,
            exit_code,
            exit_signal,
            start_ts_ns: about.start_ns,
            ns_pid: None,
            pid_ns: None,
        })
    }

    fn call(&mut self, tid: u32, owner: Owner, ts_ns: i64, (name, args, end): (&str, &str, End)) -> Result<()> {
        let Ret::Value(ret) = end.ret else {
            // Those two never do, in any recording.
            self.not_returned += u64::from(!matches!(name, "exit" | "exit_group"));
            return Ok(());
        };
        self.not_timed += u64::from(end.dur_ns.is_none());
        let end_ns = ts_ns.saturating_add_unsigned(end.dur_ns.unwrap_or(0));
        let path = args::path(name, args);
        self.cut_paths += u64::from(path.as_ref().is_some_and(|(_, is_cut)| *is_cut));
        let nr = self.number(name);
        self.gather.call(Syscall {
            ts_ns,
            dur_ns: end.dur_ns.unwrap_or(NO_DURATION),
            owner,
            tid,
            nr,
            ret,
            fd: args::fd(name, args),
            path: path.map(|(path, _)| path),
        })?;
        if let Some((exe, argv)) = args::program(name, args).filter(|_| ret == 0) {
            if let Some(about) = self.about.get_mut(&owner.proc.0) {
                let file = exe.rsplit('/').next().unwrap_or_default();
                about.comm = kept(file).to_owned();
                (about.exe, about.argv) = (Some(exe), Some(argv));
            }
            self.event(tid, owner, end_ns, ProcessEvent::Exec, (None, None))?;
        }
        if let Some((child, _)) = started(name, args, end) {
            let nth = self.started.entry(child).or_default();
            *nth += 1;
            // It may have come and gone before the call that started it returned.
            if *nth > self.ended.get(&child).copied().unwrap_or(0) {
                self.thread(child, end_ns, 0)?;
            }
        }
        Ok(())
    }

    fn number(&mut self, name: &str) -> u16 {
        let raw = || u16::from_str_radix(name.strip_prefix("syscall_0x")?, 16).ok().filter(|nr| *nr < UNKNOWN);
        self.arch.syscall_nr(name).or_else(raw).unwrap_or_else(|| {
            self.not_named += 1;
            UNKNOWN
        })
    }

    /// A thread is gone; with its first one, the process.
    fn end(&mut self, tid: u32, ts_ns: i64, how: (Option<i32>, Option<i32>)) -> Result<()> {
        let open = self.pending.end(tid);
        self.not_returned += u64::from(open.is_some_and(|name| !matches!(&*name, "exit" | "exit_group")));
        *self.ended.entry(tid).or_default() += 1;
        let Some(Thread { owner }) = self.threads.remove(&tid) else { return Ok(()) };
        if owner.pid == tid {
            self.event(tid, owner, ts_ns, ProcessEvent::Exit, how)?;
            self.about.remove(&owner.proc.0);
        }
        Ok(())
    }

    fn finish(self) -> Result<Imported> {
        let not_returned = self.not_returned + self.pending.len() as u64;
        let mut blind: Vec<String> = [
            "made from a capture of strace: CPU time, memory, network, storage, scheduling and the host are not known",
            "who was traced ran slower than without: durations have the stops of strace in them",
            "names of hosts, users, control groups and namespaces are not known; users are all 0",
        ]
        .map(str::to_owned)
        .into();
        let mut say = |is: bool, text: String| blind.extend(is.then_some(text));
        say(
            self.not_timed > 0,
            format!("of {} calls it is not known how long they took (strace ran without -T)", self.not_timed),
        );
        say(
            self.without_tid,
            "the capture does not name the first process (strace ran without -f): its PID is 0 here".into(),
        );
        say(not_returned > 0, format!("{not_returned} calls had not returned when their thread or the capture ended"));
        say(
            self.not_named > 0,
            format!("{} calls have names that this osd does not know: they are `unknown`", self.not_named),
        );
        say(self.other_abi, "some processes ran in 32-bit mode, whose calls are under the names of 64-bit ones".into());
        let first = self.first_not_understood.unwrap_or(0);
        say(self.not_understood > 0, format!("{} lines were not understood, line {first} first", self.not_understood));
        let closed = self.gather.close(blind, self.cut_paths)?;
        let Self { lines, not_understood, first_not_understood, .. } = self;
        Ok(Imported { closed, lines, not_understood, first_not_understood, not_returned, notes: vec![] })
    }
}

/// As much of a name as the kernel keeps.
fn kept(name: &str) -> &str {
    let end = (0..=name.len().min(15)).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
    &name[..end]
}

/// The number of a signal by its name; 0 if it is none.
fn number_of(signal: &str) -> i32 {
    const SIGNALS: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
        "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF",
        "WINCH", "IO", "PWR", "SYS",
    ];
    let name = signal.strip_prefix("SIG").unwrap_or(signal);
    let real_time = || name.strip_prefix("RT_").and_then(|n| n.parse::<i32>().ok()).map_or(0, |n| 32 + n);
    SIGNALS.iter().position(|s| *s == name).map_or_else(real_time, |at| at as i32 + 1)
}
