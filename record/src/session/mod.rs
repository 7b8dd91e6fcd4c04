//! A recording session: one loop over a source of rows, whichever it is.
//!
//! `begin` starts source, command and first interval; here is the loop; `ending` closes the file. `target` says of named processes whether
//! they can be recorded, `labels` reads ground truth from outside.

mod begin;
mod ending;
mod labels;
mod target;

use crate::config::{Backend, Config, Control, Outcome, Status, What};
use crate::error::{Error, Result};
use crate::host;
use crate::host::command::Child;
use crate::output::rotation::Rotation;
use crate::output::sink::Sink;
use crate::output::watch::Watch;
use crate::preflight;
use crate::source::Source;
use crate::whom::rules::Rules;
use osd_recording::rows::Row;
use osd_recording::{Writer, WriterOptions, names::Arch};
use std::time::{Duration, Instant};

/// Records until the target ends, `duration` is over or `control` says stop. `on_status` is called about once a second.
///
/// # Errors
/// See [`Error`]. Nothing is left behind when it fails before recording began; afterwards an unfinished recording is.
pub fn record(config: &Config, control: &Control, on_status: impl FnMut(&Status)) -> Result<Outcome> {
    record_watched(config, control, Vec::new(), on_status)
}

/// The same, and all of `watch` see what is recorded as it is handed to the writer.
///
/// # Errors
/// As there.
pub fn record_watched(
    config: &Config,
    control: &Control,
    watch: Vec<Box<dyn Watch>>,
    on_status: impl FnMut(&Status),
) -> Result<Outcome> {
    let config = &*config.check()?;
    let backend = preflight::plan(config)?.backend;
    let arch = Arch::native().ok_or(Error::Architecture { arch: std::env::consts::ARCH })?;
    if let What::Pids(pids) = &config.what {
        target::check_pids(pids)?;
    }
    if backend == Backend::Proc && config.max_overhead.is_some() {
        return Err(Error::NeedsBpf { what: "a budget for what recording costs" });
    }
    let rules = config.select.as_ref().map(Rules::resolve).transpose()?;
    if config.stacks.is_some() && cfg!(not(feature = "stacks")) {
        return Err(Error::WithoutStacks);
    }
    if backend == Backend::Proc && config.stacks.is_some() {
        return Err(Error::NeedsBpf { what: "taking stacks" });
    }
    let options = WriterOptions { force: config.force, arch, ..WriterOptions::default() };
    let mut rotation = Rotation::new(&config.output, options, config.cut)?;
    let writer = rotation.next_writer(host::read_clocks().realtime_ns)?;
    let session = Session::start(config, backend, arch, writer, watch, rules)?;
    session.run(rotation, config, control, on_status).map_err(Error::in_session)
}

struct Session {
    source: Box<dyn Source>,
    sink: Sink,
    child: Option<Child>,
    interval: Duration,
    began: Instant,
    next_tick: Instant,
    /// Nothing was watched since an interval ended.
    just_ticked: bool,
    /// The command had ended when the last interval was about to end.
    end_was_seen: bool,
    /// Processes that were named and could not be marked.
    not_recorded: Vec<String>,
    /// The recording of a command goes on while anything that it has started runs.
    outlives_command: bool,
    /// Others may come to match.
    selects: bool,
    timed_out: bool,
}

impl Session {
    fn run(
        mut self,
        mut rotation: Rotation,
        config: &Config,
        control: &Control,
        mut on_status: impl FnMut(&Status),
    ) -> Result<Outcome> {
        self.sink.writer.keep()?;
        let mut next_status = Instant::now() + Duration::from_secs(1);
        let end = config.duration.and_then(|d| self.began.checked_add(d));
        loop {
            // An interval may last an hour.
            let deadline = self.next_tick.min(next_status);
            self.watch(end.map_or(deadline, |end| end.min(deadline)), control)?;
            if Instant::now() >= self.next_tick {
                self.tick()?;
                let triggered = control.triggered() | self.source.take_failure();
                let utc_ns = self.sink.interval_start_ns;
                if let Some(next) = rotation.after_interval(&self.sink.writer, triggered, utc_ns)? {
                    self.turn_over(next)?;
                }
            }
            if Instant::now() >= next_status {
                on_status(&self.status());
                next_status += Duration::from_secs(1);
            }
            // Asked even when a source never runs dry: what is left in it is read after it was stopped.
            if control.stopped() || self.over(config) {
                break;
            }
        }
        // What a flight recorder holds is thrown away only when all went well.
        let asked = control.stopped() || control.triggered();
        self.finish(config, rotation, asked)
    }

    /// Sees what happens until `deadline`, or until the target has ended.
    fn watch(&mut self, deadline: Instant, control: &Control) -> Result<()> {
        let Self { source, sink, child, outlives_command, selects, .. } = self;
        let only_looks = source.only_looks();
        let mut ended = |n_live| target_ended(child.as_mut(), only_looks, *outlives_command, n_live, *selects);
        self.just_ticked = false;
        source.watch(deadline, sink, control, &mut ended)
    }

    fn over(&mut self, config: &Config) -> bool {
        self.timed_out = config.duration.is_some_and(|d| self.began.elapsed() >= d);
        let too_big = config.max_bytes.is_some_and(|max| self.sink.writer.bytes() >= max);
        let (only_looks, n_live) = (self.source.only_looks(), self.source.n_live());
        let ended = target_ended(self.child.as_mut(), only_looks, self.outlives_command, n_live, self.selects);
        self.timed_out || too_big || ended || self.sink.writer.is_full()
    }

    /// Ends an interval.
    fn tick(&mut self) -> Result<()> {
        // Asked before looking: the last totals of a command are those of its zombie.
        let command = self.child.as_ref().filter(|_| self.source.only_looks()).map(|c| (c.pid(), c.peek()));
        self.end_was_seen = command.is_some_and(|(_, ended)| ended.is_some());
        self.source.end_interval(&mut self.sink, command)?;
        self.just_ticked = true;
        let now = Instant::now();
        self.next_tick += self.interval;
        if self.next_tick <= now {
            // Held up for longer than an interval: the next one is longer, none is skipped.
            self.next_tick = now + self.interval;
        }
        self.sink.compare_clocks()
    }

    /// Ends the file and goes on in the next, which introduces the processes that run. Called when an interval has just ended.
    fn turn_over(&mut self, writer: Writer) -> Result<()> {
        self.sink.metadata.self_cost.budget = self.source.close_budget();
        let held_back = self.source.end_file();
        self.sink.send(held_back)?;
        self.sink.metadata.stacks = self.source.close_stacks();
        self.sink.turn_over(writer)?;
        self.source.turned_over();
        let now_ns = self.sink.interval_start_ns;
        let mut rows: Vec<Row> = self.source.alive(now_ns).into_iter().map(Row::from).collect();
        rows.extend(self.sink.names.retell(now_ns));
        self.sink.send(rows)
    }

    fn status(&self) -> Status {
        let mut status = Status {
            elapsed: self.began.elapsed(),
            bytes: self.sink.writer.bytes(),
            processes: self.source.n_live(),
            ..Status::default()
        };
        self.source.report(&mut status);
        status
    }
}

/// Whether the command has ended, or (without one, or if its recording outlives it) all that is recorded.
/// With rules, others may come to match.
fn target_ended(
    child: Option<&mut Child>,
    only_looks: bool,
    outlives_command: bool,
    n_live: usize,
    selects: bool,
) -> bool {
    // One that is still to be looked at must stay a zombie.
    let has_ended = |child: &mut Child| if only_looks { child.peek().is_some() } else { child.ended().is_some() };
    match child.map(has_ended) {
        Some(false) => false,
        Some(true) if !outlives_command => true,
        _ => n_live == 0 && !selects,
    }
}
