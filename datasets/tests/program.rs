//! Runs `osd-workload` as a user does.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use osd_datasets::labels::Label;
use osd_datasets::temp::TempFolder;

fn workload() -> Command {
    Command::new(env!("CARGO_BIN_EXE_osd-workload"))
}

fn labels(path: &Path) -> Vec<Label> {
    let text = fs::read_to_string(path).expect("a label file");
    text.lines().map(|line| serde_json::from_str(line).expect("a label")).collect()
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).expect("a folder").next().is_none()
}

#[test]
fn short_run_labels_its_faults_and_leaves_nothing() {
    let folder = TempFolder::new(None).expect("a temporary folder");
    let (work, label_path) = (folder.path().join("work"), folder.path().join("labels.ndjson"));
    fs::create_dir(&work).expect("a folder");
    let output = workload()
        .args(["--duration", "3s", "--fault", "fsync_storm@1s+1s", "--fault", "outgoing_transfer@2s+1sx0.5"])
        .args(["--seed", "7", "--dir"])
        .arg(&work)
        .arg("--labels")
        .arg(&label_path)
        .output()
        .expect("the program starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(output.stdout.is_empty(), "stdout is for data");
    assert!(stderr.starts_with("ready pid="), "{stderr}");
    assert!(stderr.contains("(0 failed), 2 faults"), "{stderr}");
    let labels = labels(&label_path);
    let names: Vec<_> = labels.iter().map(|label| label.name.as_str()).collect();
    assert_eq!(names, ["fsync_storm", "outgoing_transfer"]);
    for label in &labels {
        // A busy machine is late, never early, and not by much.
        let length_ms = (label.end_ns - label.start_ns) / 1_000_000;
        assert!((990..3000).contains(&length_ms), "{label:?}");
        assert!(!label.note.contains("cut short"), "{label:?}");
    }
    assert!(labels[0].note.starts_with("strength=1 fsyncs="), "{}", labels[0].note);
    assert!(labels[1].note.starts_with("strength=0.5 mib="), "{}", labels[1].note);
    assert!(is_empty(&work), "the run's folder is removed");
}

#[test]
fn signal_ends_the_run_and_cuts_the_fault_short() {
    let folder = TempFolder::new(None).expect("a temporary folder");
    let (work, label_path) = (folder.path().join("work"), folder.path().join("labels.ndjson"));
    let ready_path = folder.path().join("ready");
    fs::create_dir(&work).expect("a folder");
    let mut child = workload()
        .args(["--duration", "1h", "--fault", "cpu_burn@0s+1h", "--dir"])
        .arg(&work)
        .arg("--labels")
        .arg(&label_path)
        .arg("--ready-file")
        .arg(&ready_path)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
    let mut ready = String::new();
    stderr.read_line(&mut ready).expect("a line");
    assert!(ready.starts_with(&format!("ready pid={} port=", child.id())), "{ready}");
    assert_eq!(fs::read_to_string(&ready_path).expect("a ready file"), ready);
    assert!(!is_empty(&work));

    // A pending signal waits until the program looks for it, so none is too early.
    let pid = libc::pid_t::try_from(child.id()).expect("a process id");
    // SAFETY: the process is a child that has not been waited for, so the id is its own.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0);
    let status = child.wait().expect("it ends");
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).expect("text");
    assert_eq!(status.code(), Some(0), "{rest}");
    assert!(rest.contains("ended by signal 15"), "{rest}");
    assert!(is_empty(&work), "the run's folder is removed");
    // The signal may have been first to the timetable; then the fault never began.
    for label in labels(&label_path) {
        assert!(label.note.ends_with("cut short"), "{label:?}");
    }
}

#[test]
fn misuse_exits_2_and_says_why() {
    for (args, expected) in [
        (&["--fault", "gpu_burn@1s+1s"][..], "no fault is called `gpu_burn`"),
        (&["--fault", "cpu_burn@1s"], "want NAME@START+LENGTH[xSTRENGTH]"),
        (&["--duration", "5"], "want a number and ms, s, m or h"),
        (&["--duration", "1s", "--fault", "cpu_burn@1s+1s"], "cpu_burn ends at 2s, after the run's 1s"),
        (&["--rate", "0"], "want a number from 1 to 100000"),
        (&["--labels", "/nonexistent/labels"], "cannot write labels to /nonexistent/labels"),
        (&["--dir", "/nonexistent"], "cannot create a folder in /nonexistent"),
    ] {
        let output = workload().args(args).output().expect("the program starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains(expected), "{args:?}: {stderr}");
    }
}

#[test]
fn faults_are_listed() {
    let output = workload().arg("--list-faults").output().expect("the program starts");
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8_lossy(&output.stdout);
    for fault in osd_datasets::fault::Fault::ALL {
        assert!(text.contains(fault.name()), "{fault}");
    }
}
