//! What event rows are about, by second: errors, files, threads; and which programs were run.

use super::observed::{Key, Observed, Span};
use osd_findings::About;
use osd_recording::names::errno_name;
use osd_recording::{Batches, Columns, Kind, Recording, Result};
use osd_signals::grid::query;
use osd_signals::{Table, failures, parallel};
use std::collections::{BTreeMap, HashMap};

/// Different files, digits aside, that are counted at most. Those that come later are not.
const MOST_FILES: usize = 2_000;

type Counts = BTreeMap<Key, Vec<f64>>;

pub(super) fn read(out: &mut Observed, recording: &Recording, table: &Table, span: Span) -> Result<()> {
    let columns = ["ts", "proc", "tid", "syscall", "errno", "path"];
    let query_events = query(Kind::Syscall, &columns, None);
    let parts = parallel::read(recording, &query_events, |rows| events(rows, recording, table, span))?;
    for (key, counts) in parts.into_iter().flatten() {
        let sums = out.counts.entry(key).or_insert_with(|| vec![0.0; span.bins]);
        sums.iter_mut().zip(counts).for_each(|(sum, n)| *sum += n);
    }
    programs(out, recording, span)
}

fn events(rows: Batches, recording: &Recording, table: &Table, span: Span) -> Result<Counts> {
    let mut out = Counts::new();
    // Its thread's key is looked up for each row, and made once.
    let mut threads: HashMap<(u64, u32), Key> = HashMap::new();
    let mut n_files = 0;
    for batch in rows {
        let batch = batch?;
        let columns = Columns::of(&batch, recording.path());
        let (proc, tid, errno) = (columns.u64("proc")?, columns.u64("tid")?, columns.i64("errno")?);
        let (calls, paths) = (columns.text("syscall")?, columns.text("path")?);
        let files: Vec<Key> = paths.all().map(|p| (About::File, without_numbers(p))).collect();
        for (row, ts) in columns.ts()?.iter().enumerate() {
            let Some(bin) = span.bin(*ts) else { continue };
            let room = n_files < MOST_FILES;
            let mut add = |key: &Key, new: bool| match out.get_mut(key) {
                Some(counts) => counts[bin] += 1.0,
                None if new => {
                    let mut counts = vec![0.0; span.bins];
                    counts[bin] = 1.0;
                    out.insert(key.clone(), counts);
                    n_files += usize::from(key.0 == About::File);
                }
                None => {}
            };
            let call = calls.at(row).unwrap_or_default();
            if let Some(errno) = errno.at(row).filter(|errno| !failures::is_answer(call, *errno)) {
                let number = errno_name(errno as i32).map_or_else(|| format!("errno {errno}"), str::to_owned);
                add(&(About::Error, format!("{call} {number}")), true);
            }
            // An address is no file.
            let of_file = !matches!(call, "connect" | "bind");
            if let Some(code) = paths.code(row).filter(|code| of_file && files[*code].1.len() > 1) {
                add(&files[code], room);
            }
            let (proc, tid) = (proc.at(row).unwrap_or(0), tid.at(row).unwrap_or(0) as u32);
            let named = || (About::Thread, thread_name(table, proc, tid, *ts));
            add(threads.entry((proc, tid)).or_insert_with(named), true);
        }
    }
    Ok(out)
}

fn thread_name(table: &Table, proc: u64, tid: u32, ts_ns: i64) -> String {
    let own = table.thread_names.at(proc, tid, ts_ns).map(str::to_owned);
    let of_process = || table.processes.get(&proc).and_then(|life| life.comm_at(ts_ns)).unwrap_or("unnamed").to_owned();
    without_numbers(&own.unwrap_or_else(of_process))
}

/// Programs that were run, by their execs.
fn programs(out: &mut Observed, recording: &Recording, span: Span) -> Result<()> {
    for batch in recording.read(&query(Kind::Process, &["ts", "event", "exe"], None))? {
        let batch = batch?;
        let columns = Columns::of(&batch, recording.path());
        let (events, exes) = (columns.text("event")?, columns.text("exe")?);
        for (row, ts) in columns.ts()?.iter().enumerate() {
            let (Some("exec"), Some(bin)) = (events.at(row), span.bin(*ts)) else { continue };
            let key = (About::Program, without_numbers(exes.at(row).unwrap_or_default()));
            out.counts.entry(key).or_insert_with(|| vec![0.0; span.bins])[bin] += 1.0;
        }
    }
    Ok(())
}

/// A name without what numbers it and what was drawn for it: `/tmp/a17` and `/tmp/a18` are of a kind, `worker-1` and `worker-2`, and so
/// are folders of `mkdtemp`.
fn without_numbers(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut piece = String::new();
    let mut separated = false;
    for c in name.chars().chain(['/']) {
        if c.is_ascii_alphanumeric() {
            piece.push(c);
            continue;
        }
        if separated && is_drawn(&piece) {
            out.push('*');
        } else {
            for c in piece.chars() {
                match c {
                    '0'..='9' if out.ends_with('#') => {}
                    '0'..='9' => out.push('#'),
                    c => out.push(c),
                }
            }
        }
        piece.clear();
        separated = matches!(c, '.' | '-' | '_');
        out.push(c);
    }
    out.pop();
    out
}

/// Whether letters after a `.`, `-` or `_` look drawn by lot: six or more, in which capitals, small letters and digits are mixed.
fn is_drawn(piece: &str) -> bool {
    let of = |class: fn(&char) -> bool| piece.chars().any(|c| class(&c));
    let classes = [of(char::is_ascii_uppercase), of(char::is_ascii_lowercase), of(char::is_ascii_digit)];
    piece.len() >= 6 && classes.into_iter().filter(|c| *c).count() >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_by_kind() {
        assert_eq!(without_numbers("/proc/1234/stat"), without_numbers("/proc/9/stat"));
        assert_ne!(without_numbers("worker-1"), without_numbers("writer-1"));
        assert_eq!(without_numbers("/tmp/osd-workload.Nowc7P/data/f12"), "/tmp/osd-workload.*/data/f#");
        assert_eq!(without_numbers("/usr/lib/libQt6Core.so.6"), "/usr/lib/libQt#Core.so.#");
        assert_eq!(without_numbers("/a/"), "/a/");
    }
}
