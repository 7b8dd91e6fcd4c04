//! Recordings that are kept within bounds: series of files, a largest size, and the flight
//! recorder's last moments. Needs root.

use crate::crash::{Load, finish, now_ns, recorder, wait_for};
use crate::record::Place;
use crate::support::{alone, osd, osd_ok, rows, sum, text};
use osd_recording::{Kind, Recording};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

#[test]
fn a_series_of_files_stands_alone_each_and_only_the_newest_stay() {
    let Some(place) = Place::new("a_series_of_files_stands_alone_each_and_only_the_newest_stay") else { return };
    let load = Load::run(Command::new("tail").args(["---disable-inotify", "-f", "-s", "0.01", "/etc/hostname"]));
    let (code, said) =
        finish(recorder(&place.path(), &["-p", &load.pid(), "--rotate", "1s", "--keep", "2", "--duration", "4500ms"]));
    assert_eq!(code, Some(0), "{said}");
    for file in assert_two_of_a_series(place.dir.path(), &load.pid()) {
        let m = Recording::open(&file).unwrap().metadata().clone();
        assert!(m.rows["syscall"] > 0);
        assert_eq!(
            sum(&rows(&file, Kind::Tally), "count"),
            m.rows["syscall"] + m.lost("syscall"),
            "{}",
            file.display()
        );
    }
}

#[test]
fn each_file_of_a_series_balances_while_rings_overflow() {
    let Some(place) = Place::new("each_file_of_a_series_balances_while_rings_overflow") else { return };
    let load = Load::start(&["threads", "2000000000"]);
    let options = ["-p", &load.pid(), "--ring-mib", "1", "--rotate", "1s", "--duration", "4500ms"];
    let (code, said) = finish(recorder(&place.path(), &options));
    assert_eq!(code, Some(0), "{said}");
    let files: Vec<PathBuf> = std::fs::read_dir(place.dir.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(files.len() >= 4, "{files:?}");
    let mut lost = 0;
    for file in &files {
        let m = Recording::open(file).unwrap().metadata().clone();
        let tallies = sum(&rows(file, Kind::Tally), "count");
        assert_eq!(tallies, m.rows["syscall"] + m.lost("syscall"), "{}: {:?}", file.display(), m.losses);
        lost += m.lost("syscall");
    }
    assert!(lost > 0, "the test must overflow the rings");
}

#[test]
fn a_series_of_files_and_a_size_limit_need_no_bpf() {
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    let path = dir.path().join("r.parquet");
    let load = Load::start(&["wait", "1"]);
    let backend = ["--backend", "proc", "-p", &load.pid()];
    let record = |options: &[&str]| {
        let (code, said) = finish(recorder(&path, &[&backend, options].concat()));
        assert_eq!(code, Some(0), "{said}");
    };
    record(&["--rotate", "1s", "--keep", "2", "--duration", "4500ms"]);
    for file in assert_two_of_a_series(dir.path(), &load.pid()) {
        assert!(rows(&file, Kind::Sample).iter().any(|r| r["pid"] == load.pid()));
    }
    record(&["--rotate", "2K", "--interval", "10ms", "--duration", "3s"]);
    assert!(std::fs::read_dir(dir.path()).unwrap().count() > 3, "cut by size too");
}

/// The two files in `dir`, which follow one another without a gap and begin by introducing `pid`.
fn assert_two_of_a_series(dir: &Path, pid: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 2, "{files:?}");
    let mut before: Option<Recording> = None;
    for file in &files {
        let recording = Recording::open(file).unwrap();
        let m = recording.metadata();
        assert!(m.complete);
        let processes = rows(file, Kind::Process);
        assert!(processes.iter().any(|r| r["event"] == "running" && r["pid"] == pid));
        if let Some(before) = before {
            assert_eq!(before.metadata().ended_ns, m.started_ns, "no gap between files");
            assert_ne!(before.metadata().recording_id, m.recording_id);
        }
        before = Some(recording);
    }
    files
}

#[test]
fn a_recording_ends_at_its_size() {
    let Some(place) = Place::new("a_recording_ends_at_its_size") else { return };
    let load = Load::start(&["threads", "2000000000"]);
    let (code, said) = finish(recorder(&place.path(), &["-p", &load.pid(), "--max-size", "2M", "--duration", "60s"]));
    assert_eq!(code, Some(0), "{said}");
    let bytes = place.path().metadata().unwrap().len();
    assert!((1 << 20..4 << 20).contains(&bytes), "{bytes}");
}

#[test]
fn a_flight_recorder_writes_the_last_moments_and_what_follows() {
    let Some(place) = Place::new("a_flight_recorder_writes_the_last_moments_and_what_follows") else { return };
    last_moments_and_what_follows(place.dir.path(), "bpf", "9");
}

/// Without BPF nobody knows how a process that is not the recorder's child has ended: that is reason enough.
#[test]
fn a_flight_recorder_without_bpf_does_so_too() {
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    last_moments_and_what_follows(dir.path(), "proc", "");
}

fn last_moments_and_what_follows(dir: &Path, backend: &str, signal: &str) {
    let path = dir.join("r.parquet");
    let mut load = Load::start(&["wait", "1"]);
    let child = recorder(&path, &["--backend", backend, "-p", &load.pid(), "--last", "2s", "--after", "1s"]);
    wait_for("the flight folder", || dir.join("r.parquet.flight/pid").exists());
    std::thread::sleep(Duration::from_secs(4));
    assert!(!path.exists(), "nobody asked yet");
    let triggered_ns = now_ns();
    osd_ok(["trigger", path.to_str().unwrap()]);
    wait_for("the recording", || path.exists());
    let m = Recording::open(&path).unwrap().metadata().clone();
    let (before, after) = (triggered_ns - m.started_ns, m.ended_ns - triggered_ns);
    // Parts of a fifth of a second, each up to an interval longer.
    assert!((2_000_000_000..4_500_000_000).contains(&before), "{before} ns before the trigger");
    assert!((900_000_000..2_000_000_000).contains(&after), "{after} ns after the trigger");
    let processes = rows(&path, Kind::Process);
    assert_eq!(processes.iter().filter(|r| r["event"] == "running").count(), 1, "introduced once: {processes:?}");
    // Its target is killed: that is a reason to keep the last moments, in a file of their own.
    load.0.kill().unwrap();
    load.0.wait().unwrap();
    let (code, said) = finish(child);
    assert_eq!(code, Some(0), "{said}");
    let second = dir.join("r.2.parquet");
    let exit = rows(&second, Kind::Process).into_iter().find(|r| r["event"] == "exit").unwrap();
    assert_eq!(exit["exit_signal"], signal);
    assert_eq!(std::fs::read_dir(dir).unwrap().count(), 2, "the folder is gone");
    let nobody = osd(["trigger", path.to_str().unwrap()]);
    assert_eq!(nobody.status.code(), Some(2));
    assert!(text(&nobody.stderr).contains("error: no flight recorder writes"), "{}", text(&nobody.stderr));
}

#[test]
fn a_flight_recorder_of_a_command_that_ends_well_writes_nothing() {
    let Some(place) = Place::new("a_flight_recorder_of_a_command_that_ends_well_writes_nothing") else { return };
    let path = place.path();
    for backend in ["bpf", "proc"] {
        let (code, said) = finish(recorder(&path, &["--backend", backend, "--last", "10s", "--", "true"]));
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("nothing was written"), "{said}");
        assert_eq!(std::fs::read_dir(place.dir.path()).unwrap().count(), 0);
        let (code, said) = finish(recorder(
            &path,
            &["--backend", backend, "--last", "10s", "--propagate-status=never", "--", "false"],
        ));
        assert_eq!(code, Some(0), "{said}");
        assert!(Recording::open(&path).unwrap().metadata().rows["process"] > 0);
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_flight_recorder_that_cannot_begin_leaves_nothing() {
    let Some(place) = Place::new("a_flight_recorder_that_cannot_begin_leaves_nothing") else { return };
    let path = place.path();
    for backend in ["bpf", "proc"] {
        let (code, said) = finish(recorder(
            &path,
            &["--backend", backend, "--last", "10s", "--propagate-status=never", "--", "/no/such/program"],
        ));
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("error: ") && said.contains("/no/such/program") && said.contains("hint: "), "{said}");
        assert_eq!(std::fs::read_dir(place.dir.path()).unwrap().count(), 0, "{backend}");
    }
}

#[test]
fn a_killed_flight_recorder_keeps_its_last_moments() {
    let Some(place) = Place::new("a_killed_flight_recorder_keeps_its_last_moments") else { return };
    let path = place.path();
    let load = Load::start(&["threads", "2000000000"]);
    let mut child = recorder(&path, &["-p", &load.pid(), "--last", "10s"]);
    let folder = place.dir.path().join("r.parquet.flight");
    wait_for("a fourth part", || folder.is_dir() && std::fs::read_dir(&folder).unwrap().count() >= 5);
    let busy = osd(["recover", path.to_str().unwrap()]);
    assert_eq!(busy.status.code(), Some(2), "{}", text(&busy.stderr));
    child.kill().unwrap();
    child.wait().unwrap();
    osd_ok(["recover", path.to_str().unwrap()]);
    let m = Recording::open(&path).unwrap().metadata().clone();
    assert!(m.ended_ns - m.started_ns > 1_000_000_000, "{} ns", m.ended_ns - m.started_ns);
    assert_eq!(std::fs::read_dir(place.dir.path()).unwrap().count(), 1);
}
