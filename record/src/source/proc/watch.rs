//! One process under watch: from totals that `/proc` shows to what it used in an interval.

use super::children::{Children, zip};
use crate::host;
use crate::host::command::Ended;
use crate::host::proc::{Io, Stat, Status, Waited, cgroup_id};
use crate::host::running_text;
use crate::host::threads::{Scheduling, Threads};
use osd_recording::rows::{Owner, Process, ProcessEvent, Sample, Unseen};
use osd_recording::words::program;
use osd_recording::{ClockTable, ProcId};

/// Totals since a process began.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    cpu_ns: u64,
    scheduling: Scheduling,
    minor_faults: u64,
    major_faults: u64,
    io: Option<Io>,
}

/// A process, as far as it is known.
pub(crate) struct Watched {
    owner: Owner,
    parent: Option<ProcId>,
    exe: Option<String>,
    argv: Option<String>,
    start_ts_ns: i64,
    stat: Stat,
    status: Status,
    threads: Threads,
    children: Children,
    now: Totals,
    last: Totals,
    since_ns: i64,
    ended: bool,
    /// Its parent has waited for it.
    reaped: bool,
}

/// A process that has ended and that its parent has not waited for.
pub(crate) struct Zombie {
    pid: u32,
    start_ticks: u64,
    ppid: u32,
    used: Waited,
}

impl Zombie {
    /// Whether its parent has waited for it; if so, who that was, and what is accounted for of it.
    pub(crate) fn reaped(&self) -> Option<(u32, Waited)> {
        let there = Stat::read(self.pid).is_some_and(|s| s.start_ticks == self.start_ticks);
        (!there).then_some((self.ppid, self.used))
    }
}

/// CLOCK_BOOTTIME now, in the ticks of `/proc/PID/stat`.
pub(crate) fn ticks_now() -> u64 {
    host::boottime_ns().unsigned_abs() / ProcId::TICK_NS
}

impl Watched {
    /// `None` if it has ended. What it used before counts only if it started after `began_ticks`.
    pub(crate) fn new(
        pid: u32,
        event: ProcessEvent,
        boot_id: &str,
        clock: &ClockTable,
        now_ns: i64,
        began_ticks: u64,
        parent: impl Fn(u32) -> Option<ProcId>,
    ) -> Option<(Self, Process)> {
        let stat = Stat::read(pid).filter(|s| !s.ended())?;
        let start_ns = stat.start_ticks.saturating_mul(ProcId::TICK_NS);
        let text = running_text(pid);
        let start_ts_ns = clock.utc_ns(start_ns as i64);
        let mut watched = Self {
            owner: Owner { proc: ProcId::new(boot_id, pid, start_ns), pid, cgroup_id: cgroup_id(pid) },
            parent: parent(stat.ppid),
            exe: text.exe,
            argv: text.argv,
            start_ts_ns,
            status: Status::read(pid).unwrap_or_default(),
            stat,
            threads: Threads::default(),
            children: Children::default(),
            now: Totals::default(),
            last: Totals::default(),
            since_ns: now_ns,
            ended: false,
            reaped: false,
        };
        watched.total();
        if event == ProcessEvent::Fork && watched.stat.start_ticks >= began_ticks {
            watched.since_ns = start_ts_ns.min(now_ns);
            watched.children.read(watched.stat.waited);
        } else {
            watched.children = Children::new(watched.stat.waited);
            watched.last = watched.now;
        }
        let row = watched.row(watched.since_ns, event);
        Some((watched, row))
    }

    pub(crate) fn id(&self) -> ProcId {
        self.owner.proc
    }

    /// PID and name.
    pub(crate) fn name(&self) -> (u32, String) {
        (self.owner.pid, program(&self.stat.comm, self.exe.as_deref().unwrap_or_default()).to_owned())
    }

    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// Reads what its children used that it has waited for. Before any process is looked at: see `children`.
    pub(crate) fn look_at_children(&mut self) {
        if let Some(stat) = Stat::read(self.owner.pid).filter(|s| s.start_ticks == self.stat.start_ticks) {
            self.children.read(stat.waited);
        }
    }

    /// A child of it that was watched is gone.
    pub(crate) fn waited_for(&mut self, used: Waited) {
        self.children.credit(used);
    }

    /// Once it has ended: its parent, and what is accounted for of it and of its children, if the parent has waited for it, or else itself as
    /// a zombie.
    pub(crate) fn remains(&self) -> std::result::Result<(u32, Waited), Zombie> {
        let own = Waited {
            cpu_ns: self.now.cpu_ns,
            minor_faults: self.now.minor_faults,
            major_faults: self.now.major_faults,
        };
        let used = zip(own, self.children.accounted(), u64::saturating_add);
        let Stat { ppid, start_ticks, .. } = self.stat;
        if self.reaped { Ok((ppid, used)) } else { Err(Zombie { pid: self.owner.pid, start_ticks, ppid, used }) }
    }

    /// Reads everything again. Gives a row if the process replaced its program since.
    pub(crate) fn look(&mut self, now_ns: i64) -> Option<Process> {
        let before = std::mem::replace(&mut self.ended, true);
        self.reaped = true;
        let stat = Stat::read(self.owner.pid).filter(|s| s.start_ticks == self.stat.start_ticks)?;
        self.reaped = false;
        let replaced = stat.stack != self.stat.stack && stat.stack != 0 && self.stat.stack != 0;
        // A zombie has let go of its name, memory and files; its CPU time and faults are still there.
        if stat.ended() {
            self.stat.cpu_ns = stat.cpu_ns;
            self.children.read(stat.waited);
            self.stat.minor_faults = stat.minor_faults;
            self.stat.major_faults = stat.major_faults;
            self.total_of_stat();
            return None;
        }
        self.ended = before;
        self.stat = stat;
        if let Some(status) = Status::read(self.owner.pid) {
            self.status = status;
        }
        self.total();
        let text = running_text(self.owner.pid);
        let changed = text.exe.is_some() && text.exe != self.exe;
        if !replaced && !changed {
            return None;
        }
        (self.exe, self.argv) = (text.exe.or(self.exe.take()), text.argv);
        Some(self.row(now_ns, ProcessEvent::Exec))
    }

    /// Its threads, if its first is in one of `states`: a stop stops all of them.
    fn threads_in(&self, states: &[u8]) -> u32 {
        if states.contains(&self.stat.state) { self.stat.n_threads } else { 0 }
    }

    fn total(&mut self) {
        self.now.scheduling = self.threads.look(self.owner.pid, self.stat.n_threads);
        // Never falls back to "not seen" for the moment of an exec.
        self.now.io = Io::read(self.owner.pid).or(self.now.io);
        self.total_of_stat();
    }

    fn total_of_stat(&mut self) {
        // Ticks count ended threads, the scheduler counts nanoseconds: neither is more than the truth, and both only grow.
        self.now.cpu_ns = self.now.cpu_ns.max(self.stat.cpu_ns).max(self.now.scheduling.cpu_ns);
        (self.now.minor_faults, self.now.major_faults) = (self.stat.minor_faults, self.stat.major_faults);
    }

    /// What it used since the last sample.
    pub(crate) fn sample(&mut self, end_ns: i64) -> Sample {
        let (now, last) = (self.now, std::mem::replace(&mut self.last, self.now));
        let io = now.io.unwrap_or_default();
        // The first totals that could be read are where counting begins.
        let io_before = last.io.unwrap_or(io);
        let (s, s_before) = (now.scheduling, last.scheduling);
        let unseen = self.children.charge();
        let end_ns = end_ns.max(self.since_ns);
        let ts_ns = std::mem::replace(&mut self.since_ns, end_ns);
        Sample {
            ts_ns,
            dur_ns: (end_ns - ts_ns).unsigned_abs(),
            owner: self.owner,
            cpu_ns: now.cpu_ns.saturating_sub(last.cpu_ns) + unseen.cpu_ns,
            runq_ns: s.runq_ns.saturating_sub(s_before.runq_ns),
            ctx_voluntary: s.voluntary.saturating_sub(s_before.voluntary),
            ctx_involuntary: s.involuntary.saturating_sub(s_before.involuntary),
            rss_anon_bytes: self.status.rss_anon_bytes,
            rss_file_bytes: self.status.rss_file_bytes,
            rss_shmem_bytes: self.status.rss_shmem_bytes,
            swap_bytes: self.status.swap_bytes,
            minor_faults: now.minor_faults.saturating_sub(last.minor_faults) + unseen.minor_faults,
            major_faults: now.major_faults.saturating_sub(last.major_faults) + unseen.major_faults,
            read_bytes: io.read_bytes.saturating_sub(io_before.read_bytes),
            write_bytes: io.write_bytes.saturating_sub(io_before.write_bytes),
            read_chars: io.read_chars.saturating_sub(io_before.read_chars),
            write_chars: io.write_chars.saturating_sub(io_before.write_chars),
            n_threads: if self.ended { 0 } else { self.stat.n_threads },
            n_stopped: (!self.ended).then(|| self.threads_in(b"Tt")),
            n_uninterruptible: (!self.ended).then(|| self.threads_in(b"D")),
            n_fds: if self.ended { None } else { host::n_fds(self.owner.pid) },
            unseen: Unseen { io: now.io.is_none(), network: true, syscalls: true, ..Unseen::default() },
            ..Sample::default()
        }
    }

    /// Introduces it to a file that begins at `now_ns`.
    pub(crate) fn running(&self, now_ns: i64) -> Process {
        self.row(now_ns, ProcessEvent::Running)
    }

    /// Its last row. How it ended is known only of a child of the recorder.
    pub(crate) fn exit(&self, now_ns: i64, how: Option<Ended>) -> Process {
        let mut row = self.row(now_ns, ProcessEvent::Exit);
        match how {
            Some(Ended::Code(code)) => row.exit_code = Some(code),
            Some(Ended::Signal(signal)) => row.exit_signal = Some(signal),
            None => {}
        }
        row
    }

    fn row(&self, ts_ns: i64, event: ProcessEvent) -> Process {
        Process {
            ts_ns,
            owner: self.owner,
            tid: self.owner.pid,
            event,
            ppid: self.stat.ppid,
            parent: self.parent,
            comm: self.stat.comm.clone(),
            exe: self.exe.clone(),
            argv: self.argv.clone(),
            uid: self.status.uid,
            exit_code: None,
            exit_signal: None,
            start_ts_ns: self.start_ts_ns,
            ns_pid: None,
            pid_ns: None,
        }
    }
}
