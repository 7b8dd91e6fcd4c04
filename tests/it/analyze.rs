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
    // What the descriptor was at the time of each call: it was opened anew 4.9 s into the storm.
    assert_eq!(w.syscalls[0].objects, ["/srv/data/8", "/srv/data/11"]);
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
            assert!(findings.detector.chosen_because.is_none(), "it was asked for");
            let default = run(dir.path(), &args[..3]);
            let default: Findings = serde_json::from_slice(&default.stdout).unwrap();
            assert_eq!(default.windows, findings.windows, "it is what such a recording chooses");
            assert_eq!(default.detector.chosen_because.as_deref(), Some("2 min with a sample every 100 ms"));
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
    // Interval, length, fault, calls a second, what is not judged: a second, or an interval. Hours, two days and a week.
    for (interval_ms, duration_s, fault_s, syscalls_per_s, warm_up_s) in [
        (10, 40, (25, 29), 1_000, 1.0),
        (1_000, 120, (80, 86), 200, 1.0),
        (10_000, 800, (400, 440), 50, 10.0),
        (60_000, 4_800, (2_400, 2_640), 20, 60.0),
        (3_600_000, 180_000, (90_000, 104_400), 14, 3_600.0),
        (3_600_000, 604_800, (500_400, 514_800), 14, 3_600.0),
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
fn a_recording_chooses_its_detector_and_intervals_that_none_is_made_for_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.parquet");
    let week =
        Synth { interval_ms: 600_000, duration_s: 5 * 86_400, syscalls_per_s: 4, fault_s: None, ..Synth::default() };
    week.write(&path).unwrap();
    let chosen = |options: &[&str]| {
        let out = run(dir.path(), &[&["run.parquet", "--format", "json"], options].concat());
        let findings: Findings =
            serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("{}", text(&out.stderr)));
        (findings.detector.name, findings.detector.chosen_because)
    };
    let (name, why) = chosen(&["--detector", "auto"]);
    assert!(["novelty", "ensemble"].contains(&name.as_str()), "{name}");
    assert!(why.is_some_and(|why| why.starts_with("120 h with a sample every 10 min")), "{name}");
    assert_eq!(chosen(&["--detector", "stream"]), ("robust streaming".to_owned(), None));
    // A day of it has not shown whether days are alike.
    assert_eq!(chosen(&["--to", "24h"]).0, "robust streaming");
    for (interval_ms, said) in [(2, "a sample every 2 ms"), (7_200_000, "a sample every 2 h")] {
        let duration_s = if interval_ms < 10 { 4 } else { 40 * 3_600 };
        Synth { interval_ms, duration_s, ..week.clone() }.write(&path).unwrap();
        let out = run(dir.path(), &["run.parquet"]);
        let stderr = text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{}", text(&out.stdout));
        assert!(
            stderr.contains(said) && stderr.contains("10 ms to 1 h") && stderr.contains("hint: record with"),
            "{stderr}"
        );
    }
    let model = run(dir.path(), &["run.parquet", "--detector", "model"]);
    assert!(text(&model.stderr).starts_with("error: there is no model in model/"), "{}", text(&model.stderr));
}

#[test]
fn the_usual_of_other_recordings_is_taken_if_it_is_of_the_same_kind() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, synth: Synth| synth.write(dir.path().join(name)).unwrap();
    let quiet = Synth { duration_s: 60, fault_s: None, ..Synth::default() };
    write("good.parquet", Synth { seed: 2, ..quiet.clone() });
    write("better.parquet", Synth { seed: 3, ..quiet.clone() });
    // From the beginning to the end.
    write("bad.parquet", Synth { fault_s: Some((0, 60)), ..quiet.clone() });
    let alone = run(dir.path(), &["bad.parquet"]);
    assert!(text(&alone.stdout).contains("cannot be known from it; --baseline"), "{}", text(&alone.stdout));
    let beside = ["bad.parquet", "--format", "json", "--baseline", "good.parquet", "better.parquet"];
    let out = run(dir.path(), &beside);
    let findings: Findings = serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("{}", text(&out.stderr)));
    assert_eq!(findings.windows.len(), 1, "{:#?}", findings.windows);
    let w = &findings.windows[0];
    assert_eq!((w.pattern.as_str(), w.syscalls[0].syscall.as_str()), ("fsync storm", "fsync"));
    assert!((w.end_ns - w.start_ns) as f64 > 55e9 && w.baseline_s > 100.0, "{w:#?}");
    assert!(w.sentence.contains(" usually: fsync 0 -> "), "{}", w.sentence);
    assert_eq!(findings.detector.baselines, ["good.parquet", "better.parquet"]);
    assert_eq!(out.stdout, run(dir.path(), &beside).stdout, "the same recordings give the same bytes");
    let quiet_one = run(dir.path(), &["good.parquet", "--baseline", "better.parquet"]);
    assert_eq!(quiet_one.status.code(), Some(0), "{}", text(&quiet_one.stdout));
    assert!(
        text(&quiet_one.stdout).contains("it compares with baselines; beside better.parquet)"),
        "{}",
        text(&quiet_one.stdout)
    );
    let page = run(dir.path(), &["bad.parquet", "--baseline", "good.parquet", "--report"]);
    assert_eq!(page.status.code(), Some(1), "{}", text(&page.stderr));
    let html = std::fs::read_to_string(dir.path().join("bad-report/index.html")).unwrap();
    assert!(html.contains("What is usual comes from good.parquet"));

    write("slow.parquet", Synth { interval_ms: 1_000, seed: 4, ..quiet.clone() });
    write("short.parquet", Synth { duration_s: 3, seed: 5, ..quiet });
    for (baseline, error, hint) in [
        (
            "slow.parquet",
            "slow.parquet: the baseline has a sample every 1.0 s, the recording every 100 ms",
            "`--interval 100ms`",
        ),
        ("short.parquet", "the baselines last 1.", "longer recordings"),
        ("bad.parquet", "bad.parquet: the baseline is the recording itself", "while it was well"),
        ("none.parquet", "none.parquet", ""),
    ] {
        let out = run(dir.path(), &["bad.parquet", "--baseline", baseline]);
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{baseline}: {said}");
        assert!(said.starts_with("error: ") && said.contains(error) && said.contains(hint), "{baseline}: {said}");
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
        words.starts_with("1 window in 2 min 00 s of ")
            && words.contains(" allowed; robust streaming, for 2 min with a sample every 100 ms; read as a whole)"),
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
