//! `osd replay`: rows at the pace of then, and what a live detector says, live and afterwards.

use crate::support::{alone, may_record, osd, osd_ok, record, text, until};
use osd_recording::Recording;
use osd_synth::Synth;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn synth(dir: &Path, name: &str) -> PathBuf {
    let path = dir.join(name);
    let synth = Synth { duration_s: 30, syscalls_per_s: 300, fault_s: Some((20, 23)), ..Synth::default() };
    synth.write(&path).unwrap();
    path
}

fn replay(args: &[&str]) -> (i32, String, String) {
    let out = osd(std::iter::once("replay").chain(args.iter().copied()));
    (out.status.code().unwrap(), text(&out.stdout).to_owned(), text(&out.stderr).to_owned())
}

#[test]
fn rows_are_those_of_osd_sql_value_by_value() {
    let dir = tempfile::tempdir().unwrap();
    let path = synth(dir.path(), "run.parquet");
    let path = path.to_str().unwrap();
    for (kind, table) in [
        ("sample", "samples"),
        ("tally", "tallies"),
        ("syscall", "syscalls"),
        ("process", "processes"),
        ("system", "systems"),
        ("loss", "losses"),
        ("label", "labels"),
    ] {
        let sql = osd_ok(["sql", path, &format!("SELECT * FROM {table}"), "--format", "ndjson"]);
        let rows = osd_ok(["replay", path, "--speed", "max", "--format", "ndjson", "--only", kind, "-q"]);
        let object = |line: &str| -> serde_json::Map<String, serde_json::Value> { serde_json::from_str(line).unwrap() };
        let mut own: Vec<String> = rows
            .lines()
            .map(|line| {
                let mut row = object(line);
                assert_eq!(row.remove("kind").unwrap(), kind);
                serde_json::to_string(&row).unwrap()
            })
            .collect();
        let mut theirs: Vec<String> = sql
            .lines()
            .map(|line| {
                let mut row = object(line);
                // The same as `dur_ns`, under the name that people look for.
                row.remove("interval_ns");
                // Joined by SQL; a recording has it in rows of its own.
                row.remove("container");
                serde_json::to_string(&row).unwrap()
            })
            .collect();
        assert!(!own.is_empty(), "{kind}");
        own.sort();
        theirs.sort();
        assert_eq!(own, theirs, "{kind}");
    }
}

#[test]
fn a_range_is_that_of_sql_and_json_is_one_array() {
    let dir = tempfile::tempdir().unwrap();
    let path = synth(dir.path(), "run.parquet");
    let path = path.to_str().unwrap();
    let args = [path, "--speed", "max", "--from", "10s", "--to", "2026-01-01T00:00:12Z", "--only", "samples", "-q"];
    let (_, rows, _) = replay(&[&args[..], &["--format", "json"]].concat());
    let rows: Vec<serde_json::Value> = serde_json::from_str(&rows).unwrap();
    let first = rows[0]["ts"].as_str().unwrap();
    assert!(rows.len() == 20 && first.starts_with("2026-01-01T00:00:10"), "{first}");
    let (_, table, _) = replay(&[&args[..], &["--format", "table"]].concat());
    assert_eq!(table.lines().count(), 20);
    assert!(table.lines().all(|line| line.contains(" sample ")), "{table}");
}

#[test]
fn bad_input_is_named_with_a_way_to_mend_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = synth(dir.path(), "run.parquet");
    let good = path.to_str().unwrap();
    for (speed, said) in [("0", "speed 0"), ("-1", "speed -1"), ("fast", "speed fast")] {
        let (code, _, stderr) = replay(&[good, "--speed", speed]);
        assert!(code == 2 && stderr.contains(said) && stderr.contains("or max"), "{stderr}");
    }
    let (code, _, stderr) = replay(&[good, "--only", "nonsense"]);
    assert!(code == 2 && stderr.contains("sample, tally, syscall"), "{stderr}");
    let (code, _, stderr) = replay(&[good, "--from", "1h", "--speed", "max"]);
    assert!(code == 2 && stderr.contains("nothing was recorded") && stderr.contains("it lasts from"), "{stderr}");
    let cut = dir.path().join("cut.parquet");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() - 99]).unwrap();
    let (code, _, stderr) = replay(&[cut.to_str().unwrap()]);
    assert!(code == 2 && stderr.contains("cut.parquet") && stderr.contains("hint:"), "{stderr}");
    let (code, _, stderr) = replay(&[good, good, "--follow"]);
    assert!(code == 2 && stderr.contains("several recordings cannot be followed"), "{stderr}");
}

#[test]
fn recordings_without_a_time_in_common_are_said_by_how_much_and_the_gap_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let _ = synth(dir.path(), "a.parquet");
    // The same session on another host and, by its clock, an hour later.
    let later = dir.path().join("b.parquet");
    let statement = "SELECT count(*) FROM recording";
    let path = dir.path().join("a.parquet");
    assert!(osd_ok(["sql", path.to_str().unwrap(), statement, "--format", "csv"]).lines().count() == 2);
    one_call(&later, osd_synth::START_NS + 3_600_000_000_000);
    let began = std::time::Instant::now();
    let (code, stdout, stderr) = replay(&[
        path.to_str().unwrap(),
        later.to_str().unwrap(),
        "--speed",
        "30",
        "--format",
        "ndjson",
        "--only",
        "syscall",
    ]);
    assert!(code == 0 && stderr.contains("b.parquet begins 59 min 30 s after"), "{stderr}");
    // At thirty times the speed an hour would be two minutes.
    assert!(began.elapsed().as_secs() < 60);
    assert!(stdout.lines().last().unwrap().contains("b.parquet"));
}

/// A recording of one call.
fn one_call(path: &Path, ts_ns: i64) {
    use osd_recording::rows::Syscall;
    use osd_recording::{Metadata, Writer, WriterOptions};
    let mut writer = Writer::create(path, WriterOptions::default()).unwrap();
    writer.push(Syscall { ts_ns, dur_ns: 7, ..Syscall::default() }).unwrap();
    let recording_id = "b".repeat(32);
    let metadata = Metadata { started_ns: ts_ns, ended_ns: ts_ns + 1_000, recording_id, ..Metadata::default() };
    writer.close(metadata).unwrap();
}

#[test]
fn hostile_names_are_harmless_in_the_table() {
    use osd_recording::rows::Syscall;
    use osd_recording::{Metadata, Writer, WriterOptions};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hostile.parquet");
    let mut writer = Writer::create(&path, WriterOptions::default()).unwrap();
    let call = Syscall { ts_ns: 5, dur_ns: 7, path: Some("\x1b[2J\nx\u{202e}".into()), ..Syscall::default() };
    writer.push(call).unwrap();
    writer.close(Metadata { started_ns: 5, ended_ns: 100, ..Metadata::default() }).unwrap();
    let (_, stdout, _) = replay(&[path.to_str().unwrap(), "--speed", "max", "--format", "table", "-q"]);
    assert_eq!(stdout.lines().count(), 1);
    assert!(!stdout.contains(['\x1b', '\u{202e}']), "{stdout:?}");
}

#[test]
fn what_is_being_written_is_followed_to_its_end() {
    if !may_record("what_is_being_written_is_followed_to_its_end") {
        return;
    }
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.parquet");
    let mut recorder = Command::new(env!("CARGO_BIN_EXE_osd"))
        .args(["record", "-q", "-o"])
        .arg(&path)
        .args(["--", "sh", "-c", "for i in 1 2 3 4 5 6; do cat /etc/hostname; sleep 0.3; done"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until("the recorder is at work", || osd_recording::is_being_written(&path));
    let (_, _, stderr) = replay(&[path.to_str().unwrap(), "--speed", "max"]);
    assert!(stderr.contains("still being written") && stderr.contains("--follow"), "{stderr}");
    let mut follower = Command::new(env!("CARGO_BIN_EXE_osd"))
        .args(["replay", "--follow", "--format", "ndjson"])
        .arg(&path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains("\"kind\""), "{first}");
    assert!(recorder.try_wait().unwrap().is_none(), "rows come while the recording goes on");
    let n_followed = 1 + lines.map(Result::unwrap).count() as u64;
    assert!(follower.wait().unwrap().success() && recorder.wait().unwrap().success());
    let recording = Recording::open(&path).unwrap();
    assert_eq!(n_followed, recording.metadata().rows.values().sum::<u64>());
}

/// Quiet for a while, then a loop of opens that fail.
const FAULT: &str = "i=0; while [ $i -lt 130 ]; do cat /etc/hostname > /dev/null; sleep 0.09; i=$((i + 1)); done
    timeout 2 sh -c 'while :; do test -e /no/such/file; done'; sleep 2";

fn workload() -> Vec<String> {
    // A process that asks for a file many thousand times a second, and nothing else.
    vec!["sh".into(), "-c".into(), FAULT.into()]
}

#[test]
fn live_and_replay_say_the_same_of_a_real_run_to_the_byte() {
    if !may_record("live_and_replay_say_the_same_of_a_real_run_to_the_byte") {
        return;
    }
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.parquet");
    let hooked = dir.path().join("hooked");
    let hook = format!("cat >> {}; echo \"$OSD_EVENT $OSD_ALARM $OSD_METRIC\" >> {0}.env", hooked.display());
    let workload = workload();
    let command: Vec<&str> = workload.iter().map(String::as_str).collect();
    let options = ["--detect", "--alarms", "ndjson", "--on-alarm", &hook];
    let followed = path.clone();
    let follower = std::thread::spawn(move || {
        until("the recorder is at work", || osd_recording::is_being_written(&followed));
        osd_ok(["replay", "--follow", "--detect", "--alarms", "ndjson", "-q", followed.to_str().unwrap()])
    });
    let out = record(&path, &options, &command);
    let live = text(&out.stdout).to_owned();
    assert_eq!(follower.join().unwrap(), live, "who follows is told the same");
    assert!(live.lines().count() >= 2, "{live}\n{}", text(&out.stderr));
    assert!(!text(&out.stderr).contains("had been judged"), "{}", text(&out.stderr));
    let begin: serde_json::Value = serde_json::from_str(live.lines().next().unwrap()).unwrap();
    assert_eq!((begin["event"].as_str(), begin["id"].as_u64()), (Some("begin"), Some(1)));
    // Known within a second of when it began.
    let ns = |name: &str| begin[name].as_i64().unwrap();
    assert!(ns("at_ns") - ns("start_ns") < 1_000_000_000, "{begin}");
    assert!(!begin["calls"].as_array().unwrap().is_empty(), "{begin}");
    let path = path.to_str().unwrap();
    for speed in ["max", "40"] {
        assert_eq!(osd_ok(["replay", path, "--detect", "--alarms", "ndjson", "-q", "--speed", speed]), live, "{speed}");
    }
    // A replay that begins later has learnt what there was to learn before.
    let late = osd_ok(["replay", path, "--detect", "--alarms", "ndjson", "-q", "--speed", "max", "--from", "11s"]);
    assert_eq!(late, live);
    // The command was run for each, in order, with the same.
    assert_eq!(std::fs::read_to_string(&hooked).unwrap(), live);
    let environment = std::fs::read_to_string(format!("{}.env", hooked.display())).unwrap();
    assert_eq!(environment.lines().count(), live.lines().count());
    assert!(environment.starts_with("begin 1 "), "{environment}");
    // In words, for people.
    let (_, stdout, stderr) = replay(&[path, "--detect", "--speed", "max"]);
    assert!(stdout.is_empty() && stderr.contains("alarm 1 at ") && stderr.contains("alarm 1 over at "), "{stderr}");
}

#[test]
fn a_command_that_fails_or_hangs_is_said_and_holds_nobody_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = synth(dir.path(), "run.parquet");
    let path = path.to_str().unwrap();
    let args = ["--detect", "--speed", "max", "--alarms", "ndjson", "--on-alarm"];
    let (code, stdout, stderr) = replay(&[&[path], &args[..], &["exit 3"]].concat());
    assert!(code == 0 && stdout.lines().count() == 2, "{stdout}{stderr}");
    assert!(stderr.contains("of 2 runs of --on-alarm 2 failed"), "{stderr}");
    let (code, _, stderr) = replay(&[&[path], &args[..], &["exec 0<&-; exec sleep 600"]].concat());
    assert!(code == 0 && stderr.contains("took too long and were ended"), "{stderr}");
}

#[test]
fn a_recorder_that_detects_has_given_up_what_it_was_allowed() {
    if !may_record("a_recorder_that_detects_has_given_up_what_it_was_allowed") {
        return;
    }
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.parquet");
    let status = dir.path().join("status");
    let hook = format!("cat /proc/self/status > {}", status.display());
    let workload = workload();
    let command: Vec<&str> = workload.iter().map(String::as_str).collect();
    record(&path, &["--detect", "--on-alarm", &hook], &command);
    let status = std::fs::read_to_string(status).unwrap();
    assert!(status.contains(&format!("CapEff:\t{}", crate::support::NOTHING)), "{status}");
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
}

#[test]
fn a_reader_that_has_enough_ends_a_replay_quietly() {
    let dir = tempfile::tempdir().unwrap();
    let path = synth(dir.path(), "run.parquet");
    let mut child = Command::new(env!("CARGO_BIN_EXE_osd"))
        .args(["replay", "--speed", "max", "--format", "ndjson", "-q"])
        .arg(&path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 100]).unwrap();
    drop(stdout);
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert!(child.wait().is_ok() && stderr.is_empty(), "{stderr}");
}
