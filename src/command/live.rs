//! `osd record --live`: what processes do with files, printed while it is recorded.
//!
//! About once a second, the objects with most bytes in that time, a line each: PID, control group, calls that read and wrote, bytes, name of
//! the process, file. On a terminal no line is wider than it. As JSON and CSV all rows of all intervals, whole.

use crate::failure::Failure;
use crate::format;
use crate::output::{Output, say};
use osd_record::{Control, Watch};
use osd_recording::rows::{File, Row};
use osd_recording::visible::visible_json;
use osd_recording::{Calls, Metadata, ProcId};
use std::collections::HashMap;

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Form {
    /// Columns for people.
    Table,
    /// An object a line.
    Json,
    /// With a line of names.
    Csv,
}

/// Lines of one second.
const MOST: usize = 20;
/// A table is printed when so much time has been summed up.
const PERIOD_NS: u64 = 1_000_000_000;

/// Prints on the session's own thread. If nobody reads it any more, the session ends.
pub(crate) struct Live {
    form: Form,
    columns: Option<usize>,
    out: Output,
    control: Control,
    processes: HashMap<ProcId, Who>,
    sums: HashMap<(ProcId, Option<String>, &'static str), File>,
    since_ns: Option<i64>,
    failed: bool,
}

#[derive(Clone, Default)]
struct Who {
    comm: String,
    group: String,
}

impl Live {
    /// `columns`: how wide a terminal is, if it is one.
    pub(crate) fn new(form: Form, columns: Option<usize>, control: Control) -> Self {
        let (processes, sums) = (HashMap::new(), HashMap::new());
        Self { form, columns, out: Output::stdout(), control, processes, sums, since_ns: None, failed: false }
    }

    fn print(&mut self, text: &str, as_line: bool) {
        if self.failed {
            return;
        }
        let written = if as_line { self.out.line(text) } else { self.out.data(text) };
        let written = written.and_then(|()| self.out.see());
        self.fail(written);
    }

    fn fail(&mut self, written: Result<(), Failure>) {
        if let Err(failure) = written {
            self.failed = true;
            failure.lines().for_each(say);
            self.control.stop();
        }
    }

    fn file(&mut self, row: &File) {
        let who = self.processes.entry(row.owner.proc).or_default().clone();
        match self.form {
            Form::Table => {
                self.since_ns.get_or_insert(row.ts_ns);
                let sum = self.sums.entry((row.owner.proc, row.path.clone(), row.object_kind)).or_insert_with(|| {
                    File { owner: row.owner, path: row.path.clone(), object_kind: row.object_kind, ..File::default() }
                });
                sum.n_reads += row.n_reads;
                sum.n_writes += row.n_writes;
                sum.bytes_read += row.bytes_read;
                sum.bytes_written += row.bytes_written;
            }
            Form::Json => self.print(&(json(row, &who) + "\n"), false),
            Form::Csv => self.print(&(csv(row, &who) + "\n"), false),
        }
    }

    /// The lines of the time until `end_ns`.
    fn flush(&mut self, end_ns: i64) {
        let sums = std::mem::take(&mut self.sums);
        self.since_ns = None;
        let mut rows: Vec<File> = sums.into_values().filter(|f| f.n_reads + f.n_writes > 0).collect();
        if rows.is_empty() {
            return;
        }
        let bytes = |f: &File| f.bytes_read + f.bytes_written;
        rows.sort_by(|a, b| {
            (bytes(b), b.n_reads + b.n_writes).cmp(&(bytes(a), a.n_reads + a.n_writes)).then(a.path.cmp(&b.path))
        });
        let more = rows.len().saturating_sub(MOST);
        let header = line(&["PID", "GROUP", "READS", "WRITES", "READ", "WRITTEN", "COMM", "FILE"].map(str::to_owned));
        self.wide(&format!("{} {header}", format::time(end_ns)));
        for f in rows.iter().take(MOST) {
            let who = self.processes.get(&f.owner.proc).cloned().unwrap_or_default();
            let file = f.path.clone().unwrap_or_else(|| format!("({})", f.object_kind));
            let cells = [
                f.owner.pid.to_string(),
                who.group,
                f.n_reads.to_string(),
                f.n_writes.to_string(),
                format::bytes(f.bytes_read),
                format::bytes(f.bytes_written),
                who.comm,
                file,
            ];
            let indent = " ".repeat(format::time(end_ns).len());
            self.wide(&format!("{indent} {}", line(&cells)));
        }
        if more > 0 {
            self.wide(&format!("and {more} more"));
        }
    }

    /// A line, cut where the terminal ends.
    fn wide(&mut self, text: &str) {
        match self.columns {
            Some(columns) => self.print(&cut(text, columns), true),
            None => self.print(text, true),
        }
    }
}

impl Watch for Live {
    fn begin(&mut self, _: &Metadata) {
        if self.form == Form::Csv {
            self.print(&(COLUMNS.join(",") + "\n"), false);
        }
    }

    fn rows(&mut self, rows: &[Row]) {
        for row in rows {
            match row {
                Row::Process(p) => {
                    let who = self.processes.entry(p.owner.proc).or_default();
                    who.comm.clone_from(&p.comm);
                    if who.group.is_empty() {
                        who.group = group_of(p.owner.pid);
                    }
                }
                Row::File(file) => self.file(file),
                // Comes with or after the other rows of its interval.
                Row::System(system) => {
                    let end_ns = system.ts_ns.saturating_add_unsigned(system.dur_ns);
                    if self.since_ns.is_some_and(|since| end_ns.abs_diff(since) >= PERIOD_NS) {
                        self.flush(end_ns);
                    }
                }
                _ => {}
            }
        }
    }

    fn calls(&mut self, _: &Calls) {}

    fn end(&mut self) {
        if let Some(since) = self.since_ns {
            self.flush(since);
        }
        if !self.failed {
            let seen = self.out.see();
            self.fail(seen);
        }
    }
}

fn line(cells: &[String; 8]) -> String {
    let [pid, group, reads, writes, read, written, comm, file] = cells;
    let group = cut(group, 16);
    format!("{pid:>7} {group:16} {reads:>7} {writes:>7} {read:>9} {written:>9} {comm:15} {file}")
}

/// At most so many columns, with a sign that there is more.
fn cut(text: &str, columns: usize) -> String {
    use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut taken = 0;
    let fits = text.chars().take_while(|c| {
        taken += c.width().unwrap_or(0);
        taken < columns
    });
    fits.chain(['…']).collect()
}

/// The last part of the path of its control group, short if it is a container's: of a process that has ended, nothing.
fn group_of(pid: u32) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let path = text.lines().find_map(|l| l.strip_prefix("0::")).unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default().trim_end_matches(".scope").trim_end_matches(".service").to_owned()
}

const COLUMNS: [&str; 18] = [
    "ts",
    "dur_ns",
    "pid",
    "group",
    "comm",
    "object_kind",
    "path",
    "n_objects",
    "n_opens",
    "n_reads",
    "n_writes",
    "bytes_read",
    "bytes_written",
    "n_syncs",
    "n_renames",
    "n_unlinks",
    "errors",
    "total_ns",
];

/// A value of a row.
enum Cell {
    Text(String),
    Number(u64),
    Null,
}

fn cells(row: &File, who: &Who) -> [Cell; 18] {
    use Cell::{Null, Number, Text};
    [
        Text(format::time(row.ts_ns)),
        Number(row.dur_ns),
        Number(row.owner.pid.into()),
        Text(who.group.clone()),
        Text(who.comm.clone()),
        Text(row.object_kind.to_owned()),
        row.path.clone().map_or(Null, Text),
        row.n_objects.map_or(Null, Number),
        Number(row.n_opens),
        Number(row.n_reads),
        Number(row.n_writes),
        Number(row.bytes_read),
        Number(row.bytes_written),
        Number(row.n_syncs),
        Number(row.n_renames),
        Number(row.n_unlinks),
        Number(row.errors),
        Number(row.total_ns),
    ]
}

fn csv(row: &File, who: &Who) -> String {
    let quoted = |text: &str| match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    };
    let cell = |cell: &Cell| match cell {
        Cell::Text(text) => quoted(text),
        Cell::Number(n) => n.to_string(),
        Cell::Null => String::new(),
    };
    cells(row, who).iter().map(cell).collect::<Vec<_>>().join(",")
}

fn json(row: &File, who: &Who) -> String {
    let value = |cell: &Cell| match cell {
        Cell::Text(text) => visible_json(&serde_json::Value::from(text.as_str()).to_string()).into_owned(),
        Cell::Number(n) => n.to_string(),
        Cell::Null => "null".to_owned(),
    };
    let fields = COLUMNS.iter().zip(cells(row, who)).map(|(name, cell)| format!("\"{name}\":{}", value(&cell)));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_outside_stay_in_their_cells() {
        let path = Some("/a,\"b\"\n\u{1b}[2J".to_owned());
        let row = File { path, object_kind: "file", n_reads: 3, ..File::default() };
        let who = Who { comm: "x".into(), group: String::new() };
        assert_eq!(csv(&row, &who).matches("\"/a,\"\"b\"\"\n").count(), 1);
        let parsed: serde_json::Value = serde_json::from_str(&json(&row, &who)).unwrap();
        assert_eq!((parsed["path"].as_str(), parsed["n_reads"].as_u64()), (row.path.as_deref(), Some(3)));
        assert!(parsed["n_objects"].is_null() && !json(&row, &who).contains('\u{1b}'));
        assert_eq!((cut("abcdef", 4), cut("abcd", 4)), ("abc…".to_owned(), "abcd".to_owned()));
    }
}
