//! `osd diff`: two runs of the same do not differ, redis that flushes always does and by what, and
//! what there is too little data of is no pass.

use crate::live::{Redis, workload};
use crate::support::{alone, may_record, osd, record, text};
use osd_findings::{About, Diff, Verdict};
use osd_synth::Synth;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn diff(args: &[&str]) -> (Diff, Option<i32>) {
    let out = osd(["diff", "--format", "json"].into_iter().chain(args.iter().copied()));
    let diff = serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&out.stderr)));
    (diff, out.status.code())
}

fn shown(d: &Diff) -> String {
    let line = |c: &osd_findings::Change| {
        format!(
            "{:?} {} {}: {} -> {}, x{:.2} [{:.2} - {:.2}], p {:.1e}",
            c.about, c.name, c.quantity, c.before, c.after, c.ratio.value, c.ratio.low, c.ratio.high, c.p_adjusted
        )
    };
    d.differences.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn synthetic(dir: &Path, name: &str, seed: u64, duration_s: u32, interval_ms: u32) -> String {
    let path = dir.join(name);
    let host = "here".to_owned();
    Synth { seed, duration_s, interval_ms, syscalls_per_s: 2_000, fault_s: None, host }.write(&path).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn two_runs_of_the_same_do_not_differ() {
    let Some(workload) = workload().filter(|_| may_record("two_runs_of_the_same_do_not_differ")) else { return };
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    let run = |seed: usize| {
        let path = dir.path().join(format!("{seed}.parquet"));
        record(&path, &[], &[workload.to_str().unwrap(), "--duration", "40s", "--seed", &seed.to_string()]);
        path.to_str().unwrap().to_owned()
    };
    // Side by side: 20 pairs in earnest are `make eval-diff`.
    let runs: Vec<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = (61..65).map(|seed| scope.spawn(move || run(seed))).collect();
        runs.into_iter().map(|r| r.join().unwrap()).collect()
    });
    for pair in runs.chunks(2) {
        let (d, code) = diff(&[&pair[0], &pair[1]]);
        assert_eq!((d.verdict, code), (Verdict::Same, Some(0)), "{}", shown(&d));
        assert!(
            d.comparisons > 50 && d.smallest.is_some_and(|s| s > 0.1 && s < 2.0),
            "{} {:?}",
            d.comparisons,
            d.smallest
        );
        assert!(
            d.sentence.starts_with("no difference in ") && d.sentence.contains("would have shown"),
            "{}",
            d.sentence
        );
    }
    let (d, code) = diff(&["--before", &runs[0], &runs[1], "--after", &runs[2], &runs[3]]);
    assert_eq!((d.verdict, code), (Verdict::Same, Some(0)), "{}", shown(&d));
    assert_eq!((d.before.recordings.len(), d.after.recordings.len()), (2, 2));
}

/// Records redis with these settings under its usual load for 20 s.
fn redis(dir: &Path, name: &str, settings: &[&str]) -> Option<PathBuf> {
    let own = dir.join(name);
    std::fs::create_dir(&own).unwrap();
    let redis = Redis::with(&own, settings)?;
    let stop = Arc::new(AtomicBool::new(false));
    let load = redis.load(&stop);
    let path = dir.join(format!("{name}.parquet"));
    let recorder = Command::new(env!("CARGO_BIN_EXE_osd"))
        .args(["record", "--duration", "20s", "-p", &redis.child.id().to_string(), "-o"])
        .arg(&path)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let out = recorder.wait_with_output().unwrap();
    stop.store(true, Ordering::Relaxed);
    for client in load {
        // Its server may be gone before it.
        let _ = client.join();
    }
    assert!(out.status.success(), "{}", text(&out.stderr));
    Some(path)
}

#[test]
fn redis_that_flushes_always_differs_by_the_flush_and_its_time_first() {
    if !may_record("redis_that_flushes_always_differs_by_the_flush_and_its_time_first") {
        return;
    }
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    let settings =
        [["--appendonly", "yes", "--appendfsync", "everysec"], ["--appendonly", "yes", "--appendfsync", "always"]];
    let [Some(before), Some(after)] = std::thread::scope(|scope| {
        let runs = [("everysec", settings[0]), ("always", settings[1])];
        let dir = dir.path();
        let runs = runs.map(|(name, settings)| scope.spawn(move || redis(dir, name, &settings)));
        runs.map(|r| r.join().unwrap())
    }) else {
        return;
    };
    let (before, after) = (before.to_str().unwrap(), after.to_str().unwrap());
    let page = dir.path().join("page");
    let (d, code) = diff(&[before, after, "--report", page.to_str().unwrap()]);
    assert_eq!((d.verdict, code), (Verdict::Differs, Some(1)), "{}", d.sentence);
    let first = &d.differences[0];
    assert_eq!((first.about, first.name.as_str()), (About::Call, "fdatasync"), "{}", shown(&d));
    let rate = d.differences.iter().find(|c| c.name == "fdatasync" && c.quantity == "rate").unwrap();
    assert!(rate.after > 50.0 && rate.before < 5.0 && rate.ratio.low > 10.0, "{rate:#?}");
    let told = d.sentence.split_once("differ: ").unwrap().1;
    assert!(told.starts_with("`fdatasync`") && told.contains(" (p50 "), "{}", d.sentence);
    for file in ["index.html", "diff.png", "diff.svg", "diff.json"] {
        assert!(page.join(file).metadata().unwrap().len() > 1_000, "{file}");
    }
    let html = std::fs::read_to_string(page.join("index.html")).unwrap();
    assert!(html.contains("What differs") && html.contains("fdatasync") && html.contains("\"name\":\"after\""));

    // The gate of a pipeline: what is asked for decides, and what is not there is no pass.
    let gate = |fail_on: &str| diff(&[before, after, "--fail-on", fail_on]);
    let (d, code) = gate("rate(fdatasync):+100%,rss:+50%");
    assert_eq!((d.verdict, code), (Verdict::Differs, Some(1)), "{:#?}", d.conditions);
    assert_eq!(d.conditions[1].verdict, Verdict::Same, "{:#?}", d.conditions);
    assert_eq!(d.sentence, "1 of 2 conditions fail");
    let (d, code) = gate("rss:+80%");
    assert_eq!((d.verdict, code), (Verdict::Same, Some(0)), "{:#?}", d.conditions);
    let (d, code) = gate("rss:+80%,p99(io_uring_enter):+20%");
    assert_eq!((d.verdict, code), (Verdict::NoData, Some(2)), "{:#?}", d.conditions);
    assert!(d.conditions[1].sentence.contains("neither side has io_uring_enter"), "{:#?}", d.conditions);
}

#[test]
fn synthetic_runs_of_one_kind_are_the_same_whatever_their_seeds_lengths_and_intervals() {
    let dir = tempfile::tempdir().unwrap();
    let a = synthetic(dir.path(), "a.parquet", 1, 40, 100);
    let b = synthetic(dir.path(), "b.parquet", 2, 60, 100);
    let c = synthetic(dir.path(), "c.parquet", 3, 40, 500);
    let (d, code) = diff(&[&a, &b]);
    assert_eq!((d.verdict, code), (Verdict::Same, Some(0)), "{}", shown(&d));
    assert!(d.notes.iter().any(|n| n.contains("--before and --after")), "{:?}", d.notes);
    let (d, _) = diff(&[&a, &c]);
    assert!(d.notes.iter().any(|n| n.contains("intervals differ, 0.10 s to 0.50 s")), "{:?}", d.notes);
    // The same question, the same answer, byte for byte.
    let once = || osd(["diff", &a, &b, "--format", "json"]).stdout;
    assert_eq!(once(), once());
}

#[test]
fn too_little_to_say_is_no_pass() {
    let dir = tempfile::tempdir().unwrap();
    let long = synthetic(dir.path(), "long.parquet", 1, 30, 100);
    let short = synthetic(dir.path(), "short.parquet", 2, 3, 100);
    let (d, code) = diff(&[&long, &short]);
    assert_eq!((d.verdict, code), (Verdict::NoData, Some(2)), "{}", d.sentence);
    assert!(d.sentence.contains("short.parquet") && d.sentence.contains("too short"), "{}", d.sentence);
    let out = osd(["diff", &long, &short]);
    assert!(text(&out.stdout).starts_with("no data: "), "{}", text(&out.stdout));
}

#[test]
fn a_recording_on_both_sides_and_nonsense_are_errors_with_a_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (synthetic(dir.path(), "a.parquet", 1, 12, 100), synthetic(dir.path(), "b.parquet", 2, 12, 100));
    let check = |args: &[&str], error: &str| {
        let out = osd(["diff"].into_iter().chain(args.iter().copied()));
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(error) && out.stdout.is_empty(), "{args:?}: {said}");
    };
    check(&[&a, &a], "is on both sides");
    check(&[&a, &b, "--fail-on", "cpu:10%"], "`cpu:10%` is no condition");
    check(&[&a, &b, "--threshold", "ten"], "write a share such as 10%");
    check(&[&a], "2");
    check(&["--before", &a], "--after");
    check(&[&a, dir.path().join("none.parquet").to_str().unwrap()], "none.parquet");
    // A page is not replaced unasked.
    let page = dir.path().join("page");
    let page = page.to_str().unwrap();
    assert!(osd(["diff", &a, &b, "--report", page]).status.code().is_some_and(|c| c < 2));
    check(&[&a, &b, "--report", page], "would overwrite");
    assert!(osd(["diff", &a, &b, "--report", page, "--force"]).status.code().is_some_and(|c| c < 2));
}
