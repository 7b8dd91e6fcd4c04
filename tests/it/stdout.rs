//! A stdout that is full or closed is an error of one line and never a panic, for every command
//! that prints; one whose reader has gone is quiet.

use crate::score::scene;
use crate::support::text;
use std::path::Path;
use std::process::{Command, Output};

/// Every command that prints, in every form.
fn all() -> Vec<Vec<&'static str>> {
    let forms = |args: &[&'static str], forms: &[&'static str]| -> Vec<Vec<&'static str>> {
        let one = |form: &&'static str| args.iter().copied().chain(["--format", form]).collect();
        forms.iter().map(one).collect()
    };
    let mut all =
        vec![vec!["--help"], vec!["-h"], vec!["--version"], vec!["help"], vec!["man"], vec!["man", "--of", "sql"]];
    all.extend(
        [
            "record",
            "info",
            "recover",
            "sql",
            "export",
            "import",
            "analyze",
            "score",
            "trigger",
            "train",
            "eval",
            "bench",
            "doctor",
            "completions",
            "man",
        ]
        .map(|c| vec![c, "--help"]),
    );
    all.extend(["bash", "zsh", "fish"].map(|shell| vec!["completions", shell]));
    all.extend(forms(&["info", "quiet.parquet"], &["text", "json"]));
    all.extend(forms(&["sql", "quiet.parquet", "SELECT 1"], &["table", "csv", "json", "ndjson"]));
    all.push(vec!["sql", "quiet.parquet", "SELECT 1", "-x"]);
    all.push(vec!["sql", "quiet.parquet", "SELECT * FROM samples", "--format", "csv"]);
    all.push(vec!["sql", "quiet.parquet", "SELECT * FROM samples", "--format", "parquet", "-o", "-"]);
    for to in ["csv", "json", "ndjson", "arrow", "arrow-stream", "openmetrics", "perfetto", "chrome", "otlp"] {
        all.push(vec!["export", "quiet.parquet", "--to", to]);
        if !["openmetrics", "perfetto", "chrome", "otlp"].contains(&to) {
            all.push(vec!["export", "quiet.parquet", "--series", "--to", to, "-o", "-"]);
        }
    }
    all.extend(forms(&["analyze", "run.parquet"], &["text", "json", "ndjson"]));
    all.extend(forms(&["score", "-m", "model", "run.parquet"], &["text", "json", "ndjson", "csv"]));
    all.extend(forms(&["eval", "run.parquet"], &["table", "json", "csv"]));
    all.extend(forms(&["doctor", "--no-cost"], &["text", "json"]));
    all
}

fn sh(dir: &Path, redirect: &str, args: &[&str]) -> Output {
    let script = format!("\"$0\" \"$@\" {redirect}");
    Command::new("sh").args(["-c", &script, env!("CARGO_BIN_EXE_osd")]).args(args).current_dir(dir).output().unwrap()
}

#[test]
fn a_full_or_closed_stdout_is_one_line() {
    let scene = scene();
    for args in all() {
        for redirect in [">/dev/full", ">&-"] {
            let out = sh(scene.path(), redirect, &args);
            let stderr = text(&out.stderr);
            assert_eq!(out.status.code(), Some(2), "{args:?} {redirect}: {stderr}");
            let errors: Vec<&str> = stderr.lines().filter(|l| l.starts_with("error: ")).collect();
            assert!(errors.len() == 1, "{args:?} {redirect}: {stderr}");
            let why = if redirect == ">&-" { "Bad file descriptor" } else { "No space left on device" };
            assert!(errors[0].contains(why) && !stderr.contains("panicked"), "{args:?} {redirect}: {stderr}");
        }
    }
}

#[test]
fn a_reader_that_has_gone_is_quiet() {
    let scene = scene();
    for args in all() {
        let out = sh(scene.path(), "| true", &args);
        assert_eq!((out.status.code(), text(&out.stderr)), (Some(0), ""), "{args:?}");
    }
}

/// Nothing is said to anyone then, and the work is done all the same.
#[test]
fn a_stderr_that_is_full_or_closed_costs_nothing() {
    let scene = scene();
    for redirect in ["2>/dev/full", "2>&-"] {
        for (args, code) in [
            (&["info", "quiet.parquet"][..], 0),
            (&["analyze", "run.parquet", "--report=a", "--force"], 1),
            (&["score", "-m", "model", "run.parquet", "-o", "s.parquet", "--force"], 1),
            (&["sql", "quiet.parquet", "SELECT count(*) FROM syscalls"], 0),
            (&["recover", "nothing.parquet"], 2),
            (&["nonsense"], 2),
        ] {
            let out = sh(scene.path(), redirect, args);
            assert_eq!(out.status.code(), Some(code), "{args:?} {redirect}: {}", text(&out.stdout));
        }
    }
}

/// Callers give `/dev/null`, also open for reading, as no stdout at all: that is no closed one.
#[test]
fn dev_null_is_a_stdout() {
    let scene = scene();
    for redirect in [">/dev/null", "1<>/dev/null"] {
        let out = sh(scene.path(), redirect, &["info", "quiet.parquet"]);
        assert_eq!((out.status.code(), text(&out.stderr)), (Some(0), ""), "{redirect}");
    }
}
