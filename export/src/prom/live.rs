//! A recording while it is made or replayed, as metrics: rows are counted as they come, and whoever
//! asks is told what the counts are.
//!
//! Memory and answer are bounded, see `counts.rs`: processes that have no series of their own are `comm="(others)"`.

use super::counts::{Calls, Counts, Known};
use super::text::{Dialect, Labels, Text};
use crate::metric::{
    ALIVE, CALL_DURATION, CALL_ERRORS, CALLS, Columns, EVENTS, Family, HOST, INFO, LOST, OWN_CPU, OWN_MEMORY, PROCESS,
    Scale, Type, Value, WRITTEN, bound,
};
use arrow_array::RecordBatch;
use osd_recording::rows::{Loss, ProcessEvent, Row, Sample, System};
use osd_recording::syscall::Arch;
use osd_recording::{F64s, Kind, U64s, rows, words};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::time::Duration;

/// How the recorder itself does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Recorder {
    /// Rows of system calls.
    pub events: u64,
    /// Bytes in the file.
    pub bytes: u64,
    /// Processes alive.
    pub processes: u64,
    /// Its own CPU time.
    pub cpu: Duration,
    /// Its own resident memory.
    pub rss_bytes: u64,
}

/// The counts of a recording under way.
pub struct Live {
    /// What the numbers of calls mean in rows that a recorder makes.
    arch: Arch,
    named: HashMap<u16, String>,
    info: Labels,
    /// How the values of the columns of a family are got at, family by family.
    sample: Vec<Getter<Sample>>,
    system: Vec<Getter<System>>,
    counts: Counts,
}

/// Value of a column in a row.
type Getter<R> = Box<dyn Fn(&R) -> Option<u64> + Send>;

impl Live {
    /// Nothing was counted yet, on a host whose calls are numbered as on `arch`.
    pub fn new(arch: Arch, osd_version: &str) -> Self {
        let columns = |all: &'static [Columns]| all.iter().flat_map(|c| c.parts).map(|p| p.column);
        let system = |column| -> Option<Getter<System>> {
            let number = System::number(column)?;
            Some(Box::new(move |row| match number(row)? {
                rows::Number::Whole(n) => Some(n),
                rows::Number::Real(v) => Some(v.to_bits()),
            }))
        };
        let sample = |column| -> Option<Getter<Sample>> {
            let number = Sample::number(column)?;
            Some(Box::new(move |row| match number(row)? {
                rows::Number::Whole(n) => Some(n),
                rows::Number::Real(_) => None,
            }))
        };
        let (sample, system): (Vec<_>, Vec<_>) =
            (columns(&PROCESS).filter_map(sample).collect(), columns(&HOST).filter_map(system).collect());
        Self {
            arch,
            named: HashMap::new(),
            info: Labels::default().and("osd_version", osd_version),
            sample,
            system,
            counts: Counts::new(),
        }
    }

    /// Counts rows.
    pub fn add(&mut self, rows: &[Row]) {
        for row in rows {
            match row {
                Row::Sample(sample) => {
                    let who = (sample.owner.proc.0, sample.owner.pid);
                    let now = self.sample.iter().map(|get| get(sample));
                    self.counts.sample(who, (sample.ts_ns, sample.n_threads.into()), now);
                }
                Row::Process(process) => {
                    let name = words::program(&process.comm, process.exe.as_deref().unwrap_or_default());
                    let ended_ns = (process.event == ProcessEvent::Exit).then_some(process.ts_ns);
                    self.counts.process((process.owner.proc.0, process.owner.pid), name, ended_ns);
                }
                Row::Tally(tally) => {
                    let arch = self.arch;
                    let name = self.named.entry(tally.nr).or_insert_with(|| arch.syscall_label(tally.nr));
                    let total_ns = (tally.total_ns != rows::NO_DURATION).then_some(tally.total_ns);
                    self.counts.calls(name, (tally.count, tally.errors, total_ns), &tally.latency_log2);
                }
                Row::System(system) => self.counts.system(self.system.iter().map(|get| get(system))),
                Row::Loss(Loss { stream, reason, count, .. }) => self.counts.lost(stream, reason, *count),
                _ => {}
            }
        }
    }

    /// Counts rows of a recording, all of one kind.
    ///
    /// # Errors
    /// If a column is not what it should be.
    pub fn block(&mut self, kind: Kind, batch: &RecordBatch) -> osd_recording::Result<()> {
        let all = osd_recording::Columns::of(batch, Path::new("a recording"));
        let (ts, proc, pid) = (all.ts()?, all.u64("proc")?, all.u64("pid")?);
        let who = |row: usize| (proc.at(row).unwrap_or(0), pid.at(row).unwrap_or(0) as u32);
        match kind {
            Kind::Sample => {
                let values = numbers(&PROCESS, &all)?;
                let threads = all.u64("n_threads")?;
                for (row, ts_ns) in ts.iter().enumerate() {
                    let at = (*ts_ns, threads.at(row).unwrap_or(0));
                    self.counts.sample(who(row), at, values.iter().map(|v| v.at(row)));
                }
            }
            Kind::System => {
                let values = numbers(&HOST, &all)?;
                for row in 0..ts.len() {
                    self.counts.system(values.iter().map(|v| v.at(row)));
                }
            }
            Kind::Process => {
                let (event, comm, exe) = (all.text("event")?, all.text("comm")?, all.text("exe")?);
                for (row, ts_ns) in ts.iter().enumerate() {
                    let name = words::program(comm.at(row).unwrap_or_default(), exe.at(row).unwrap_or_default());
                    let has_ended = event.at(row) == Some(ProcessEvent::Exit.name());
                    self.counts.process(who(row), name, has_ended.then_some(*ts_ns));
                }
            }
            Kind::Tally => {
                let (name, latency) = (all.text("syscall")?, all.list("latency_log2")?);
                let (count, errors, total) = (all.u64("count")?, all.u64("errors")?, all.u64("total_ns")?);
                for row in 0..ts.len() {
                    let sums = (count.at(row).unwrap_or(0), errors.at(row).unwrap_or(0), total.at(row));
                    let latency = latency.at(row).unwrap_or_default();
                    self.counts.calls(name.at(row).unwrap_or_default(), sums, latency);
                }
            }
            Kind::Loss => {
                let (stream, reason, count) = (all.text("stream")?, all.text("reason")?, all.u64("count")?);
                for row in 0..ts.len() {
                    let what = (stream.at(row).unwrap_or_default(), reason.at(row).unwrap_or_default());
                    self.counts.lost(what.0, what.1, count.at(row).unwrap_or(0));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// All of it as text, OpenMetrics or (not `open`) the format that came before it.
    ///
    /// Without a `recorder` nothing is said of it: it is a recording that is replayed.
    pub fn text(&self, open: bool, recorder: Option<&Recorder>) -> Vec<u8> {
        let mut out = vec![];
        // Memory takes everything.
        let _ = self.write(&mut out, if open { Dialect::OpenMetrics } else { Dialect::Plain }, recorder);
        out
    }

    fn write(&self, out: &mut Vec<u8>, dialect: Dialect, recorder: Option<&Recorder>) -> io::Result<()> {
        let mut text = Families { text: Text::new(out, dialect), family: None };
        // A PID that came again under the same name goes on counting.
        let mut all: BTreeMap<(&str, u32), Vec<&Known>> = BTreeMap::new();
        self.counts.processes.values().for_each(|p| all.entry((&p.comm, p.pid)).or_default().push(p));
        let all: Vec<(Labels, Vec<&Known>)> = all
            .into_iter()
            .map(|((comm, pid), known)| (Labels::default().and("comm", comm).and("pid", pid.to_string()), known))
            .collect();
        let others = Labels::default().and("comm", "(others)").and("pid", "others");
        let places = |all: &'static [Columns]| all.iter().flat_map(|c| c.parts.iter().map(move |p| (c, p)));
        for (place, (columns, part)) in places(&PROCESS).enumerate() {
            let is_gauge = columns.family.ty == Type::Gauge;
            let with = |labels: &Labels| part.label.iter().fold(labels.clone(), |l, (n, v)| l.and(n, v));
            for (labels, known) in &all {
                let living = known.iter().filter(|p| !is_gauge || p.ended_ns.is_none());
                if let Some(value) = living.filter_map(|p| p.values[place]).reduce(u64::saturating_add) {
                    text.sample(&columns.family, &with(labels), Value::scaled(value, columns.scale))?;
                }
            }
            if let Some(value) = self.counts.others[place].filter(|_| !is_gauge) {
                text.sample(&columns.family, &with(&others), Value::scaled(value, columns.scale))?;
            }
        }
        for (place, (columns, part)) in places(&HOST).enumerate() {
            if let Some(value) = self.counts.host[place] {
                let labels = part.label.iter().fold(Labels::default(), |l, (n, v)| l.and(n, v));
                text.sample(&columns.family, &labels, Value::scaled(value, columns.scale))?;
            }
        }
        self.write_calls(&mut text)?;
        for ((stream, reason), n) in &self.counts.lost {
            text.sample(&LOST, &Labels::default().and("stream", stream).and("reason", reason), Value::Whole(*n))?;
        }
        text.sample(&INFO, &self.info, Value::Whole(1))?;
        let Some(recorder) = recorder else { return text.text.finish().map(drop) };
        let none = Labels::default();
        let cpu_ns = u64::try_from(recorder.cpu.as_nanos()).unwrap_or(u64::MAX);
        for (family, value) in [
            (&EVENTS, Value::Whole(recorder.events)),
            (&WRITTEN, Value::Whole(recorder.bytes)),
            (&ALIVE, Value::Whole(recorder.processes)),
            (&OWN_CPU, Value::scaled(cpu_ns, Scale::Seconds)),
            (&OWN_MEMORY, Value::Whole(recorder.rss_bytes)),
        ] {
            text.sample(family, &none, value)?;
        }
        text.text.finish().map(drop)
    }

    fn write_calls(&self, text: &mut Families<'_>) -> io::Result<()> {
        let named: Vec<(Labels, &Calls)> =
            self.counts.calls.iter().map(|(name, calls)| (Labels::default().and("syscall", name), calls)).collect();
        named.iter().try_for_each(|(labels, calls)| text.sample(&CALLS, labels, Value::Whole(calls.count)))?;
        named.iter().try_for_each(|(labels, calls)| text.sample(&CALL_ERRORS, labels, Value::Whole(calls.errors)))?;
        for (labels, calls) in &named {
            let Some(total_ns) = calls.total_ns else { continue };
            let mut sum = 0_u64;
            for (bucket, n) in calls.buckets.iter().enumerate() {
                sum = sum.saturating_add(*n);
                text.suffixed(&CALL_DURATION, "_bucket", &labels.clone().and("le", bound(bucket)), Value::Whole(sum))?;
            }
            text.suffixed(&CALL_DURATION, "_count", labels, Value::Whole(sum))?;
            text.suffixed(&CALL_DURATION, "_sum", labels, Value::Nanoseconds(total_ns))?;
        }
        Ok(())
    }
}

/// Text of which each family is introduced with its first sample.
struct Families<'a> {
    text: Text<&'a mut Vec<u8>>,
    family: Option<&'static Family>,
}

impl Families<'_> {
    fn sample(&mut self, family: &'static Family, labels: &Labels, value: Value) -> io::Result<()> {
        self.suffixed(family, if family.ty == Type::Counter { "_total" } else { "" }, labels, value)
    }

    fn suffixed(&mut self, family: &'static Family, suffix: &str, labels: &Labels, value: Value) -> io::Result<()> {
        if self.family != Some(family) {
            self.text.introduce(family)?;
            self.family = Some(family);
        }
        self.text.sample(family, suffix, labels, value, None)
    }
}

/// A column of numbers, whole ones or, as bits, others.
enum Numbers<'a> {
    Whole(U64s<'a>),
    Real(F64s<'a>),
}

impl Numbers<'_> {
    fn at(&self, row: usize) -> Option<u64> {
        match self {
            Self::Whole(values) => values.at(row),
            Self::Real(values) => values.at(row).map(f64::to_bits),
        }
    }
}

/// The columns of the families, one a part.
fn numbers<'a>(all: &[Columns], rows: &osd_recording::Columns<'a>) -> osd_recording::Result<Vec<Numbers<'a>>> {
    let parts = all.iter().flat_map(|c| c.parts.iter().map(move |p| (c.scale, p.column)));
    parts
        .map(|(scale, column)| match scale {
            Scale::Real => rows.f64(column).map(Numbers::Real),
            Scale::One | Scale::Seconds => rows.u64(column).map(Numbers::Whole),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::counts::{KEPT_NS, MOST_PROCESSES};
    use super::*;
    use osd_recording::ProcId;
    use osd_recording::rows::{Owner, Process, Tally};

    fn sample(proc: u64, ts_ns: i64, n_threads: u32) -> Row {
        let owner = Owner { proc: ProcId(proc), pid: 100 + (proc % 50_000) as u32, cgroup_id: 0 };
        Sample { ts_ns, dur_ns: 1, owner, cpu_ns: 1_000_000_000, rss_anon_bytes: 4096, n_threads, ..Sample::default() }
            .into()
    }

    fn process(proc: u64, ts_ns: i64, event: ProcessEvent, comm: &str) -> Row {
        let owner = Owner { proc: ProcId(proc), pid: 100 + (proc % 50_000) as u32, cgroup_id: 0 };
        Process {
            ts_ns,
            owner,
            tid: owner.pid,
            event,
            ppid: 1,
            parent: None,
            comm: comm.into(),
            exe: None,
            argv: None,
            uid: 0,
            exit_code: None,
            exit_signal: None,
            start_ts_ns: ts_ns,
            ns_pid: None,
            pid_ns: None,
        }
        .into()
    }

    fn text(live: &Live) -> String {
        String::from_utf8(live.text(true, Some(&Recorder::default()))).unwrap()
    }

    #[test]
    fn what_is_counted_is_told_under_the_latest_name() {
        let mut live = Live::new(Arch::X86_64, "1");
        live.add(&[process(1, 0, ProcessEvent::Fork, "sh"), sample(1, 0, 1)]);
        live.add(&[process(1, 1, ProcessEvent::Exec, "mak\"e"), sample(1, 1, 1)]);
        let latency_log2 = vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1];
        let tally = Tally { nr: 0, count: 4, errors: 1, total_ns: 5_000, latency_log2, ..Tally::default() };
        live.add(&[tally.into(), System { ts_ns: 0, load1: Some(0.5), ..System::default() }.into()]);
        let text = text(&live);
        for line in [
            "osd_process_cpu_seconds_total{comm=\"mak\\\"e\",pid=\"101\"} 2",
            "osd_process_resident_memory_bytes{comm=\"mak\\\"e\",pid=\"101\",type=\"anon\"} 4096",
            "osd_host_load1 0.5",
            "osd_syscalls_total{syscall=\"read\"} 4",
            "osd_syscall_errors_total{syscall=\"read\"} 1",
            "osd_syscall_duration_seconds_bucket{syscall=\"read\",le=\"0.000000512\"} 0",
            "osd_syscall_duration_seconds_bucket{syscall=\"read\",le=\"0.000001024\"} 2",
            "osd_syscall_duration_seconds_bucket{syscall=\"read\",le=\"+Inf\"} 3",
            "osd_syscall_duration_seconds_sum{syscall=\"read\"} 0.000005",
            "osd_recording_info{osd_version=\"1\"} 1",
            "# EOF",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        assert!(!text.contains("comm=\"sh\"") && !text.contains("osd_host_memory_bytes"));
        let plain = String::from_utf8(live.text(false, Some(&Recorder::default()))).unwrap();
        assert!(plain.contains("# TYPE osd_syscalls_total counter\n") && !plain.contains("# EOF"));
    }

    #[test]
    fn an_endless_stream_of_processes_takes_bounded_room_and_nothing_is_counted_twice() {
        let mut live = Live::new(Arch::X86_64, "1");
        let n = 3 * MOST_PROCESSES as u64;
        for proc in 1..=n {
            live.add(&[process(proc, 0, ProcessEvent::Fork, "sh"), sample(proc, 0, 1)]);
            live.add(&[process(proc, 0, ProcessEvent::Exit, "sh")]);
        }
        assert_eq!((live.counts.processes.len(), live.counts.names.len()), (MOST_PROCESSES, 0));
        let text = text(&live);
        let of =
            |line: &str| line.strip_prefix("osd_process_cpu_seconds_total{")?.split(' ').nth(1)?.parse::<u64>().ok();
        assert_eq!(text.lines().filter_map(of).sum::<u64>(), n);
        assert!(!text.contains("osd_process_threads"), "who has ended holds nothing");
        // Long after, there is room again.
        live.add(&[process(n + 1, 2 * KEPT_NS, ProcessEvent::Fork, "new"), sample(n + 1, 2 * KEPT_NS, 1)]);
        assert_eq!(live.counts.processes.len(), 1);
    }

    /// Else a scrape has the same series twice, and all of it is refused.
    #[test]
    fn a_pid_that_comes_again_under_one_name_is_one_series() {
        let mut live = Live::new(Arch::X86_64, "1");
        for proc in [1, 50_001] {
            live.add(&[process(proc, 0, ProcessEvent::Fork, "sh"), sample(proc, 0, 1)]);
            live.add(&[process(proc, 0, ProcessEvent::Exit, "sh")]);
        }
        assert!(text(&live).contains("osd_process_cpu_seconds_total{comm=\"sh\",pid=\"101\"} 2\n"));
    }
}
