//! `osd eval` on a small corpus made here: a day's rhythm on three metrics, with two events in the
//! test part.

use crate::support::{osd, osd_ok, text};
use osd_detect::detector::Make;
use osd_detect::registry;
use std::fmt::Write as _;
use std::path::Path;

fn corpus(dir: &Path) {
    let table = |from: usize, to: usize, event: &dyn Fn(usize) -> f64| {
        let mut out = "cpu,memory,requests\n".to_owned();
        for i in from..to {
            let noise = |k: usize| ((i * 7_919 + k * 104_729) % 1_009) as f64 / 1_009.0;
            let load = 2.0 + (std::f64::consts::TAU * i as f64 / 144.0).sin() + 0.1 * noise(1);
            let requests = 50.0 * load + noise(2) + event(i);
            writeln!(out, "{load:.4},{:.4},{requests:.4}", 100.0 + 3.0 * noise(3)).unwrap();
        }
        out
    };
    let anomalous = |i: usize| (2_000..2_012).contains(&i) || (2_400..2_430).contains(&i);
    let labels: String = (1_440..2_880).map(|i| if anomalous(i) { "1\n" } else { "0\n" }).collect();
    for (part, text) in [
        ("train", table(0, 1_440, &|_| 0.0)),
        ("test", table(1_440, 2_880, &|i| if anomalous(i) { 400.0 * ((i % 3) as f64 - 1.0) } else { 0.0 })),
        ("test_label", labels),
    ] {
        std::fs::create_dir_all(dir.join(part)).unwrap();
        std::fs::write(dir.join(part).join("web.csv"), text).unwrap();
    }
}

/// What is measured without a trained model: a random score, and what the registry has for many metrics.
fn measured() -> Vec<&'static str> {
    let batch = registry::all().filter(|e| matches!(e.make, Make::Batch(_))).map(|e| e.name);
    std::iter::once("random").chain(batch).collect()
}

#[test]
fn measures_a_folder_beside_the_baselines_and_finds_its_events() {
    let dir = tempfile::tempdir().unwrap();
    corpus(dir.path());
    let folder = dir.path().to_str().unwrap();
    let json = osd_ok(["eval", folder, "--interval", "10m", "--format", "json"]);
    let answer: serde_json::Value = serde_json::from_str(&json).unwrap();
    let rows = answer["rows"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|r| r["detector"].as_str().unwrap()).collect();
    assert_eq!(names, measured());
    let of = |name: &str| rows.iter().find(|r| r["detector"] == name).unwrap();
    let (random, ensemble) = (of("random"), of("ensemble"));
    assert_eq!(
        (&ensemble["series"], ensemble["events"].as_u64(), ensemble["points"].as_u64()),
        (&"web".into(), Some(2), Some(1_440))
    );
    assert!(ensemble["vus_pr"].as_f64().unwrap() > 0.8, "{ensemble}");
    assert!(random["vus_pr"].as_f64().unwrap() < 0.2);
    assert_eq!(ensemble["at_threshold"]["event_recall"], 1.0);
    // Point adjustment never comes without that of a random score.
    assert!(ensemble["oracle"]["random_point_adjusted_f1"].is_f64());
    let csv = osd_ok(["eval", folder, "--interval", "10m", "--format", "csv", "--online"]);
    assert_eq!(csv.lines().count(), 1 + measured().len());
    assert!(csv.starts_with("series,detector,points,events,vus_pr,") && csv.contains("affiliation_f1_biased"), "{csv}");
    let table = osd_ok(["eval", folder, "--interval", "10m"]);
    assert!(table.contains("mean                     ensemble") && table.contains("biased upward"), "{table}");
}

#[test]
fn a_detector_in_alarm_from_the_first_to_the_last_point_is_marked_and_fails() {
    let dir = tempfile::tempdir().unwrap();
    corpus(dir.path());
    let folder = dir.path().to_str().unwrap();
    let good = osd(["eval", folder, "--interval", "10m"]);
    assert!(good.status.success() && !text(&good.stdout).contains("FAILS"), "{}", text(&good.stdout));
    // Everything is higher than it was in training, anomalous or not.
    let path = dir.path().join("test/web.csv");
    let raised = std::fs::read_to_string(&path).unwrap().replace(",1", ",9");
    std::fs::write(&path, raised).unwrap();
    let out = osd(["eval", folder, "--interval", "10m"]);
    let table = text(&out.stdout);
    let row = |detector: &str| table.lines().find(|l| l.starts_with("web ") && l.contains(detector)).unwrap();
    assert_eq!(out.status.code(), Some(1), "{table}");
    assert!(row(" l2 ").ends_with("FAILS") && !row(" random ").ends_with("FAILS"), "{table}");
    assert!(table.contains("FAILS: in alarm for 50.0 % of normal time or more"), "{table}");
    let out = osd(["eval", folder, "--interval", "10m", "--format", "csv"]);
    let csv = text(&out.stdout);
    assert!(csv.lines().next().unwrap().contains(",false_alarms_per_hour,false_positive_rate,delay_s,"), "{csv}");
}

#[test]
fn names_with_commas_and_quotes_stay_one_cell_of_csv() {
    let dir = tempfile::tempdir().unwrap();
    corpus(dir.path());
    for part in ["train", "test", "test_label"] {
        let dir = dir.path().join(part);
        std::fs::rename(dir.join("web.csv"), dir.join("web, \"eu\".csv")).unwrap();
    }
    let folder = dir.path().to_str().unwrap();
    let text = osd_ok(["eval", folder, "--interval", "10m", "--format", "csv"]);
    let first = text.lines().nth(1).unwrap();
    assert!(first.starts_with("\"web, \"\"eu\"\"\",random,1440,2,"), "{first}");
}

#[test]
fn a_trained_model_is_measured_beside_the_others() {
    let dir = tempfile::tempdir().unwrap();
    corpus(dir.path());
    let args = ["eval", dir.path().to_str().unwrap(), "--interval", "10m", "--format", "json", "--lstm"];
    // Ends with 1: the model alone is in alarm for half of the time here.
    let run = || osd(args).stdout;
    let first = run();
    let answer: serde_json::Value = serde_json::from_slice(&first).unwrap();
    let rows = answer["rows"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|r| r["detector"].as_str().unwrap()).collect();
    let trained = ["lstm", "lstm-windows", "ensemble+lstm"];
    assert_eq!(names, [measured(), trained.to_vec()].concat());
    let trained = &rows[rows.len() - trained.len()..];
    assert!(trained.iter().all(|r| r["vus_pr"].as_f64().unwrap() > 0.6), "{trained:?}");
    assert_eq!(first, run(), "the seed is fixed");
}

#[test]
fn traces_of_attacked_processes_are_told_from_normal_ones() {
    let dir = tempfile::tempdir().unwrap();
    let write = |folder: &str, name: &str, text: &str| {
        std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        std::fs::write(dir.path().join(folder).join(name), text).unwrap();
    };
    // read, write, poll; attacked ones run the loop backwards and call execve.
    let trace = |length: usize, seed: usize, attacked: bool| {
        let call = |i: usize| match (i * 7_919 + seed * 104_729) % 100 {
            0..5 => 100 + (i * seed) % 40,
            5..10 if attacked => 11,
            _ if attacked => [168, 4, 3][i % 3],
            _ => [3, 4, 168][i % 3],
        };
        (0..length).map(|i| call(i).to_string()).collect::<Vec<_>>().join(" ")
    };
    for i in 0..60 {
        write("Training_Data_Master", &format!("UTD-{i:03}.txt"), &trace(100 + 37 * i, i, false));
        write("Validation_Data_Master", &format!("UVD-{i:03}.txt"), &trace(120 + 31 * i, 1_000 + i, false));
    }
    for i in 0..20 {
        write(
            &format!("Attack_Data_Master/Web_Shell_{}", i % 4),
            &format!("UAD-{i}.txt"),
            &trace(150 + i, 2_000 + i, true),
        );
    }
    let folder = dir.path().to_str().unwrap();
    let table = osd_ok(["eval", folder]);
    assert!(table.starts_with("learnt from 60 traces, tried on 60 normal and 20 attacked ones\n"), "{table}");
    let rows: serde_json::Value = serde_json::from_str(&osd_ok(["eval", folder, "--format", "json"])).unwrap();
    let of = |name: &str| rows["rows"].as_array().unwrap().iter().find(|r| r["detector"] == name).unwrap().clone();
    let ngram = of("ngram 5");
    assert!(
        ngram["auc_roc"].as_f64().unwrap() > 0.99 && ngram["by_attack"]["Web_Shell"].as_f64().unwrap() > 0.99,
        "{ngram}"
    );
    let csv = osd_ok(["eval", folder, "--format", "csv"]);
    assert!(csv.starts_with("detector,auc_roc,auc_pr,oracle_fpr_at_90_tpr,Web_Shell\n"), "{csv}");
    let refused = |args: &[&str]| text(&osd(args).stderr).to_owned();
    assert!(refused(&["eval", folder, "--online"]).contains("--online has no meaning for an evaluation of traces"));
    assert!(refused(&["eval", "adfa-ld", "--datasets", folder]).contains("/ADFA-LD/Training_Data_Master"));
    write("Attack_Data_Master/Web_Shell_0", "UAD-0.txt", "3 four 5");
    assert!(refused(&["eval", folder]).contains("UAD-0.txt:1: `four` is no number of a system call"));
}

#[test]
fn what_is_missing_is_said_with_a_way_to_fix_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let message = |args: &[&str]| {
        let out = osd(args);
        assert_eq!((out.status.code(), out.stdout.len()), (Some(2), 0));
        text(&out.stderr).replace(folder, "DIR")
    };
    assert!(message(&["eval", "DIR"]).starts_with("error: DIR: no such folder\nhint: "));
    assert!(message(&["eval", folder]).starts_with("error: DIR: no layout that is known"));
    assert!(message(&["eval", "smd", "--datasets", folder]).starts_with("error: DIR/SMD: no such folder\nhint: "));
    corpus(dir.path());
    assert_eq!(
        message(&["eval", folder, "--series", "db"]),
        "error: no series is left\nhint: there are 1, such as web\n"
    );
    assert!(message(&["eval", folder, "--false-alarms", "often"]).contains("1/h, 2/d or 1/w"));
    std::fs::remove_file(dir.path().join("train/web.csv")).unwrap();
    assert!(message(&["eval", folder]).starts_with("error: web: no training part\nhint: "));
    corpus(dir.path());
    std::fs::write(dir.path().join("test/web.csv"), "1,2,3\n4,five,6\n").unwrap();
    assert!(
        message(&["eval", folder]).starts_with("error: DIR/test/web.csv:2: field 2 is not a number: `five`\nhint: ")
    );
}

#[test]
fn detectors_are_compared_in_one_table_by_quality_time_and_memory() {
    let (machines, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    corpus(machines.path());
    nab(files.path());
    let (machines, files) = (machines.path().to_str().unwrap(), files.path().to_str().unwrap());
    let args = ["bench", "detectors", machines, files, "--interval", "10m"];
    let answer: serde_json::Value = serde_json::from_str(&osd_ok([&args[..], &["--format", "json"]].concat())).unwrap();
    let rows = answer["rows"].as_array().unwrap();
    let online = registry::all().filter(|e| matches!(e.make, Make::Online(_))).map(|e| e.name);
    let names: Vec<&str> = rows.iter().map(|r| r["detector"].as_str().unwrap()).collect();
    assert_eq!(names, measured().into_iter().chain(online).collect::<Vec<_>>());
    // Quality is what `osd eval` says of the same.
    let eval: serde_json::Value =
        serde_json::from_str(&osd_ok(["eval", machines, "--interval", "10m", "--format", "json"])).unwrap();
    for (row, of_eval) in rows.iter().zip(eval["rows"].as_array().unwrap()) {
        assert_eq!((&row["vus_pr"], &row["auc_pr"]), (&of_eval["vus_pr"], &of_eval["auc_pr"]), "{row}");
    }
    for row in rows {
        assert!(row["score_cpu_s"].as_f64().unwrap() > 0.0 && row["points"].as_u64().unwrap() > 0, "{row}");
        assert_eq!(row["nab_standard"].is_f64(), row["corpus"] == files, "{row}");
    }
    let table = osd_ok([&args[..], &["--only", "ensemble,novelty"]].concat());
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].contains("VUS-PR/AUC-PR") && lines[0].ends_with("peak MiB"), "{table}");
    assert!(lines[1].starts_with("ensemble") && lines[2].starts_with("novelty") && lines[3].is_empty(), "{table}");
    assert!(refused(&["bench", "detectors", machines, "--only", "oracle"]).contains("no detector is called `oracle`"));
    assert!(refused(&["bench", "detectors", machines, "--only", "novelty"]).contains("none of these detectors"));
    assert!(refused(&["bench", "detectors", "smd", "--datasets", machines]).contains("SMD: no such folder"));
}

/// What is said of an evaluation that is none.
fn refused(args: &[&str]) -> String {
    let out = osd(args);
    assert_eq!(out.status.code(), Some(2), "{}", text(&out.stdout));
    text(&out.stderr).to_owned()
}

/// Three series of NAB's layout, two of them with a jump that is labelled.
fn nab(dir: &Path) {
    let mut windows = serde_json::Map::new();
    for (name, jump) in [("a/one.csv", Some(600)), ("a/two.csv", Some(700)), ("b/three.csv", None)] {
        let mut text = "timestamp,value\n".to_owned();
        let time = |i: usize| format!("2026-01-{:02} {:02}:00:00", 1 + i / 24 % 28, i % 24);
        for i in 0..640 {
            let noise = ((i * 7_919) % 1_009) as f64 / 1_009.0;
            let value = noise + if jump.is_some_and(|j| i == j - 200) { 30.0 } else { 0.0 };
            writeln!(text, "{},{value}", time(i)).unwrap();
        }
        let path = dir.join("data").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        let window = jump.map(|j| vec![format!("{}.000000", time(j - 220)), format!("{}.000000", time(j - 150))]);
        windows.insert(name.to_owned(), serde_json::json!(window.into_iter().collect::<Vec<_>>()));
    }
    std::fs::create_dir_all(dir.join("labels")).unwrap();
    std::fs::write(dir.join("labels/combined_windows.json"), serde_json::Value::Object(windows).to_string()).unwrap();
}

#[test]
fn nab_is_measured_with_nothing_chosen_on_the_file_that_is_scored() {
    let dir = tempfile::tempdir().unwrap();
    nab(dir.path());
    let folder = dir.path().to_str().unwrap();
    let answer: serde_json::Value =
        serde_json::from_str(&osd_ok(["eval", folder, "--left-out", "--format", "json"])).unwrap();
    let rows = answer["rows"].as_array().unwrap();
    let of = |how: &str| rows.iter().find(|r| r["how"] == how).unwrap();
    assert_eq!(rows.len(), 6);
    assert_eq!(
        (&of("chosen by all files")["oracle"], &of("chosen by the other files")["oracle"]),
        (&true.into(), &false.into())
    );
    let standard = |how: &str| of(how)["scores"][0].as_f64().unwrap();
    assert!(standard("chosen by the other files") <= standard("chosen by all files"));
    assert!(standard("as used, threshold by the other files") > 50.0, "{answer}");
    assert_eq!(of("chosen by the other files")["files"].as_array().unwrap().len(), 3);
    let table = osd_ok(["eval", folder, "--left-out"]);
    assert!(table.contains("chosen by the other folders ") && table.contains("oracle"), "{table}");
    assert_eq!(osd_ok(["eval", folder, "--left-out", "--format", "csv"]).lines().count(), 7);
    assert!(refused(&["eval", folder, "--left-out", "--series", "one"]).contains("1 files are too few"));
    assert!(
        refused(&["eval", folder, "--left-out", "--false-alarms", "1/d"]).contains("--false-alarms has no meaning")
    );
    let other = tempfile::tempdir().unwrap();
    corpus(other.path());
    assert!(refused(&["eval", other.path().to_str().unwrap(), "--left-out"]).contains("--left-out is for NAB"));
}

#[test]
fn the_component_that_caused_an_issue_is_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    let issue = dir.path().join("busy/test/issue_0");
    let normal = dir.path().join("busy/noissue");
    [&issue, &normal].into_iter().for_each(|d| std::fs::create_dir_all(d).unwrap());
    let table = |rows: usize, since: usize| {
        let mut out = "microservice,web,shop,db\nmetric,latency,latency,latency\nstatistic,Average,Average,Average\nunix_timestamp,,,\n".to_owned();
        for i in 0..rows {
            let slow = if i >= since { 0.5 } else { (i % 5) as f64 * 0.001 };
            writeln!(out, "{},{},{},{}", 300 * i, 0.3 + slow, 0.2 + slow, 0.1 + slow).unwrap();
        }
        out
    };
    std::fs::write(normal.join("metrics.csv"), table(50, 50)).unwrap();
    std::fs::write(issue.join("metrics.csv"), table(5, 2)).unwrap();
    std::fs::write(dir.path().join("busy/graph.csv"), ",web,shop,db\nweb,0,1,0\nshop,0,0,1\ndb,0,0,0\n").unwrap();
    let target = r#"{"target": {"node": "web", "metric": "latency", "timestamp": 600}, "root_cause": {"node": "db"}}"#;
    std::fs::write(issue.join("target.json"), target).unwrap();
    let folder = dir.path().to_str().unwrap();
    let answer: serde_json::Value = serde_json::from_str(&osd_ok(["eval", folder, "--format", "json"])).unwrap();
    let rows = answer["rows"].as_array().unwrap();
    let of = |method: &str| rows.iter().find(|r| r["method"] == method && r["part"] == "test").unwrap();
    assert_eq!(of("own-shift")["found"][0], 1.0, "{answer}");
    assert!((of("chance")["found"][0].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-9);
    assert!(osd_ok(["eval", folder]).contains("own-shift           1    1.000"), "{}", osd_ok(["eval", folder]));
    assert!(osd_ok(["eval", folder, "--format", "csv"]).starts_with("part,method,issues,first_1,first_3,first_5\n"));
    assert!(
        refused(&["eval", folder, "--online"]).contains("--online has no meaning for an evaluation of root causes")
    );
    std::fs::write(issue.join("target.json"), "{").unwrap();
    assert!(refused(&["eval", folder]).contains("target.json: not where the symptom and its cause are"));
    assert!(refused(&["eval", "petshop", "--datasets", "/nowhere"]).contains("/nowhere/PetShop: no such folder"));
}
