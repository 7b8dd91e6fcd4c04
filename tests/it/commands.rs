//! Commands that osd starts, and processes that it is given: what they inherit, what of them is
//! recorded and for how long, what they leave running, and what osd says and exits with in the end.
//! Needs root.

use crate::record::Place;
use crate::support::{osd, rows, text, until};
use osd_recording::{Kind, Recording};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const BACKENDS: [&str; 2] = ["bpf", "proc"];

/// A shell that does `before`, then becomes osd.
fn osd_after(before: &str, args: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{before}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_osd")]).args(args);
    command
}

fn exit_code(path: &Path) -> Option<i32> {
    Recording::open(path).unwrap().metadata().target.exit_code
}

fn recorded_ns(path: &Path) -> i64 {
    let recording = Recording::open(path).unwrap();
    recording.metadata().ended_ns - recording.metadata().started_ns
}

/// The ignored signals that `/proc/self/status` told.
fn ignored(out: &Output) -> u64 {
    assert!(out.status.success(), "{:?} {}", out.status, text(&out.stderr));
    u64::from_str_radix(text(&out.stdout).split_whitespace().last().unwrap(), 16).unwrap()
}

#[test]
fn a_starter_that_ignores_the_end_of_children_makes_no_recording_endless() {
    let Some(place) = Place::new("a_starter_that_ignores_the_end_of_children_makes_no_recording_endless") else {
        return;
    };
    let path = place.path();
    for backend in BACKENDS {
        let record =
            ["record", "--force", "--propagate-status=never", "--backend", backend, "-o", path.to_str().unwrap(), "--"];
        // A shell cannot ignore SIGCHLD for what it starts. Killed after a while, which is not the success that is asked for.
        let python = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execvp(sys.argv[1], sys.argv[1:])";
        let out = Command::new("timeout")
            .args(["-s", "KILL", "60", "python3", "-c", python, env!("CARGO_BIN_EXE_osd")])
            .args(record)
            .args([
                "python3",
                "-c",
                "import sys; print(open('/proc/self/status').read().split('SigIgn:')[1].split()[0]); sys.exit(3)",
            ])
            .output()
            .unwrap();
        assert_eq!(ignored(&out) >> (libc::SIGCHLD - 1) & 1, 1, "the command finds it as it was");
        assert!(text(&out.stderr).contains("the command ended with status 3"), "{}", text(&out.stderr));
        assert_eq!(exit_code(&path), Some(3));
    }
}

#[test]
fn a_command_finds_ignored_what_its_starter_ignored_and_nothing_else() {
    let Some(place) = Place::new("a_command_finds_ignored_what_its_starter_ignored_and_nothing_else") else { return };
    let path = place.path();
    for (before, wanted) in [
        ("trap '' HUP INT", vec![libc::SIGHUP, libc::SIGINT]),
        ("trap '' USR1 XFSZ TERM", vec![libc::SIGUSR1, libc::SIGXFSZ, libc::SIGTERM]),
        (":", vec![]),
    ] {
        let record =
            ["record", "-q", "--force", "-o", path.to_str().unwrap(), "--", "grep", "SigIgn", "/proc/self/status"];
        let out = osd_after(before, &record).output().unwrap();
        let bits = |signals: &[i32]| signals.iter().map(|signal| 1_u64 << (signal - 1)).sum::<u64>();
        let asked = [libc::SIGHUP, libc::SIGINT, libc::SIGUSR1, libc::SIGXFSZ, libc::SIGTERM, libc::SIGPIPE];
        // These tests may themselves run under nohup. Rust ignores SIGPIPE, but not for what it starts.
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let own = status.lines().find_map(|l| l.strip_prefix("SigIgn:")).unwrap();
        let own = u64::from_str_radix(own.trim(), 16).unwrap() & !bits(&[libc::SIGPIPE]);
        let (mask, wanted) = (bits(&asked), bits(&wanted) | own);
        assert_eq!(ignored(&out) & mask, wanted & mask, "{before}");
    }
}

#[test]
fn a_recording_under_nohup_outlives_its_terminal() {
    let Some(place) = Place::new("a_recording_under_nohup_outlives_its_terminal") else { return };
    let path = place.path();
    let mut target = Command::new("sleep").arg("60").spawn().unwrap();
    let pid = target.id().to_string();
    let mut recorder =
        osd_after("trap '' HUP", &["record", "-q", "-p", &pid, "-o", path.to_str().unwrap()]).spawn().unwrap();
    until("the recorder records", || crate::support::has_given_up(recorder.id()));
    // SAFETY: signals to our own child.
    let signal = |number| unsafe { libc::kill(recorder.id() as i32, number) };
    signal(libc::SIGHUP);
    let closed = || path.exists();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(!closed() && recorder.try_wait().unwrap().is_none());
    // SAFETY: as above.
    unsafe { libc::kill(recorder.id() as i32, libc::SIGTERM) };
    assert_eq!(recorder.wait().unwrap().code(), Some(0));
    assert!(closed());
    target.kill().unwrap();
    target.wait().unwrap();
}

/// Starts something that goes on for `seconds`, in a session of its own, and ends soon, but not before `/proc` has been looked at.
fn daemonize(seconds: &str) -> [String; 3] {
    ["sh".into(), "-c".into(), format!("setsid sleep {seconds} </dev/null >/dev/null 2>&1 & sleep 0.2")]
}

#[test]
fn what_a_command_leaves_running_is_named_and_can_be_waited_for() {
    let Some(place) = Place::new("what_a_command_leaves_running_is_named_and_can_be_waited_for") else { return };
    let path = place.path();
    for backend in BACKENDS {
        let record = |options: &[&str], seconds: &str| {
            let mut args = vec!["record", "--force", "--backend", backend, "-i", "20ms", "-o", path.to_str().unwrap()];
            args.extend(options);
            let mut args: Vec<String> = args.into_iter().map(str::to_owned).collect();
            args.push("--".into());
            args.extend(daemonize(seconds));
            let out = osd(&args);
            assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
            text(&out.stderr).to_owned()
        };
        let said = record(&[], "2");
        assert!(said.contains("what it started still runs: ") && said.contains("sleep ("), "{said}");
        assert!(said.contains("hint: to record that too: --wait-all"), "{said}");
        let said = record(&["--duration", "700ms"], "3");
        assert!(recorded_ns(&path) >= 600_000_000, "{backend}: the duration holds: {said}");
        assert!(said.contains("still runs: "), "{said}");
        let said = record(&["--wait-all"], "1");
        assert!(recorded_ns(&path) >= 900_000_000, "{said}");
        assert!(!said.contains("still runs"), "{said}");
        // All has ended long before: so has the recording.
        record(&["--duration", "1h"], "0.5");
        assert!(recorded_ns(&path) < 60_000_000_000);
    }
}

#[test]
fn the_status_of_a_command_is_passed_on_if_asked_and_in_ci() {
    let Some(place) = Place::new("the_status_of_a_command_is_passed_on_if_asked_and_in_ci") else { return };
    let path = place.path();
    let status = |ci: Option<&str>, options: &[&str], command: &[&str]| {
        let mut osd = Command::new(env!("CARGO_BIN_EXE_osd"));
        osd.args(["record", "-q", "--force", "-o", path.to_str().unwrap()]).args(options).arg("--").args(command);
        match ci {
            Some(ci) => osd.env("CI", ci),
            None => osd.env_remove("CI"),
        };
        osd.output().unwrap().status.code()
    };
    let fails = ["sh", "-c", "exit 7"];
    for backend in BACKENDS {
        let backend = ["--backend", backend];
        let with = |option: &'static str| [&backend[..], &[option]].concat();
        assert_eq!(status(None, &backend, &fails), Some(0));
        assert_eq!(status(Some("true"), &backend, &fails), Some(7));
        assert_eq!(status(Some("false"), &backend, &fails), Some(0));
        assert_eq!(status(Some("true"), &with("--propagate-status=never"), &fails), Some(0));
        assert_eq!(status(None, &with("--propagate-status"), &fails), Some(7));
        assert_eq!(status(None, &with("--propagate-status"), &["sh", "-c", "kill -9 $$"]), Some(128 + 9));
        assert_eq!(status(None, &with("--propagate-status"), &["true"]), Some(0));
        assert_eq!(exit_code(&path), Some(0));
    }
    let folder = place.dir.path().to_str().unwrap();
    for (program, code) in [("/no/such/program", 127), ("no-such-program", 127), (folder, 126), ("/etc/hostname", 126)]
    {
        assert_eq!(status(None, &["--propagate-status"], &[program]), Some(code), "{program}");
        assert_eq!(status(None, &[], &[program]), Some(2), "{program}");
    }
}

#[test]
fn pids_may_stand_between_commas_spaces_and_line_breaks() {
    let Some(place) = Place::new("pids_may_stand_between_commas_spaces_and_line_breaks") else { return };
    let path = place.path();
    let mut targets: Vec<_> = (0..3).map(|_| Command::new("sleep").arg("60").spawn().unwrap()).collect();
    let pids: Vec<String> = targets.iter().map(|t| t.id().to_string()).collect();
    for separator in [" ", ",", "\n", ", "] {
        let list = pids.join(separator);
        let record =
            ["record", "-q", "--force", "-d", "100ms", "-o", path.to_str().unwrap(), "-p", &list, "-p", &pids[0]];
        let out = osd(record);
        assert!(out.status.success(), "{}", text(&out.stderr));
        assert_eq!(Recording::open(&path).unwrap().metadata().target.pids.len(), 3, "each once");
    }
    for target in &mut targets {
        target.kill().unwrap();
        target.wait().unwrap();
    }
    for (list, wanted) in [
        ("", "it names no process"),
        ("  ", "it names no process"),
        ("12 x", "`x` is not a PID"),
        ("0", "`0` is not a PID"),
    ] {
        let out = osd(["record", "-o", path.to_str().unwrap(), "-p", list]);
        assert_eq!(out.status.code(), Some(2));
        assert!(text(&out.stderr).contains(wanted), "{list:?}: {}", text(&out.stderr));
    }
}

#[test]
fn a_recording_is_as_long_as_it_was_asked_for_whatever_its_interval() {
    let Some(place) = Place::new("a_recording_is_as_long_as_it_was_asked_for_whatever_its_interval") else { return };
    let path = place.path();
    for backend in BACKENDS {
        let record = |options: &[&str]| {
            let mut args = vec!["record", "-q", "--force", "--backend", backend, "-o", path.to_str().unwrap()];
            args.extend(options);
            let mut target = Command::new("sleep").arg("3").stdin(Stdio::null()).spawn().unwrap();
            let pid = target.id().to_string();
            args.extend(["-p", &pid]);
            let out = osd(&args);
            target.kill().unwrap();
            target.wait().unwrap();
            assert!(out.status.success(), "{}", text(&out.stderr));
            assert!(!rows(&path, Kind::Sample).is_empty());
            recorded_ns(&path)
        };
        assert!(record(&["--duration", "1ms", "-i", "10s"]) < 9_000_000_000, "{backend}");
        assert!(record(&["--duration", "300ms", "-i", "1h"]) < 9_000_000_000, "{backend}");
        // And ends when its target does, not when the interval is over.
        if backend == "bpf" {
            assert!(record(&["-i", "1h"]) < 60_000_000_000);
        }
    }
}

#[test]
fn a_process_that_was_named_and_is_not_recorded_is_named_again() {
    let Some(place) = Place::new("a_process_that_was_named_and_is_not_recorded_is_named_again") else { return };
    let path = place.path();
    let mut target = Command::new("sleep").arg("60").spawn().unwrap();
    // The kernel's pass over threads does not show PID 1 of every machine.
    let pids = format!("{},1", target.id());
    let out = osd(["record", "--force", "--no-follow", "-d", "100ms", "-o", path.to_str().unwrap(), "-p", &pids]);
    target.kill().unwrap();
    target.wait().unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    let recorded = rows(&path, Kind::Process).iter().any(|r| r["pid"] == "1");
    let named = text(&out.stderr).contains("warning: process 1 was named and is not recorded");
    let spots = Recording::open(&path).unwrap().metadata().blind_spots.clone();
    let blind = spots.iter().any(|s| s.starts_with("process 1 was named"));
    assert!(recorded != named && named == blind, "{}", text(&out.stderr));
}

/// The kernel keeps 15 bytes of a name.
#[test]
fn a_program_with_a_long_name_is_called_by_all_of_it() {
    let Some(place) = Place::new("a_program_with_a_long_name_is_called_by_all_of_it") else { return };
    let (path, name) = (place.path(), "a_program_whose_name_is_very_long");
    let program = place.dir.path().join(name);
    std::fs::copy(crate::support::targets(), &program).unwrap();
    let mut target = Command::new(&program).args(["wait", "1"]).stdin(Stdio::piped()).spawn().unwrap();
    let pid = target.id().to_string();
    for backend in BACKENDS {
        let record =
            ["record", "-q", "--force", "-d", "300ms", "--backend", backend, "-o", path.to_str().unwrap(), "-p", &pid];
        let out = osd(record);
        assert!(out.status.success(), "{}", text(&out.stderr));
        assert!(
            rows(&path, Kind::Process).iter().any(|r| r["comm"] == name[..15]),
            "the column is what the kernel says"
        );
        let out = osd(["analyze", path.to_str().unwrap()]);
        assert!(text(&out.stdout).contains(&format!("of {name} (pid {pid})")), "{}", text(&out.stdout));
    }
    drop(target.stdin.take());
    target.wait().unwrap();
}
