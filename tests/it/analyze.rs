//! `osd analyze` on recordings whose contents are known.

use osd_detect::findings::Findings;
use osd_recording::synth::{START_NS, Synth};
use std::path::Path;
use std::process::{Command, Output};

fn run(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_osd")).arg("analyze").args(args).current_dir(dir).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_fsync_storm_is_the_one_window_and_named() {
    let dir = tempfile::tempdir().unwrap();
    Synth::default().write(dir.path().join("run.parquet")).unwrap();
    let out = run(dir.path(), &["run.parquet", "--format", "json"]);
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stderr));
    let findings: Findings = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(findings.windows.len(), 1, "{:#?}", findings.windows);
    let w = &findings.windows[0];
    let at = |s: i64| START_NS + s * 1_000_000_000;
    let interval = 100_000_000;
    assert!((w.start_ns - at(60)).abs() <= interval && (w.end_ns - at(66)).abs() <= interval, "{w:#?}");
    assert_eq!(w.pattern, "fsync storm");
    assert_eq!(w.syscalls[0].syscall, "fsync");
    assert!(w.syscalls[0].share > 0.9 && w.syscalls[0].q_value < 0.001, "{w:#?}");
    assert_eq!(w.syscalls[0].objects, ["fd 6"]);
    assert_eq!((w.threads[0].tid, w.threads[0].top_syscall.as_str()), (4_001, "fsync"));
    assert!(w.sequence.iter().any(|c| c.syscall == "fsync"), "{w:#?}");
    assert!(w.sentence.contains("fsync 0 -> "), "{}", w.sentence);
    assert!(w.confidence > 0.99 && w.severity > 1.0);
    assert_eq!(
        findings.series.iter().take(5).map(|s| s.metric.as_str()).collect::<Vec<_>>(),
        ["cpu", "rss", "net_rx", "net_tx", "syscalls"]
    );
    assert_eq!(findings.labels.len(), 1);
    assert_eq!(findings.recording.n_syscalls, findings.recording.n_syscall_events + findings.recording.n_lost);
    assert!(findings.losses[0].coverage.is_some_and(|c| c < 0.5));

    let again = run(dir.path(), &["run.parquet", "--format", "json"]);
    assert_eq!(out.stdout, again.stdout, "the same recording gives the same bytes");
    let lines = run(dir.path(), &["run.parquet", "--format", "ndjson"]);
    assert_eq!(text(&lines.stdout).lines().count(), 1);
}

#[test]
fn a_quiet_recording_raises_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for seed in 1..4 {
        Synth { seed, duration_s: 300, fault_s: None, syscalls_per_s: 300, ..Synth::default() }
            .write(dir.path().join("quiet.parquet"))
            .unwrap();
        let out = run(dir.path(), &["quiet.parquet"]);
        assert_eq!(out.status.code(), Some(0), "{}{}", text(&out.stdout), text(&out.stderr));
        assert!(
            text(&out.stdout).starts_with("nothing unusual in 5 min 00 s of synthd (pid 4000)"),
            "{}",
            text(&out.stdout)
        );
    }
}

#[test]
fn only_the_time_asked_for_is_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    Synth::default().write(dir.path().join("run.parquet")).unwrap();
    assert_eq!(run(dir.path(), &["run.parquet", "--to", "55s"]).status.code(), Some(0));
    assert_eq!(
        run(dir.path(), &["run.parquet", "--from", "30s", "--to", "2026-01-01T00:01:20Z"]).status.code(),
        Some(1)
    );
    let out = run(dir.path(), &["run.parquet", "--from", "1h"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("holds no samples in that time"), "{}", text(&out.stderr));
    assert_eq!(run(dir.path(), &["run.parquet", "--from", "30s", "--to", "20s"]).status.code(), Some(2));
}

#[test]
fn a_short_recording_is_no_trouble_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    Synth { duration_s: 3, fault_s: None, ..Synth::default() }.write(dir.path().join("run.parquet")).unwrap();
    let out = run(dir.path(), &["run.parquet"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert!(text(&out.stdout).contains("note: the recording lasts 3.0 s"), "{}", text(&out.stdout));
}

#[test]
fn a_report_lies_beside_the_recording_and_is_not_replaced_unasked() {
    let dir = tempfile::tempdir().unwrap();
    Synth::default().write(dir.path().join("run.parquet")).unwrap();
    let out = run(dir.path(), &["run.parquet", "--report"]);
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stderr));
    for name in ["index.html", "incident.png", "incident.svg", "findings.json"] {
        assert!(dir.path().join("run-report").join(name).metadata().unwrap().len() > 1_000, "{name}");
    }
    let again = run(dir.path(), &["run.parquet", "--report"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("--force"), "{}", text(&again.stderr));
    assert_eq!(run(dir.path(), &["run.parquet", "--report", "--force"]).status.code(), Some(1));
}
