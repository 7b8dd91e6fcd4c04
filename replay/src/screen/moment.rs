//! What there is to see at a moment: metrics of late, and the processes, calls and files of the
//! last second.
//!
//! Gathered from the rows of a short time before the moment, so that going anywhere in a long recording costs no more than reading those.

use crate::Result;
use crate::rows::Block;
use crate::table::{Bin, Counted, Growing, Reading, columns};
use osd_detect::histogram;
use osd_recording::words::program;
use osd_recording::{Columns, Kind, Metadata};
use osd_signals::metric::MetricId;
use std::collections::BTreeMap;
use std::path::Path;

/// The metrics of the strip.
pub const STRIP: [MetricId; 4] = [MetricId::Cpu, MetricId::Rss, MetricId::NetRx, MetricId::Syscalls];

/// A process in the last second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProcessRow {
    /// Its PID.
    pub pid: u32,
    /// That of its parent; 0 if nobody knows.
    pub ppid: u32,
    /// Its name.
    pub comm: String,
    /// Processors that it used.
    pub cores: f64,
    /// Memory, bytes.
    pub rss_bytes: u64,
    /// Threads.
    pub threads: u64,
    /// Calls a second.
    pub calls_per_s: f64,
}

/// A system call in the last second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallRow {
    /// Its name.
    pub name: String,
    /// Calls a second.
    pub per_s: f64,
    /// Of these with an error.
    pub errors_per_s: f64,
    /// Half of them took less, ns.
    pub p50_ns: Option<f64>,
    /// Of a hundred one took more.
    pub p99_ns: Option<f64>,
    /// Calls of each bin of late, the last one at the end.
    pub spark: Vec<f64>,
}

/// A file that calls named in the last second.
#[derive(Clone, Debug, PartialEq)]
pub struct FileRow {
    /// As the program passed it.
    pub path: String,
    /// Calls a second.
    pub per_s: f64,
}

/// What there is to see.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moment {
    /// The moment, UTC ns.
    pub at_ns: i64,
    /// Length of a bin.
    pub step_ns: i64,
    /// Of each bin of late its start and the metrics of [`STRIP`]; the last one at the end.
    pub strip: Vec<(i64, [Option<f64>; 4])>,
    /// In no order.
    pub processes: Vec<ProcessRow>,
    /// Most frequent first.
    pub calls: Vec<CallRow>,
    /// Most frequent first.
    pub files: Vec<FileRow>,
}

/// What processes were called, and whose children they were, over the whole recording.
#[derive(Debug, Default)]
pub struct Lives(BTreeMap<u64, Vec<(i64, u32, String)>>);

impl Lives {
    /// Takes `process` rows.
    ///
    /// # Errors
    /// If a column is not what it should be.
    pub fn block(&mut self, block: &Block) -> Result<()> {
        let all = Columns::of(&block.rows, Path::new("a recording"));
        let (proc, ppid) = (all.u64("proc")?, all.u64("ppid")?);
        let (comm, exe) = (all.text("comm")?, all.text("exe")?);
        for (row, ts_ns) in all.ts()?.iter().enumerate() {
            let name = program(comm.at(row).unwrap_or_default(), exe.at(row).unwrap_or_default());
            let lives = self.0.entry(proc.at(row).unwrap_or(0)).or_default();
            lives.push((*ts_ns, ppid.at(row).unwrap_or(0) as u32, name.to_owned()));
        }
        Ok(())
    }

    /// PID of the parent and name at that time.
    fn at(&self, proc: u64, ts_ns: i64) -> Option<(u32, &str)> {
        let lives = self.0.get(&proc)?;
        let known = lives.iter().rev().filter(|l| l.0 <= ts_ns).find(|l| !l.2.is_empty()).or(lives.first())?;
        Some((known.1, &known.2))
    }
}

#[derive(Default)]
struct Process {
    row: ProcessRow,
    cpu_ns: u64,
    calls: u64,
    seen_ns: i64,
}

#[derive(Default)]
struct Call {
    count: u64,
    errors: u64,
    latency: Vec<u64>,
    /// By bin.
    spark: BTreeMap<i64, f64>,
}

/// Gathers a moment from the rows before it.
pub struct Gather {
    about: Metadata,
    from_ns: i64,
    at_ns: i64,
    last_ns: i64,
    table: Growing,
    bins: Vec<Bin>,
    processes: BTreeMap<u64, Process>,
    calls: BTreeMap<String, Call>,
    files: Counted<String>,
}

impl Gather {
    /// For the moment `at_ns` of the recording that is described so, of rows that begin at `from_ns` or later.
    pub fn new(about: &Metadata, from_ns: i64, at_ns: i64) -> Self {
        // In the phase of the recording.
        let step_ns = i64::try_from(about.interval_ns).ok().filter(|ns| *ns > 0).unwrap_or(100_000_000);
        let before = from_ns.saturating_sub(about.started_ns).max(0).div_euclid(step_ns);
        let started_ns = about.started_ns.saturating_add(before.saturating_mul(step_ns));
        let about = Metadata { started_ns, interval_ns: step_ns.unsigned_abs(), ..about.clone() };
        Self {
            from_ns: started_ns,
            at_ns,
            last_ns: at_ns.saturating_sub(1_000_000_000.max(step_ns)),
            table: Growing::new(&about),
            about,
            bins: vec![],
            processes: BTreeMap::new(),
            calls: BTreeMap::new(),
            files: Counted::default(),
        }
    }

    /// Takes rows.
    ///
    /// # Errors
    /// If a column is not what it should be.
    pub fn block(&mut self, block: &Block) -> Result<()> {
        let all = Columns::of(&block.rows, Path::new("a recording"));
        let (ts, dur) = (all.ts()?, all.u64("dur_ns")?);
        let (proc, pid) = (all.u64("proc")?, all.u64("pid")?);
        let who = |row| (proc.at(row).unwrap_or(0), pid.at(row).unwrap_or(0) as u32);
        let end = |row: usize, ts: &i64| ts.saturating_add_unsigned(dur.at(row).unwrap_or(0));
        match block.kind {
            Kind::Sample => {
                let values = columns().iter().map(|name| all.u64(name)).collect::<osd_recording::Result<Vec<_>>>()?;
                let (cpu, threads, calls) = (all.u64("cpu_ns")?, all.u64("n_threads")?, all.u64("n_syscalls")?);
                let rss = ["rss_anon_bytes", "rss_file_bytes", "rss_shmem_bytes"].map(|name| all.u64(name));
                for (row, ts_ns) in ts.iter().enumerate() {
                    let value = |place: usize| values[place].at(row);
                    self.table.sample(&Reading::new(*ts_ns, dur.at(row).unwrap_or(0), who(row), value));
                    let (proc, pid) = who(row);
                    let process = self.processes.entry(proc).or_default();
                    process.row.pid = pid;
                    if end(row, ts_ns) <= self.last_ns {
                        continue;
                    }
                    process.cpu_ns = process.cpu_ns.saturating_add(cpu.at(row).unwrap_or(0));
                    process.calls = process.calls.saturating_add(calls.at(row).unwrap_or(0));
                    if *ts_ns >= process.seen_ns {
                        process.seen_ns = *ts_ns;
                        process.row.threads = threads.at(row).unwrap_or(0);
                        let sum = rss.iter().flatten().filter_map(|c| c.at(row)).fold(0, u64::saturating_add);
                        process.row.rss_bytes = sum;
                    }
                }
            }
            Kind::Tally => {
                let (names, latency) = (all.text("syscall")?, all.list("latency_log2")?);
                let (count, errors) = (all.u64("count")?, all.u64("errors")?);
                for (row, ts_ns) in ts.iter().enumerate() {
                    let Some(name) = names.at(row) else { continue };
                    if !self.calls.contains_key(name) {
                        self.calls.insert(name.to_owned(), Call::default());
                    }
                    let Some(call) = self.calls.get_mut(name) else { continue };
                    let n = count.at(row).unwrap_or(0);
                    let middle = ts_ns.saturating_add_unsigned(dur.at(row).unwrap_or(0) / 2);
                    let bin = middle.saturating_sub(self.from_ns).div_euclid(self.about.interval_ns as i64);
                    *call.spark.entry(bin).or_default() += n as f64;
                    if end(row, ts_ns) > self.last_ns {
                        call.count = call.count.saturating_add(n);
                        call.errors = call.errors.saturating_add(errors.at(row).unwrap_or(0));
                        if let Some(counts) = latency.at(row) {
                            histogram::merge(&mut call.latency, counts);
                        }
                    }
                }
            }
            Kind::Syscall => {
                let path = all.text("path")?;
                for (row, ts_ns) in ts.iter().enumerate() {
                    let here = |path: &&str| !path.is_empty() && end(row, ts_ns) > self.last_ns;
                    if let Some(path) = path.at(row).filter(here) {
                        self.files.add(path, 1);
                    }
                }
            }
            Kind::System => {
                for (row, ts_ns) in ts.iter().enumerate() {
                    self.table.tick(end(row, ts_ns), &mut self.bins);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What was gathered, with the last `most_bins` bins at most.
    pub fn moment(mut self, most_bins: usize, lives: &Lives) -> Moment {
        let mut bins = std::mem::take(&mut self.bins);
        self.table.finish(&mut bins);
        let strip = |bin: &Bin| (bin.start_ns, STRIP.map(|id| bin.values[id as usize]));
        let from = bins.len().saturating_sub(most_bins);
        let strip: Vec<_> = bins[from..].iter().map(strip).collect();
        let seconds = self.at_ns.saturating_sub(self.last_ns).max(1) as f64 / 1e9;
        let n_bins = bins.len() as i64;
        let at_ns = self.at_ns;
        let process = |(proc, p): (u64, Process)| {
            let (ppid, comm) = lives.at(proc, at_ns).unwrap_or_default();
            (p.seen_ns > 0).then(|| ProcessRow {
                ppid,
                comm: comm.to_owned(),
                cores: p.cpu_ns as f64 / 1e9 / seconds,
                calls_per_s: p.calls as f64 / seconds,
                ..p.row
            })
        };
        let call = |(name, call): (String, Call)| {
            let quantile = |q| histogram::quantile(&call.latency, q);
            CallRow {
                name,
                per_s: call.count as f64 / seconds,
                errors_per_s: call.errors as f64 / seconds,
                p50_ns: quantile(0.5),
                p99_ns: quantile(0.99),
                spark: ((n_bins - 12).max(0)..n_bins).map(|b| call.spark.get(&b).copied().unwrap_or(0.0)).collect(),
            }
        };
        let mut calls: Vec<CallRow> = self.calls.into_iter().map(call).filter(|c| c.per_s > 0.0).collect();
        calls.sort_by(|a, b| b.per_s.total_cmp(&a.per_s).then_with(|| a.name.cmp(&b.name)));
        let file = |(path, n): (String, u64)| FileRow { path, per_s: n as f64 / seconds };
        Moment {
            at_ns: self.at_ns,
            step_ns: self.about.interval_ns as i64,
            strip,
            processes: self.processes.into_iter().filter_map(process).collect(),
            calls,
            files: self.files.top(16).into_iter().map(file).collect(),
        }
    }
}
