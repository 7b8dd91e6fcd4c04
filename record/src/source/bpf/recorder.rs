//! Recording by programs in the kernel: what the rings hold becomes rows, and at the end of an
//! interval what was counted does.
//!
//! The order at the start is what makes counts exact: programs first, then the targets are marked, then (for a command) it is let go.
//! At the end: programs off, rings drained, last pass, last tallies. So a call is in the tallies if and only if it is in the events or
//! among the losses. The end of an interval is the same without the first step: what the rings hold at that moment is counted in it.

use super::adopted::{Adopted, TOO_MANY};
use super::decode::Life;
use super::probes::Probes;
use super::stacks::StackReader;
use crate::account::counts::Counts;
use crate::account::files::Files;
use crate::account::flows::Flows;
use crate::account::ledger::{Interval, Ledger};
use crate::account::losses::Losses;
use crate::account::resolve::{Call, Resolver};
use crate::budget::controller::Spent;
use crate::budget::spending::Spending;
use crate::config::{Control, Status};
use crate::error::Result;
use crate::family::syscalls::RING_FULL;
use crate::family::usage::END_UNSEEN;
use crate::host;
use crate::host::proc::with_descendants;
use crate::host::text::ExecText;
use crate::output::sink::Sink;
use crate::output::writer_thread::Batch;
use crate::source::{Command, Source};
use crate::whom::rules::Rules;
use osd_bpf::wire::{N_CLASSES, NO_DURATION, NR_TABLE, asked_capability, usage};
use osd_recording::names::Arch;
use osd_recording::rows::{Capability, Descriptor, Loss, Process, ProcessEvent, Row, Sample, Unseen};
use osd_recording::{Budget, Calls, LossTotal, StackTotals};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Files that are looked up of all processes when the recording begins.
pub(super) const OPEN_FILES_MAX: usize = 16_384;

/// The source.
pub(crate) struct BpfSource {
    pub(super) probes: Probes,
    pub(super) ledger: Ledger,
    pub(super) flows: Flows,
    pub(super) takes_fd: [bool; NR_TABLE],
    pub(super) losses: Losses,
    pub(super) counts: Counts,
    /// Calls of a process whose fork record has not been read yet.
    pub(super) waiting: Vec<Call>,
    /// Likewise capabilities that such a process was asked for.
    pub(super) asked: Vec<asked_capability>,
    pub(super) n_events: u64,
    pub(super) spending: Option<Spending>,
    /// Events, and those with a path, when the last interval ended.
    pub(super) counted: (u64, u64),
    /// `None`: no stacks are taken.
    pub(super) stacks: Option<StackReader>,
    /// A process that was named ended badly.
    pub(super) target_failed: bool,
    /// When those who have ended were last read.
    pub(super) ends_read: Instant,
    /// What nobody fills of a sample.
    pub(super) unseen: Unseen,
    /// Whom to take in when they match.
    pub(super) rules: Option<Rules>,
    pub(super) adopted: Adopted,
    /// The ring of calls ran dry in this interval.
    pub(super) settled: bool,
    pub(super) ending: bool,
    /// What calls are on, if that is recorded.
    pub(super) files: Option<Files>,
    /// Rows of calls are written.
    pub(super) keep_calls: bool,
}

impl BpfSource {
    /// Takes what the rings hold, lives first so that calls find their process. True if there is more.
    pub(super) fn drain(&mut self, sink: &mut Sink) -> Result<bool> {
        let mut batch = sink.writer.batch();
        let read_until_ns = host::boottime_ns().unsigned_abs();
        self.drain_lives(&mut batch.rows, sink);
        self.attend(&mut batch.rows, sink)?;
        if self.ends_are_due() {
            self.read_ended(&mut batch.rows, sink)?;
        }
        if self.probes.flows_are_due() {
            self.read_flows(sink.now_ns(), &mut batch.rows, sink)?;
        }
        self.resolve_waiting(&mut batch.syscalls, sink);
        let mut stranded = std::mem::take(&mut self.waiting);
        let mut resolver = Resolver::new(&self.ledger, &sink.clock, &self.takes_fd);
        let (syscalls, keep_calls) = (&mut batch.syscalls, self.keep_calls);
        let behind = self.probes.drain_calls(|call| {
            self.counts.add(&call.0);
            if let Some(files) = &mut self.files {
                files.call(&call.0, call.1.as_deref());
            }
            match keep_calls {
                true => resolver.resolve(call, syscalls, &mut stranded),
                false => self.n_events += 1,
            }
        });
        self.waiting = stranded;
        self.n_events += batch.syscalls.len() as u64;
        let more = behind.is_some();
        self.settle_objects(behind.map_or(read_until_ns, |until| until.min(read_until_ns)), &mut batch.rows, sink);
        self.hand_over(batch, sink)?;
        self.settled |= !more;
        Ok(more)
    }

    /// Gives `batch` to the writer. What the rings lose while it is too far behind to take more is its doing.
    pub(super) fn hand_over(&mut self, mut batch: Batch, sink: &mut Sink) -> Result<()> {
        sink.name_groups(&mut batch.rows);
        sink.show(&batch);
        let Some(batch) = sink.writer.offer(batch)? else { return Ok(()) };
        let before = self.probes.calls_lost()?;
        sink.writer.send(batch)?;
        self.losses.while_behind(self.probes.calls_lost()? - before);
        Ok(())
    }

    /// Calls whose process has been introduced since become rows; the others go on waiting.
    fn resolve_waiting(&mut self, rows: &mut Calls, sink: &Sink) {
        let mut resolver = Resolver::new(&self.ledger, &sink.clock, &self.takes_fd);
        let mut stranded = Vec::new();
        self.waiting.drain(..).for_each(|call| resolver.resolve(call, rows, &mut stranded));
        self.waiting = stranded;
    }

    pub(super) fn drain_lives(&mut self, rows: &mut Vec<Row>, sink: &Sink) {
        for record in self.probes.drain_lives() {
            match record {
                Life::Fork(l) => {
                    if let Some(files) = &mut self.files {
                        files.forked(l.ts_ns, l.parent_seq, l.process_seq);
                    }
                    // Of a parent that is not recorded nobody has said what it runs.
                    let text = if l.parent_seq == 0 { host::running_text(l.pid) } else { ExecText::default() };
                    rows.push(self.ledger.arrived(&l, ProcessEvent::Fork, text, &sink.clock).into());
                }
                Life::Exec(l, text) => {
                    self.losses.argv_cut(text.cut);
                    if let Some(files) = &mut self.files {
                        files.execed(l.ts_ns, l.process_seq);
                    }
                    rows.push(self.ledger.execed(&l, text, &sink.clock).into());
                }
                Life::Exit(l) => {
                    let row = self.ledger.exited(&l, &sink.clock);
                    let badly = |r: &osd_recording::rows::Process| {
                        r.exit_signal.is_some() || r.exit_code.is_some_and(|code| code != 0)
                    };
                    let named = &sink.metadata.target.pids;
                    self.target_failed |= row.as_ref().is_some_and(|r| badly(r) && named.contains(&r.owner.pid));
                    rows.extend(row.map(Row::from));
                }
                Life::ThreadExit(l, usage) => self.ledger.thread_exited(&l, &usage, &sink.clock),
                Life::Adopted(l, usage) => rows.push(self.adopt(l, &usage, sink).into()),
                Life::Group(group) => self.adopted.groups.push(group),
                Life::ThreadGone(e) => {
                    self.ledger.thread_gone(&e, false);
                }
                Life::Capability(a) => self.asked.push(a),
            }
        }
        self.tell_capabilities(rows, sink);
    }

    /// Rows of the capabilities that processes were asked for, as far as these are known; the others go on waiting.
    fn tell_capabilities(&mut self, rows: &mut Vec<Row>, sink: &Sink) {
        let ledger = &self.ledger;
        self.asked.retain(|a| {
            let Some(owner) = ledger.owner(a.process_seq) else { return true };
            let ts_ns = sink.clock.utc_ns(a.ts_ns as i64);
            let nr = u16::try_from(a.nr).unwrap_or(u16::MAX);
            let (tid, number, refused) = (a.tid, a.capability, a.refused != 0);
            rows.push(Capability { ts_ns, owner, tid, nr, number, refused }.into());
            false
        });
    }

    /// What the interval was spent on, but for what is read later.
    fn spent(&mut self, elapsed_ns: u64, interval: &Interval) -> Spent {
        let before = std::mem::replace(&mut self.counted, (self.n_events, self.probes.n_paths()));
        let events = self.counted.0 - before.0;
        let calls: u64 = interval.tallies.iter().map(|t| t.count).sum();
        Spent {
            elapsed_ns,
            events,
            paths: self.counted.1 - before.1,
            tallied: calls.saturating_sub(events),
            targets_ns: interval.samples.iter().map(|s| s.cpu_ns).sum(),
            ..Spent::default()
        }
    }

    /// Writes down what was lost in the interval. Of its calls, `tallied` have a tally and no row. Gives the calls that were shed, by class.
    pub(super) fn note_losses(
        &mut self,
        dur_ns: u64,
        tallied: u64,
        rows: &mut Vec<Row>,
        sink: &mut Sink,
    ) -> Result<[u64; N_CLASSES]> {
        let mut totals = self.probes.read_losses()?;
        totals.push((END_UNSEEN, self.ledger.n_given_up()));
        totals.push((TOO_MANY, self.adopted.n_left_out));
        totals.extend(self.stacks.iter().flat_map(StackReader::losses));
        let tallied = (sink.metadata.syscalls == "events" && !self.ending).then_some(tallied);
        let (lost, shed) = self.losses.interval(totals, tallied);
        for (lost, count) in lost {
            // Without rows of calls, what is lost are those of files.
            let stream = if lost.stream == RING_FULL.stream && !self.keep_calls { "file" } else { lost.stream };
            let loss = LossTotal { stream: stream.to_owned(), reason: lost.reason.to_owned(), count };
            sink.metadata.add_loss(&loss);
            let (ts_ns, stream, reason) = (sink.interval_start_ns, loss.stream, loss.reason);
            rows.push(Loss { ts_ns, dur_ns, stream, reason, count }.into());
        }
        Ok(shed)
    }
}

/// Writes down the calls that have not returned.
fn note_under_way(usages: &[usage], sink: &mut Sink) {
    let Some(arch) = Arch::from_name(&sink.metadata.host.arch) else { return };
    for inside in usages.iter().filter(|u| u.exiting == 0).filter_map(|u| u.inside.checked_sub(1)) {
        let name = arch.syscall_label(u16::try_from(inside).unwrap_or(u16::MAX));
        *sink.metadata.under_way.entry(name).or_default() += 1;
    }
}

impl Source for BpfSource {
    fn mark(&mut self, roots: &[u32], descendants: bool, sink: &mut Sink) -> Result<()> {
        let mut seeded = HashMap::new();
        let mut rows = Vec::new();
        let mut n_files = 0;
        loop {
            let pids = if descendants { with_descendants(roots) } else { roots.iter().copied().collect() };
            let new: Vec<u32> = pids.into_iter().filter(|p| !seeded.contains_key(p)).collect();
            if new.is_empty() {
                break;
            }
            for pid in new {
                let seq = self.adopted.next_seq();
                seeded.insert(pid, seq);
                if let Some(mut l) = self.probes.seed(pid, seq)? {
                    l.parent_seq = seeded.get(&l.ppid).copied().unwrap_or(0);
                    let row = self.ledger.arrived(&l, ProcessEvent::Running, host::running_text(pid), &sink.clock);
                    // What a command has open before it begins is the recorder's own, and most of it is closed by its exec.
                    if self.files.is_none()
                        && sink.metadata.syscalls == "events"
                        && sink.metadata.target.command.is_empty()
                    {
                        let object_kind = None;
                        let of_row =
                            |(fd, path)| Descriptor { ts_ns: row.ts_ns, owner: row.owner, fd, path, object_kind };
                        let open = host::open_files(pid, OPEN_FILES_MAX.saturating_sub(n_files));
                        n_files += open.len();
                        rows.extend(open.into_iter().map(of_row).map(Row::from));
                    }
                    rows.push(row.into());
                }
            }
        }
        self.look_at_start(&seeded, &mut rows, sink)?;
        sink.send(rows)
    }

    fn select(&mut self, sink: &mut Sink) -> Result<()> {
        self.begin_to_select(sink)
    }

    fn begin(&mut self, sink: &Sink) -> Result<i64> {
        // Before the first interval: a connection that a listener gets is known by its listener.
        self.probes.seed_flows()?;
        let usages = self.probes.sample()?;
        self.ledger.baseline(&usages);
        if let Some(spending) = &mut self.spending {
            spending.begin();
        }
        Ok(sink.now_ns())
    }

    fn works(&self) -> bool {
        self.probes.read_losses().is_ok()
    }

    fn reads_proc(&self) -> bool {
        // Which program a process runs is told only to who may trace it.
        self.probes.by_proc() || self.rules.as_ref().is_some_and(|r| !r.exes().is_empty())
    }

    fn only_looks(&self) -> bool {
        false
    }

    /// Drains the rings, sleeping while they are quiet.
    fn watch(
        &mut self,
        until: Instant,
        sink: &mut Sink,
        control: &Control,
        ended: &mut dyn FnMut(usize) -> bool,
    ) -> Result<()> {
        // Shorter if a ring fills; see `Probes::nap`.
        const NAP: Duration = Duration::from_millis(10);
        loop {
            let more = self.drain(sink)?;
            let now = Instant::now();
            if now >= until || (control.stopped() && !more) {
                return Ok(());
            }
            if !more {
                if ended(self.ledger.n_live()) {
                    return Ok(());
                }
                self.probes.nap(NAP.min(until - now));
            }
        }
    }

    fn end_interval(&mut self, sink: &mut Sink, _: Option<Command>) -> Result<()> {
        // As often as a full ring takes, not until it is empty: under a storm that would be never.
        for _ in 0..self.probes.drains_of_a_full_ring() {
            if !self.drain(sink)? {
                break;
            }
        }
        let mut batch = Batch::default();
        self.drain_lives(&mut batch.rows, sink);
        self.read_ended(&mut batch.rows, sink)?;
        self.settle_objects(u64::MAX, &mut batch.rows, sink);
        let usages = self.probes.sample()?;
        if self.ending {
            note_under_way(&usages, sink);
        }
        let end_ns = sink.now_ns();
        let mut not_events = Vec::new();
        if sink.metadata.syscalls != "off" {
            self.probes.read_tallies(|key, total| not_events.push((key, total)))?;
        }
        let totals = self.counts.with(not_events);
        let sockets = self.probes.read_flows(self.ending)?;
        // A thousand stats of /proc an interval is where it would begin to cost; beyond that the column is null.
        let active = self.rules.as_ref().map(|_| self.ledger.active(&usages));
        let moved = |seq: u32| active.as_ref().is_none_or(|active| active.contains(&seq));
        let looked_at = self.ledger.live_pids().filter(|(seq, _)| moved(*seq)).take(256);
        let n_fds = looked_at.filter_map(|(seq, pid)| Some((seq, host::n_fds(pid)?))).collect();
        let of_stacks = self.stacks.as_mut().map_or_else(Vec::new, StackReader::processes);
        let seqs = self.waiting.iter().map(|(c, _)| c.process_seq).chain(totals.iter().map(|(key, _)| key.process_seq));
        let seqs = seqs.chain(self.asked.iter().map(|a| a.process_seq)).chain(of_stacks);
        let seqs = seqs.chain(sockets.iter().flat_map(|s| self.flows.untold(&s.flows)));
        let met = self.ledger.meet(seqs, &usages, end_ns, self.ending, &sink.clock, host::read_info);
        batch.rows.extend(met.into_iter().map(Row::from));
        // Whoever was introduced above has its tallies in this interval, so its calls belong here too.
        self.resolve_waiting(&mut batch.syscalls, sink);
        self.tell_capabilities(&mut batch.rows, sink);
        self.n_events += batch.syscalls.len() as u64;
        if let Some(stacks) = &mut self.stacks {
            let until_ns = if self.ending { i64::MAX } else { end_ns };
            let rows = stacks.rows(until_ns, |seq| self.ledger.owner(seq), &sink.clock);
            batch.rows.extend(rows.into_iter().map(Row::from));
        }
        let settled = std::mem::take(&mut self.settled);
        let mut interval = self.ledger.close_interval(end_ns, &usages, &totals, &n_fds, settled);
        self.close_files(end_ns, &interval, &mut batch.rows, sink)?;
        self.probes.delete_tallies(&interval.dead_tallies);
        for (seq, _) in &interval.dead_tallies {
            self.counts.forget(*seq);
        }
        let dur_ns = sink.dur_ns(end_ns);
        let mut spent = self.spent(dur_ns, &interval);
        if sink.metadata.no_latency {
            interval.tallies.iter_mut().for_each(|t| t.total_ns = NO_DURATION);
        }
        let unseen = self.unseen;
        let waited_ns = interval.samples.iter().map(|s| s.runq_ns).sum();
        batch.rows.extend(interval.samples.into_iter().map(|s| Sample { unseen, ..s }.into()));
        batch.rows.extend(interval.tallies.into_iter().map(Row::from));
        batch.rows.extend(interval.threads.into_iter().map(Row::from));
        self.tell_flows(sockets, end_ns, &mut batch.rows, sink);
        Self::tell_rests(interval.rests, dur_ns, &mut batch.rows, sink);
        let live = || self.ledger.live_pids().map(|(_, pid)| pid);
        batch.rows.extend(sink.surroundings(end_ns, waited_ns, live));
        spent.shed = self.note_losses(dur_ns, spent.tallied, &mut batch.rows, sink)?;
        self.hand_over(batch, sink)?;
        if let Some(spending) = &mut self.spending {
            self.probes.shed(spending.interval(spent) as u32);
        }
        sink.interval_start_ns = end_ns;
        Ok(())
    }

    fn end_file(&mut self) -> Vec<Row> {
        self.ledger.end_idle().into_iter().map(|s| Sample { unseen: self.unseen, ..s }.into()).collect()
    }

    fn stop(&mut self, sink: &mut Sink) -> Result<()> {
        self.probes.detach();
        self.stacks.iter_mut().for_each(StackReader::finish);
        while self.drain(sink)? {}
        // Nobody is left whose time goes on without being recorded: what their end took belongs to their last interval.
        if self.ledger.n_live() == 0 {
            self.await_ends(Duration::from_secs(2), sink)?;
        }
        self.ending = true;
        Ok(())
    }

    fn settle(&mut self, sink: &mut Sink) -> Result<()> {
        self.settle_ends(sink)
    }

    fn turned_over(&mut self) {
        if let Some(files) = &mut self.files {
            files.tell_again();
        }
        self.flows.retell();
    }

    fn alive(&self, now_ns: i64) -> Vec<Process> {
        self.ledger.alive(now_ns).collect()
    }

    fn is_recorded(&self, pid: u32) -> bool {
        self.ledger.live_pids().any(|(_, live)| live == pid)
    }

    fn n_live(&self) -> usize {
        self.ledger.n_live()
    }

    fn n_processes(&self) -> u64 {
        self.ledger.n_processes()
    }

    fn still_running(&self) -> Vec<(u32, String)> {
        self.ledger.still_running()
    }

    fn take_failure(&mut self) -> bool {
        std::mem::take(&mut self.target_failed)
    }

    fn close_budget(&mut self) -> Option<Budget> {
        self.spending.as_mut().map(Spending::close)
    }

    fn close_stacks(&mut self) -> Option<StackTotals> {
        self.stacks.as_mut().map(StackReader::close_totals)
    }

    fn report(&self, status: &mut Status) {
        status.events = self.n_events;
        status.lost = self.losses.n_lost();
        status.shed = self.losses.n_shed();
        status.overhead = self.spending.as_ref().map(Spending::overhead);
    }
}
