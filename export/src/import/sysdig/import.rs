//! From a capture to a recording: the second reading, which makes rows.

use super::args;
use super::line::{Line, line};
use super::names;
use super::survey::{Survey, starts};
use crate::import::gather::{Gather, Imported, Options};
use crate::import::lives::{Known, Lives};
use crate::import::read::lines;
use crate::import::strace::takes_fd;
use crate::{Error, Result};
use osd_recording::names::Arch;
use osd_recording::rows::{NO_DURATION, NO_RESULT, ProcessEvent, Syscall};
use osd_recording::syscall::UNKNOWN;
use std::collections::HashMap;
use std::path::Path;

/// Reads the capture `path`; `progress` hears how many of how many bytes are read.
///
/// # Errors
/// [`Error::Import`] if its lines do not say when they were; if the recording cannot be written.
pub(in super::super) fn import(path: &Path, options: &Options, mut progress: impl FnMut(u64, u64)) -> Result<Imported> {
    let refused = |detail: String, fix| Error::Import { path: path.to_owned(), detail, fix };
    let there = path.metadata().map_err(|e| refused(e.to_string(), "check the path"))?;
    let all = there.len().saturating_mul(2);
    let survey = Survey::of(path, |done| progress(done, all))?;
    if survey.lacking > survey.understood {
        let fix =
            "write it again with `sysdig -r FILE.scap -j`, or with %evt.rawtime and %thread.tid among the fields of -p";
        return Err(refused("its events do not say when they were, or of which thread".into(), fix));
    }
    let gather = Gather::new(options, survey.span, survey.sum.number(), "sysdig")?;
    let mut reader = Reader::new(gather, options.arch, survey);
    lines(path, |number, text, bytes| {
        progress(there.len() + bytes, all);
        reader.line(number, text)
    })?;
    reader.finish()
}

/// A call that has not returned.
struct Begun {
    name: String,
    ts_ns: i64,
    fd: Option<i32>,
    path: Option<(Box<str>, bool)>,
}

/// The second reading.
struct Reader {
    gather: Gather,
    arch: Arch,
    survey: Survey,
    /// Of each thread.
    begun: HashMap<u32, Begun>,
    lives: Lives,
    lines: u64,
    not_understood: u64,
    first_not_understood: Option<u64>,
    not_returned: u64,
    not_begun: u64,
    not_timed: u64,
    no_result: u64,
    not_named: u64,
    cut_paths: u64,
    drops: Vec<i64>,
    backwards: u64,
    last_ns: i64,
    without_pid: bool,
    has_uid: bool,
}

impl Reader {
    fn new(gather: Gather, arch: Arch, survey: Survey) -> Self {
        Self {
            gather,
            arch,
            survey,
            begun: HashMap::new(),
            lives: Lives::default(),
            lines: 0,
            not_understood: 0,
            first_not_understood: None,
            not_returned: 0,
            not_begun: 0,
            not_timed: 0,
            no_result: 0,
            not_named: 0,
            cut_paths: 0,
            drops: vec![],
            backwards: 0,
            last_ns: i64::MIN,
            without_pid: false,
            has_uid: false,
        }
    }

    fn line(&mut self, number: u64, text: &str) -> Result<()> {
        self.lines += 1;
        match line(text) {
            Ok(line) => self.understood(&line),
            Err(_) => {
                // An array over lines has brackets of its own.
                if !matches!(text.trim(), "" | "[" | "]") {
                    self.not_understood += 1;
                    self.first_not_understood.get_or_insert(number);
                }
                Ok(())
            }
        }
    }

    fn understood(&mut self, line: &Line<'_>) -> Result<()> {
        self.backwards += u64::from(line.ts_ns < self.last_ns);
        self.last_ns = self.last_ns.max(line.ts_ns);
        if &*line.event == "drop" {
            if line.is_enter {
                self.drops.push(line.ts_ns);
            }
            return Ok(());
        }
        // The idle task is nobody.
        if line.tid == 0 {
            return Ok(());
        }
        self.has_uid |= line.uid.is_some();
        let pid = self.pid(line);
        if &*line.event == "procexit" {
            return self.gone(pid, line);
        }
        if !names::is_call(&line.event) {
            return Ok(());
        }
        self.meet(pid, line)?;
        if line.is_enter {
            let begun = Begun {
                name: line.event.to_string(),
                ts_ns: line.ts_ns,
                fd: args::fd(&line.args),
                path: args::path(&line.args),
            };
            self.not_returned += u64::from(self.begun.insert(line.tid, begun).is_some());
            return Ok(());
        }
        self.returned(pid, line)
    }

    /// The PID of a thread, which sysdig says where it was asked for it, or where the thread began or runs another program.
    fn pid(&mut self, line: &Line<'_>) -> u32 {
        let of_args = || {
            let says = !line.is_enter && (starts(&line.event) || line.event.starts_with("execve"));
            args::number(&line.args, "pid").filter(|_| says).and_then(|n| u32::try_from(n).ok())
        };
        if let Some(pid) = line.pid.or_else(of_args) {
            return pid;
        }
        self.survey.thread_of.get(&line.tid).copied().unwrap_or_else(|| {
            self.without_pid |= line.pid.is_none() && self.lives.get(line.tid).is_none();
            line.tid
        })
    }

    /// Introduces a process that was not met before.
    fn meet(&mut self, pid: u32, line: &Line<'_>) -> Result<()> {
        let running = || Known {
            comm: comm(line).unwrap_or_else(|| "unknown".into()),
            exe: line.exe.as_deref().map(str::to_owned),
            argv: line.argv.as_deref().map(str::to_owned),
            uid: line.uid.unwrap_or(0),
            ppid: line.ppid.unwrap_or(0),
            ..Known::default()
        };
        self.lives.meet(&mut self.gather, pid, line.ts_ns, running)
    }

    /// A thread is gone; with the first one, its process.
    fn gone(&mut self, pid: u32, line: &Line<'_>) -> Result<()> {
        let open = self.begun.remove(&line.tid);
        self.not_returned += u64::from(open.is_some_and(|b| !matches!(&*b.name, "exit" | "exit_group")));
        self.survey.thread_of.remove(&line.tid);
        if line.tid != pid {
            return Ok(());
        }
        // As `wait` has it: the code above, the signal below.
        let status = args::number(&line.args, "status").and_then(|n| i32::try_from(n).ok());
        let how = match status {
            Some(status) if status & 0x7f == 0 => (Some(status >> 8 & 0xff), None),
            Some(status) => (None, Some(status & 0x7f)),
            None => (None, None),
        };
        self.lives.end(&mut self.gather, pid, line.ts_ns, how)
    }

    fn returned(&mut self, pid: u32, line: &Line<'_>) -> Result<()> {
        let ret = line.ret.or_else(|| args::returned(&line.event, &line.args));
        let begun = self.begun.remove(&line.tid);
        let begun = match begun {
            Some(begun) if begun.name == line.event => Some(begun),
            Some(_) => {
                self.not_returned += 1;
                None
            }
            None => None,
        };
        if starts(&line.event) {
            match ret {
                // In the child this is the beginning, and no call.
                Some(0) if begun.is_none() => return Ok(()),
                Some(child) if child > 0 => self.started(pid, line, child),
                _ => {}
            }
        }
        if line.event.starts_with("execve") && ret == Some(0) {
            self.runs(pid, line, begun.as_ref())?;
        }
        let Some(owner) = self.lives.get(pid).map(|known| known.owner) else { return Ok(()) };
        self.not_begun += u64::from(begun.is_none() && self.survey.has_enters);
        let latency = || line.latency_ns.filter(|ns| *ns > 0 || !self.survey.has_enters);
        let dur_ns = match &begun {
            Some(begun) => Some(line.ts_ns.saturating_sub(begun.ts_ns).max(0).unsigned_abs()),
            None => latency(),
        };
        self.not_timed += u64::from(dur_ns.is_none());
        self.no_result += u64::from(ret.is_none());
        let nr = names::number(self.arch, &line.event);
        self.not_named += u64::from(nr.is_none());
        let nr = nr.unwrap_or(UNKNOWN);
        let name = self.arch.syscall_name(nr);
        let (fd, path) = begun.map_or((None, None), |begun| (begun.fd, begun.path));
        let path = args::path(&line.args).or(path);
        self.cut_paths += u64::from(path.as_ref().is_some_and(|(_, cut)| *cut));
        self.gather.call(Syscall {
            ts_ns: line.ts_ns.saturating_sub_unsigned(dur_ns.unwrap_or(0)),
            dur_ns: dur_ns.unwrap_or(NO_DURATION),
            owner,
            tid: line.tid,
            nr,
            ret: ret.unwrap_or(NO_RESULT),
            fd: fd.or(line.fd).filter(|_| name.is_some_and(takes_fd)),
            path: path.map(|(path, _)| path),
        })
    }

    /// Somebody started a thread or a process.
    fn started(&mut self, pid: u32, line: &Line<'_>, child: i64) {
        let Ok(child) = u32::try_from(child) else { return };
        let is_thread = args::word(&line.args, "flags").is_some_and(|flags| flags.contains("CLONE_THREAD"));
        if is_thread {
            self.survey.thread_of.insert(child, pid);
        } else if !self.survey.thread_of.contains_key(&child) && self.lives.get(child).is_none() {
            self.lives.start(pid, child, None, None);
        } else if let Some(parent) = self.lives.get(pid).map(|known| known.owner)
            && let Some(known) = self.lives.get_mut(child)
        {
            // It began before the call that started it returned.
            (known.ppid, known.parent) = (parent.pid, known.parent.or(Some(parent.proc)));
        }
    }

    /// A process runs another program.
    fn runs(&mut self, pid: u32, line: &Line<'_>, begun: Option<&Begun>) -> Result<()> {
        let file = begun.and_then(|b| b.path.as_ref()).map(|(path, _)| path.to_string());
        if let Some(known) = self.lives.get_mut(pid) {
            let of_args = || args::word(&line.args, "comm").filter(|c| !c.is_empty()).map(str::to_owned);
            known.comm = comm(line).or_else(of_args).unwrap_or_else(|| known.comm.clone());
            let exe = || args::word(&line.args, "exe").filter(|exe| exe.contains('/')).map(str::to_owned);
            known.exe = line.exe.as_deref().map(str::to_owned).or(file).or_else(exe);
            known.argv = line.argv.as_deref().map(str::to_owned);
        }
        self.lives.event(&mut self.gather, (pid, line.tid), line.ts_ns, ProcessEvent::Exec, (None, None))
    }

    fn finish(mut self) -> Result<Imported> {
        let not_returned = self.not_returned
            + self.begun.values().filter(|b| !matches!(&*b.name, "exit" | "exit_group")).count() as u64;
        let mut blind: Vec<String> = [
            "made from a capture of sysdig: CPU time, memory, network, storage, scheduling and the host are not known",
            "control groups and namespaces are not known, and arguments of programs only where -p has %proc.cmdline",
        ]
        .map(str::to_owned)
        .into();
        let mut say = |is: bool, text: String| blind.extend(is.then_some(text));
        say(!self.has_uid, "users are not known (-p without %user.uid): they are all 0".into());
        say(
            self.without_pid,
            "threads that began before the capture are told as processes of their own (-p without %proc.pid)".into(),
        );
        let drops = self.drops.len();
        say(drops > 0, format!("sysdig's driver dropped events {drops} times, and does not say how many"));
        say(
            !self.survey.has_enters,
            "the capture has no beginnings of calls: how long they took is known only where -p has %evt.latency".into(),
        );
        say(self.not_begun > 0, format!("of {} calls the beginning is not there", self.not_begun));
        say(self.not_timed > 0, format!("of {} calls it is not known how long they took", self.not_timed));
        say(self.no_result > 0, format!("of {} calls sysdig does not say what they returned", self.no_result));
        say(not_returned > 0, format!("{not_returned} calls had not returned when their thread or the capture ended"));
        say(
            self.not_named > 0,
            format!("{} calls have names that this osd does not know: they are `unknown`", self.not_named),
        );
        say(self.backwards > 0, format!("{} events came after later ones", self.backwards));
        let first = self.first_not_understood.unwrap_or(0);
        say(self.not_understood > 0, format!("{} lines were not understood, line {first} first", self.not_understood));
        for ts_ns in std::mem::take(&mut self.drops) {
            self.gather.lost("syscall", "dropped_by_sysdig", ts_ns)?;
        }
        let closed = self.gather.close(blind, self.cut_paths)?;
        let Self { lines, not_understood, first_not_understood, .. } = self;
        Ok(Imported { closed, lines, not_understood, first_not_understood, not_returned, notes: vec![] })
    }
}

/// The name of a process, as much of it as the kernel keeps.
fn comm(line: &Line<'_>) -> Option<String> {
    let name = line.comm.as_deref()?;
    let end = (0..=name.len().min(15)).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
    Some(name[..end].to_owned())
}
