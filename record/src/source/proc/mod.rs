//! Recording without BPF: what `/proc` says, once an interval. Needs no privilege for one's own processes.
//!
//! The same rows as with BPF, `sample`, `process` and `system`, and fewer: no system calls, no network, and no process that lives for
//! less than an interval. What cannot be seen is null in the rows and named among the blind spots of the metadata.

mod children;
mod watch;

use crate::config::{Config, Control, Outcome, Status, What};
use crate::error::{Error, Result};
use crate::family;
use crate::host::capabilities::Keep;
use crate::host::command::{Child, Ended, Stopped};
use crate::host::{self, HostMeter};
use crate::output::rotation::{self, Rotation};
use crate::output::writer_thread::{Batch, WriterHandle};
use crate::session::labels;
use crate::session::target;
use osd_recording::rows::{ProcessEvent, Row};
use osd_recording::{ClockTable, Metadata, Writer};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use watch::{Watched, Zombie};

/// Records until the target ends, `duration` is over or `control` says stop.
///
/// # Errors
/// See [`Error`].
pub(crate) fn record(
    config: &Config,
    control: &Control,
    mut rotation: Rotation,
    on_status: impl FnMut(&Status),
) -> Result<Outcome> {
    let keep =
        (!config.access.keep_privileges).then(|| Keep::for_files(&config.output, config.labels.as_deref()).and_proc());
    let writer = rotation.next_writer(host::read_clocks().realtime_ns)?;
    let session = Session::start(config, WriterHandle::start(writer, keep)?)?;
    if let Some(keep) = keep {
        keep.narrow(|| true).map_err(|source| Error::Os { action: "give up privileges", source })?;
    }
    run(session, rotation, config, control, on_status).map_err(Error::in_session)
}

fn run(
    mut session: Session,
    mut rotation: Rotation,
    config: &Config,
    control: &Control,
    mut on_status: impl FnMut(&Status),
) -> Result<Outcome> {
    session.writing.keep()?;
    let mut next_tick = session.began + config.interval;
    let mut next_status = Instant::now() + Duration::from_secs(1);
    loop {
        // An interval may last an hour.
        if !session.wait(next_tick.min(next_status), config, control) && Instant::now() < next_tick {
            on_status(&session.status());
            next_status += Duration::from_secs(1);
            continue;
        }
        session.tick(config.follow)?;
        next_tick = (next_tick + config.interval).max(Instant::now());
        let triggered = control.triggered() | std::mem::take(&mut session.target_failed);
        let utc_ns = session.interval_start_ns;
        if let Some(next) = rotation.after_interval(&session.writing, triggered, utc_ns)? {
            session.turn_over(next)?;
        }
        if Instant::now() >= next_status {
            on_status(&session.status());
            next_status += Duration::from_secs(1);
        }
        let too_big = config.max_bytes.is_some_and(|max| session.writing.bytes() >= max);
        if control.stopped() || too_big || session.over(config) {
            let asked = control.stopped() || control.triggered();
            return session.finish(config, rotation, asked);
        }
    }
}

struct Session {
    processes: BTreeMap<u32, Watched>,
    zombies: Vec<Zombie>,
    child: Option<Child>,
    host: HostMeter,
    clock: ClockTable,
    metadata: Metadata,
    writing: WriterHandle,
    began: Instant,
    began_ticks: u64,
    interval_start_ns: i64,
    next_clock: Instant,
    n_processes: u64,
    how_it_ended: Option<Ended>,
    /// Processes that were named and could not be looked at.
    not_recorded: Vec<String>,
    /// A process that was named ended, and nobody knows whether well.
    target_failed: bool,
}

impl Session {
    fn start(config: &Config, writing: WriterHandle) -> Result<Self> {
        let host = host::describe();
        let now = Instant::now();
        let mut session = Self {
            processes: BTreeMap::new(),
            zombies: Vec::new(),
            child: None,
            host: HostMeter::new(),
            clock: ClockTable(vec![host::read_clocks()]),
            metadata: Metadata {
                osd_version: config.osd_version.clone(),
                recording_id: host::random_id(),
                command_line: config.command_line.clone(),
                interval_ns: config.interval.as_nanos() as u64,
                syscalls: "off".into(),
                families: family::without_bpf(),
                blind_spots: blind_spots(config),
                host,
                ..Metadata::default()
            },
            writing,
            began: now,
            began_ticks: watch::ticks_now(),
            interval_start_ns: 0,
            next_clock: now + Duration::from_secs(5),
            n_processes: 0,
            how_it_ended: None,
            not_recorded: Vec::new(),
            target_failed: false,
        };
        session.metadata.target.follow = config.follow;
        session.interval_start_ns = session.now_ns();
        session.metadata.started_ns = session.interval_start_ns;
        let mut rows = Vec::new();
        match &config.what {
            What::Pids(pids) => {
                session.metadata.target.pids.clone_from(pids);
                let all =
                    if config.follow { host::proc::with_descendants(pids) } else { pids.iter().copied().collect() };
                all.into_iter().for_each(|pid| session.arrive(pid, ProcessEvent::Running, &mut rows));
                if session.processes.is_empty() {
                    return Err(Error::NoProcess { pid: pids.first().copied().unwrap_or(0) });
                }
                session.not_recorded = target::not_recorded(pids, |pid| session.processes.contains_key(&pid));
                session.metadata.blind_spots.extend_from_slice(&session.not_recorded);
            }
            What::Command(command) => {
                session.metadata.target.command = command.iter().map(|a| a.to_string_lossy().into_owned()).collect();
                let stopped = Stopped::spawn(command, &config.ignored_signals)?;
                let pid = stopped.pid();
                session.arrive(pid, ProcessEvent::Running, &mut rows);
                session.child = Some(stopped.release()?);
                // It has executed its program by now.
                let now_ns = session.now_ns();
                if let Some(watched) = session.processes.get_mut(&pid) {
                    rows.extend(watched.look(now_ns).into_iter().map(Row::from));
                }
            }
        }
        session.host.interval(0, 0);
        session.began = Instant::now();
        session.send(rows)?;
        session.writing.describe(&session.metadata)?;
        Ok(session)
    }

    fn now_ns(&self) -> i64 {
        self.clock.utc_ns(host::boottime_ns())
    }

    fn send(&mut self, rows: Vec<Row>) -> Result<()> {
        self.writing.send(Batch { rows, ..Batch::default() })
    }

    fn arrive(&mut self, pid: u32, event: ProcessEvent, rows: &mut Vec<Row>) {
        let parent = |ppid| self.processes.get(&ppid).map(|p: &Watched| p.id());
        // A process older than the recording has used before what it is not charged with now.
        let now_ns = self.now_ns();
        let arrived =
            Watched::new(pid, event, &self.metadata.host.boot_id, &self.clock, now_ns, self.began_ticks, parent);
        if let Some((watched, row)) = arrived {
            rows.push(row.into());
            self.processes.insert(pid, watched);
            self.n_processes += 1;
        }
    }

    /// Until `deadline`, or until something may end the session: then true.
    fn wait(&mut self, deadline: Instant, config: &Config, control: &Control) -> bool {
        const NAP: Duration = Duration::from_millis(10);
        while let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|d| !d.is_zero()) {
            let just_ended = self.how_it_ended.is_none() && self.child.as_ref().is_some_and(|c| c.peek().is_some());
            if control.stopped() || self.timed_out(config) || just_ended {
                return true;
            }
            std::thread::sleep(NAP.min(left));
        }
        false
    }

    fn timed_out(&self, config: &Config) -> bool {
        config.duration.is_some_and(|d| self.began.elapsed() >= d)
    }

    fn over(&self, config: &Config) -> bool {
        let ended = match self.child {
            Some(_) if self.how_it_ended.is_none() => false,
            Some(_) if !config.outlives_command() => true,
            _ => self.processes.is_empty(),
        };
        ended || self.timed_out(config) || self.writing.is_full()
    }

    /// Ends an interval.
    fn tick(&mut self, follow: bool) -> Result<()> {
        // Asked before looking: the last totals of a command are those of its zombie.
        let how_it_ended = self.child.as_ref().and_then(Child::peek);
        let mut rows = Vec::new();
        self.processes.values_mut().for_each(Watched::look_at_children);
        if follow {
            let live: Vec<u32> = self.processes.keys().copied().collect();
            for pid in host::proc::with_descendants(&live) {
                if !self.processes.contains_key(&pid) {
                    self.arrive(pid, ProcessEvent::Fork, &mut rows);
                }
            }
        }
        let end_ns = self.now_ns();
        let child = self.child.as_ref().map(Child::pid);
        for watched in self.processes.values_mut() {
            rows.extend(watched.look(end_ns).map(Row::from));
        }
        self.settle_children();
        let named = &self.metadata.target.pids;
        self.processes.retain(|pid, watched| {
            rows.push(watched.sample(end_ns).into());
            if watched.ended() {
                let how = how_it_ended.filter(|_| child == Some(*pid));
                rows.push(watched.exit(end_ns, how).into());
                self.target_failed |= named.contains(pid);
            }
            !watched.ended()
        });
        let dur_ns = (end_ns - self.interval_start_ns).max(0).unsigned_abs();
        rows.extend(self.host.interval(self.interval_start_ns, dur_ns).map(Row::from));
        self.interval_start_ns = end_ns;
        self.how_it_ended = how_it_ended;
        if Instant::now() >= self.next_clock {
            let point = host::read_clocks();
            self.clock.0.push(point);
            self.writing.clock(point)?;
            self.next_clock += Duration::from_secs(5);
        }
        self.send(rows)
    }

    /// Tells the parents of those that are gone what is accounted for.
    fn settle_children(&mut self) {
        let mut reaped = Vec::new();
        self.zombies.retain(|zombie| zombie.reaped().map(|gone| reaped.push(gone)).is_none());
        for watched in self.processes.values().filter(|w| w.ended()) {
            match watched.remains() {
                Ok(gone) => reaped.push(gone),
                Err(zombie) => self.zombies.push(zombie),
            }
        }
        for (ppid, used) in reaped {
            if let Some(parent) = self.processes.get_mut(&ppid) {
                parent.waited_for(used);
            }
        }
    }

    /// Ends the file and goes on in the next, which introduces the processes that run. Called when an interval has just ended.
    fn turn_over(&mut self, writer: Writer) -> Result<()> {
        rotation::turn_over(&mut self.writing, &mut self.metadata, &mut self.clock, self.interval_start_ns, writer)?;
        let rows = self.processes.values().map(|p| p.running(self.interval_start_ns).into()).collect();
        self.send(rows)
    }

    fn status(&self) -> Status {
        Status {
            elapsed: self.began.elapsed(),
            bytes: self.writing.bytes(),
            processes: self.processes.len(),
            ..Status::default()
        }
    }

    fn finish(mut self, config: &Config, rotation: Rotation, asked: bool) -> Result<Outcome> {
        // A bad labels file is reported after the recording is safe, not instead of it.
        let labels = config.labels.as_deref().map_or_else(|| Ok(Vec::new()), labels::read);
        let rows = labels.iter().flatten().cloned().map(Row::from).collect();
        self.send(rows)?;
        self.clock.0.push(host::read_clocks());
        let mut status = self.status();
        let exit_code = self.child.as_mut().and_then(Child::ended);
        self.metadata.target.exit_code = exit_code;
        self.metadata.ended_ns = self.interval_start_ns;
        self.metadata.clock = self.clock;
        let disk_full = self.writing.is_full();
        let still_running = self.processes.values().map(Watched::name).collect();
        let failed = self.target_failed || exit_code.is_some_and(|code| code != 0);
        let timed_out = config.duration.is_some_and(|d| self.began.elapsed() >= d);
        let recordings = rotation.finish(self.writing.close(self.metadata)?, asked || failed || timed_out)?;
        labels?;
        if let Some(last) = recordings.last() {
            status.bytes = last.bytes;
        }
        let (n_processes, not_recorded) = (self.n_processes, self.not_recorded);
        Ok(Outcome { recordings, status, exit_code, still_running, not_recorded, n_processes, disk_full })
    }
}

fn blind_spots(config: &Config) -> Vec<String> {
    let interval_ms = config.interval.as_millis();
    vec![
        "recorded from /proc without BPF: no system calls, no network bytes".to_owned(),
        format!("processes that live for less than {interval_ms} ms may be missing, and children whose parent ended within it"),
        format!("fork, exec and exit are seen at the end of an interval: up to {interval_ms} ms late; exec of the same program \
            by a process of another user is not seen; the exit status is known of the command only, so a flight recorder takes the end \
            of a process named by its PID for a failure"),
        "what a process or thread used after its last interval is missing, except its CPU time and faults if its parent waited for it: \
            those, and those of children that came and went unseen, are charged to the parent, in ticks of 10 ms"
            .into(),
        "read_*, write_* are null for processes of other users without CAP_SYS_PTRACE".into(),
        format!("runq_ns and ctx_* stand still while a process has more than {} threads", host::threads::MOST_THREADS),
        "reads and writes of mapped files are seen as page faults only".into(),
    ]
}
