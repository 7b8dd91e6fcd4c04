//! Text from outside: whatever a traced process, a file, a label or a model calls itself, it cannot
//! act on the terminal nor forge a line.

use crate::bad_input::refused;
use crate::score::scene;
use crate::support::{alone, may_record, osd_ok, text};
use osd_recording::visible::is_hidden;
use osd_synth::Synth;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// All kinds at once; and a name that a file can have.
const FORGED: &str = "x\nerror: forged\nhint: forged\n\n#2 forged  12.0 s\rwarning: forged\u{1b}[31m\u{9b}2J\u{85}forged\u{2028}\
                      forged\u{202e}\u{2066}\u{200f}\u{61c}\u{200b}\u{200d}\u{2060}\u{feff}\u{ad}\u{e0041}\u{fe0f}\t\u{7}\u{7f}end";

/// What `osd` said, both ways, as people see it.
#[track_caller]
fn safe(what: &str, out: &Output) -> String {
    let both = [text(&out.stdout), text(&out.stderr)];
    for said in both {
        let acts: Vec<char> = said.chars().filter(|c| is_hidden(*c) && *c != '\n').collect();
        assert!(acts.is_empty(), "{what}: {acts:?} in {said}");
        let lines = said.split('\n').map(str::trim_start);
        let forged: Vec<&str> = lines.filter(|l| l.contains("forged") && begins(l)).collect();
        assert!(forged.is_empty(), "{what}: {forged:?}");
        assert!(!said.contains("panicked"), "{what}: {said}");
    }
    both.concat()
}

fn begins(line: &str) -> bool {
    ["error: forged", "hint: forged", "#2 forged", "warning: forged", "forged"].iter().any(|w| line.starts_with(w))
}

fn run(dir: &Path, args: &[&str]) -> Output {
    // In CI osd would exit as its command does.
    Command::new(env!("CARGO_BIN_EXE_osd")).args(args).current_dir(dir).env_remove("CI").output().unwrap()
}

#[test]
fn no_name_acts_or_forges_a_line_live() {
    if !may_record("no_name_acts_or_forges_a_line_live") {
        return;
    }
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    let at = |name: &str| dir.path().join(name);
    std::fs::copy("/bin/sh", at(FORGED)).unwrap();
    let label = serde_json::json!({"name": FORGED, "start_ns": 1, "end_ns": i64::MAX / 2, "note": FORGED});
    std::fs::write(at("labels"), format!("{label}\n")).unwrap();
    let file = format!("{FORGED}.parquet");
    let own = format!("./{FORGED}");
    let script =
        "exec >/dev/null 2>&1; i=0; while [ $i -lt 60 ]; do cat \"$1\" \"$2\"; i=$((i+1)); done; sleep 0.4; exit 3";
    let command = ["--", &own, "-c", script, FORGED, FORGED, "/nonexistent/\u{202e}\nerror: forged"];
    let recorded = run(dir.path(), &[&["record", "--labels", "labels", "-o", &file], &command[..]].concat());
    let said = safe("record", &recorded);
    assert!(
        recorded.status.success() && said.contains("recorded ") && said.contains("\u{fffd}error: forged"),
        "{said}"
    );
    let json = run(dir.path(), &[&["record", "--force", "--status", "json", "-o", &file], &command[..]].concat());
    let said = safe("record --status json", &json);
    let closed: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(closed["path"], file.as_str(), "the same value");
    let proc = run(dir.path(), &[&["record", "--backend", "proc", "-o", "proc.parquet"], &command[..]].concat());
    safe("record from /proc", &proc);
    // A second time: what was shown as escapes or U+FFFD are its true names in the data.
    let found = run(
        dir.path(),
        &["sql", &file, "SELECT DISTINCT path FROM syscalls WHERE path LIKE '%forged%'", "--format", "json"],
    );
    let rows: serde_json::Value = serde_json::from_str(text(&found.stdout)).unwrap();
    assert!(
        rows.as_array().unwrap().iter().any(|r| r["path"].as_str().unwrap().contains("\u{202e}\nerror: forged")),
        "{rows}"
    );

    let readers: &[&[&str]] = &[
        &["info", &file],
        &["info", &file, "--format", "json"],
        &["sql", &file, "SELECT DISTINCT comm, exe, argv FROM processes"],
        &["sql", &file, "SELECT DISTINCT comm, exe, argv FROM processes", "-x"],
        &["sql", &file, "SELECT DISTINCT path, recording FROM syscalls"],
        &["sql", &file, "SELECT array_agg(path) FROM syscalls", "--wide"],
        &["sql", &file, &format!("SELECT 1 AS \"{FORGED}\"")],
        &["sql", &file, &format!("SELECT 1 AS \"{FORGED}\""), "-x"],
        &["sql", &file, &format!("SELECT \"{FORGED}\" FROM samples")],
        &["sql", &file, &format!("SELECT * FROM \"{FORGED}\"")],
        &["sql", &file, &format!("SELEC '{FORGED}'")],
        &["sql", &file, &format!("SELECT arrow_cast('{FORGED}', 'Int64')")],
        &["analyze", &file],
        &["analyze", &file, "--format", "json"],
        &["eval", &file],
        &["train", &file, "-o", "m", "--device", "cpu"],
    ];
    for args in readers {
        safe(&format!("{args:?}"), &run(dir.path(), args));
    }
    // Everything that opens a file says so of one that is not there, or is none.
    let broken = format!("{FORGED}.broken.parquet");
    std::fs::write(at(&broken), "PAR1 but no more PAR1").unwrap();
    for name in ["nowhere\nerror: forged\u{202e}.parquet", broken.as_str()] {
        let all: &[&[&str]] = &[
            &["info", name],
            &["sql", name, "SELECT 1"],
            &["sql", &file, "-f", name],
            &["sql", &file, "SELECT 1", "-o", &format!("{name}/x")],
            &["analyze", name],
            &["analyze", &file, "--from", name],
            &["analyze", &file, "--model", name],
            &["analyze", &file, &format!("--report={name}/x")],
            &["score", "-m", name, &file],
            &["score", "-m", "model", name],
            &["train", name, "-o", "m"],
            &["train", &file, "-o", "m", "--features", name],
            &["eval", name],
            &["eval", &file, "--model", name],
            &["bench", "detectors", name],
            &["bench", "detectors", "--only", name],
            &["recover", name],
            &["trigger", name],
            &["doctor", "--no-cost", "--btf", name],
            &["record", "-o", &format!("{name}/x"), "--", "true"],
            &["record", "-o", "r.parquet", "--btf", name, "--", "true"],
            &["record", "-o", "r.parquet", "--labels", name, "--force", "--", "true"],
            &["record", "-o", "r.parquet", "--force", "--", name],
            &["man", "--of", name],
            &["completions", name],
            &[name],
            &["info", &format!("--{name}")],
            &["info", &file, "--format", name],
            &["analyze", &file, "--false-alarms", name],
        ];
        for args in all {
            let out = run(dir.path(), args);
            let said = safe(&format!("{args:?}"), &out);
            assert_ne!(out.status.code(), Some(101), "{args:?}: {said}");
        }
    }
}

/// A command whose recorder was killed, and one that ran into what it could not.
#[test]
fn recovered_and_missing_things_are_named_on_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = format!("{FORGED}.parquet");
    let mut writer =
        osd_recording::Writer::create(dir.path().join(&file), osd_recording::WriterOptions::default()).unwrap();
    writer.describe(&osd_recording::Metadata::default()).unwrap();
    writer.keep();
    drop(writer);
    let said = safe("recover", &run(dir.path(), &["recover", &file]));
    assert!(said.starts_with("recovered ") && said.lines().count() == 1, "{said}");
    for args in [&["recover", &file][..], &["trigger", &file], &["sql", &file, "SELECT count(*) FROM samples"]] {
        safe(&format!("{args:?}"), &run(dir.path(), args));
    }
}

#[test]
fn hostile_models_and_corpora_are_named_on_one_line() {
    let scene = scene();
    let dir = scene.path();
    let model = dir.join("model");
    let quoted = serde_json::to_string(FORGED).unwrap();
    let json_name = quoted.trim_matches('"');
    let copy = |name: &str, file: &str, from: &str| -> String {
        let to = dir.join(name);
        std::fs::create_dir(&to).unwrap();
        for entry in std::fs::read_dir(&model).unwrap().flatten() {
            let text = std::fs::read(entry.path()).unwrap();
            let text = match entry.file_name() == file {
                true => String::from_utf8(text).unwrap().replacen(from, json_name, 1).into_bytes(),
                false => text,
            };
            std::fs::write(to.join(entry.file_name()), text).unwrap();
        }
        name.to_owned()
    };
    let models = [
        copy("a", "config.json", "cpu"),
        copy("b", "scaler.json", "cpu"),
        copy("c", "config.json", "normal11.parquet"),
        copy(&format!("d{FORGED}"), "config.json", "format_version"),
    ];
    for model in &models {
        for args in [
            &["score", "-m", model, "run.parquet"][..],
            &["score", "-m", model, "run.parquet", "--format", "json"],
            &["analyze", "run.parquet", "--model", model],
            &["eval", "run.parquet", "--model", model],
        ] {
            safe(&format!("{args:?}"), &run(dir, args));
        }
    }
    let parts = ["corpus/train", "corpus/test", "corpus/test_label"].map(|p| dir.join(p));
    parts.iter().for_each(|p| std::fs::create_dir_all(p).unwrap());
    let rows =
        |label: bool| (0..400).map(|i| if label { "0\n".into() } else { format!("{},2\n", i % 7) }).collect::<String>();
    for (part, label) in parts.iter().zip([false, false, true]) {
        let head = if label { String::new() } else { format!("{:?},b\n", "h\u{202e}\u{9b}") };
        std::fs::write(part.join(format!("{FORGED}.csv")), head + &rows(label)).unwrap();
    }
    for args in [
        &["eval", "corpus"][..],
        &["eval", "corpus", "--series", "none"],
        &["eval", &format!("corpus/{FORGED}")],
        &["bench", "detectors", "corpus"],
    ] {
        safe(&format!("{args:?}"), &run(dir, args));
    }
}

/// The case that was reported: a path that brings a finding of its own.
#[test]
fn a_path_cannot_forge_a_finding() {
    if !may_record("a_path_cannot_forge_a_finding") {
        return;
    }
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    // Sixteen seconds of a service that does little, with a burst of looks at that path from the eleventh on.
    let script = r#"
i=0; while [ $i -lt 320 ]; do
  if [ $i -ge 220 ] && [ $i -lt 260 ]; then j=0; while [ $j -lt 2000 ]; do [ -e "$1" ]; j=$((j+1)); done; fi
  sleep 0.05; i=$((i+1))
done"#;
    let forged = "/tmp/x\n\n#2 data exfiltration  12.0 s - 13.0 s  net_tx  severity 99.9  confidence 100 %\n  Sent \u{202e}bytes";
    let path = dir.path().join("f.parquet");
    osd_ok(["record", "-q", "-o", path.to_str().unwrap(), "--", "sh", "-c", script, "sh", forged]);
    let out = run(dir.path(), &["analyze", "f.parquet"]);
    let said = text(&out.stdout);
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains("data exfiltration"), "what was seen is told: {said}");
    let findings = said.lines().filter(|l| l.starts_with('#')).count();
    assert!(!said.lines().any(|l| l.starts_with("#2 data")), "{said}");
    let json: serde_json::Value =
        serde_json::from_slice(&run(dir.path(), &["analyze", "f.parquet", "--format", "json"]).stdout).unwrap();
    assert_eq!(json["windows"].as_array().unwrap().len(), findings, "{said}");
    assert!(!said.contains(|c: char| is_hidden(c) && c != '\n'), "{said}");
}

#[test]
fn paths_that_are_no_utf8_are_taken_and_shown() {
    let dir = tempfile::tempdir().unwrap();
    let name = std::ffi::OsStr::from_bytes(b"bad\xff\x1b[2J.parquet");
    let path = PathBuf::from(name);
    Synth { duration_s: 20, syscalls_per_s: 100, fault_s: None, ..Synth::default() }
        .write(dir.path().join(&path))
        .unwrap();
    let osd = |before: &[&str], after: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_osd"));
        command.args(before).arg(&path).args(after).current_dir(dir.path()).output().unwrap()
    };
    let sql = osd(&["sql"], &["SELECT DISTINCT recording FROM samples"]);
    assert!(
        sql.status.success() && text(&sql.stdout).contains("bad\u{fffd}\u{fffd}[2J.parquet"),
        "{}",
        text(&sql.stdout)
    );
    for (before, after, code) in [
        (&["info"][..], &[][..], 0),
        (&["analyze"], &["--report"], 0),
        (&["eval"], &[], 0),
        (&["train", "-o", "m", "--device", "cpu"], &["--epochs", "1"], 2),
        (&["score", "-m", "m"], &[], 2),
        (&["recover"], &[], 2),
        (&["trigger"], &[], 2),
    ] {
        let out = osd(before, after);
        let said = safe(&format!("{before:?}"), &out);
        assert_eq!(out.status.code(), Some(code), "{before:?}: {said}");
        assert!(!said.contains("UTF-8"), "{before:?}: {said}");
    }
    let report = std::ffi::OsStr::from_bytes(b"bad\xff\x1b[2J-report");
    assert!(dir.path().join(report).join("index.html").is_file());
    let refused = refused(dir.path(), &["sql", "nowhere.parquet", "SELECT 1"]);
    assert!(refused.contains("nowhere.parquet"), "{refused}");
}
