//! `osd score` and `osd analyze --model`, with a model that learns in a second
//! (`osd_lstm::Reservoir`).

use crate::record::Place;
use crate::script::{Act, Actor, Script};
use crate::support::{osd, record, targets, text};
use osd_findings::Findings;
use osd_lstm::{Learner, Reservoir};
use osd_model::prepare::{Shape, prepare};
use osd_model::{Model, features};
use osd_recording::Recording;
use osd_synth::{START_NS, Synth};
use std::fs;
use std::path::{Path, PathBuf};

/// A folder with a model of quiet recordings in `model`, a faulty one in `run.parquet` and a quiet one in `quiet.parquet`.
pub(crate) fn scene() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, seed: u64, fault_s| {
        let path = dir.path().join(name);
        Synth { seed, fault_s, syscalls_per_s: 300, ..Synth::default() }.write(&path).unwrap();
        Recording::open(&path).unwrap()
    };
    let normal: Vec<Recording> = (11..14).map(|seed| write(&format!("normal{seed}.parquet"), seed, None)).collect();
    let seen = features::named(&features::DEFAULT).unwrap();
    let prepared = prepare(&normal, &seen, Shape::default()).unwrap();
    let reservoir = Reservoir { layers: 2, ..Reservoir::default() };
    let lstm = reservoir.learn(&prepared.training, &prepared.validation, seen.len()).unwrap();
    let model = Model::new(lstm, &prepared, 1).unwrap();
    model.save(&dir.path().join("model"), &serde_json::json!({}), &[], false).unwrap();
    write("run.parquet", 1, Some((60, 66)));
    write("quiet.parquet", 20, None);
    dir
}

fn run(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let args: Vec<PathBuf> = args
        .iter()
        .map(|a| if Path::new(a).extension().is_some() || *a == "model" { dir.join(a) } else { PathBuf::from(a) })
        .collect();
    let out = osd(args);
    (out.status.code().unwrap(), text(&out.stdout).to_owned(), text(&out.stderr).to_owned())
}

#[test]
fn scores_find_the_fault_and_nothing_in_a_quiet_run() {
    let dir = scene();
    let (code, out, err) = run(dir.path(), &["score", "-m", "model", "run.parquet", "--format", "json"]);
    assert_eq!((code, err.as_str()), (1, ""), "{out}");
    let found: serde_json::Value = serde_json::from_str(&out).unwrap();
    let alarms = found["alarms"].as_array().unwrap();
    assert_eq!(alarms.len(), 1, "{out}");
    let seconds = |key: &str| (alarms[0][key].as_i64().unwrap() - START_NS) as f64 / 1e9;
    assert!((57.0..62.0).contains(&seconds("start_ns")) && (64.0..70.0).contains(&seconds("end_ns")), "{out}");
    assert_eq!(found["recording_id"].as_str().unwrap().len(), 32);
    let (code, out, err) = run(dir.path(), &["score", "-m", "model", "quiet.parquet"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.starts_with("nothing unusual in 120.0 s (threshold ") && out.contains("the first 8.0 s"), "{out}");
}

#[test]
fn each_format_holds_the_alarms_and_the_file_every_score() {
    let dir = scene();
    let args = ["score", "-m", "model", "run.parquet", "-o", "scores.parquet"];
    let (code, out, err) = run(dir.path(), &args);
    assert_eq!(code, 1);
    assert!(out.starts_with("1 alarm in ") && out.lines().count() == 2 && err.starts_with("scores: "), "{out}{err}");
    let before = fs::read(dir.path().join("scores.parquet")).unwrap();
    let (code, out, err) = run(dir.path(), &args);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("scores.parquet exists already\nhint: choose another name, or pass --force"), "{err}");
    let (code, ..) = run(dir.path(), &[&args[..], &["--force", "--online"]].concat());
    assert_eq!(code, 1);
    assert_ne!(fs::read(dir.path().join("scores.parquet")).unwrap(), before);
    let (_, csv, _) = run(dir.path(), &["score", "-m", "model", "run.parquet", "--format", "csv"]);
    let (_, ndjson, _) = run(dir.path(), &["score", "-m", "model", "run.parquet", "--format", "ndjson"]);
    assert_eq!((csv.lines().count(), ndjson.lines().count()), (2, 1));
    let again = run(dir.path(), &["score", "-m", "model", "run.parquet", "--format", "csv"]);
    assert_eq!(again.1, csv, "the same recording and model give the same bytes");
}

/// Scores beside the recording that they are of, and alone; the name has what would be a pattern.
#[test]
fn scores_are_a_table_of_sql() {
    let dir = scene();
    let score = |recording: &str, to: &str| run(dir.path(), &["score", "-m", "model", recording, "-o", to]).0;
    assert_eq!((score("run.parquet", "of [run]*.parquet"), score("quiet.parquet", "quiet-scores.parquet")), (1, 0));
    let sql = |files: &[&str], statement: &str| {
        let files = files.iter().map(|f| dir.path().join(f));
        let arguments =
            [PathBuf::from("sql")].into_iter().chain(files).chain([statement, "--format", "csv"].map(Into::into));
        let done = osd(arguments);
        assert!(done.status.success(), "{}", text(&done.stderr));
        let out = text(&done.stdout);
        out.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    let each = "SELECT recording, count(*), max(CAST(anomalous AS INT)) AS any FROM scores GROUP BY 1 ORDER BY any";
    let found = sql(&["run.parquet", "of [run]*.parquet", "quiet.parquet", "quiet-scores.parquet"], each);
    let ends = |row: &String, end: &str| row.ends_with(end);
    assert!(
        found.len() == 2 && ends(&found[0], "/quiet.parquet,1200,0") && ends(&found[1], "/run.parquet,1200,1"),
        "{found:?}"
    );
    let alone = sql(&["of [run]*.parquet"], each);
    let id: serde_json::Value =
        serde_json::from_str(&run(dir.path(), &["info", "run.parquet", "--format", "json"]).1).unwrap();
    assert!(
        alone.len() == 1 && alone[0].starts_with(&format!("{},", id["recording_id"].as_str().unwrap())),
        "{alone:?}"
    );
    let strange = "SELECT count(*) FROM scores s JOIN samples p ON time_bucket('1s', s.ts) = time_bucket('1s', p.ts) \
                   WHERE s.anomalous AND s.recording = p.recording";
    let joined = sql(&["run.parquet", "of [run]*.parquet"], strange);
    assert!(joined[0].parse::<u64>().unwrap() > 0, "{joined:?}");
    assert_eq!(sql(&["of [run]*.parquet"], "SELECT count(*) FROM samples"), ["0"]);
}

#[test]
fn recordings_with_labels_say_how_good_each_command_is() {
    let dir = scene();
    let args = ["eval", "run.parquet", "quiet.parquet", "--model", "model"];
    let (code, json, err) = run(dir.path(), &[&args[..], &["--format", "json"]].concat());
    assert_eq!((code, err.as_str()), (0, ""), "{json}");
    let answer: serde_json::Value = serde_json::from_str(&json).unwrap();
    let judges = answer["judges"].as_array().unwrap();
    let names: Vec<&str> = judges.iter().map(|j| j["judge"].as_str().unwrap()).collect();
    assert_eq!(names, ["analyze", "score", "score --online", "analyze --model"]);
    for judge in judges {
        assert_eq!(
            (&judge["all"]["n"], &judge["all"]["found"], &judge["false_alarms"]),
            (&1.into(), &1.into(), &0.into())
        );
        assert!(judge["all"]["delay_max_s"].as_f64().unwrap() < 3.0, "{judge}");
        // Two minutes twice, without the fault and what each needs to warm up.
        assert!((0.05..0.066).contains(&judge["quiet_hours"].as_f64().unwrap()), "{judge}");
    }
    assert_eq!(judges[0]["all"]["called"], serde_json::json!({ "fsync storm": 1 }));
    let (_, csv, _) = run(dir.path(), &[&args[..3], &["--format", "csv"]].concat());
    assert_eq!(csv.lines().count(), 3, "without a model one command, its one label and the sum:\n{csv}");
    let (_, table, _) = run(dir.path(), &args);
    assert!(table.starts_with("2 recordings, 1 label, ") && table.contains("false alarms an hour"), "{table}");
    let (code, _, err) = run(dir.path(), &["eval", "run.parquet", "--half", "even"]);
    assert!(code == 2 && err.contains("--half has no meaning for an evaluation of recordings\nhint: "), "{err}");
}

#[test]
fn the_model_judges_and_the_page_shows_its_score() {
    let dir = scene();
    let (code, out, err) =
        run(dir.path(), &["analyze", "run.parquet", "--model", "model", "--format", "json", "--report"]);
    assert_eq!(code, 1, "{err}");
    let findings: Findings = serde_json::from_str(&out).unwrap();
    assert_eq!(findings.windows.len(), 1, "{:#?}", findings.windows);
    let w = &findings.windows[0];
    let at = |s: i64| START_NS + s * 1_000_000_000;
    assert!((w.start_ns - at(60)).abs() <= 300_000_000 && (w.end_ns - at(66)).abs() <= 300_000_000, "{w:#?}");
    assert_eq!(w.pattern, "fsync storm");
    assert!(w.confidence > 0.9 && w.severity > 1.0, "{w:#?}");
    assert!(findings.detector.name.starts_with("LSTM forecast (cpu, rss,"), "{}", findings.detector.name);
    let series = |name: &str| &findings.series.iter().find(|s| s.metric == name).unwrap().values;
    let (score, threshold) = (series("model_score"), series("model_threshold"));
    assert!(score[..80].iter().all(Option::is_none), "the model warms up");
    assert!(score[630] > threshold[630] && score[300] < threshold[300]);
    let page = fs::read_to_string(dir.path().join("run-report/index.html")).unwrap();
    assert!(page.contains("Strangeness to the model") && page.contains("fsync storm"));
    let (code, out, _) = run(dir.path(), &["analyze", "quiet.parquet", "--model", "model", "--format", "ndjson"]);
    assert_eq!((code, out.as_str()), (0, ""));
}

/// Lets `spoil` change the model, and expects both commands to refuse it with one line and a hint.
fn refused(dir: &Path, spoil: impl Fn(&Path), wanted: &str) {
    let model = dir.join("model");
    let keep: Vec<(PathBuf, Vec<u8>)> =
        fs::read_dir(&model).unwrap().map(|e| e.unwrap().path()).map(|p| (p.clone(), fs::read(p).unwrap())).collect();
    spoil(&model);
    for command in [&["score", "-m", "model", "run.parquet"][..], &["analyze", "run.parquet", "-m", "model"]] {
        let (code, out, err) = run(dir, command);
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        assert!(err.starts_with("error: ") && err.contains(wanted) && err.contains("\nhint: "), "{err}");
        assert_eq!(err.lines().count(), 2, "{err}");
    }
    keep.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
}

#[test]
fn broken_models_are_refused_with_one_line_and_a_hint() {
    let dir = scene();
    let weights = |path: &Path| fs::read(path.join("model.safetensors")).unwrap();
    refused(
        dir.path(),
        |m| fs::write(m.join("model.safetensors"), &weights(m)[..1_000]).unwrap(),
        "model.safetensors: no whole safetensors file",
    );
    refused(
        dir.path(),
        |m| {
            let mut bytes = weights(m);
            let at = bytes.len() - 4;
            bytes[at..].copy_from_slice(&f32::NAN.to_le_bytes());
            fs::write(m.join("model.safetensors"), bytes).unwrap();
        },
        "holds a value that is not a finite number",
    );
    refused(
        dir.path(),
        |m| fs::write(m.join("config.json"), "{\"format_version\": 3}").unwrap(),
        "model: model format v3 is newer than this osd reads (v2)",
    );
    refused(
        dir.path(),
        |m| fs::write(m.join("config.json"), "{\"format_version\": 1}").unwrap(),
        "model: model format v1 is of an older osd, and this one reads v2",
    );
    refused(dir.path(), |m| fs::write(m.join("config.json"), "{}").unwrap(), "has no format_version");
    let (code, _, err) = run(dir.path(), &["score", "-m", "run.parquet", "run.parquet"]);
    assert!(code == 2 && err.contains("is not a model: it is a file"), "{err}");
    let (code, _, err) = run(dir.path(), &["score", "-m", "nowhere.dir", "run.parquet"]);
    assert!(code == 2 && err.contains("cannot open") && err.contains("\nhint: "), "{err}");
}

#[test]
fn recordings_that_do_not_fit_the_model_are_refused() {
    let dir = scene();
    let check = |synth: Synth, wanted: &str| {
        synth.write(dir.path().join("other.parquet")).unwrap();
        let (code, out, err) = run(dir.path(), &["score", "-m", "model", "other.parquet"]);
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        assert!(err.contains(wanted) && err.contains("\nhint: "), "{err}");
    };
    let quiet = Synth { fault_s: None, syscalls_per_s: 50, ..Synth::default() };
    check(
        Synth { interval_ms: 250, ..quiet.clone() },
        "has a sample every 250 ms, and the model wants one every 100 ms",
    );
    check(Synth { duration_s: 5, ..quiet }, "has 50 whole intervals, and 81 are needed");
}

/// Options of `osd record`, and what the refusal and its hint must hold.
#[test]
fn what_a_recording_lacks_is_told_by_its_reason() {
    let dir = scene();
    let refused = |wanted: &str, hint: &str| {
        let (code, out, err) = run(dir.path(), &["score", "-m", "model", "other.parquet"]);
        assert_eq!((code, out.as_str(), err.lines().count()), (2, "", 2), "{err}");
        let (error, said) = err.split_once("\nhint: ").unwrap();
        assert!(error.contains(wanted) && said.contains(hint), "{err}");
        assert!(said.contains("or train a model without `"), "{err}");
    };
    let path = dir.path().join("other.parquet");
    let actor = || Actor::new(7, "one", 0.0..20.0, vec![Act::new("read", 100.0, 0.0..20.0)]);
    Script {
        about: |m| {
            m.syscalls = "off".into();
            m.families[0].attach = "off".into();
        },
        sample: |s| s.unseen.syscalls = true,
        ..Script::new(20.0, vec![actor()])
    }
    .write(&path);
    refused("has no `syscalls`: it was recorded with `--syscalls off`", "record again without `--syscalls off`");
    Script {
        about: |m| m.families[1].attach = "off".into(),
        sample: |s| s.unseen.network = true,
        ..Script::new(20.0, vec![actor()])
    }
    .write(&path);
    refused("has no `net_rx`: the kernel it was recorded on has no probes of the network", "osd doctor");
    let Some(_place) = Place::new("what_a_recording_lacks_is_told_by_its_reason") else { return };
    let target = targets().to_str().unwrap();
    record(&path, &["--syscalls", "off"], &[target, "burn", "1"]);
    refused("has no `syscalls`: it was recorded with `--syscalls off`", "record again without `--syscalls off`");
    record(&path, &["--backend", "proc"], &[target, "burn", "1"]);
    refused("it was recorded from /proc, without eBPF", "record with eBPF");
}

#[test]
fn a_recording_too_short_for_open_files_says_that() {
    let Some(place) = Place::new("a_recording_too_short_for_open_files_says_that") else { return };
    let dir = place.dir.path();
    let normal: Vec<Recording> = (11..14)
        .map(|seed| {
            let path = dir.join(format!("{seed}.parquet"));
            Synth { seed, fault_s: None, syscalls_per_s: 50, ..Synth::default() }.write(&path).unwrap();
            Recording::open(&path).unwrap()
        })
        .collect();
    let seen = features::named(&["cpu", "rss", "fds"]).unwrap();
    let prepared = prepare(&normal, &seen, Shape::default()).unwrap();
    let lstm = Reservoir::default().learn(&prepared.training, &prepared.validation, seen.len()).unwrap();
    Model::new(lstm, &prepared, 1).unwrap().save(&dir.join("model"), &serde_json::json!({}), &[], false).unwrap();
    record(&place.path(), &[], &["true"]);
    let (code, _, err) = run(dir, &["score", "-m", "model", "r.parquet"]);
    assert_eq!(code, 2, "{err}");
    assert!(
        err.contains("has no `fds`: it is too short: open files are counted at the end of a whole interval"),
        "{err}"
    );
    assert!(err.contains("\nhint: record for longer, or train a model without `fds`"), "{err}");
}

#[test]
fn the_notebook_gets_the_same_forecasts() {
    let Some(python) = std::env::var_os("OSD_PYTHON") else {
        assert!(std::env::var_os("CI").is_none(), "OSD_PYTHON is not set; `make test` sets it");
        eprintln!("SKIPPED the_notebook_gets_the_same_forecasts: OSD_PYTHON is not set (`make test` sets it)");
        return;
    };
    let dir = scene();
    assert_eq!(run(dir.path(), &["score", "-m", "model", "run.parquet", "-o", "scores.parquet"]).0, 1);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = std::process::Command::new(python)
        .arg(root.join("scripts/run-notebook.py"))
        .arg(root.join("notebooks/02-model-in-pytorch.ipynb"))
        .envs([("OSD_MODEL", dir.path().join("model")), ("OSD_SCORES", dir.path().join("scores.parquet"))])
        .output()
        .unwrap();
    let said = text(&out.stdout);
    assert!(out.status.success(), "{said}{}", text(&out.stderr));
    // Which of torch and NumPy it was is part of what it says.
    assert!(said.contains("1199 forecasts, largest difference "), "{said}");
    eprintln!("{}", said.lines().last().unwrap_or_default());
}
