//! Calls become a recording: a row each, tallies and samples by interval, and the metadata at the
//! end.
//!
//! A call counts in the interval in which it returned, as in any recording. Intervals are written when nothing can come for them any more.

use crate::Result;
use osd_recording::names::Arch;
use osd_recording::rows::{Loss, NO_DURATION, Owner, Process, ProcessEvent, Sample, Syscall, Tally, Unseen};
use osd_recording::{
    ClockPoint, ClockTable, Closed, Family, Host, LossTotal, Metadata, ProcId, Target, Writer, WriterOptions,
};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

/// How to import.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the recording goes.
    pub output: PathBuf,
    /// Replace what is there.
    pub force: bool,
    /// Length of an interval, ns; by default what the rows of a table are apart, and 100 ms of a list of calls.
    pub interval_ns: Option<u64>,
    /// Of the host that was traced.
    pub arch: Arch,
    /// For the metadata.
    pub command_line: Vec<String>,
    /// For the metadata.
    pub osd_version: String,
}

/// What came of it.
#[derive(Debug)]
pub struct Imported {
    /// The recording.
    pub closed: Closed,
    /// Lines that were read.
    pub lines: u64,
    /// Lines that were not understood.
    pub not_understood: u64,
    /// The number of the first, from 1.
    pub first_not_understood: Option<u64>,
    /// Calls that had not returned when the capture ended or their thread did.
    pub not_returned: u64,
    /// What was taken for what, where that is not plain: sentences.
    pub notes: Vec<String>,
}

/// Intervals that are still open behind the newest: calls come in the order of their end, nearly.
const OPEN: i64 = 20;
/// More intervals than this are a clock that lies, or a capture of weeks: intervals get longer then.
const MOST_INTERVALS: u64 = 2_000_000;

/// Length of an interval of a list of calls.
const USUAL_NS: u64 = 100_000_000;

/// What is said of whatever comes from `source`, was between these times, UTC ns, and is named by `id`.
pub(super) fn metadata(options: &Options, span: (i64, i64), id: u128, source: &str) -> Metadata {
    let clock = |ns| ClockPoint { boottime_ns: ns, monotonic_ns: ns, realtime_ns: ns, uncertainty_ns: 0 };
    Metadata {
        osd_version: options.osd_version.clone(),
        recording_id: format!("{id:032x}"),
        command_line: options.command_line.clone(),
        host: Host {
            arch: if options.arch == Arch::Aarch64 { "aarch64" } else { "x86_64" }.into(),
            boot_id: format!("{source}:{id:032x}"),
            ..Host::default()
        },
        target: Target { follow: true, ..Target::default() },
        clock: ClockTable(vec![clock(span.0)]),
        started_ns: span.0,
        ended_ns: span.1,
        complete: true,
        ..Metadata::default()
    }
}

/// A recording that grows.
pub(super) struct Gather {
    writer: Writer,
    metadata: Metadata,
    start_ns: i64,
    interval_ns: i64,
    /// The first one that is not written yet.
    next: i64,
    open: BTreeMap<i64, HashMap<(Owner, u16), Tally>>,
    /// Who lives, and from which interval on; until which.
    alive: BTreeMap<u64, (Owner, i64, Option<i64>)>,
    has_latency: bool,
}

impl Gather {
    /// For calls between these times, UTC ns; `id` names what they come from.
    pub(super) fn new(options: &Options, span: (i64, i64), id: u128, source: &'static str) -> Result<Self> {
        let length = span.1.saturating_sub(span.0).max(1).unsigned_abs();
        let interval_ns = options.interval_ns.unwrap_or(USUAL_NS).max(length / MOST_INTERVALS).clamp(1, 1 << 62);
        let writing = WriterOptions { force: options.force, arch: options.arch, ..WriterOptions::default() };
        let writer = Writer::create(&options.output, writing)?;
        let metadata = Metadata {
            interval_ns,
            syscalls: "events".into(),
            families: vec![Family { name: "syscalls".into(), attach: source.into(), probes: vec![] }],
            ..metadata(options, span, id, source)
        };
        let (start_ns, interval_ns) = (span.0, interval_ns as i64);
        let (open, alive) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { writer, metadata, start_ns, interval_ns, next: 0, open, alive, has_latency: false })
    }

    /// The identity of a process that was first seen at `ts_ns`, the `nth` of its PID.
    pub(super) fn identity(&self, pid: u32, ts_ns: i64, nth: usize) -> Owner {
        let since = ts_ns.saturating_sub(self.start_ns).max(0).unsigned_abs();
        let boot = format!("{}/{nth}", self.metadata.host.boot_id);
        Owner { proc: ProcId::new(&boot, pid, since), pid, cgroup_id: 0 }
    }

    fn interval(&self, ns: i64) -> i64 {
        let within = ns.min(self.metadata.ended_ns).saturating_sub(self.start_ns);
        (within / self.interval_ns).max(self.next)
    }

    /// Something in the life of a process.
    pub(super) fn process(&mut self, process: Process) -> Result<()> {
        let (owner, at) = (process.owner, self.interval(process.ts_ns));
        let entry = self.alive.entry(owner.proc.0).or_insert((owner, at, None));
        match process.event {
            ProcessEvent::Exit => entry.2 = Some(at),
            // Whom nobody started was what the capture is about.
            ProcessEvent::Running => self.metadata.target.pids.push(owner.pid),
            ProcessEvent::Fork | ProcessEvent::Exec => {}
        }
        Ok(self.writer.push(process)?)
    }

    /// A call that returned.
    pub(super) fn call(&mut self, call: Syscall) -> Result<()> {
        let has_duration = call.dur_ns != NO_DURATION;
        let end_ns = call.ts_ns.saturating_add_unsigned(if has_duration { call.dur_ns } else { 0 });
        let at = self.interval(end_ns);
        let owner = call.owner;
        self.alive.entry(owner.proc.0).or_insert((owner, at, None));
        let (interval_ns, start_ns) = (self.interval_ns, self.start_ns);
        let tally = self.open.entry(at).or_default().entry((owner, call.nr)).or_insert_with(|| Tally {
            ts_ns: start_ns + at * interval_ns,
            dur_ns: interval_ns.unsigned_abs(),
            owner,
            nr: call.nr,
            total_ns: NO_DURATION,
            ..Tally::default()
        });
        tally.count += 1;
        tally.errors += u64::from(call.errno().is_some());
        if has_duration {
            self.has_latency = true;
            tally.total_ns = if tally.total_ns == NO_DURATION { 0 } else { tally.total_ns }.saturating_add(call.dur_ns);
            let bucket = (call.dur_ns.max(1).ilog2() as usize).min(39);
            if tally.latency_log2.len() <= bucket {
                tally.latency_log2.resize(bucket + 1, 0);
            }
            tally.latency_log2[bucket] += 1;
        }
        self.writer.push(call)?;
        if at - self.next > OPEN { self.write_until(at - OPEN) } else { Ok(()) }
    }

    /// Writes the intervals before `end`.
    fn write_until(&mut self, end: i64) -> Result<()> {
        for at in self.next..end {
            let ts_ns = self.start_ns + at * self.interval_ns;
            let tallies = self.open.remove(&at).unwrap_or_default();
            let mut of: HashMap<u64, Sample> = HashMap::new();
            for (owner, from, until) in self.alive.values() {
                if *from <= at && until.is_none_or(|until| at <= until) {
                    let dur_ns = self.interval_ns.unsigned_abs();
                    let unseen = Unseen {
                        scheduling: true,
                        io: true,
                        network: true,
                        usage: true,
                        latency: !self.has_latency,
                        ..Unseen::default()
                    };
                    of.insert(owner.proc.0, Sample { ts_ns, dur_ns, owner: *owner, unseen, ..Sample::default() });
                }
            }
            let mut tallies: Vec<Tally> = tallies.into_values().collect();
            tallies.sort_by_key(|t| (t.owner.proc, t.nr));
            for tally in tallies {
                if let Some(sample) = of.get_mut(&tally.owner.proc.0) {
                    sample.n_syscalls += tally.count;
                    sample.n_syscall_errors += tally.errors;
                    let ns = if tally.total_ns == NO_DURATION { 0 } else { tally.total_ns };
                    sample.syscall_ns = sample.syscall_ns.saturating_add(ns);
                }
                self.writer.push(tally)?;
            }
            let mut samples: Vec<Sample> = of.into_values().collect();
            samples.sort_by_key(|s| s.owner.proc);
            samples.into_iter().try_for_each(|s| self.writer.push(s))?;
            self.alive.retain(|_, (.., until)| until.is_none_or(|until| until > at));
        }
        self.next = self.next.max(end);
        Ok(())
    }

    /// One thing that was lost at `ts_ns`, or as many as nobody counted.
    pub(super) fn lost(&mut self, stream: &str, reason: &str, ts_ns: i64) -> Result<()> {
        let (stream, reason) = (stream.to_owned(), reason.to_owned());
        self.metadata.add_loss(&LossTotal { stream: stream.clone(), reason: reason.clone(), count: 1 });
        Ok(self.writer.push(Loss { ts_ns, dur_ns: self.interval_ns.unsigned_abs(), stream, reason, count: 1 })?)
    }

    /// Closes the recording, which cannot show `blind_spots` and has so many paths cut.
    pub(super) fn close(mut self, blind_spots: Vec<String>, cut_paths: u64) -> Result<Closed> {
        if cut_paths > 0 {
            let (stream, reason) = ("path".to_owned(), "truncated".to_owned());
            let dur_ns = self.metadata.ended_ns.abs_diff(self.start_ns);
            self.metadata.add_loss(&LossTotal { stream: stream.clone(), reason: reason.clone(), count: cut_paths });
            self.writer.push(Loss { ts_ns: self.start_ns, dur_ns, stream, reason, count: cut_paths })?;
        }
        let end = self.interval(self.metadata.ended_ns) + 1;
        self.write_until(end)?;
        self.metadata.no_latency = !self.has_latency;
        self.metadata.blind_spots = blind_spots;
        Ok(self.writer.close(self.metadata)?)
    }
}
