//! `osd relations`: a relation that a live fault breaks is found, with the metric that broke it,
//! the time and the move; recordings that do not fit are told.

use crate::live::workload;
use crate::support::{alone, may_record, osd, osd_ok, record, text};
use osd_findings::{BrokenBy, Relations};
use osd_synth::Synth;
use std::path::Path;

fn check(args: &[&str]) -> (Relations, Option<i32>) {
    let out = osd(["relations", "check", "--format", "json"].into_iter().chain(args.iter().copied()));
    let found = serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&out.stderr)));
    (found, out.status.code())
}

#[test]
fn cpu_that_no_longer_follows_calls_is_found_live_and_a_quiet_run_is_not() {
    let test = "cpu_that_no_longer_follows_calls_is_found_live_and_a_quiet_run_is_not";
    let Some(workload) = workload().filter(|_| may_record(test)) else { return };
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    let run = |name: &str, seed: &str, faults: &[&str]| {
        let path = dir.path().join(name);
        let mut command = vec![workload.to_str().unwrap(), "--duration", "120s", "--wave", "0.5", "--seed", seed];
        command.extend(faults);
        record(&path, &[], &command);
        path.to_str().unwrap().to_owned()
    };
    let runs = [("n1.parquet", "71", &[][..]), ("n2.parquet", "72", &[]), ("quiet.parquet", "73", &[])];
    let bad = ("bad.parquet", "74", &["--fault", "cpu_burn@60s+20s"][..]);
    let paths: Vec<String> = std::thread::scope(|scope| {
        let all: Vec<_> = runs.iter().chain([&bad]).map(|(n, s, f)| scope.spawn(|| run(n, s, f))).collect();
        all.into_iter().map(|r| r.join().unwrap()).collect()
    });
    let model = dir.path().join("model");
    let model = model.to_str().unwrap();
    let said = osd_ok(["relations", "fit", &paths[0], &paths[1], "-o", model]);
    assert!(said.contains("net_rx and net_tx") && said.contains("group"), "{said}");
    let again = osd(["relations", "fit", &paths[0], "-o", model]);
    assert!(again.status.code() == Some(2) && text(&again.stderr).contains("--force"), "{}", text(&again.stderr));

    let page = dir.path().join("page");
    let (found, code) = check(&["-m", model, &paths[3], "--report", page.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{}", found.sentence);
    let since = |ns: i64| (ns - found.start_ns) as f64 / 1e9;
    let of_fault = found.episodes.iter().find(|e| since(e.start_ns) < 75.0 && since(e.end_ns) > 65.0);
    let e = of_fault.unwrap_or_else(|| panic!("{:?}", found.episodes.iter().map(|e| &e.sentence).collect::<Vec<_>>()));
    assert_eq!((e.by, e.metrics[0].metric.as_str()), (BrokenBy::Pairs, "cpu"), "{}", e.sentence);
    assert!(since(e.start_ns) > 55.0 && since(e.end_ns) < 100.0 && e.severity > 1.3, "{}", e.sentence);
    let first = &e.pairs[0];
    assert!(first.a == "cpu" && first.transition.to.0 > first.transition.from.0, "{first:?}");
    assert!((55.0..82.0).contains(&since(first.transition.ts_ns)) && !first.path.is_empty());
    for file in ["index.html", "relations.png", "relations.svg", "relations.json"] {
        assert!(page.join(file).metadata().unwrap().len() > 1_000, "{file}");
    }
    let written: Relations = serde_json::from_slice(&std::fs::read(page.join("relations.json")).unwrap()).unwrap();
    assert_eq!(written, found);
    let words = osd(["relations", "check", "-m", model, &paths[3]]);
    assert!(
        text(&words.stdout).contains("cpu broke ") && text(&words.stdout).contains(" -> "),
        "{}",
        text(&words.stdout)
    );

    let (quiet, code) = check(&["-m", model, &paths[2]]);
    let pairs: Vec<&str> = quiet
        .episodes
        .iter()
        .filter(|e| e.by == BrokenBy::Pairs && e.severity > 1.5)
        .map(|e| e.sentence.as_str())
        .collect();
    assert!(pairs.is_empty() && code.is_some_and(|c| c < 2), "{pairs:?}");

    // Two runs as members of one system, on one clock.
    let together = dir.path().join("together");
    let together = together.to_str().unwrap();
    let (web, db) = (format!("web={}", paths[0]), format!("db={}", paths[1]));
    osd_ok(["relations", "fit", "--member", &web, "--member", &db, "-o", together]);
    let broken = format!("db={}", paths[3]);
    let (found, code) = check(&["-m", together, "--member", &web, "--member", &broken]);
    assert_eq!(code, Some(1), "{}", found.sentence);
    assert!(found.metrics.iter().any(|m| m.name == "web.cpu") && found.metrics.iter().any(|m| m.name == "db.cpu"));
    assert!(found.episodes.iter().any(|e| e.metrics.iter().any(|m| m.metric == "db.cpu")), "{}", found.sentence);
}

fn synthetic(dir: &Path, name: &str, seed: u64, duration_s: u32, interval_ms: u32) -> String {
    let path = dir.join(name);
    Synth { seed, duration_s, interval_ms, syscalls_per_s: 500, fault_s: None, host: "here".into() }
        .write(&path)
        .unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn what_does_not_fit_is_told_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let long = synthetic(dir.path(), "long.parquet", 1, 240, 100);
    let coarse = synthetic(dir.path(), "coarse.parquet", 2, 240, 2_000);
    let short = synthetic(dir.path(), "short.parquet", 3, 3, 100);
    let model = dir.path().join("model");
    let model = model.to_str().unwrap();
    let says = |args: &[&str], error: &str, hint: &str| {
        let out = osd(["relations"].into_iter().chain(args.iter().copied()));
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(error) && said.contains(hint) && out.stdout.is_empty(), "{args:?}: {said}");
    };
    says(&["fit", &short, "-o", model], "too few to learn relations from", "hint: name more or longer recordings");
    says(
        &["fit", &coarse, &long, "--step", "1s", "-o", model],
        "an interval of 2 s is longer than the 1 s",
        "--step 2s",
    );
    says(&["fit", "--member", &long, "-o", model], "names no member", "--member NAME=FILE");
    says(&["check", "-m", model, &long], "cannot read", "osd relations fit");
    osd_ok(["relations", "fit", &long, "--step", "1s", "-o", model]);
    says(&["check", "-m", model, &coarse], "an interval of 2 s is longer than the 1 s", "learn with --step 2s");
    let renamed = format!("web={long}");
    says(
        &["check", "-m", model, "--member", &renamed],
        "have no two metrics whose relation",
        "as they were named in `fit`",
    );
    // Too short for a move is no error of a file, and no pass.
    let (found, code) = check(&["-m", model, &synthetic(dir.path(), "one.parquet", 4, 1, 1_000)]);
    assert_eq!(code, Some(2), "{found:?}");
    assert!(found.sentence.starts_with("nothing could be judged"), "{}", found.sentence);
    // The same twice is the same, to the byte.
    let once = || osd(["relations", "check", "-m", model, &long, "--format", "json"]).stdout;
    assert_eq!(once(), once());
    // Another version, and no model at all.
    let file = Path::new(model).join("relations.json");
    let whole = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, whole.replacen("\"osd_relations\": 1", "\"osd_relations\": 9", 1)).unwrap();
    says(
        &["check", "-m", model, &long],
        "a model of version 9, and this osd reads version 1",
        "learn the relations again",
    );
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    says(&["check", "-m", model, &long], "no model of relations", "osd relations fit -o DIR");
}
