//! Recordings as arguments: patterns that the shell left alone, folders, the same one twice, and
//! more of them than files may be open.

use crate::bad_input::refused;
use crate::score::scene;
use crate::support::{alone, may_record, text};
use osd_recording::{Metadata, Writer, WriterOptions};
use osd_synth::Synth;
use std::path::Path;
use std::process::{Command, Output};

fn synth(dir: &Path, name: &str, seed: u64) {
    let synth = Synth { seed, duration_s: 12, syscalls_per_s: 50, fault_s: None, ..Synth::default() };
    synth.write(dir.join(name)).unwrap();
}

fn osd(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_osd")).args(args).current_dir(dir).output().unwrap()
}

/// Recordings that `args` name, as `osd sql` sees them; and what it says.
fn counted(dir: &Path, args: &[&str]) -> (Vec<String>, String) {
    let statement = "SELECT recording, count(*) AS n FROM samples GROUP BY 1 ORDER BY 1";
    let out = osd(dir, &[&["sql"], args, &[statement, "--format", "csv"]].concat());
    assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
    (text(&out.stdout).lines().skip(1).map(str::to_owned).collect(), text(&out.stderr).to_owned())
}

fn runs() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("runs")).unwrap();
    (1..=3).for_each(|i| synth(&dir.path().join("runs"), &format!("r{i}.parquet"), i));
    dir
}

#[test]
fn patterns_that_the_shell_left_alone_are_expanded() {
    let dir = runs();
    let all = ["runs/r1.parquet,120", "runs/r2.parquet,120", "runs/r3.parquet,120"];
    assert_eq!(counted(dir.path(), &["runs/*.parquet"]), (all.map(str::to_owned).to_vec(), String::new()));
    assert_eq!(counted(dir.path(), &["r*/r[13].parquet"]).0, [all[0], all[2]]);
    assert_eq!(counted(dir.path(), &["runs/r?.parquet", "runs/*.parquet"]).0, all);
    let info = osd(dir.path(), &["info", "runs/*.parquet"]);
    assert_eq!(text(&info.stdout).matches("recording   runs/r").count(), 3);
    let eval = osd(dir.path(), &["eval", "runs/*.parquet", "--format", "json"]);
    let eval: serde_json::Value = serde_json::from_slice(&eval.stdout).unwrap();
    assert_eq!(eval["recordings"], 3);
    let one = osd(dir.path(), &["analyze", "runs/*2.parquet"]);
    assert_eq!(one.status.code(), Some(0), "{}", text(&one.stderr));
    for args in [&["analyze", "runs/*.parquet"][..], &["score", "-m", "m", "runs/*.parquet"], &["analyze", "runs"]] {
        if args[0] == "score" {
            std::fs::create_dir(dir.path().join("m")).unwrap();
        }
        let stderr = text(&osd(dir.path(), args).stderr).to_owned();
        let several = stderr.contains("names 3 recordings, and one is wanted") || args[0] == "score";
        assert!(several, "{args:?}: {stderr}");
    }
}

#[test]
fn a_pattern_without_a_match_is_named() {
    let dir = runs();
    for command in [
        &["sql", "PATTERN", "SELECT 1"][..],
        &["info", "PATTERN"],
        &["train", "PATTERN", "-o", "m"],
        &["analyze", "PATTERN"],
        &["eval", "PATTERN"],
    ] {
        let args: Vec<&str> = command.iter().map(|a| if *a == "PATTERN" { "run/*.parquet" } else { a }).collect();
        let stderr = refused(dir.path(), &args);
        assert!(stderr.contains("error: no recording matches `run/*.parquet`"), "{args:?}: {stderr}");
    }
    let stderr = refused(dir.path(), &["sql", "runs/[.parquet", "SELECT 1"]);
    assert!(stderr.contains("`runs/[.parquet` is no pattern"), "{stderr}");
}

#[test]
fn a_file_whose_name_is_a_pattern_is_that_file() {
    let dir = tempfile::tempdir().unwrap();
    synth(dir.path(), "a.parquet", 1);
    synth(dir.path(), "[a]*.parquet", 2);
    assert_eq!(counted(dir.path(), &["[a]*.parquet"]).0, ["[a]*.parquet,120"]);
    std::fs::remove_file(dir.path().join("[a]*.parquet")).unwrap();
    assert_eq!(counted(dir.path(), &["[a]*.parquet"]).0, ["a.parquet,120"]);
}

#[test]
fn a_folder_is_its_recordings() {
    let scene = scene();
    let runs = scene.path().join("runs");
    std::fs::create_dir(&runs).unwrap();
    synth(&runs, "a.parquet", 1);
    synth(&runs, "b.parquet", 2);
    synth(&runs, ".hidden.parquet", 3);
    std::fs::write(runs.join("notes.txt"), "no recording").unwrap();
    std::fs::rename(scene.path().join("model"), runs.join("model")).unwrap();
    // One whose recorder still writes, and remains of one that has its name.
    for name in ["c.parquet", "d.parquet"] {
        let mut writer = Writer::create(runs.join(name), WriterOptions::default()).unwrap();
        writer.describe(&Metadata::default()).unwrap();
        writer.keep();
    }
    synth(&runs, "e.parquet", 4);
    std::fs::rename(runs.join("e.parquet"), runs.join("d.parquet")).unwrap();
    let found = ["runs/a.parquet,120", "runs/b.parquet,120", "runs/d.parquet,120"];
    assert_eq!(counted(scene.path(), &["runs"]).0, found);
    assert_eq!(counted(scene.path(), &["runs/"]).0, found);
    let info = text(&osd(scene.path(), &["info", "runs/"]).stdout).to_owned();
    assert_eq!(info.lines().filter(|l| l.starts_with("recording ")).count(), 4, "the unfinished one is shown: {info}");
    // Scores among them are a table of SQL, and no recording to anything else.
    let scored = osd(scene.path(), &["score", "-m", "runs/model", "quiet.parquet", "-o", "runs/scores.parquet"]);
    assert_eq!(scored.status.code(), Some(0), "{}", text(&scored.stderr));
    let n = osd(scene.path(), &["sql", "runs", "SELECT count(*) AS n FROM scores", "--format", "csv"]);
    assert_eq!(text(&n.stdout), "n\n1200\n", "{}", text(&n.stderr));
    let info = text(&osd(scene.path(), &["info", "runs/"]).stdout).to_owned();
    assert_eq!(info.lines().filter(|l| l.starts_with("recording ")).count(), 4, "{info}");
    std::fs::remove_dir_all(runs.join("c.parquet.partial")).unwrap();
    let eval = osd(scene.path(), &["eval", "runs"]);
    assert!(text(&eval.stdout).starts_with("3 recordings, "), "{}{}", text(&eval.stdout), text(&eval.stderr));
    std::fs::create_dir(scene.path().join("empty")).unwrap();
    for args in
        [&["sql", "empty", "SELECT 1"][..], &["info", "empty"], &["analyze", "empty"], &["train", "empty", "-o", "m"]]
    {
        let stderr = refused(scene.path(), args);
        assert!(stderr.contains("error: empty holds no recording"), "{args:?}: {stderr}");
    }
}

#[test]
fn what_is_named_twice_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    synth(dir.path(), "a.parquet", 1);
    synth(dir.path(), "b.parquet", 2);
    std::fs::copy(dir.path().join("a.parquet"), dir.path().join("copy.parquet")).unwrap();
    std::fs::hard_link(dir.path().join("a.parquet"), dir.path().join("hard.parquet")).unwrap();
    std::os::unix::fs::symlink("a.parquet", dir.path().join("link.parquet")).unwrap();
    for again in ["a.parquet", "./a.parquet", "copy.parquet", "hard.parquet", "link.parquet"] {
        let (found, said) = counted(dir.path(), &["a.parquet", "b.parquet", again]);
        assert_eq!(found, ["a.parquet,120", "b.parquet,120"], "{again}");
        assert_eq!(said, format!("warning: {again} is the same recording as a.parquet, and counts once\n"));
        let info = osd(dir.path(), &["info", "a.parquet", again, "--format", "json"]);
        assert_eq!(text(&info.stdout).lines().count(), 1);
        assert!(text(&info.stderr).contains("counts once"));
        let eval = osd(dir.path(), &["eval", "a.parquet", again]);
        assert!(text(&eval.stdout).starts_with("1 recording, 0 labels"), "{}", text(&eval.stdout));
    }
    assert_eq!(counted(dir.path(), &["a.parquet", "b.parquet"]).1, "");
}

/// The soft limit of open files is what it is nearly everywhere; the hard one allows more.
#[test]
fn more_recordings_than_files_may_be_open_at_first_are_opened() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("many")).unwrap();
    for seed in 0..300 {
        let synth = Synth { seed, duration_s: 1, syscalls_per_s: 1, fault_s: None, ..Synth::default() };
        synth.write(dir.path().join(format!("many/{seed}.parquet"))).unwrap();
    }
    let limited = |limit: &str| {
        let script = format!("{limit}; exec \"$0\" sql many \"SELECT count(*) AS n FROM samples\" --format csv");
        Command::new("sh").args(["-c", &script, env!("CARGO_BIN_EXE_osd")]).current_dir(dir.path()).output().unwrap()
    };
    let out = limited("ulimit -Sn 256");
    assert_eq!(text(&out.stdout), "n\n3000\n", "{}", text(&out.stderr));
    let out = limited("ulimit -n 256");
    let stderr = text(&out.stderr);
    assert_eq!(out.status.code(), Some(2));
    assert!(
        stderr.contains("Too many open files") && stderr.contains("\nhint: raise the limit of open files"),
        "{stderr}"
    );
}

#[test]
fn a_recorder_without_descriptors_says_so() {
    if !may_record("a_recorder_without_descriptors_says_so") {
        return;
    }
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    for limit in [16, 32] {
        let script = format!("ulimit -n {limit}; exec \"$0\" record --force -o r.parquet -- true");
        let out = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_osd")])
            .current_dir(dir.path())
            .output()
            .unwrap();
        let stderr = text(&out.stderr);
        if out.status.success() {
            continue;
        }
        assert_eq!(stderr.lines().filter(|l| l.starts_with("error: ")).count(), 1, "{stderr}");
        assert!(stderr.contains("hint: raise the limit of open files"), "{limit}: {stderr}");
        assert!(!stderr.contains("osd doctor") && !stderr.contains("--best-effort"), "{limit}: {stderr}");
    }
    // What is recorded finds the limits that osd found.
    let script = "ulimit -Sn 256; exec \"$0\" record -q --force -o r.parquet -- sh -c 'ulimit -n'";
    let out =
        Command::new("sh").args(["-c", script, env!("CARGO_BIN_EXE_osd")]).current_dir(dir.path()).output().unwrap();
    assert_eq!(text(&out.stdout), "256\n", "{}", text(&out.stderr));
}
