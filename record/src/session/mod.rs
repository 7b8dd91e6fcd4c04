//! The recording session: attach, follow, drain, account; a second thread encodes and writes.
//!
//! The order at the start is what makes counts exact: programs first, then the targets are marked, then (for a command) it is let go.
//! At the end: programs off, rings drained, last pass, last tallies. So a call is in the tallies if and only if it is in the events or
//! among the losses. The end of an interval is the same without the first step: what the rings hold at that moment is counted in it.

use crate::account::counts::Counts;
use crate::account::ledger::{Interval, Ledger};
use crate::account::losses::Losses;
use crate::account::resolve::Resolver;
use crate::budget::controller::{Prices, Spent};
use crate::budget::spending::Spending;
use crate::config::{Backend, Config, Control, Outcome, Status, Syscalls, What};
use crate::error::{Error, Result};
use crate::family::io_uring::IO_URING;
use crate::family::syscalls::SYSCALLS;
use crate::family::usage::END_UNSEEN;
use crate::family::{FAMILIES, plan::AttachPlan};
use crate::host::capabilities::Keep;
use crate::host::command::Child;
use crate::host::text::ExecText;
use crate::host::{self, HostMeter};
use crate::output::rotation::{self, Rotation};
use crate::output::writer_thread::{Batch, WriterHandle};
use crate::preflight;
use crate::session::blind_spots::blind_spots;
use crate::source::bpf::call_args;
use crate::source::bpf::cost;
use crate::source::bpf::decode::{Call, Life};
use crate::source::bpf::load::{self, Knobs, Loaded};
use crate::source::bpf::probes::Probes;
use crate::source::proc as procfs;
use osd_bpf::wire::{N_CLASSES, NO_DURATION, NR_TABLE};
use osd_recording::names::Arch;
use osd_recording::rows::{Loss, ProcessEvent, Row, Sample, Unseen};
use osd_recording::{Calls, ClockTable, LossTotal, Metadata, Writer, WriterOptions};
use std::time::{Duration, Instant};

/// Records until the target ends, `duration` is over or `control` says stop. `on_status` is called about once a second.
///
/// # Errors
/// See [`Error`]. Nothing is left behind when it fails before recording began; afterwards an unfinished recording is.
pub fn record(config: &Config, control: &Control, on_status: impl FnMut(&Status)) -> Result<Outcome> {
    let backend = preflight::plan(config)?.backend;
    let arch = Arch::native().ok_or(Error::Architecture { arch: std::env::consts::ARCH })?;
    if let What::Pids(pids) = &config.what {
        target::check_pids(pids)?;
    }
    let options = WriterOptions { force: config.force, arch, ..WriterOptions::default() };
    if backend == Backend::Proc && config.max_overhead.is_some() {
        return Err(Error::NeedsBpf { what: "a budget for what recording costs" });
    }
    let mut rotation = Rotation::new(&config.output, options, config.cut)?;
    if backend == Backend::Proc {
        return procfs::record(config, control, rotation, on_status);
    }
    let writer = rotation.next_writer(host::read_clocks().realtime_ns)?;
    let session = Session::start(config, arch, writer)?;
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
    let mut next_status = Instant::now() + Duration::from_secs(1);
    let end = config.duration.and_then(|d| session.began.checked_add(d));
    loop {
        // An interval may last an hour.
        let deadline = session.next_tick.min(next_status);
        session.drain_until(end.map_or(deadline, |end| end.min(deadline)), control)?;
        if Instant::now() >= session.next_tick {
            session.tick()?;
            let triggered = control.triggered() | std::mem::take(&mut session.target_failed);
            let utc_ns = session.interval_start_ns;
            if let Some(next) = rotation.after_interval(&session.writing, triggered, utc_ns)? {
                session.turn_over(next)?;
            }
        }
        if Instant::now() >= next_status {
            on_status(&session.status());
            next_status += Duration::from_secs(1);
        }
        // Asked even when the ring never runs dry: what is left in it is drained after everything is detached.
        if control.stopped() || session.over(config) {
            break;
        }
    }
    // What a flight recorder holds is thrown away only when all went well.
    let asked = control.stopped() || control.triggered();
    session.finish(config, rotation, asked)
}

struct Session {
    probes: Probes,
    ledger: Ledger,
    host: HostMeter,
    clock: ClockTable,
    metadata: Metadata,
    takes_fd: [bool; NR_TABLE],
    child: Option<Child>,
    writing: WriterHandle,
    interval: Duration,
    began: Instant,
    next_tick: Instant,
    interval_start_ns: i64,
    losses: Losses,
    counts: Counts,
    /// Calls of a process whose fork record has not been read yet.
    waiting: Vec<Call>,
    n_events: u64,
    spending: Option<Spending>,
    /// Events, and those with a path, when the last interval ended.
    counted: (u64, u64),
    next_clock: Instant,
    /// A process that was named ended badly.
    target_failed: bool,
    /// When those who have ended were last read.
    ends_read: Instant,
    /// Processes that were named and could not be marked.
    not_recorded: Vec<String>,
    /// What nobody fills of a sample.
    unseen: Unseen,
    /// The recording of a command goes on while anything that it has started runs.
    outlives_command: bool,
    timed_out: bool,
    /// The ring of calls ran dry in this interval.
    settled: bool,
    ending: bool,
}

impl Session {
    fn start(config: &Config, arch: Arch, writer: Writer) -> Result<Self> {
        let host = host::describe();
        let knobs = Knobs {
            events: config.syscalls == Syscalls::Events,
            latency: config.latency,
            follow: config.follow,
            ring_bytes: config.ring_bytes,
            life_ring_bytes: config.life_ring_bytes,
            tally_entries: config.tally_entries,
            arch,
            hold_tasks: !config.access.lacks("held_tasks"),
        };
        let plan = AttachPlan::find(&config.access, config.btf.as_deref())?;
        // Before the programs that record are there, which would make it look cheaper.
        let prices = match config.max_overhead {
            Some(_) if config.syscalls != Syscalls::Off => cost::prices(arch, &config.access, &plan, config.latency)?,
            _ => Prices::default(),
        };
        let plan = if config.syscalls == Syscalls::Off { plan.without(&SYSCALLS) } else { plan };
        let Loaded { probes, plan, families } = load::load(plan, &config.access, knobs)?;
        let clock = ClockTable(vec![host::read_clocks()]);
        let metadata = Metadata {
            osd_version: config.osd_version.clone(),
            recording_id: host::random_id(),
            command_line: config.command_line.clone(),
            interval_ns: config.interval.as_nanos() as u64,
            syscalls: match config.syscalls {
                _ if !plan.has(&SYSCALLS) => "off",
                Syscalls::Events => "events",
                Syscalls::Tally => "tally",
                Syscalls::Off => "off",
            }
            .into(),
            no_latency: !config.latency,
            families,
            blind_spots: blind_spots(&plan, config, probes.by_proc(), probes.holds_ended()),
            host,
            ..Metadata::default()
        };
        let mut unseen = Unseen { latency: !config.latency, ..Unseen::default() };
        FAMILIES.iter().filter(|f| !plan.has(f)).for_each(|f| (f.unseen)(&mut unseen));
        let now = Instant::now();
        let spending = config
            .max_overhead
            .map(|allowed| Spending::new(allowed, metadata.host.n_cpus, prices, metadata.syscalls == "events"));
        let keep = (!config.access.keep_privileges).then(|| {
            let keep = Keep::for_files(&config.output, config.labels.as_deref());
            if probes.by_proc() { keep.and_proc() } else { keep }
        });
        let mut session = Self {
            ledger: Ledger::new(&metadata.host.boot_id, metadata.host.page_bytes, plan.has(&IO_URING)),
            host: HostMeter::new(),
            probes,
            clock,
            metadata,
            takes_fd: call_args::takes_fd(arch),
            child: None,
            writing: WriterHandle::start(writer, keep)?,
            interval: config.interval,
            began: now,
            next_tick: now,
            interval_start_ns: 0,
            losses: Losses::default(),
            counts: Counts::default(),
            waiting: Vec::new(),
            n_events: 0,
            spending,
            counted: (0, 0),
            next_clock: now + Duration::from_secs(5),
            target_failed: false,
            ends_read: now,
            not_recorded: Vec::new(),
            unseen,
            outlives_command: config.outlives_command(),
            timed_out: false,
            settled: false,
            ending: false,
        };
        session.mark_targets(config)?;
        // Here and not earlier: a command has been started with all that it would have without a recorder.
        if let Some(keep) = keep {
            let reads = || session.probes.read_losses().is_ok();
            keep.narrow(reads).map_err(|source| Error::Os { action: "give up privileges", source })?;
        }
        Ok(session)
    }

    fn over(&mut self, config: &Config) -> bool {
        self.timed_out = config.duration.is_some_and(|d| self.began.elapsed() >= d);
        let too_big = config.max_bytes.is_some_and(|max| self.writing.bytes() >= max);
        self.timed_out || too_big || self.target_ended() || self.writing.is_full()
    }

    /// Whether the command has ended, or (without one, or if its recording outlives it) all that is recorded.
    fn target_ended(&mut self) -> bool {
        match self.child.as_mut().map(Child::ended) {
            Some(None) => false,
            Some(Some(_)) if !self.outlives_command => true,
            _ => self.ledger.n_live() == 0,
        }
    }

    /// Drains the rings until `deadline`, sleeping while they are quiet.
    fn drain_until(&mut self, deadline: Instant, control: &Control) -> Result<()> {
        // Shorter if a ring fills; see `Probes::nap`.
        const NAP: Duration = Duration::from_millis(10);
        loop {
            let more = self.drain()?;
            let now = Instant::now();
            if now >= deadline || (control.stopped() && !more) {
                return Ok(());
            }
            if !more {
                if self.target_ended() {
                    return Ok(());
                }
                self.probes.nap(NAP.min(deadline - now));
            }
        }
    }

    /// Takes what the rings hold, lives first so that calls find their process. True if there is more.
    fn drain(&mut self) -> Result<bool> {
        let mut batch = self.writing.batch();
        self.drain_lives(&mut batch.rows);
        if self.ends_are_due() {
            self.read_ended(&mut batch.rows)?;
        }
        self.resolve_waiting(&mut batch.syscalls);
        let mut stranded = std::mem::take(&mut self.waiting);
        let mut resolver = Resolver::new(&self.ledger, &self.clock, &self.takes_fd);
        let syscalls = &mut batch.syscalls;
        let more = self.probes.drain_calls(|call| {
            self.counts.add(&call.0);
            resolver.resolve(call, syscalls, &mut stranded);
        });
        self.waiting = stranded;
        self.n_events += batch.syscalls.len() as u64;
        self.hand_over(batch)?;
        self.settled |= !more;
        Ok(more)
    }

    /// Gives `batch` to the writer. What the rings lose while it is too far behind to take more is its doing.
    fn hand_over(&mut self, batch: Batch) -> Result<()> {
        let Some(batch) = self.writing.offer(batch)? else { return Ok(()) };
        let before = self.probes.calls_lost()?;
        self.writing.send(batch)?;
        self.losses.while_behind(self.probes.calls_lost()? - before);
        Ok(())
    }

    /// Calls whose process has been introduced since become rows; the others go on waiting.
    fn resolve_waiting(&mut self, rows: &mut Calls) {
        let mut resolver = Resolver::new(&self.ledger, &self.clock, &self.takes_fd);
        let mut stranded = Vec::new();
        self.waiting.drain(..).for_each(|call| resolver.resolve(call, rows, &mut stranded));
        self.waiting = stranded;
    }

    fn drain_lives(&mut self, rows: &mut Vec<Row>) {
        for record in self.probes.drain_lives() {
            match record {
                Life::Fork(l) => {
                    rows.push(self.ledger.arrived(&l, ProcessEvent::Fork, ExecText::default(), &self.clock).into());
                }
                Life::Exec(l, text) => {
                    self.losses.argv_cut(text.cut);
                    rows.push(self.ledger.execed(&l, text, &self.clock).into());
                }
                Life::Exit(l) => {
                    let row = self.ledger.exited(&l, &self.clock);
                    let badly = |r: &osd_recording::rows::Process| {
                        r.exit_signal.is_some() || r.exit_code.is_some_and(|code| code != 0)
                    };
                    let named = &self.metadata.target.pids;
                    self.target_failed |= row.as_ref().is_some_and(|r| badly(r) && named.contains(&r.owner.pid));
                    rows.extend(row.map(Row::from));
                }
                Life::ThreadExit(l, usage) => self.ledger.thread_exited(&l, &usage, &self.clock),
                Life::ThreadGone(e) => {
                    self.ledger.thread_gone(&e, false);
                }
            }
        }
    }

    /// Ends an interval: samples, tallies, host, losses.
    fn tick(&mut self) -> Result<()> {
        // As often as a full ring takes, not until it is empty: under a storm that would be never.
        for _ in 0..self.probes.drains_of_a_full_ring() {
            if !self.drain()? {
                break;
            }
        }
        let mut batch = Batch::default();
        self.drain_lives(&mut batch.rows);
        self.read_ended(&mut batch.rows)?;
        let usages = self.probes.sample()?;
        let end_ns = self.clock.utc_ns(host::boottime_ns());
        let mut not_events = Vec::new();
        if self.metadata.syscalls != "off" {
            self.probes.read_tallies(|key, total| not_events.push((key, total)))?;
        }
        let totals = self.counts.with(not_events);
        // A thousand stats of /proc an interval is where it would begin to cost; beyond that the column is null.
        let n_fds = self.ledger.live_pids().take(256).filter_map(|(seq, pid)| Some((seq, host::n_fds(pid)?))).collect();
        let seqs = self.waiting.iter().map(|(c, _)| c.process_seq).chain(totals.iter().map(|(key, _)| key.process_seq));
        let met = self.ledger.meet(seqs, &usages, end_ns, self.ending, &self.clock, host::read_info);
        batch.rows.extend(met.into_iter().map(Row::from));
        // Whoever was introduced above has its tallies in this interval, so its calls belong here too.
        self.resolve_waiting(&mut batch.syscalls);
        self.n_events += batch.syscalls.len() as u64;
        let settled = std::mem::take(&mut self.settled);
        let mut interval = self.ledger.close_interval(end_ns, &usages, &totals, &n_fds, settled);
        self.probes.delete_tallies(&interval.dead_tallies);
        for (seq, _) in &interval.dead_tallies {
            self.counts.forget(*seq);
        }
        let dur_ns = (end_ns - self.interval_start_ns).max(0).unsigned_abs();
        let mut spent = self.spent(dur_ns, &interval);
        if self.metadata.no_latency {
            interval.tallies.iter_mut().for_each(|t| t.total_ns = NO_DURATION);
        }
        let unseen = self.unseen;
        batch.rows.extend(interval.samples.into_iter().map(|s| Sample { unseen, ..s }.into()));
        batch.rows.extend(interval.tallies.into_iter().map(Row::from));
        batch.rows.extend(self.host.interval(self.interval_start_ns, dur_ns).map(Row::from));
        spent.shed = self.note_losses(dur_ns, spent.tallied, &mut batch.rows)?;
        self.hand_over(batch)?;
        if let Some(spending) = &mut self.spending {
            self.probes.shed(spending.interval(spent) as u32);
        }
        self.interval_start_ns = end_ns;
        let now = Instant::now();
        self.next_tick += self.interval;
        if self.next_tick <= now {
            // Held up for longer than an interval: the next one is longer, none is skipped.
            self.next_tick = now + self.interval;
        }
        if now >= self.next_clock {
            let point = host::read_clocks();
            self.clock.0.push(point);
            self.writing.clock(point)?;
            self.next_clock = now + Duration::from_secs(5);
        }
        Ok(())
    }

    /// Ends the file and goes on in the next, which introduces the processes that run. Called when an interval has just ended.
    fn turn_over(&mut self, writer: Writer) -> Result<()> {
        self.metadata.self_cost.budget = self.spending.as_mut().map(Spending::close);
        rotation::turn_over(&mut self.writing, &mut self.metadata, &mut self.clock, self.interval_start_ns, writer)?;
        let rows = self.ledger.alive(self.interval_start_ns).map(Row::from).collect();
        self.writing.send(Batch { rows, ..Batch::default() })
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
    fn note_losses(&mut self, dur_ns: u64, tallied: u64, rows: &mut Vec<Row>) -> Result<[u64; N_CLASSES]> {
        let mut totals = self.probes.read_losses()?;
        totals.push((END_UNSEEN, self.ledger.n_given_up()));
        let tallied = (self.metadata.syscalls == "events" && !self.ending).then_some(tallied);
        let (lost, shed) = self.losses.interval(totals, tallied);
        for (lost, count) in lost {
            let loss = LossTotal { stream: lost.stream.to_owned(), reason: lost.reason.to_owned(), count };
            self.metadata.add_loss(&loss);
            let (ts_ns, stream, reason) = (self.interval_start_ns, loss.stream, loss.reason);
            rows.push(Loss { ts_ns, dur_ns, stream, reason, count }.into());
        }
        Ok(shed)
    }

    fn status(&self) -> Status {
        Status {
            elapsed: self.began.elapsed(),
            events: self.n_events,
            lost: self.losses.n_lost(),
            shed: self.losses.n_shed(),
            overhead: self.spending.as_ref().map(Spending::overhead),
            bytes: self.writing.bytes(),
            processes: self.ledger.n_live(),
        }
    }
}

mod begin;
mod blind_spots;
mod ending;
pub(crate) mod labels;
pub(crate) mod target;
