//! What `/proc` says once an interval: every process is looked at, and rows are made of what
//! changed.
//!
//! The same rows as with BPF, `sample`, `process` and `system`, and fewer: no system calls, no network, and no process that lives for
//! less than an interval. What cannot be seen is null in the rows and named among the blind spots of the metadata.

use super::watch::{self, Watched, Zombie};
use crate::config::{Config, Control};
use crate::error::Result;
use crate::family;
use crate::host::proc::{Stat, with_descendants};
use crate::host::threads::MOST_THREADS;
use crate::output::sink::Sink;
use crate::source::{Command, Source};
use crate::whom::rules::Rules;
use osd_recording::Metadata;
use osd_recording::rows::{Process, ProcessEvent, Row};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The source.
pub(crate) struct ProcSource {
    processes: BTreeMap<u32, Watched>,
    zombies: Vec<Zombie>,
    /// Children of what is watched are watched too.
    follow: bool,
    began_ns: i64,
    began_ticks: u64,
    n_processes: u64,
    /// Whom to take in when they match.
    rules: Option<Rules>,
    /// A process that was named ended, and nobody knows whether well.
    target_failed: bool,
}

impl ProcSource {
    /// Says in `metadata` what will be seen.
    pub(crate) fn start(config: &Config, metadata: &mut Metadata, rules: Option<Rules>) -> Self {
        metadata.syscalls = "off".into();
        metadata.families = family::without_bpf();
        metadata.blind_spots = blind_spots(config);
        Self {
            processes: BTreeMap::new(),
            zombies: Vec::new(),
            follow: config.follow,
            began_ns: 0,
            began_ticks: watch::ticks_now(),
            n_processes: 0,
            rules,
            target_failed: false,
        }
    }

    fn arrive(&mut self, pid: u32, event: ProcessEvent, sink: &Sink, rows: &mut Vec<Row>) {
        let parent = |ppid| self.processes.get(&ppid).map(|p: &Watched| p.id());
        // A process older than the recording has used before what it is not charged with now.
        let (boot_id, now_ns) = (&sink.metadata.host.boot_id, sink.now_ns());
        let arrived = Watched::new(pid, event, boot_id, &sink.clock, now_ns, self.began_ticks, parent);
        if let Some((watched, row)) = arrived {
            rows.push(row.into());
            self.processes.insert(pid, watched);
            self.n_processes += 1;
        }
    }

    /// Takes in those who match and are not watched. With `event` a fork, who was there before the recording is one that runs.
    fn take_in_matching(&mut self, event: ProcessEvent, sink: &Sink, rows: &mut Vec<Row>) {
        let Some(rules) = &mut self.rules else { return };
        rules.look_for_groups();
        for pid in rules.matching() {
            if !self.processes.contains_key(&pid) {
                let before = Stat::read(pid).is_none_or(|s| s.start_ticks < self.began_ticks);
                self.arrive(pid, if before { ProcessEvent::Running } else { event }, sink, rows);
            }
        }
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
}

impl Source for ProcSource {
    fn mark(&mut self, roots: &[u32], descendants: bool, sink: &mut Sink) -> Result<()> {
        self.began_ns = sink.now_ns();
        let mut rows = Vec::new();
        let all = if descendants { with_descendants(roots) } else { roots.iter().copied().collect() };
        all.into_iter().for_each(|pid| self.arrive(pid, ProcessEvent::Running, sink, &mut rows));
        sink.send(rows)
    }

    fn select(&mut self, sink: &mut Sink) -> Result<()> {
        let mut rows = Vec::new();
        self.take_in_matching(ProcessEvent::Running, sink, &mut rows);
        sink.send(rows)
    }

    fn begin(&mut self, _: &Sink) -> Result<i64> {
        Ok(self.began_ns)
    }

    fn released(&mut self, pid: u32, sink: &mut Sink) -> Result<()> {
        let now_ns = sink.now_ns();
        let row = self.processes.get_mut(&pid).and_then(|watched| watched.look(now_ns));
        sink.send(row.into_iter().map(Row::from).collect())
    }

    fn reads_proc(&self) -> bool {
        true
    }

    fn only_looks(&self) -> bool {
        true
    }

    /// Waits.
    fn watch(
        &mut self,
        until: Instant,
        _: &mut Sink,
        control: &Control,
        ended: &mut dyn FnMut(usize) -> bool,
    ) -> Result<()> {
        const NAP: Duration = Duration::from_millis(10);
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|d| !d.is_zero()) {
            if control.stopped() || ended(self.processes.len()) {
                break;
            }
            std::thread::sleep(NAP.min(left));
        }
        Ok(())
    }

    fn end_interval(&mut self, sink: &mut Sink, command: Option<Command>) -> Result<()> {
        let mut rows = Vec::new();
        self.processes.values_mut().for_each(Watched::look_at_children);
        if self.follow {
            let live: Vec<u32> = self.processes.keys().copied().collect();
            for pid in with_descendants(&live) {
                if !self.processes.contains_key(&pid) {
                    self.arrive(pid, ProcessEvent::Fork, sink, &mut rows);
                }
            }
        }
        self.take_in_matching(ProcessEvent::Fork, sink, &mut rows);
        let end_ns = sink.now_ns();
        for watched in self.processes.values_mut() {
            rows.extend(watched.look(end_ns).map(Row::from));
        }
        self.settle_children();
        let named = &sink.metadata.target.pids;
        let mut waited_ns = 0;
        self.processes.retain(|pid, watched| {
            let sample = watched.sample(end_ns);
            waited_ns += sample.runq_ns;
            rows.push(sample.into());
            if watched.ended() {
                let how = command.filter(|(command, _)| command == pid).and_then(|(_, how)| how);
                rows.push(watched.exit(end_ns, how).into());
                self.target_failed |= named.contains(pid);
            }
            !watched.ended()
        });
        rows.extend(sink.surroundings(end_ns, waited_ns, || self.processes.keys().copied()));
        sink.interval_start_ns = end_ns;
        sink.send(rows)
    }

    fn alive(&self, now_ns: i64) -> Vec<Process> {
        self.processes.values().map(|p| p.running(now_ns)).collect()
    }

    fn is_recorded(&self, pid: u32) -> bool {
        self.processes.contains_key(&pid)
    }

    fn n_live(&self) -> usize {
        self.processes.len()
    }

    fn n_processes(&self) -> u64 {
        self.n_processes
    }

    fn still_running(&self) -> Vec<(u32, String)> {
        self.processes.values().map(Watched::name).collect()
    }

    fn take_failure(&mut self) -> bool {
        std::mem::take(&mut self.target_failed)
    }
}

fn blind_spots(config: &Config) -> Vec<String> {
    let interval_ms = config.interval.as_millis();
    let by_rule = config.select.as_ref().map(|_| {
        format!("whom to record was decided by rule, at the end of each interval: up to {interval_ms} ms of a process that matched are missing")
    });
    let always = [
        "recorded from /proc without BPF: no system calls, no network bytes".to_owned(),
        format!("processes that live for less than {interval_ms} ms may be missing, and children whose parent ended within it"),
        format!("fork, exec and exit are seen at the end of an interval: up to {interval_ms} ms late; exec of the same program \
            by a process of another user is not seen; the exit status is known of the command only, so a flight recorder takes the end \
            of a process named by its PID for a failure"),
        "what a process or thread used after its last interval is missing, except its CPU time and faults if its parent waited for it: \
            those, and those of children that came and went unseen, are charged to the parent, in ticks of 10 ms"
            .into(),
        "read_*, write_* are null for processes of other users without CAP_SYS_PTRACE".into(),
        format!("runq_ns and ctx_* stand still while a process has more than {} threads", MOST_THREADS),
        "reads and writes of mapped files are seen as page faults only".into(),
    ];
    always.into_iter().chain(by_rule).collect()
}
