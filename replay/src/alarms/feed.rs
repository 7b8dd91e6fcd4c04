//! Rows in, alarms out: rows as a recorder is about to write them, or as a replay reads them.

use super::alarm::Alarm;
use super::judge::Config;
use super::watch::Watch;
use crate::Result;
use crate::rows::Block;
use crate::table::{Bin, Call, Growing, Life, Reading, Thread, columns, of_sample};
use osd_recording::names::Arch;
use osd_recording::rows::{NO_DURATION, ProcessEvent, Row};
use osd_recording::words::program;
use osd_recording::{Calls, Columns, Kind, Metadata};
use std::collections::VecDeque;
use std::path::Path;

/// What is read of each kind to judge it, beside `ts` and `dur_ns` and the columns of samples ([`columns`]).
pub const COLUMNS: [&str; 15] = [
    "proc",
    "pid",
    "tid",
    "syscall",
    "count",
    "errors",
    "total_ns",
    "latency_log2",
    "errno",
    "path",
    "event",
    "comm",
    "exe",
    "stream",
    "reason",
];

/// Of a replay, an interval is over for good so long after its end. The last sample of a process that ended reaches as far as its end took,
/// so by its times it comes later than the interval that it was handed over with. It matters to nothing but when an alarm is said.
pub const SLACK_NS: i64 = 2_000_000_000;

/// A live detector: it is fed with the rows of one recording and says when something begins and ends.
pub struct Live {
    table: Growing,
    watch: Watch,
    arch: Option<Arch>,
    /// The number of each call's name in the table, by its number in the kernel.
    name_of: Vec<Option<u32>>,
    said: Vec<Alarm>,
    last_end_ns: i64,
    /// Ends of intervals that may not be all there yet.
    ticks: VecDeque<i64>,
}

impl Live {
    /// For the recording that is described so: its interval, its start and what it counts are known when it begins.
    pub fn new(about: &Metadata, arch: Option<Arch>, config: &Config) -> Self {
        let table = Growing::new(about);
        let watch = Watch::new(about, table.step_s(), config);
        Self {
            table,
            watch,
            arch,
            name_of: vec![],
            said: vec![],
            last_end_ns: about.started_ns,
            ticks: VecDeque::new(),
        }
    }

    /// What was said since the last time this was asked, in order.
    pub fn said(&mut self) -> Vec<Alarm> {
        std::mem::take(&mut self.said)
    }

    /// Rows that came when their time had been judged.
    pub fn n_late(&self) -> u64 {
        self.table.n_late()
    }

    /// Rows that a recorder writes. A `system` row ends an interval: it comes with or after the other rows of it.
    pub fn rows(&mut self, rows: &[Row]) {
        let mut ticks = vec![];
        for row in rows {
            match row {
                Row::Sample(sample) => self.table.sample(&of_sample(sample)),
                Row::Tally(t) => {
                    if let Some(name) = self.number(t.nr) {
                        let time_ns = if t.total_ns == NO_DURATION { 0 } else { t.total_ns };
                        self.table.tally(t.ts_ns, t.dur_ns, name, (t.count, t.errors, time_ns), &t.latency_log2);
                    }
                }
                Row::Process(p) => self.table.life(&Life {
                    ts_ns: p.ts_ns,
                    who: (p.owner.proc.0, p.owner.pid),
                    name: program(&p.comm, p.exe.as_deref().unwrap_or_default()),
                    program: p.exe.as_deref().unwrap_or_default(),
                    event: p.event,
                }),
                Row::Loss(l) => self.table.loss(l.ts_ns, l.dur_ns, (&l.stream, &l.reason), l.count),
                Row::System(s) => ticks.push(s.ts_ns.saturating_add_unsigned(s.dur_ns)),
                _ => {}
            }
        }
        ticks.into_iter().for_each(|end_ns| self.tick(end_ns));
    }

    /// Calls that a recorder writes.
    pub fn calls(&mut self, calls: &Calls) {
        for call in calls.iter() {
            let Some(name) = self.number(call.nr) else { continue };
            let dur_ns = if call.dur_ns == NO_DURATION { 0 } else { call.dur_ns };
            self.table.call(&Call {
                end_ns: call.ts_ns.saturating_add_unsigned(dur_ns),
                thread: Thread { proc: call.owner.proc.0, tid: call.tid },
                name,
                errno: call.errno.map(i64::from),
                path: call.path,
            });
        }
    }

    /// The number in the table of the call with this number in the kernel.
    fn number(&mut self, nr: u16) -> Option<u32> {
        let at = usize::from(nr);
        if self.name_of.len() <= at {
            self.name_of.resize(at + 1, None);
        }
        if self.name_of[at].is_none() {
            let label = self.arch?.syscall_label(nr);
            self.name_of[at] = Some(self.table.name(&label));
        }
        self.name_of[at]
    }

    /// Rows that a replay reads.
    ///
    /// # Errors
    /// If a column is not what it should be.
    pub fn block(&mut self, block: &Block) -> Result<()> {
        let all = Columns::of(&block.rows, Path::new("a recording"));
        let (ts, dur) = (all.ts()?, all.u64("dur_ns")?);
        let (proc, pid) = (all.u64("proc")?, all.u64("pid")?);
        let who = |row| (proc.at(row).unwrap_or(0), pid.at(row).unwrap_or(0) as u32);
        match block.kind {
            Kind::Sample => {
                let values = columns().iter().map(|name| all.u64(name)).collect::<osd_recording::Result<Vec<_>>>()?;
                for (row, ts_ns) in ts.iter().enumerate() {
                    let value = |place: usize| values[place].at(row);
                    self.table.sample(&Reading::new(*ts_ns, dur.at(row).unwrap_or(0), who(row), value));
                }
            }
            Kind::Tally => {
                let names = all.text("syscall")?;
                let numbers: Vec<u32> = names.all().map(|name| self.table.name(name)).collect();
                let (count, errors, time) = (all.u64("count")?, all.u64("errors")?, all.u64("total_ns")?);
                let took = all.list("latency_log2")?;
                for (row, ts_ns) in ts.iter().enumerate() {
                    let Some(name) = names.code(row).map(|code| numbers[code]) else { continue };
                    let sums = [&count, &errors, &time].map(|c| c.at(row).unwrap_or(0));
                    let took = took.at(row).unwrap_or_default();
                    self.table.tally(*ts_ns, dur.at(row).unwrap_or(0), name, (sums[0], sums[1], sums[2]), took);
                }
            }
            Kind::Syscall => {
                let names = all.text("syscall")?;
                let numbers: Vec<u32> = names.all().map(|name| self.table.name(name)).collect();
                let (tid, errno, path) = (all.u64("tid")?, all.i64("errno")?, all.text("path")?);
                for (row, ts_ns) in ts.iter().enumerate() {
                    let Some(name) = names.code(row).map(|code| numbers[code]) else { continue };
                    self.table.call(&Call {
                        end_ns: ts_ns.saturating_add_unsigned(dur.at(row).unwrap_or(0)),
                        thread: Thread { proc: who(row).0, tid: tid.at(row).unwrap_or(0) as u32 },
                        name,
                        errno: errno.at(row),
                        path: path.at(row),
                    });
                }
            }
            Kind::Process => {
                let (event, comm, exe) = (all.text("event")?, all.text("comm")?, all.text("exe")?);
                for (row, ts_ns) in ts.iter().enumerate() {
                    let event = match event.at(row) {
                        Some("fork") => ProcessEvent::Fork,
                        Some("exec") => ProcessEvent::Exec,
                        Some("exit") => ProcessEvent::Exit,
                        _ => ProcessEvent::Running,
                    };
                    self.table.life(&Life {
                        ts_ns: *ts_ns,
                        who: who(row),
                        name: program(comm.at(row).unwrap_or_default(), exe.at(row).unwrap_or_default()),
                        program: exe.at(row).unwrap_or_default(),
                        event,
                    });
                }
            }
            Kind::Loss => {
                let (stream, reason, count) = (all.text("stream")?, all.text("reason")?, all.u64("count")?);
                for (row, ts_ns) in ts.iter().enumerate() {
                    let what = (stream.at(row).unwrap_or_default(), reason.at(row).unwrap_or_default());
                    self.table.loss(*ts_ns, dur.at(row).unwrap_or(0), what, count.at(row).unwrap_or(0));
                }
            }
            Kind::System => {
                for (row, ts_ns) in ts.iter().enumerate() {
                    self.ticks.push_back(ts_ns.saturating_add_unsigned(dur.at(row).unwrap_or(0)));
                }
            }
            _ => {}
        }
        // In the time of the recording, whatever it is merged with.
        let last = ts.len().saturating_sub(1);
        let known = ts.last().map(|ts| match block.kind {
            Kind::Label => *ts,
            _ => ts.saturating_add_unsigned(dur.at(last).unwrap_or(0)),
        });
        while let Some(end_ns) = self.ticks.pop_front_if(|t| known.is_some_and(|k| k.saturating_sub(*t) > SLACK_NS)) {
            self.tick(end_ns);
        }
        Ok(())
    }

    fn tick(&mut self, end_ns: i64) {
        self.advance(|table, out| table.tick(end_ns, out));
    }

    /// Nothing more comes.
    pub fn finish(&mut self) {
        std::mem::take(&mut self.ticks).into_iter().for_each(|end_ns| self.tick(end_ns));
        self.advance(Growing::finish);
        let Self { table, watch, said, last_end_ns, .. } = self;
        watch.finish(*last_end_ns, &|proc| table.process(proc, *last_end_ns), said);
    }

    fn advance(&mut self, by: impl FnOnce(&mut Growing, &mut Vec<Bin>)) {
        let mut bins = vec![];
        by(&mut self.table, &mut bins);
        for bin in bins {
            let Self { table, watch, said, .. } = self;
            watch.push(&bin, &|proc| table.process(proc, bin.end_ns), said);
            self.last_end_ns = bin.end_ns;
        }
    }
}
