//! The table while it grows.

use super::bin::{Bin, CallSum, ProcessSum, Thread};
use super::columns::{Reading, place, places};
use super::counted::Counted;
use super::failures::Failures;
use super::levels::Levels;
use super::life::Life;
use super::spans::{Spans, Tallied};
use osd_detect::grid::Grid;
use osd_recording::Metadata;
use osd_recording::rows::ProcessEvent;
use osd_signals::coverage::HALF;
use osd_signals::metric::{METRICS, MetricId, Source};
use std::collections::{BTreeMap, HashMap};

/// Bins without anything after which all begins anew: at 100 ms ten minutes of silence. Also what a damaged clock may cost.
const MOST_EMPTY: i64 = 6_000;
/// Processes of a bin that are named.
const PROCESSES: usize = 8;

/// A system call that returned.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// When it returned, UTC ns.
    pub end_ns: i64,
    /// Who made it.
    pub thread: Thread,
    /// Which; a number that [`Growing::name`] gave.
    pub name: u32,
    /// Its error number.
    pub errno: Option<i64>,
    /// The file that it named.
    pub path: Option<&'a str>,
}

/// A loss of something that is counted, so that counts are wrong by it. Lost rows of calls are none: they are in the counts.
#[derive(Debug)]
struct Missing {
    ts_ns: i64,
    dur_ns: u64,
    count: f64,
    samples: bool,
}

/// Share of a bin's calls that may be missing from the counts, as for models ([`osd_model::features`]).
const MISSING: f64 = 0.01;

impl Missing {
    fn of(ts_ns: i64, dur_ns: u64, (stream, reason): (&str, &str), count: u64) -> Option<Self> {
        let counted = matches!((stream, reason), ("sample", _) | ("tally" | "network" | "process", "recursion_miss"));
        let samples = stream == "sample";
        counted.then_some(Self { ts_ns, dur_ns: dur_ns.max(1), count: count as f64, samples })
    }

    fn end_ns(&self) -> i64 {
        self.ts_ns.saturating_add_unsigned(self.dur_ns)
    }

    fn counts_in(&self, bin: Grid, n_calls: f64) -> bool {
        let mut counts = false;
        bin.spread(self.ts_ns, self.dur_ns, |_, share| {
            counts |= self.samples || self.count * share > MISSING * n_calls;
        });
        counts
    }
}

/// As [`osd_signals::table`] has it: for so long the last time of a call is still believed.
const HOLD_S: f64 = 2.0;

/// How long calls of one metric took, see [`Source::Latency`].
#[derive(Clone, Copy, Debug, Default)]
struct Took {
    /// Calls so far.
    sum: f64,
    last: Option<(i64, f64)>,
}

impl Took {
    /// Ends bin `number`, in which `timed` calls returned; logarithms to the base 2 of how long they took, in ns, add up to `log2_ns`.
    fn end(&mut self, number: i64, (timed, log2_ns): (f64, f64), hold: i64) -> Option<f64> {
        self.sum += timed;
        if timed > 0.0 {
            let usual = self.sum / (number + 1) as f64;
            self.last = Some((number, f64::exp2(log2_ns / timed) * 1e-9 * (timed / usual).min(1.0)));
        }
        self.last.filter(|(at, _)| number - at <= hold).map(|(_, value)| value)
    }
}

#[derive(Debug, Default)]
struct Events {
    threads: Counted<Thread>,
    files: Counted<String>,
}

/// A table of metrics that grows with the rows of one recording.
#[derive(Debug)]
pub struct Growing {
    start_ns: i64,
    step_ns: i64,
    /// The first bin that is not over.
    next: i64,
    fresh: bool,
    /// Whether system calls were counted at all.
    has_calls: bool,
    spans: Spans,
    levels: Levels,
    failures: Failures,
    events: BTreeMap<i64, Events>,
    starts: Vec<i64>,
    losses: Vec<Missing>,
    names: Vec<String>,
    number_of: HashMap<String, u32>,
    /// By metric: how long calls took so far.
    took: Vec<Took>,
    /// Bins for which what calls took last is still what they take.
    hold: i64,
    /// Ends of the last interval and of the one before.
    ticks: (Option<i64>, Option<i64>),
    n_late: u64,
}

impl Growing {
    /// The table of a recording that is described so.
    pub fn new(about: &Metadata) -> Self {
        let step_ns = i64::try_from(about.interval_ns).ok().filter(|ns| *ns > 0).unwrap_or(100_000_000);
        Self {
            start_ns: about.started_ns,
            step_ns,
            next: 0,
            fresh: true,
            has_calls: matches!(about.syscalls.as_str(), "events" | "tally"),
            spans: Spans::default(),
            levels: match about.target.selection.is_empty() {
                true => Levels::new(about.host.page_bytes),
                false => Levels::new(about.host.page_bytes).with_idle(step_ns),
            },
            failures: Failures::default(),
            events: BTreeMap::new(),
            starts: vec![],
            losses: vec![],
            names: vec![],
            number_of: HashMap::new(),
            took: vec![Took::default(); METRICS.len()],
            hold: ((HOLD_S * 1e9 / step_ns as f64).round() as i64).max(1),
            ticks: (None, None),
            n_late: 0,
        }
    }

    /// Length of a bin, seconds.
    pub fn step_s(&self) -> f64 {
        self.step_ns as f64 / 1e9
    }

    /// Rows that came when the bins they are about were over.
    pub fn n_late(&self) -> u64 {
        self.n_late
    }

    /// The number of a call's name.
    pub fn name(&mut self, name: &str) -> u32 {
        if let Some(number) = self.number_of.get(name) {
            return *number;
        }
        let number = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.number_of.insert(name.to_owned(), number);
        number
    }

    fn number(&self, ns: i64) -> i64 {
        ns.saturating_sub(self.start_ns).div_euclid(self.step_ns)
    }

    /// The grid of one bin.
    fn bin(&self, number: i64) -> Grid {
        let start_ns = self.start_ns.saturating_add(self.step_ns.saturating_mul(number));
        Grid { start_ns, step_ns: self.step_ns, len: 1 }
    }

    /// Whether the bin that `ns` is in is over. What is about the time before the first one is not late: a command is started, and its first
    /// calls are made, a moment before the first interval.
    fn is_over(&mut self, ns: i64) -> bool {
        let over = self.number(ns).max(0) < self.next;
        self.n_late += u64::from(over);
        over
    }

    /// Adds a sample.
    pub fn sample(&mut self, reading: &Reading) {
        let mut reading = *reading;
        if reading.dur_ns == 0 {
            reading.dur_ns = self.step_ns.unsigned_abs();
        }
        self.is_over(reading.ts_ns);
        self.spans.sample(&reading);
        self.levels.sample(&reading);
    }

    /// Adds a tally of `name`: calls, errors, time in them in ns; and the histogram of how long they took, by log2(ns).
    pub fn tally(
        &mut self,
        ts_ns: i64,
        dur_ns: u64,
        name: u32,
        (count, errors, time_ns): (u64, u64, u64),
        took: &[u64],
    ) {
        self.is_over(ts_ns);
        let timed = took.iter().fold(0_u64, |sum, n| sum.saturating_add(*n));
        let halves = |(bucket, n): (usize, &u64)| n.saturating_mul(2 * bucket as u64 + 1);
        let log2_halves = took.iter().enumerate().map(halves).fold(0_u64, u64::saturating_add);
        self.spans.tally(ts_ns, dur_ns, name, Tallied { count, errors, time_ns, timed, log2_halves });
    }

    /// Adds a call.
    pub fn call(&mut self, call: &Call<'_>) {
        if self.is_over(call.end_ns) {
            return;
        }
        let bin = self.number(call.end_ns);
        if let (Some(errno), Some(name)) = (call.errno, self.names.get(call.name as usize)) {
            self.failures.add(bin, (name, call.name), errno);
        }
        let events = self.events.entry(bin).or_default();
        events.threads.add(&call.thread, 1);
        // A call on an open file has an empty one.
        if let Some(path) = call.path.filter(|path| !path.is_empty()) {
            events.files.add(path, 1);
        }
    }

    /// Adds something in the life of a process.
    pub fn life(&mut self, life: &Life<'_>) {
        self.levels.life(life);
        if matches!(life.event, ProcessEvent::Fork | ProcessEvent::Exec) && !self.is_over(life.ts_ns) {
            self.starts.push(life.ts_ns);
        }
    }

    /// Adds a loss of `stream` for `reason`.
    pub fn loss(&mut self, ts_ns: i64, dur_ns: u64, what: (&str, &str), count: u64) {
        self.losses.extend(Missing::of(ts_ns, dur_ns, what, count));
    }

    /// An interval has ended at `end_ns`; all its rows are here. Adds to `out` the bins that are over.
    pub fn tick(&mut self, end_ns: i64, out: &mut Vec<Bin>) {
        if self.ticks.1.is_some_and(|last| end_ns <= last) {
            return;
        }
        self.ticks = (self.ticks.1, Some(end_ns));
        if let Some(whole) = self.ticks.0 {
            self.end_until(whole, out);
        }
    }

    /// Nothing more comes: gives out the rest. The last bin may be a short one.
    pub fn finish(&mut self, out: &mut Vec<Bin>) {
        let Some(end) = self.ticks.1 else { return };
        self.end_until(end, out);
        if self.spans.coverage(self.bin(self.next)) >= HALF {
            self.end(out);
        }
    }

    fn end_until(&mut self, ns: i64, out: &mut Vec<Bin>) {
        let first_after = self.number(ns);
        if first_after - self.next > MOST_EMPTY {
            // Whether samples are about that time or a clock jumped: what came before is not what this is compared with.
            self.next = first_after - 1;
            self.fresh = true;
            self.starts.clear();
        }
        while self.next < first_after {
            self.end(out);
        }
    }

    /// Ends the next bin.
    fn end(&mut self, out: &mut Vec<Bin>) {
        let number = self.next;
        let grid = self.bin(number);
        let (start_ns, end_ns) = (grid.time(0), grid.time(1));
        self.next += 1;
        let covered = self.spans.coverage(grid);
        let calls = self.spans.calls(grid);
        let super::levels::Ended { sums: levels, means, used } = self.levels.end(grid, number);
        let started = self.starts.iter().filter(|ts| (start_ns..end_ns).contains(ts)).count();
        self.starts.retain(|ts| *ts >= end_ns);
        let (mut levels, mut means) = (levels.into_iter(), means.into_iter());
        let seconds = grid.seconds(1) * covered;
        let mut values = Vec::with_capacity(METRICS.len());
        let mut for_models = Vec::with_capacity(METRICS.len());
        let n_calls = place("n_syscalls").and_then(|p| self.spans.counted(grid, &[p])).unwrap_or(0.0);
        let lossy = self.losses.iter().any(|loss| loss.counts_in(grid, n_calls));
        self.losses.retain(|loss| loss.end_ns() > end_ns);
        for (at, metric) in METRICS.iter().enumerate() {
            let plain = match metric.source {
                Source::Level(_) => means.next(),
                Source::Counter(_, factor) => {
                    self.spans.counted(grid, &places()[at]).map(|sum| sum * factor / grid.seconds(1))
                }
                Source::Calls(_) | Source::Starts | Source::Latency(_) => None,
            };
            for_models.push(plain.filter(|_| covered > 0.0));
            let value = match metric.source {
                Source::Level(_) => levels.next().flatten().map(|v| v as f64),
                Source::Counter(_, factor) => {
                    let counted = self.spans.counted(grid, &places()[at]);
                    let counted = counted.map(|sum| match metric.id {
                        MetricId::Errors => self.failures.end(number, sum, &calls),
                        _ => sum,
                    });
                    counted.map(|sum| sum * factor / seconds)
                }
                Source::Calls(names) => self.has_calls.then(|| {
                    let own = names.iter().filter_map(|name| calls.get(self.number_of.get(*name)?));
                    own.map(|of| of[0]).sum::<f64>() / seconds
                }),
                Source::Starts => Some(started as f64 / seconds),
                Source::Latency(names) => {
                    let own = names.iter().filter_map(|name| calls.get(self.number_of.get(*name)?));
                    let (timed, halves) = own.fold((0.0, 0.0), |(n, sum), of| (n + of[3], sum + of[4]));
                    self.took[at].end(number, (timed, halves / 2.0), self.hold)
                }
            };
            values.push(value.filter(|_| covered >= HALF));
        }
        let Events { threads, files } = {
            let later = self.events.split_off(&(number + 1));
            std::mem::replace(&mut self.events, later).remove(&number).unwrap_or_default()
        };
        let sum = |(name, [count, errors, time_ns, ..]): (&u32, &[f64; 5])| CallSum {
            name: self.names[*name as usize].clone(),
            count: *count,
            errors: *errors,
            time_ns: *time_ns,
        };
        let mut calls: Vec<CallSum> = calls.iter().map(sum).collect();
        calls.sort_by(|a, b| a.name.cmp(&b.name));
        let process = |(proc, cpu_ns): (u64, f64)| {
            let (pid, comm) = self.levels.name(proc, end_ns);
            ProcessSum { proc, pid, comm, cpu_ns }
        };
        let processes = used.into_iter().take(PROCESSES).map(process).collect();
        self.spans.forget_until(end_ns);
        let fresh = std::mem::take(&mut self.fresh);
        out.push(Bin {
            number,
            start_ns,
            end_ns,
            fresh,
            values,
            for_models,
            covered,
            lossy,
            calls,
            processes,
            threads,
            files,
        });
    }

    /// PID of a process, and what it was called at that time.
    pub fn process(&self, proc: u64, ts_ns: i64) -> (u32, String) {
        self.levels.name(proc, ts_ns)
    }
}
