//! What comes with the program: help that ends in examples, completions, manual pages, the systemd
//! unit, status for scripts.

use crate::support::{alone, may_record, osd, osd_ok, targets, text};
use std::process::Command;

/// Every subcommand, as `osd --help` lists them.
fn subcommands() -> Vec<String> {
    let help = osd_ok(["--help"]);
    let list = help.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    let names = list.lines().filter(|l| l.starts_with("  ") && !l.starts_with("   "));
    let names: Vec<_> =
        names.map(|l| l.split_whitespace().next().unwrap().to_owned()).filter(|n| n != "help").collect();
    assert!(names.len() >= 5, "{names:?}");
    names
}

#[test]
fn every_help_ends_in_examples() {
    for name in subcommands() {
        for flag in ["-h", "--help"] {
            let help = osd_ok([&name, flag]);
            let examples =
                help.split_once("\nEXAMPLES:\n").unwrap_or_else(|| panic!("osd {name} {flag} has no examples")).1;
            assert!(examples.lines().next().unwrap().contains(&format!("osd {name}")), "{name}: {examples}");
            assert!(!examples.contains("Options:") && !examples.contains("Arguments:"), "{name}: examples are last");
        }
    }
}

#[test]
fn completions_are_scripts_that_know_every_subcommand() {
    for shell in ["bash", "zsh", "fish"] {
        let script = osd_ok(["completions", shell]);
        for name in subcommands() {
            assert!(script.contains(&name), "{shell} completes {name}");
        }
        assert!(script.contains("ring-mib"), "{shell} completes options");
        if Command::new(shell).arg("--version").output().is_ok() {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("osd"), &script).unwrap();
            let checked = Command::new(shell).arg("-n").arg(dir.path().join("osd")).output().unwrap();
            assert!(checked.status.success(), "{shell}: {}", text(&checked.stderr));
        }
    }
}

#[test]
fn manual_pages_render_and_are_not_replaced_unasked() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("man1");
    let folder = folder.to_str().unwrap();
    osd_ok(["man", folder]);
    let pages: Vec<_> =
        subcommands().iter().map(|n| format!("{folder}/osd-{n}.1")).chain([format!("{folder}/osd.1")]).collect();
    for page in &pages {
        let source = std::fs::read_to_string(page).unwrap();
        assert!(source.contains(".TH ") && source.contains("EXAMPLES:"), "{page}");
    }
    let of_one = std::fs::read_to_string(format!("{folder}/osd-relations-fit.1")).unwrap();
    assert!(of_one.contains("EXAMPLES:") && osd_ok(["man", "--of", "relations fit"]) == of_one);
    // Installed everywhere but in the smallest containers.
    if let Ok(man) = Command::new("man").args(["--warnings", "-l", &pages[0]]).env("MANPAGER", "cat").output() {
        assert!(man.status.success() && !man.stdout.is_empty(), "{}", text(&man.stderr));
        assert_eq!(text(&man.stderr), "");
    }
    let again = osd(["man", folder]);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("hint: pass --force"), "{}", text(&again.stderr));
    osd_ok(["man", "--force", folder]);
    assert_eq!(osd_ok(["man", "--of", "record"]), std::fs::read_to_string(format!("{folder}/osd-record.1")).unwrap());
}

#[test]
fn the_systemd_unit_uses_options_that_exist_and_the_capabilities_that_are_needed() {
    let unit = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/contrib/osd-record@.service")).unwrap();
    let start = unit.lines().find(|l| l.starts_with("ExecStart=")).unwrap();
    let help = osd_ok(["record", "--help"]);
    let (_, arguments) = start.split_once("osd record ").unwrap();
    // Without the commands whose output is inserted.
    let own: String = arguments.split("$$(").map(|part| part.split_once(')').map_or(part, |(_, rest)| rest)).collect();
    let options: Vec<_> = own.split_whitespace().filter(|w| w.starts_with("--")).collect();
    assert!(options.len() >= 3, "{start}");
    for option in options {
        assert!(help.contains(&format!("{option} ")), "osd record has no {option}");
    }
    for line in ["AmbientCapabilities=CAP_BPF CAP_PERFMON", "CapabilityBoundingSet=CAP_BPF CAP_PERFMON", "UMask=0077"] {
        assert!(unit.contains(line), "{line}");
    }
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return eprintln!("SKIPPED systemd_finds_nothing_wrong_with_the_unit: systemd-analyze is not installed");
    }
    let unit = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/contrib/osd-record@.service")).unwrap();
    let verify = |unit: &str| {
        let dir = tempfile::tempdir().unwrap();
        let service = "[Service]\nExecStart=/bin/true\n";
        std::fs::write(dir.path().join("watched.service"), service).unwrap();
        let path = dir.path().join("osd-record@watched.service");
        std::fs::write(&path, unit).unwrap();
        let units = format!("{}:", dir.path().display());
        // The manual page is installed by whoever installs osd.
        let mut command = Command::new("systemd-analyze");
        let out = command.args(["verify", "--man=no"]).arg(&path).env("SYSTEMD_UNIT_PATH", units).output().unwrap();
        (out.status.success(), text(&out.stderr).to_owned())
    };
    assert_eq!(verify(&unit), (true, String::new()));
    let (_, said) = verify(&unit.replace("NoNewPrivileges=", "NoNewPrivilege="));
    assert!(said.contains("Unknown key"), "what is wrong is found: {said}");
}

#[test]
fn status_for_scripts_is_one_object_a_line() {
    if !may_record("status_for_scripts_is_one_object_a_line") {
        return;
    }
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    let path = dir.path().join("r.parquet");
    let out = Command::new(env!("CARGO_BIN_EXE_osd"))
        .args(["record", "--status", "json", "-o"])
        .arg(&path)
        .arg("--")
        .args([targets().to_str().unwrap(), "burn", "2.5"])
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    let lines: Vec<serde_json::Value> =
        text(&out.stderr).lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect();
    let (last, before) = lines.split_last().unwrap();
    assert!(
        !before.is_empty() && before.iter().all(|l| l["event"] == "status" && l["elapsed_ns"].is_u64()),
        "{lines:?}"
    );
    assert_eq!((last["event"].as_str(), last["path"].as_str()), (Some("closed"), path.to_str()));
    assert_eq!(last["exit_code"], 0);
    assert_eq!(last["rows"]["syscall"], last["events"]);
    assert!(last["bytes"].as_u64() > Some(0) && last["losses"].is_array() && last["self_cost"]["cpu_ns"].is_u64());
}
