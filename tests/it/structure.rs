//! The invariants of ARCHITECTURE.md that are about the shape of the project.

use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) fn root() -> &'static Path {
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
        ("osd-findings", &[]),
        ("osd-synth", &["osd-recording"]),
        ("osd-detect", &[]),
        ("osd-lstm", &["osd-detect"]),
        ("osd-bpf", &["libbpf-rs", "libbpf-cargo"]),
        ("osd-stacks", &[]),
        ("osd-record", &["osd-bpf", "osd-recording", "osd-stacks"]),
        ("osd-model", &["osd-detect", "osd-lstm", "osd-recording", "osd-signals"]),
        ("osd-signals", &["osd-detect", "osd-recording"]),
        ("osd-explain", &["osd-detect", "osd-findings", "osd-model", "osd-recording", "osd-signals"]),
        ("osd-advise", &["osd-recording"]),
        ("osd-diff", &["osd-detect", "osd-findings", "osd-recording", "osd-signals"]),
        ("osd-scenario", &["osd-detect", "osd-findings", "osd-recording", "osd-signals"]),
        ("osd-relations", &["osd-detect", "osd-findings", "osd-recording", "osd-signals"]),
        ("osd-query", &["osd-detect", "osd-model", "osd-recording", "osd-signals", "datafusion"]),
        ("osd-report", &["osd-findings", "osd-recording", "plotters"]),
        ("osd-replay", &["osd-detect", "osd-model", "osd-recording", "osd-signals", "ratatui"]),
        ("osd-datasets", &["osd-detect"]),
        ("osd-train", &["osd-detect", "osd-lstm", "burn"]),
        ("osd-export", &["osd-findings", "osd-recording", "osd-signals"]),
        (
            "osd",
            &[
                "osd-recording",
                "osd-record",
                "osd-findings",
                "osd-detect",
                "osd-lstm",
                "osd-model",
                "osd-advise",
                "osd-diff",
                "osd-explain",
                "osd-export",
                "osd-query",
                "osd-relations",
                "osd-report",
                "osd-replay",
                "osd-scenario",
                "osd-datasets",
                "osd-train",
                "ratatui",
            ],
        ),
    ];
    let heavy = ["libbpf-rs", "libbpf-cargo", "datafusion", "plotters", "burn", "ratatui"];
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

/// A feature alone brings no heavy crate that it does not need: `osd analyze` is built in minutes without DataFusion, and the recorder
/// without either.
#[test]
fn each_feature_alone_brings_only_what_it_needs() {
    let heavy = ["burn", "datafusion", "libbpf-rs", "plotters", "ratatui"];
    for (feature, needs) in [
        ("record", &["libbpf-rs"][..]),
        ("analyze", &["plotters"]),
        ("sql", &["datafusion"]),
        ("model", &[]),
        ("eval", &[]),
        ("export", &[]),
        ("train", &["burn", "plotters"]),
        ("replay", &["ratatui"]),
    ] {
        let out = Command::new(env!("CARGO"))
            .args(["tree", "--offline", "--locked", "-p", "osd", "--no-default-features", "--features", feature])
            .args(["--edges", "normal", "--prefix", "none", "--format", "{p}"])
            .current_dir(root())
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let tree = String::from_utf8(out.stdout).unwrap();
        let names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
        let brought: Vec<&str> = heavy.into_iter().filter(|name| names.contains(name)).collect();
        assert_eq!(brought, needs, "{feature}");
    }
}

pub(crate) fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// What a line of code of a library may not have in it.
struct Ban {
    libraries: &'static [&'static str],
    words: &'static [&'static str],
    /// A part of the path and the text in which a word may stay.
    but: &'static [(&'static str, &'static str)],
}

pub(crate) const LIBRARIES: &[&str] = &[
    "recording",
    "bpf",
    "stacks",
    "record",
    "findings",
    "detect",
    "lstm",
    "model",
    "train",
    "analyze/advise",
    "analyze/signals",
    "analyze/explain",
    "analyze/diff",
    "analyze/scenario",
    "analyze/relations",
    "analyze/query",
    "report",
    "export",
    "replay",
];

const BANS: [Ban; 4] = [
    // Invariant 4.
    Ban {
        libraries: LIBRARIES,
        words: &["println!(", "print!(", "process::exit(", "process::abort(", "is_terminal", "IsTerminal"],
        but: &[],
    },
    Ban {
        libraries: LIBRARIES,
        words: &["env::"],
        but: &[
            // What the compiler knew, which is nobody's setting.
            ("", "env::consts::"),
            // A command is looked for where a shell would.
            ("record/src/host/command.rs", "env::var_os(\"PATH\")"),
            ("record/src/host/command.rs", "env::split_paths"),
        ],
    },
    // Invariant 2: detection is arithmetic.
    Ban {
        libraries: &["findings", "detect", "lstm"],
        words: &["std::fs", "std::io", "std::net", "std::os", "std::process", "thread::sleep", "std::time", "File::"],
        but: &[],
    },
    // Same recording, same answer: nothing behind the recorder knows what time it is. `train` says how long it takes.
    Ban {
        libraries: LIBRARIES,
        words: &["SystemTime", "Instant"],
        but: &[("/record/src/", "Instant"), ("/train/src/", "Instant")],
    },
];

/// What of `ban` a source file breaks; comments and the tests at its end are free.
fn broken(ban: &Ban, file: &str, text: &str) -> Vec<String> {
    let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = code.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//"));
    let allowed = |line: &str| {
        let here = ban.but.iter().filter(|(at, _)| file.contains(at));
        here.fold(line.to_owned(), |line, (_, text)| line.replace(text, ""))
    };
    let found = lines.flat_map(|(i, line)| ban.words.iter().map(move |w| (i, allowed(line), *w)));
    let found = found.filter(|(_, line, word)| line.contains(word));
    found.map(|(i, _, word)| format!("{file}:{}: {word}", i + 1)).collect()
}

#[test]
fn libraries_print_nothing_and_only_what_may_looks_at_files_clocks_and_the_environment() {
    let mut n_files = 0;
    for ban in &BANS {
        for library in ban.libraries {
            let mut files = Vec::new();
            sources(&root().join(library).join("src"), &mut files);
            for file in files.iter().filter(|f| f.file_name().is_some_and(|n| n != "tests.rs")) {
                n_files += 1;
                let text = std::fs::read_to_string(file).unwrap();
                assert_eq!(broken(ban, file.to_str().unwrap(), &text), Vec::<String>::new());
            }
        }
    }
    assert!(n_files > 200, "{n_files} files were looked at");
}

#[test]
fn a_ban_that_is_broken_is_found() {
    for (ban, line, found) in [
        (0, "    eprintln!(\"x\");", true),
        (0, "    // println!(\"x\")", false),
        (1, "let home = std::env::var(\"HOME\");", true),
        (1, "let arch = std::env::consts::ARCH;", false),
        (2, "use std::fs::File;", true),
        (2, "let now = std::time::Instant::now();", true),
        (3, "let now = SystemTime::now();", true),
        (3, "let now = Instant::now();", true),
        (3, "let end = instant;", false),
    ] {
        assert_eq!(!broken(&BANS[ban], "analyze/explain/src/x.rs", line).is_empty(), found, "{line}");
    }
    assert_eq!(broken(&BANS[1], "record/src/host/command.rs", "std::env::var_os(\"PATH\")"), Vec::<String>::new());
    assert_eq!(broken(&BANS[1], "record/src/host/about.rs", "std::env::var_os(\"PATH\")").len(), 1);
    assert_eq!(broken(&BANS[3], "/osd/record/src/host/about.rs", "Instant::now(), SystemTime::now()").len(), 1);
    let tests = "fn f() {}\n\n#[cfg(test)]\nmod tests {\n    use std::fs::File;\n}\n";
    assert_eq!(broken(&BANS[2], "detect/src/x.rs", tests), Vec::<String>::new());
}

#[test]
fn every_file_opens_with_what_it_owns() {
    let mut files = Vec::new();
    for dir in [
        "src",
        "recording",
        "bpf",
        "stacks",
        "record",
        "findings",
        "detect",
        "lstm",
        "model",
        "train",
        "analyze",
        "report",
        "export",
        "replay",
        "datasets",
        "tests",
    ] {
        sources(&root().join(dir), &mut files);
    }
    for file in files.iter().filter(|f| f.file_name().is_some_and(|n| n != "tests.rs")) {
        let text = std::fs::read_to_string(file).unwrap();
        assert!(text.starts_with("//!") || text.starts_with("// SPDX"), "{} opens without a word", file.display());
    }
}

/// Of a text for people, the lines that are too long to read or to compare: not those of code, tables and pictures.
fn long_lines(text: &str) -> Vec<&str> {
    let mut in_code = false;
    let is_prose = |line: &&str| {
        in_code ^= line.starts_with("```");
        !in_code && !line.starts_with("    ") && !line.starts_with(['|', '!', '`'])
    };
    text.lines().filter(is_prose).filter(|line| line.chars().count() > 100).collect()
}

#[test]
fn prose_wraps_at_100_columns() {
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = std::fs::read_to_string(root().join(document)).unwrap();
        assert_eq!(long_lines(&text), Vec::<&str>::new(), "{document}");
    }
    let mut files = Vec::new();
    for dir in LIBRARIES.iter().chain(&["src", "datasets", "tests"]) {
        sources(&root().join(dir), &mut files);
    }
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let paragraph = text.lines().take_while(|line| line.starts_with("//! "));
        let long: Vec<&str> = paragraph.filter(|line| line.chars().count() > 100).collect();
        assert_eq!(long, Vec::<&str>::new(), "{}", file.display());
    }
    assert_eq!(long_lines(&format!("{}\n```\n{0}\n```\n    {0}\n| {0}", "x".repeat(101))).len(), 1);
}
