//! Why a metric fell: what those who made it did with the time instead.
//!
//! Only the threads count that made calls before and make fewer now, and their processes. The
//! questions come in the order in which an answer settles the matter: stopped threads wait for
//! nothing, throttled ones are not kept by a neighbour, and who is kept from running waits in no
//! call. Each threshold is by hand, on the five kinds of stalls of `tests/it/operators.rs`.

use super::context::{Context, Frame};
use crate::Result;
use crate::evidence::{Of, Owned, Surroundings, Thread, Wait, read_waits};
use crate::words::{length, number, time};
use osd_detect::rates::Counts;
use osd_findings::Reason;
use osd_recording::Recording;
use osd_recording::words::plural;
use std::collections::BTreeSet;
use std::ops::Range;

/// Half of the window: less is not what it is about.
const STOPPED: f64 = 0.5;
/// Periods whose quota ran out, of all.
const THROTTLED: f64 = 0.3;
/// Waiting for a processor, of the time in which a thread wanted to run; and of the window, by the thread that waits most or in sum.
const NOT_RUN: f64 = 0.5;
const NOT_RUN_OF_WINDOW: f64 = 0.15;
/// Time in one call on one object, of the threads' time.
const WAITING: f64 = 0.25;
/// One call of several is meant if it took this much of their time.
const NEARLY_ALL: f64 = 0.9;
/// On a processor, of the threads' time, and how much more than before.
const COMPUTING: f64 = 0.5;
/// What a call takes is another than before from here on.
const LONGER: f64 = 3.0;
/// Before the window this long is looked at to know what is usual.
const USUAL_S: f64 = 5.0;

impl Context<'_> {
    /// The reason for the fall in `frame`, if the recording shows one.
    pub(crate) fn reason(&self, frame: &Frame) -> Result<Option<Reason>> {
        let grid = self.table.grid;
        let span = grid.time(frame.inside.start)..grid.time(frame.inside.end);
        let threads = self.fallen(frame);
        let procs: BTreeSet<u64> = match threads.is_empty() {
            // Without event rows: every process that was there before.
            true => self.table.processes.iter().filter(|(_, l)| l.met_ns < span.start).map(|(p, _)| *p).collect(),
            false => threads.iter().map(|t| t.proc).collect(),
        };
        let now = Surroundings::read(self.recording, &span, &procs)?;
        let usual = self.usually(frame, &threads, &procs);
        let before = Surroundings::read(usual.recording, &usual.span, &usual.procs)?;
        let who = self.names(&procs, span.start);
        let window_ns = (span.end - span.start) as f64;
        if now.stopped >= STOPPED {
            let by = self.stopped_by(&span, &procs)?;
            let text = format!("{who} was stopped for {} of it{by}", percent(now.stopped));
            return Ok(Some(Reason { kind: "stopped".into(), share: now.stopped.min(1.0), text }));
        }
        if let Some(reason) = throttled(&now, &who, window_ns) {
            return Ok(Some(reason));
        }
        let wanted = (now.runq_ns + now.cpu_ns) as f64;
        let share = now.runq_ns as f64 / wanted.max(1.0);
        let waits = |s: &Surroundings| s.runq_ns as f64 / (s.time_ns as f64).max(1.0);
        if share >= NOT_RUN && waits(&now) > 2.0 * waits(&before) && now.runq_ns as f64 >= NOT_RUN_OF_WINDOW * window_ns
        {
            let because = because_of(&now);
            let text = format!(
                "{who} wanted to run and did not for {} of that time ({} of it, waiting for a processor){because}",
                percent(share),
                time(now.runq_ns as f64)
            );
            return Ok(Some(Reason { kind: "not run".into(), share, text }));
        }
        if let Some(reason) = self.waited(frame, &threads, &who, &usual)? {
            return Ok(Some(reason));
        }
        let busy = |s: &Surroundings| s.cpu_ns as f64 / (s.time_ns as f64).max(1.0);
        if busy(&now) >= COMPUTING && busy(&now) > 1.5 * busy(&before) {
            let text = format!(
                "{who} computed instead, {} of the time, and {} before",
                percent(busy(&now)),
                percent(busy(&before))
            );
            return Ok(Some(Reason { kind: "computing".into(), share: busy(&now).min(1.0), text }));
        }
        Ok(None)
    }

    /// What `threads` wait for in `frame` and did not before.
    pub(crate) fn waits_for(&self, frame: &Frame, threads: &BTreeSet<Thread>) -> Result<Option<Reason>> {
        let procs: BTreeSet<u64> = threads.iter().map(|t| t.proc).collect();
        let who = self.names(&procs, self.table.grid.time(frame.inside.start));
        self.waited(frame, threads, &who, &self.usually(frame, threads, &procs))
    }

    fn waited(
        &self,
        frame: &Frame,
        threads: &BTreeSet<Thread>,
        who: &str,
        usual: &Usually<'_>,
    ) -> Result<Option<Reason>> {
        if threads.is_empty() {
            return Ok(None);
        }
        let grid = self.table.grid;
        let span = grid.time(frame.inside.start)..grid.time(frame.inside.end);
        let waits = read_waits(self.recording, &span, threads, Of::Any)?;
        let usual_waits = usual.waits()?;
        let total = threads.len() as f64 * (span.end - span.start) as f64;
        // What it waits for may have been opened as it began.
        let middle = span.start + (span.end - span.start) / 2;
        let one = self.waiting(&waits, &usual_waits, total, who, (threads.len(), middle))?;
        if one.is_some() {
            return Ok(one);
        }
        // Each backend of a server waits on a descriptor of its own.
        self.waiting(&by_call(&waits), &by_call(&usual_waits), total, who, (threads.len(), middle))
    }

    /// Where to look for what is usual: the seconds before, or another recording.
    fn usually(&self, frame: &Frame, threads: &BTreeSet<Thread>, procs: &BTreeSet<u64>) -> Usually<'_> {
        if let Some(usual) = self.usual.first() {
            let threads: BTreeSet<Thread> = usual.events.threads.keys().copied().collect();
            let procs = threads.iter().map(|t| t.proc).collect();
            return Usually { recording: usual.recording, span: usual.middle().0, threads, procs };
        }
        let grid = self.table.grid;
        let from = frame.inside.start.saturating_sub(grid.bins(USUAL_S).max(3));
        let span = grid.time(from)..grid.time(frame.inside.start);
        Usually { recording: self.recording, span, threads: threads.clone(), procs: procs.clone() }
    }

    /// The threads that make fewer calls than before, those that make most of the difference.
    fn fallen(&self, frame: &Frame) -> BTreeSet<Thread> {
        let missing = |c: &Counts| -c.excess();
        let mut all: Vec<(Thread, f64)> = self
            .events
            .threads
            .iter()
            .map(|(thread, calls)| (*thread, missing(&self.sparse(frame, &calls.calls))))
            .filter(|(_, missing)| *missing > 0.0)
            .collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let total: f64 = all.iter().map(|(_, m)| m).sum();
        let mut sum = 0.0;
        let most = all.into_iter().take_while(|(_, m)| {
            let goes_on = sum < 0.9 * total;
            sum += m;
            goes_on
        });
        most.map(|(thread, _)| thread).take(64).collect()
    }

    /// In words: the process, or how many there are.
    fn names(&self, procs: &BTreeSet<u64>, ts_ns: i64) -> String {
        match procs.iter().next() {
            Some(one) if procs.len() == 1 => self.process(*one, ts_ns),
            Some(one) => {
                let name = self.process(*one, ts_ns);
                format!("{} such as {name}", plural(procs.len() as u64, "process"))
            }
            None => "the target".to_owned(),
        }
    }

    /// Who sent the signal, if it was recorded: a call that sends signals just before the stop.
    fn stopped_by(&self, span: &Range<i64>, procs: &BTreeSet<u64>) -> Result<String> {
        let around = span.start.saturating_sub(500_000_000)..span.start.saturating_add(500_000_000);
        let senders: BTreeSet<Thread> =
            self.events.threads.keys().copied().filter(|t| !procs.contains(&t.proc)).collect();
        let waits = read_waits(self.recording, &around, &senders, Of::Any)?;
        let sent =
            |w: &&Wait| matches!(w.syscall.as_str(), "kill" | "tgkill" | "tkill" | "pidfd_send_signal" | "ptrace");
        let Some(wait) = waits.iter().find(sent) else {
            return Ok(", by a signal of a process that is not recorded, or of its own".into());
        };
        Ok(format!(", by {} of {}", wait.syscall, self.process(wait.by.proc, span.end)))
    }

    /// The call in which the threads spent most of their time beyond the usual, or that takes much longer than before.
    fn waiting(
        &self,
        now: &[Wait],
        before: &[Wait],
        total_ns: f64,
        who: &str,
        (n_threads, ts_ns): (usize, i64),
    ) -> Result<Option<Reason>> {
        let usual = |w: &Wait| before.iter().find(|b| b.syscall == w.syscall && b.object == w.object);
        let share = |w: &Wait| w.ns as f64 / total_ns.max(1.0);
        let longer = |w: &&Wait| share(w) >= WAITING && usual(w).is_none_or(|b| w.mean_ns() >= LONGER * b.mean_ns());
        let Some(wait) = now.iter().find(longer) else { return Ok(None) };
        let on = match &wait.object {
            Some(Owned::Path(path)) => format!(" on {path}"),
            Some(Owned::Fd(proc, fd)) => match self.path(*proc, *fd, ts_ns)? {
                Some(path) => format!(" on {path}"),
                None => format!(" on fd {fd}"),
            },
            None => String::new(),
        };
        let (share, each) = (share(wait).min(1.0), time(wait.mean_ns()));
        let calls = match (usual(wait), wait.n) {
            // The one that waits, and such as let go of it.
            (None, _) if wait.longest_ns as f64 >= NEARLY_ALL * wait.whole_ns as f64 => {
                format!("one call of {}", time(wait.longest_ns as f64))
            }
            (None, n) => format!("{} of {each} each, none before", plural(n, "call")),
            (Some(b), _) => format!("{each} a call instead of {}", time(b.mean_ns())),
        };
        let of = if n_threads > 1 { format!("of {n_threads} threads' time") } else { "of the time".to_owned() };
        let text = format!("{who} waited in {}{on}, {calls}, {} {of}", wait.syscall, percent(share));
        Ok(Some(Reason { kind: "waiting".into(), share, text }))
    }
}

/// What is usual, and whose it is.
struct Usually<'a> {
    recording: &'a Recording,
    span: Range<i64>,
    threads: BTreeSet<Thread>,
    procs: BTreeSet<u64>,
}

impl Usually<'_> {
    fn waits(&self) -> Result<Vec<Wait>> {
        // What went wrong may begin a moment before the window does.
        Ok(read_waits(self.recording, &self.span, &self.threads, Of::Ended)?)
    }
}

/// Waits by call alone, the longest first.
fn by_call(waits: &[Wait]) -> Vec<Wait> {
    let mut out: Vec<Wait> = vec![];
    for wait in waits {
        match out.iter_mut().find(|w| w.syscall == wait.syscall) {
            Some(sum) => {
                (sum.ns, sum.n) = (sum.ns + wait.ns, sum.n + wait.n);
                sum.whole_ns = sum.whole_ns.saturating_add(wait.whole_ns);
                if wait.longest_ns > sum.longest_ns {
                    (sum.longest_ns, sum.by) = (wait.longest_ns, wait.by);
                }
            }
            None => out.push(Wait { object: None, ..wait.clone() }),
        }
    }
    out.sort_by(|a, b| b.ns.cmp(&a.ns).then_with(|| a.syscall.cmp(&b.syscall)));
    out
}

/// The group whose quota ran out most often.
fn throttled(now: &Surroundings, who: &str, window_ns: f64) -> Option<Reason> {
    let share = |n: u64, of: u64| n as f64 / of.max(1) as f64;
    let worst = now.groups.iter().max_by(|a, b| a.1.n_throttled.cmp(&b.1.n_throttled).then_with(|| b.0.cmp(a.0)));
    let (path, group) = worst.filter(|(_, g)| share(g.n_throttled, g.n_periods) >= THROTTLED)?;
    let cores = share(group.quota_ns, group.period_ns);
    let text = format!(
        "{who} was throttled: {path} may have {} of each {} ({}), which ran out in {} of {}, for {} in all",
        time(group.quota_ns as f64),
        time(group.period_ns as f64),
        plural(number(cores), "core"),
        group.n_throttled,
        plural(group.n_periods, "period"),
        length(group.throttled_ns as f64 / 1e9, 1)
    );
    let share = (group.throttled_ns as f64 / window_ns).clamp(share(group.n_throttled, group.n_periods), 1.0);
    Some(Reason { kind: "throttled".into(), share, text })
}

/// Who had the processors instead.
fn because_of(now: &Surroundings) -> String {
    let mut others: Vec<_> = now.neighbours.iter().map(|(comm, (pids, ns))| (comm, pids, *ns)).collect();
    others.sort_by(|a, b| b.2.cmp(&a.2).then(a.0.cmp(b.0)));
    let cores = |ns: u64| ns as f64 / (now.looked_ns as f64).max(1.0);
    let named: Vec<String> = others
        .iter()
        .filter(|(.., ns)| cores(*ns) >= 0.1)
        .take(2)
        .map(|(comm, pids, ns)| {
            let one = pids.iter().next().map_or_else(String::new, |pid| format!("{comm}/{pid}"));
            let name = if pids.len() > 1 { format!("{} processes named {comm}", pids.len()) } else { one };
            format!("{name} had {}", plural(number(cores(*ns)), "core"))
        })
        .collect();
    if named.is_empty() { String::new() } else { format!(": {}", named.join(", ")) }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share.min(1.0) * 100.0)
}
