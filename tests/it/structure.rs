//! The invariants of ARCHITECTURE.md that are about the shape of the project.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What a crate of the workspace may depend on: other crates of the workspace, and of the heavy ones, which.
#[test]
fn crates_form_a_star_and_heavy_ones_stay_where_they_belong() {
    let out = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version=1", "--offline"])
        .current_dir(root())
        .output();
    let metadata: serde_json::Value = serde_json::from_slice(&out.unwrap().stdout).unwrap();
    let may: &[(&str, &[&str])] = &[
        ("osd-recording", &[]),
        ("osd-detect", &[]),
        ("osd-bpf", &["libbpf-rs", "libbpf-cargo"]),
        ("osd-record", &["osd-bpf", "osd-recording"]),
        ("osd-model", &["osd-detect", "osd-recording"]),
        ("osd-analyze", &["osd-detect", "osd-model", "osd-recording", "datafusion"]),
        ("osd-report", &["osd-detect", "plotters"]),
        ("osd-datasets", &["osd-detect"]),
        ("osd-train", &["osd-detect", "burn"]),
        (
            "osd",
            &[
                "osd-recording",
                "osd-record",
                "osd-detect",
                "osd-model",
                "osd-analyze",
                "osd-report",
                "osd-datasets",
                "osd-train",
            ],
        ),
    ];
    let heavy = ["libbpf-rs", "libbpf-cargo", "datafusion", "plotters", "burn"];
    let packages = metadata["packages"].as_array().unwrap();
    assert_eq!(packages.len(), may.len(), "a new crate needs a line here");
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let allowed = may.iter().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("{name} needs a line here")).1;
        for dependency in package["dependencies"].as_array().unwrap().iter().filter(|d| d["kind"] != "dev") {
            let dependency = dependency["name"].as_str().unwrap();
            let watched = dependency.starts_with("osd-") || heavy.contains(&dependency);
            assert!(!watched || allowed.contains(&dependency), "{name} may not depend on {dependency}");
        }
    }
}

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

#[test]
fn only_the_command_line_prints_exits_and_reads_the_environment() {
    let mut files = Vec::new();
    for library in ["recording", "bpf", "record", "detect", "model", "train", "analyze", "report"] {
        sources(&root().join(library).join("src"), &mut files);
    }
    assert!(files.len() > 30);
    let banned = ["println!(", "eprintln!(", "print!(", "eprint!(", "process::exit(", "env::args"];
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//")) {
            for word in banned {
                assert!(!line.contains(word), "{}:{}: {word}", file.display(), i + 1);
            }
        }
    }
}

#[test]
fn every_file_opens_with_what_it_owns() {
    let mut files = Vec::new();
    for dir in
        ["src", "recording", "bpf", "record", "detect", "model", "train", "analyze", "report", "datasets", "tests"]
    {
        sources(&root().join(dir), &mut files);
    }
    for file in files.iter().filter(|f| f.file_name().is_some_and(|n| n != "tests.rs")) {
        let text = std::fs::read_to_string(file).unwrap();
        assert!(text.starts_with("//!") || text.starts_with("// SPDX"), "{} opens without a word", file.display());
    }
}
