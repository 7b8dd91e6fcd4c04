//! `osd analyze` on recordings whose contents are known.

use crate::record::Place;
use crate::script::{Act, Actor, Script};
use crate::support::record;
use osd_detect::registry;
use osd_findings::Findings;
use osd_synth::{START_NS, Synth};
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
fn a_recording_can_be_judged_by_any_registered_detector() {
    let dir = tempfile::tempdir().unwrap();
    Synth::default().write(dir.path().join("run.parquet")).unwrap();
    let at = |s: i64| START_NS + s * 1_000_000_000;
    for entry in registry::all() {
        let args = ["run.parquet", "--format", "json", "--detector", entry.name];
        let out = run(dir.path(), &args);
        let findings: Findings = serde_json::from_slice(&out.stdout).unwrap();
        // The plain baselines are what a detector has to beat.
        if ["stream", "novelty", "ensemble"].contains(&entry.name) {
            let found = findings.windows.iter().find(|w| w.start_ns < at(66) && w.end_ns > at(60));
            let found = found.unwrap_or_else(|| panic!("{}: {:#?}", entry.name, findings.windows));
            assert!(found.severity >= 1.0 && !found.sentence.is_empty(), "{}: {found:#?}", entry.name);
            assert_eq!(findings.windows.len(), 1, "{}: {:#?}", entry.name, findings.windows);
        }
        let series = |name: &str| findings.series.iter().find(|s| s.metric == name).map(|s| &s.values);
        if entry.name == registry::DEFAULT {
            assert_eq!(out.stdout, run(dir.path(), &args[..3]).stdout, "it is the default");
            assert_eq!(findings.detector.name, "robust streaming");
        } else {
            assert_eq!(findings.detector.name, entry.name);
            let (score, threshold) = (series("detector_score").unwrap(), series("detector_threshold").unwrap());
            assert!(score.len() == threshold.len() && score[..50].iter().all(Option::is_none), "{}", entry.name);
            assert_eq!(out.stdout, run(dir.path(), &args).stdout, "the same recording gives the same bytes");
        }
    }
    let out = run(dir.path(), &["run.parquet", "--detector=ensemble", "--report"]);
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stderr));
    let page = std::fs::read_to_string(dir.path().join("run-report/index.html")).unwrap();
    assert!(page.contains("Strangeness to the detector"));
    let list = run(dir.path(), &["--detector", "list"]);
    assert!(list.status.success() && registry::all().all(|e| text(&list.stdout).contains(e.about)));
    let unknown = run(dir.path(), &["run.parquet", "--detector", "magic"]);
    assert_eq!(unknown.status.code(), Some(2));
    let said = text(&unknown.stderr);
    assert!(said.starts_with("error: no detector is called `magic`\nhint: there are stream, novelty, "), "{said}");
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
    assert!(text(&out.stdout).contains("record for longer than 8 s"), "{}", text(&out.stdout));
}

/// What it says of a recording that it could not judge.
fn not_judged(path: &Path, lasts: &str, wanted: &str) {
    let out = run(path.parent().unwrap(), &[path.to_str().unwrap()]);
    let (said, stderr) = (text(&out.stdout), text(&out.stderr));
    assert_eq!((out.status.code(), stderr), (Some(0), ""), "{said}");
    assert!(said.starts_with("nothing unusual in "), "{said}");
    let note = format!("note: the recording lasts {lasts}");
    assert!(said.contains(&note) && said.contains(wanted), "{said}");
    let learning = "are learnt from and cannot alarm, so nothing in it was judged; record for longer than ";
    assert!(said.contains(learning), "{said}");
}

#[test]
fn a_recording_shorter_than_half_an_interval_is_analysed_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.parquet");
    let write = |seconds: f64, interval_ms: u32| {
        let actor = Actor::new(7, "brief", 0.0..seconds, vec![Act::new("read", 1_000.0, 0.0..seconds)]);
        Script { interval_ms, ..Script::new(seconds, vec![actor]) }.write(&path);
    };
    for (seconds, lasts) in [(0.001, "1 ms"), (0.012, "12 ms"), (0.049, "49 ms"), (0.1, "100 ms")] {
        write(seconds, 100);
        not_judged(&path, lasts, "record for longer than 8 s");
        // What it did is there, at the rate at which it did it.
        let out = run(dir.path(), &["run.parquet", "--format", "json"]);
        let findings: Findings = serde_json::from_slice(&out.stdout).unwrap();
        let rate = findings.series.iter().find(|s| s.metric == "syscalls").unwrap().values[0].unwrap();
        assert!((rate - 1_000.0).abs() < 20.0, "{seconds} s: {rate}");
    }
    write(12.0, 3_600_000);
    not_judged(&path, "12 s", "record for longer than 17 h, or with a shorter --interval");
    assert!(text(&run(dir.path(), &["run.parquet", "--report"]).stderr).starts_with("report: "));
}

#[test]
fn a_recording_without_a_sample_says_so() {
    let dir = tempfile::tempdir().unwrap();
    // No whole interval, and the synthetic server is sampled by whole ones.
    let synth = Synth { duration_s: 2, interval_ms: 60_000, fault_s: None, ..Synth::default() };
    synth.write(dir.path().join("run.parquet")).unwrap();
    not_judged(&dir.path().join("run.parquet"), "2.0 s", "note: the recording holds no samples: it ended before");
}

#[test]
fn the_shortest_commands_are_analysed() {
    let Some(place) = Place::new("the_shortest_commands_are_analysed") else { return };
    let path = place.path();
    for (options, command, wanted) in [
        (&[][..], &["true"][..], "record for longer than 8 s"),
        (&["--interval", "1h"], &["sleep", "1"], "record for longer than 17 h, or with a shorter --interval"),
    ] {
        record(&path, options, command);
        not_judged(&path, "", wanted);
    }
}

#[test]
fn a_fault_is_found_at_every_interval_and_what_it_needs_is_said() {
    let dir = tempfile::tempdir().unwrap();
    // Interval, length, fault, calls a second, in points: as long as the learning takes, and twice that.
    for (interval_ms, duration_s, fault_s, syscalls_per_s, warm_up_s) in [
        (10, 40, (25, 29), 1_000, 8.0),
        (1_000, 120, (80, 86), 200, 17.0),
        (10_000, 800, (400, 440), 50, 170.0),
        (60_000, 4_800, (2_400, 2_640), 20, 1_020.0),
        (3_600_000, 180_000, (90_000, 104_400), 14, 61_200.0),
    ] {
        let synth = Synth { interval_ms, duration_s, syscalls_per_s, ..Synth::default() };
        let path = dir.path().join("run.parquet");
        Synth { fault_s: Some(fault_s), ..synth.clone() }.write(&path).unwrap();
        let out = run(dir.path(), &["run.parquet", "--format", "json"]);
        assert_eq!(out.status.code(), Some(1), "{interval_ms} ms: {}", text(&out.stderr));
        let findings: Findings = serde_json::from_slice(&out.stdout).unwrap();
        assert_eq!(findings.detector.warm_up_s, warm_up_s, "{interval_ms} ms");
        assert_eq!(findings.windows.len(), 1, "{interval_ms} ms: {:#?}", findings.windows);
        let w = &findings.windows[0];
        let at = |s: u32| START_NS + i64::from(s) * 1_000_000_000;
        let slack = 2 * i64::from(interval_ms) * 1_000_000 + 50_000_000;
        assert!(
            (w.start_ns - at(fault_s.0)).abs() <= slack && (w.end_ns - at(fault_s.1)).abs() <= slack,
            "{interval_ms} ms: {w:#?}"
        );
        assert_eq!(w.pattern, "fsync storm", "{interval_ms} ms");
        let notes = findings.detector.notes.join("\n");
        assert_eq!(
            notes.contains("what is shorter shows only as far as"),
            interval_ms > 500,
            "{interval_ms} ms: {notes}"
        );
        Synth { fault_s: None, seed: 5, ..synth }.write(&path).unwrap();
        let out = run(dir.path(), &["run.parquet"]);
        assert_eq!(out.status.code(), Some(0), "{interval_ms} ms: {}", text(&out.stdout));
    }
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

#[test]
fn the_report_goes_where_o_says_and_words_are_called_text() {
    let dir = tempfile::tempdir().unwrap();
    Synth::default().write(dir.path().join("run.parquet")).unwrap();
    let out = run(dir.path(), &["run.parquet", "-o", "incident"]);
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stderr));
    assert!(dir.path().join("incident/index.html").is_file());
    assert_eq!(text(&out.stderr), "report: incident/index.html\n");
    assert_eq!(run(dir.path(), &["run.parquet", "-o", "a", "--report=b"]).status.code(), Some(2));
    let words = text(&out.stdout);
    assert!(
        words.starts_with("1 window in 2 min 00 s of ") && words.contains(", 1 false alarm per hour allowed)"),
        "{words}"
    );
    for form in ["text", "table"] {
        assert_eq!(text(&run(dir.path(), &["run.parquet", "--format", form]).stdout), words, "{form}");
    }
    assert!(
        !text(&run(dir.path(), &["--help"]).stdout).contains("- table"),
        "the old name is taken and not advertised"
    );
}
