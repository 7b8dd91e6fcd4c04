//! The order of rows in a replay, against all rows of the file sorted by when they were known.

#![expect(clippy::unwrap_used, reason = "tests")]

use osd_recording::rows::{Label, Owner, Sample, Syscall};
use osd_recording::{ClockPoint, ClockTable, Columns, Kind, Metadata, ProcId, Query, Recording, Writer, WriterOptions};
use osd_replay::rows::{Block, Cursor, Wanted, apart};
use osd_synth::{START_NS, Synth};
use std::path::{Path, PathBuf};

/// What tells a row from others: when it was known, its recording, its kind, when it began, and a number of its own.
type Mark = (i64, usize, Kind, i64, u64);

fn marks(block: &Block) -> Vec<Mark> {
    let columns = Columns::of(&block.rows, Path::new("x"));
    let own = match block.kind {
        Kind::Syscall => columns.i64("ret").unwrap(),
        Kind::Tally => columns.i64("total_ns").unwrap(),
        _ => columns.i64("cpu_ns").unwrap(),
    };
    let ts = columns.ts().unwrap();
    let number = |row| own.at(row).map_or(0, |n| n as u64);
    let rows = block.times().iter().zip(ts).enumerate();
    rows.map(|(row, (known, ts))| (*known, block.recording, block.kind, *ts, number(row))).collect()
}

fn replayed(cursor: &mut Cursor) -> Vec<Mark> {
    let mut out = vec![];
    while let Some(block) = cursor.next_block().unwrap() {
        assert!(block.times().is_sorted() && !block.times().is_empty());
        out.extend(marks(&block));
    }
    out
}

/// Every row of the file, by the reader that everybody uses.
fn all(path: &Path, place: usize) -> Vec<Mark> {
    let recording = Recording::open(path).unwrap();
    let mut out = vec![];
    for kind in Kind::ALL {
        for batch in recording.read(&Query::kind(kind)).unwrap() {
            let batch = batch.unwrap();
            let columns = Columns::of(&batch, path);
            let dur = columns.u64("dur_ns").unwrap();
            let own = columns.i64(match kind {
                Kind::Syscall => "ret",
                Kind::Tally => "total_ns",
                _ => "cpu_ns",
            });
            let own = own.unwrap();
            for (row, ts) in columns.ts().unwrap().iter().enumerate() {
                let dur = if kind == Kind::Label { 0 } else { dur.at(row).unwrap_or(0) };
                out.push((*ts + dur as i64, place, kind, *ts, own.at(row).map_or(0, |n| n as u64)));
            }
        }
    }
    out
}

fn synth(dir: &Path, name: &str, seed: u64) -> PathBuf {
    let path = dir.join(name);
    let synth = Synth {
        seed,
        duration_s: 20,
        syscalls_per_s: 9_000,
        fault_s: Some((6, 8)),
        host: name.into(),
        ..Synth::default()
    };
    synth.write(&path).unwrap();
    path
}

fn open(paths: &[&Path]) -> Vec<Recording> {
    paths.iter().map(|p| Recording::open(p).unwrap()).collect()
}

fn sorted(mut marks: Vec<Mark>) -> Vec<Mark> {
    marks.sort_unstable();
    marks
}

#[test]
fn every_row_of_two_hosts_comes_once_and_in_the_order_in_which_it_was_known() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (synth(dir.path(), "a", 1), synth(dir.path(), "b", 2));
    let mut cursor = Cursor::new(open(&[&a, &b]), Wanted::default());
    let rows = replayed(&mut cursor);
    assert!(rows.is_sorted_by_key(|r| r.0), "in order");
    assert_eq!(cursor.n_late(), 0);
    assert!(rows.len() > 380_000);
    assert_eq!(sorted(rows.clone()), sorted([all(&a, 0), all(&b, 1)].concat()));
    // And once more the same.
    cursor.rewind();
    assert_eq!(replayed(&mut cursor), rows);
}

#[test]
fn a_range_and_a_seek_give_the_rows_that_begin_there_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let path = synth(dir.path(), "a", 3);
    let (from, to) = (START_NS + 7_130_000_000, START_NS + 9_000_000_000);
    let wanted = Wanted { begin_in: Some(from..to), ..Wanted::default() };
    let mut cursor = Cursor::new(open(&[&path]), wanted);
    let expected: Vec<Mark> = all(&path, 0).into_iter().filter(|m| (from..to).contains(&m.3)).collect();
    assert_eq!(sorted(replayed(&mut cursor)), sorted(expected));
    assert_eq!(cursor.span(), from..to);
    let middle = START_NS + 8_000_000_001;
    cursor.seek(middle);
    let expected: Vec<Mark> = all(&path, 0).into_iter().filter(|m| (middle..to).contains(&m.3)).collect();
    let rows = replayed(&mut cursor);
    assert!(rows.is_sorted_by_key(|r| r.0));
    assert_eq!(sorted(rows), sorted(expected));
}

#[test]
fn what_is_asked_for_step_by_step_is_the_same_as_all_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = synth(dir.path(), "a", 4);
    let mut cursor = Cursor::new(open(&[&path]), Wanted::default());
    let whole = replayed(&mut cursor);
    cursor.rewind();
    let (mut rows, mut until, mut step) = (vec![], START_NS, 1);
    while cursor.peek().unwrap().is_some() {
        // Steps of a microsecond up to half a second, none like another.
        step = step * 7919 % 500_000_003;
        until += 1_000 + step;
        while let Some(block) = cursor.next_until(until).unwrap() {
            assert!(block.times().iter().all(|t| *t <= until));
            rows.extend(marks(&block));
        }
    }
    assert_eq!(rows, whole);
    // After a time: what was known later, and nothing twice.
    let after = START_NS + 5_000_000_007;
    let mut rest = Cursor::new(open(&[&path]), Wanted { after_ns: Some(after), ..Wanted::default() });
    assert_eq!(replayed(&mut rest), whole.into_iter().filter(|m| m.0 > after).collect::<Vec<_>>());
}

#[test]
fn kinds_and_columns_that_nobody_wants_are_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = synth(dir.path(), "a", 5);
    let wanted = Wanted {
        kinds: Some(vec![Kind::Sample, Kind::System]),
        columns: Some(vec!["cpu_ns", "host_busy_ns", "path"]),
        ..Wanted::default()
    };
    let mut cursor = Cursor::new(open(&[&path]), wanted);
    while let Some(block) = cursor.next_block().unwrap() {
        let schema = block.rows.schema();
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let own = if block.kind == Kind::Sample { "cpu_ns" } else { "host_busy_ns" };
        assert_eq!(names, ["ts", "dur_ns", own]);
    }
}

/// A recording of `calls`, with a clock that stands at `boottime_ns` when the wall clock shows `realtime_ns`.
fn small(path: &Path, boot: &str, (boottime_ns, realtime_ns): (i64, i64), calls: &[(i64, u64)]) {
    let mut writer = Writer::create(path, WriterOptions { force: true, ..WriterOptions::default() }).unwrap();
    let owner = Owner { proc: ProcId(7), pid: 7, cgroup_id: 0 };
    for (ts_ns, dur_ns) in calls {
        writer.push(Syscall { ts_ns: *ts_ns, dur_ns: *dur_ns, owner, ..Syscall::default() }).unwrap();
    }
    let (first, last) = (calls[0].0, calls[calls.len() - 1].0);
    writer.push(Sample { ts_ns: first, dur_ns: 10, owner, ..Sample::default() }).unwrap();
    // Written last, as marks are, and yet in its place.
    writer.push(Label { ts_ns: first + 1, dur_ns: 1 << 40, name: "mark".into(), note: String::new() }).unwrap();
    let point = ClockPoint { boottime_ns, monotonic_ns: boottime_ns, realtime_ns, uncertainty_ns: 30 };
    let mut metadata =
        Metadata { clock: ClockTable(vec![point]), started_ns: first, ended_ns: last, ..Metadata::default() };
    metadata.host.boot_id = boot.into();
    metadata.recording_id = format!("{boot}{realtime_ns:032x}")[..32].into();
    writer.close(metadata).unwrap();
}

#[test]
fn a_call_of_an_hour_comes_when_it_returned_and_a_mark_where_it_begins() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long");
    const HOUR: u64 = 3_600_000_000_000;
    let mut calls: Vec<(i64, u64)> = (0..100_000).map(|i| (1_000 + i * 36_000_000, 500)).collect();
    // It was entered first and returned amid the others.
    calls.push((500, HOUR / 2));
    calls.sort_unstable();
    small(&path, "a", (0, 0), &calls);
    let rows = replayed(&mut Cursor::new(open(&[&path]), Wanted::default()));
    let at = |kind: Kind, ts: i64| rows.iter().position(|m| m.2 == kind && m.3 == ts).unwrap();
    assert_eq!(rows[at(Kind::Syscall, 500)].0, 500 + HOUR as i64 / 2);
    assert_eq!(rows[at(Kind::Label, 501)].0, 501);
    assert!(at(Kind::Label, 501) < 3);
    assert_eq!(rows.len(), calls.len() + 2);
}

#[test]
fn two_recordings_of_one_boot_are_merged_by_its_clock_and_not_by_the_wall() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    // The wall clock was set forward by a second between the two; in boot time their calls alternate.
    small(&a, "boot", (1_000, 50_000), &[(50_000, 0), (50_200, 0)]);
    small(&b, "boot", (1_100, 1_000_050_100), &[(1_000_050_100, 0), (1_000_050_300, 0)]);
    let wanted = Wanted { kinds: Some(vec![Kind::Syscall]), ..Wanted::default() };
    let mut cursor = Cursor::new(open(&[&a, &b]), wanted);
    let order: Vec<(i64, usize)> = replayed(&mut cursor).iter().map(|m| (m.0, m.1)).collect();
    assert_eq!(order, [(50_000, 0), (50_100, 1), (50_200, 0), (50_300, 1)]);
    assert!(cursor.clocks()[1].same_boot && apart(&open(&[&a, &b])).is_empty());
    // Of another boot nothing says so, and they have no time in common.
    small(&b, "other", (1_100, 1_000_050_100), &[(1_000_050_100, 0), (1_000_050_300, 0)]);
    assert_eq!(apart(&open(&[&a, &b])), [(1, 999_999_900)]);
}
