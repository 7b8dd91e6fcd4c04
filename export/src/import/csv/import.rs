//! From a table to a recording: a sample a row.
//!
//! A counter that is told as a rate is multiplied by the time of its row. Recordings count in whole numbers, so what is cut off is carried on
//! to the next row: sums are right to one.

use super::named::{Holds, is_level};
use super::survey::Survey;
use super::table::Table;
use super::text::{Said, number};
use super::unit::{Per, Unit};
use crate::import::gather::{Imported, Options, metadata};
use crate::import::read::lines;
use crate::import::time::{TimeUnit, time};
use crate::{Error, Result};
use osd_recording::rows::{Loss, Owner, Process, ProcessEvent, Sample, Unseen};
use osd_recording::{Family, LossTotal, Metadata, ProcId, Writer, WriterOptions};
use std::collections::HashMap;
use std::path::Path;

/// More processes are no processes.
const MOST_PROCESSES: usize = 100_000;

/// Reads the table `path`; `progress` hears how many of how many bytes are read.
///
/// # Errors
/// [`Error::Import`] if it has no times or nothing that osd knows; if the recording cannot be written.
pub(in super::super) fn import(
    path: &Path,
    table: &Table,
    options: &Options,
    mut progress: impl FnMut(u64, u64),
) -> Result<Imported> {
    let refused = |detail: &str, fix| Error::Import { path: path.to_owned(), detail: detail.to_owned(), fix };
    let there = path.metadata().map_err(|e| refused(&e.to_string(), "check the path"))?;
    if !there.is_file() {
        return Err(refused("it is no file, and a table is read twice", "save it to a file first"));
    }
    let all = there.len().saturating_mul(2);
    let survey = Survey::of(path, table, |done| progress(done, all))?;
    let mut reader = Reader::new(survey, table, options)?;
    lines(path, |number, text, bytes| {
        progress(there.len() + bytes, all);
        reader.line(number, text.trim_start_matches('\u{feff}'))
    })?;
    reader.finish()
}

/// A process of the table.
struct Known {
    owner: Owner,
    comm: String,
    /// By column.
    before: Vec<Before>,
    /// When its row before began and ended.
    last: Option<(i64, i64)>,
}

/// What the rows before had in a column.
#[derive(Clone, Debug, Default)]
struct Before {
    is_known: bool,
    /// What a total was.
    total: Option<f64>,
    /// What was cut off.
    carried: f64,
}

/// A row that waits for the next time, which says how long it is.
struct Waiting {
    ts_ns: i64,
    who: String,
    values: Vec<Option<f64>>,
}

/// The second reading.
struct Reader {
    survey: Survey,
    numbers: Vec<(usize, &'static str, Unit)>,
    places: [Option<usize>; 4],
    unit: Option<TimeUnit>,
    times_are_ends: bool,
    writer: Writer,
    metadata: Metadata,
    step_ns: u64,
    known: HashMap<String, Known>,
    waiting: Vec<Waiting>,
    header_is_over: bool,
    lines: u64,
    not_understood: u64,
    first_not_understood: Option<u64>,
    no_numbers: u64,
    backwards: u64,
    written_until: i64,
}

impl Reader {
    fn new(survey: Survey, table: &Table, options: &Options) -> Result<Self> {
        let times_are_ends = table.times_are_ends.unwrap_or_else(|| survey.has_totals());
        let step_ns = options.interval_ns.unwrap_or(survey.step_ns).clamp(1, 1 << 62);
        let shift = if times_are_ends { step_ns as i64 } else { 0 };
        let (start, end) = (survey.span.0.saturating_sub(shift), survey.span.1.saturating_sub(shift));
        let end = end.saturating_add_unsigned(step_ns);
        let metadata = Metadata {
            interval_ns: step_ns,
            syscalls: "off".into(),
            families: vec![Family { name: "usage".into(), attach: "csv".into(), probes: vec![] }],
            ..metadata(options, (start, end), survey.sum.number(), "csv")
        };
        let writing = WriterOptions { force: options.force, arch: options.arch, ..WriterOptions::default() };
        let writer = Writer::create(&options.output, writing)?;
        let numbers = survey.numbers();
        let places = [Holds::Time, Holds::Pid, Holds::Proc, Holds::Comm].map(|holds| survey.place(&holds));
        let unit = table.time.as_ref().and_then(|(_, unit)| *unit);
        Ok(Self {
            survey,
            numbers,
            places,
            unit,
            times_are_ends,
            writer,
            metadata,
            step_ns,
            known: HashMap::new(),
            waiting: vec![],
            header_is_over: false,
            lines: 0,
            not_understood: 0,
            first_not_understood: None,
            no_numbers: 0,
            backwards: 0,
            written_until: i64::MIN,
        })
    }

    fn line(&mut self, at: u64, text: &str) -> Result<()> {
        self.lines += 1;
        if text.trim().is_empty() {
            return Ok(());
        }
        if !std::mem::replace(&mut self.header_is_over, true) {
            return Ok(());
        }
        let row = self.row(text);
        let Some(row) = row.filter(|row| self.meet(row)) else {
            self.not_understood += 1;
            self.first_not_understood.get_or_insert(at);
            return Ok(());
        };
        if self.waiting.first().is_some_and(|w| w.ts_ns != row.ts_ns) {
            self.write(Some(row.ts_ns))?;
        }
        self.waiting.push(row);
        Ok(())
    }

    /// What a line says.
    fn row(&mut self, text: &str) -> Option<Waiting> {
        let delimiter = self.survey.splitter.delimiter;
        let fields = self.survey.splitter.fields(text)?;
        let field = |at: Option<usize>| fields.get(at?).copied();
        let [at, pid, proc, comm] = self.places;
        let ts_ns = time(field(at)?, self.unit)?.ns;
        let mut no_numbers = 0;
        let values = self.numbers.iter().map(|(at, ..)| match number(fields.get(*at)?, delimiter) {
            Said::Number(value) => Some(value),
            Said::Nothing => None,
            Said::Garbage => {
                no_numbers += 1;
                None
            }
        });
        let values = values.collect();
        let who = [pid, proc, comm].map(|place| field(place).unwrap_or_default()).join("\0");
        self.no_numbers += no_numbers;
        Some(Waiting { ts_ns, who, values })
    }

    /// Introduces the process of a row. Whether it is one.
    fn meet(&mut self, row: &Waiting) -> bool {
        if self.known.contains_key(&row.who) {
            return true;
        }
        let mut parts = row.who.split('\0');
        let mut part = || parts.next().unwrap_or_default();
        let (pid, proc, comm) = (part(), part(), part());
        let Some(pid) = (if pid.is_empty() { Some(0) } else { pid.parse().ok() }) else { return false };
        if self.known.len() == MOST_PROCESSES {
            return false;
        }
        let boot = format!("{}/{proc}/{comm}", self.metadata.host.boot_id);
        let owner = Owner { proc: ProcId::new(&boot, pid, 0), pid, cgroup_id: 0 };
        let comm = if comm.is_empty() { "unknown".to_owned() } else { comm.to_owned() };
        let before = vec![Before::default(); self.numbers.len()];
        self.known.insert(row.who.clone(), Known { owner, comm, before, last: None });
        true
    }

    /// Writes what waits, until the time of the rows after it.
    fn write(&mut self, next_ns: Option<i64>) -> Result<()> {
        let usual = self.step_ns as i64;
        for row in std::mem::take(&mut self.waiting) {
            let Some(known) = self.known.get_mut(&row.who) else { continue };
            // A row that is nearly as long as the others lasts until the next; where rows are missing, nothing is known.
            let until = |ns: i64| ns.checked_sub(row.ts_ns).filter(|d| *d > 0 && *d <= usual.saturating_add(usual / 2));
            let (ts_ns, dur_ns) = if self.times_are_ends {
                let since = known.last.and_then(|(_, end)| row.ts_ns.checked_sub(end));
                let dur_ns = since.filter(|d| *d > 0 && *d <= usual.saturating_add(usual / 2)).unwrap_or(usual);
                (row.ts_ns.saturating_sub(dur_ns), dur_ns)
            } else {
                (row.ts_ns, next_ns.and_then(until).unwrap_or(usual))
            };
            self.backwards += u64::from(ts_ns < self.written_until);
            self.written_until = self.written_until.max(ts_ns);
            let is_first = known.last.is_none();
            known.last = Some((ts_ns, ts_ns.saturating_add(dur_ns)));
            if is_first {
                self.metadata.target.pids.extend((known.owner.pid != 0).then_some(known.owner.pid));
                self.writer.push(running(known, ts_ns))?;
            }
            let mut sample = Sample { ts_ns, dur_ns: dur_ns.unsigned_abs(), owner: known.owner, ..Sample::default() };
            let (mut seen, mut empty) = (vec![], 0);
            let columns = self.numbers.iter().zip(row.values).zip(&mut known.before);
            for (((_, column, unit), value), before) in columns {
                let Some(value) = value else {
                    empty += u64::from(before.is_known);
                    continue;
                };
                before.is_known = true;
                let (total, carried) = (&mut before.total, &mut before.carried);
                let whole = if is_level(column) {
                    (value * unit.scale).round()
                } else {
                    let counted = match unit.per {
                        Per::Row => Some(value),
                        Per::Second => Some(value * dur_ns as f64 / 1e9),
                        // One that is less than before has begun anew.
                        Per::Total => {
                            total.replace(value).map(|before| if value < before { value } else { value - before })
                        }
                    };
                    let Some(counted) = counted else { continue };
                    let exact = counted * unit.scale + *carried;
                    // What is carried may be less than nothing by half a one.
                    let whole = exact.round().max(0.0);
                    *carried = (exact - whole).clamp(-1.0, 1.0);
                    whole
                };
                seen.push(*column);
                set(&mut sample, column, whole as u64);
            }
            // A row of nothing is a gap.
            if seen.is_empty() {
                continue;
            }
            sample.unseen = Unseen::all_but(&seen);
            self.writer.push(sample)?;
            if empty > 0 {
                let loss = LossTotal { stream: "sample".into(), reason: "empty_field".into(), count: empty };
                self.metadata.add_loss(&loss);
                let LossTotal { stream, reason, count } = loss;
                self.writer.push(Loss { ts_ns, dur_ns: dur_ns.unsigned_abs(), stream, reason, count })?;
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Imported> {
        self.write(None)?;
        let (of_calls, others) = self.survey.without_place();
        let has = |name: &str| self.numbers.iter().any(|(_, column, _)| *column == name);
        let mut blind =
            vec!["made from a table (CSV): system calls, processes' lives and the host are not known".to_owned()];
        let missing: Vec<&str> = [
            ("cpu_ns", "CPU time"),
            ("rss_anon_bytes", "memory"),
            ("net_rx_bytes", "network in"),
            ("net_tx_bytes", "network out"),
            ("n_syscalls", "the number of system calls"),
            ("runq_ns", "waiting for a processor"),
            ("read_bytes", "reads from storage"),
            ("write_bytes", "writes to storage"),
            ("minor_faults", "page faults"),
            ("ctx_voluntary", "context switches"),
            ("n_threads", "threads"),
            ("n_fds", "open files"),
        ]
        .into_iter()
        .filter_map(|(column, what)| (!has(column)).then_some(what))
        .collect();
        let mut say = |is: bool, text: String| blind.extend(is.then_some(text));
        say(!missing.is_empty(), format!("the table does not have {}", missing.join(", ")));
        for (one, other, what) in [
            ("rss_anon_bytes", "rss_file_bytes", "anonymous, file and shared memory"),
            ("minor_faults", "major_faults", "page faults with and without disk"),
            ("ctx_voluntary", "ctx_involuntary", "voluntary and other context switches"),
        ] {
            say(has(one) && !has(other), format!("{what} are not told apart: all are in {one}"));
        }
        say(
            self.places[1..].iter().all(Option::is_none),
            "the table does not name processes: all is told of one with PID 0".into(),
        );
        say(
            !of_calls.is_empty(),
            format!("made of single calls, which a table does not have: {}", of_calls.join(", ")),
        );
        say(!others.is_empty(), format!("columns that osd has no place for or does not know: {}", others.join(", ")));
        say(self.survey.is_civil, "times name no time zone and are told as UTC".into());
        say(
            self.survey.span.0 < 100_000_000_000_000_000,
            "times count from some beginning, told as if that had been in 1970".into(),
        );
        say(self.no_numbers > 0, format!("{} fields were no numbers, or negative ones", self.no_numbers));
        say(self.backwards > 0, format!("{} rows came after later ones", self.backwards));
        let first = self.first_not_understood.unwrap_or(0);
        say(self.not_understood > 0, format!("{} lines were not understood, line {first} first", self.not_understood));
        let mut notes = self.survey.taken;
        notes.extend(
            blind.iter().skip(1).filter(|b| b.starts_with("columns that osd") || b.starts_with("made of")).cloned(),
        );
        self.metadata.blind_spots = blind;
        let closed = self.writer.close(self.metadata)?;
        let Self { lines, not_understood, first_not_understood, .. } = self;
        Ok(Imported { closed, lines, not_understood, first_not_understood, not_returned: 0, notes })
    }
}

/// That a process was there.
fn running(known: &Known, ts_ns: i64) -> Process {
    Process {
        ts_ns,
        owner: known.owner,
        tid: known.owner.pid,
        event: ProcessEvent::Running,
        ppid: 0,
        parent: None,
        comm: known.comm.clone(),
        exe: None,
        argv: None,
        uid: 0,
        exit_code: None,
        exit_signal: None,
        start_ts_ns: ts_ns,
        ns_pid: None,
        pid_ns: None,
    }
}

/// Sets a column of a sample by its name.
fn set(sample: &mut Sample, column: &str, value: u64) {
    let small = || u32::try_from(value).unwrap_or(u32::MAX);
    let field = match column {
        "cpu_ns" => &mut sample.cpu_ns,
        "runq_ns" => &mut sample.runq_ns,
        "ctx_voluntary" => &mut sample.ctx_voluntary,
        "ctx_involuntary" => &mut sample.ctx_involuntary,
        "rss_anon_bytes" => &mut sample.rss_anon_bytes,
        "rss_file_bytes" => &mut sample.rss_file_bytes,
        "rss_shmem_bytes" => &mut sample.rss_shmem_bytes,
        "swap_bytes" => &mut sample.swap_bytes,
        "minor_faults" => &mut sample.minor_faults,
        "major_faults" => &mut sample.major_faults,
        "net_rx_bytes" => &mut sample.net_rx_bytes,
        "net_tx_bytes" => &mut sample.net_tx_bytes,
        "net_rx_msgs" => &mut sample.net_rx_msgs,
        "net_tx_msgs" => &mut sample.net_tx_msgs,
        "read_bytes" => &mut sample.read_bytes,
        "write_bytes" => &mut sample.write_bytes,
        "read_chars" => &mut sample.read_chars,
        "write_chars" => &mut sample.write_chars,
        "n_syscalls" => &mut sample.n_syscalls,
        "n_syscall_errors" => &mut sample.n_syscall_errors,
        "syscall_ns" => &mut sample.syscall_ns,
        "n_threads" => return sample.n_threads = small(),
        "n_fds" => return sample.n_fds = Some(small()),
        "n_stopped" => return sample.n_stopped = Some(small()),
        "n_uninterruptible" => return sample.n_uninterruptible = Some(small()),
        "n_io_uring_sqes" => return sample.n_io_uring_sqes = Some(value),
        _ => return,
    };
    *field = value;
}
