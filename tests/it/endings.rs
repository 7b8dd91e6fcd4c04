//! Each way in which a recording ends: signals, a closed terminal, a recorder that is stopped for a
//! while, a target that goes or becomes another program. Every one leaves a closed file, a clear
//! message and the right exit status.

use crate::support::{alone, child_of, has_given_up, may_record, rows, sum, targets, text, until};
use osd_recording::{Kind, Recording};
use std::io::{BufRead, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A recorder that has begun, of a process that waits until its stdin closes.
struct Watch {
    _alone: std::sync::MutexGuard<'static, ()>,
    dir: TempDir,
    target: Child,
    recorder: Child,
}

fn signal(pid: u32, signal: libc::c_int) {
    // SAFETY: a signal to our own child.
    unsafe { libc::kill(pid as i32, signal) };
}

impl Watch {
    fn of(test: &str, target: &mut Command) -> Option<Self> {
        if !may_record(test) {
            return None;
        }
        let (alone, dir) = (alone(), tempfile::tempdir().unwrap());
        let target = target.stdin(Stdio::piped()).spawn().unwrap();
        let recorder = Command::new(env!("CARGO_BIN_EXE_osd"))
            .args(["record", "-p", &target.id().to_string(), "-o"])
            .arg(dir.path().join("r.parquet"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        until("the recorder records", || has_given_up(recorder.id()));
        Some(Self { _alone: alone, dir, target, recorder })
    }

    fn of_waiting(test: &str) -> Option<Self> {
        Self::of(test, Command::new(targets()).args(["wait", "1"]))
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("r.parquet")
    }

    /// How the recorder ended, and what it said.
    fn ended(&mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.recorder.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.recorder.wait().unwrap().code(), said)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        for child in [&mut self.target, &mut self.recorder] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn assert_closed(path: &Path) {
    let recording = Recording::open(path).unwrap();
    assert!(recording.metadata().complete);
    let tallies = sum(&rows(path, Kind::Tally), "count");
    assert_eq!(tallies, recording.metadata().rows["syscall"] + recording.metadata().lost("syscall"));
    let files = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(files, 1, "nothing but the recording is left");
}

#[test]
fn sigterm_and_sighup_close_the_recording() {
    for number in [libc::SIGTERM, libc::SIGHUP] {
        let Some(mut r) = Watch::of_waiting("sigterm_and_sighup_close_the_recording") else { return };
        signal(r.recorder.id(), number);
        let (code, said) = r.ended();
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("recorded ") && said.contains("hint: osd analyze"), "{said}");
        assert_closed(&r.path());
    }
}

#[test]
fn a_second_signal_aborts_at_once() {
    let Some(mut r) = Watch::of_waiting("a_second_signal_aborts_at_once") else { return };
    // Both arrive before the recorder can do anything about the first.
    signal(r.recorder.id(), libc::SIGSTOP);
    signal(r.recorder.id(), libc::SIGINT);
    signal(r.recorder.id(), libc::SIGTERM);
    signal(r.recorder.id(), libc::SIGCONT);
    let (code, said) = r.ended();
    assert!([Some(128 + libc::SIGINT), Some(128 + libc::SIGTERM)].contains(&code), "{code:?} {said}");
    assert!(!r.path().exists(), "an unfinished recording does not carry its name");
}

#[test]
fn a_closed_terminal_closes_the_recording() {
    if !may_record("a_closed_terminal_closes_the_recording") {
        return;
    }
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    let path = dir.path().join("r.parquet");
    let (mut master, slave) = (0, 0);
    let mut slave = slave;
    // SAFETY: both descriptors are written by the call and are ours afterwards.
    let (master, slave) = unsafe {
        let none = std::ptr::null_mut();
        assert_eq!(libc::openpty(&raw mut master, &raw mut slave, none, std::ptr::null(), std::ptr::null()), 0);
        libc::fcntl(master, libc::F_SETFD, libc::FD_CLOEXEC);
        (std::fs::File::from_raw_fd(master), std::fs::File::from_raw_fd(slave))
    };
    let terminal = || Stdio::from(slave.try_clone().unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_osd"));
    command.args(["record", "-p", &std::process::id().to_string(), "-o"]).arg(&path);
    command.stdin(terminal()).stdout(terminal()).stderr(terminal());
    let fd = slave.as_raw_fd();
    // SAFETY: async-signal-safe calls that make the terminal the new session's own.
    unsafe {
        command.pre_exec(move || {
            libc::setsid();
            libc::ioctl(fd, libc::TIOCSCTTY, 0);
            Ok(())
        });
    }
    let mut recorder = command.spawn().unwrap();
    drop((slave, command));
    until("the recorder records", || has_given_up(recorder.id()));
    // The live line is drawn; then the window is closed.
    let mut drawn = [0; 16];
    (&master).read_exact(&mut drawn).unwrap();
    drop(master);
    let status = recorder.wait().unwrap();
    assert_eq!((status.code(), status.signal()), (Some(0), None));
    assert_closed(&path);
}

#[test]
fn a_recorder_that_is_stopped_for_a_while_counts_every_call_all_the_same() {
    if !may_record("a_recorder_that_is_stopped_for_a_while_counts_every_call_all_the_same") {
        return;
    }
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    let path = dir.path().join("r.parquet");
    let recorder = Command::new(env!("CARGO_BIN_EXE_osd"))
        .args(["record", "-o"])
        .arg(&path)
        .arg("--")
        .args([targets().to_str().unwrap(), "loop", "3000000"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let target = until("the target runs", || child_of(recorder.id()));
    until("the recorder records", || has_given_up(recorder.id()));
    signal(recorder.id(), libc::SIGSTOP);
    // The target runs to its end without anybody emptying the ring.
    until("the target ends", || {
        let stat = std::fs::read_to_string(format!("/proc/{target}/stat")).unwrap();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'))
    });
    signal(recorder.id(), libc::SIGCONT);
    let out = recorder.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let getppid: Vec<_> = rows(&path, Kind::Tally).into_iter().filter(|r| r["syscall"] == "getppid").collect();
    assert_eq!(sum(&getppid, "count"), 3_000_000);
    assert_closed(&path);
}

#[test]
fn a_target_that_is_killed_ends_the_recording() {
    let Some(mut r) = Watch::of_waiting("a_target_that_is_killed_ends_the_recording") else { return };
    r.target.kill().unwrap();
    r.target.wait().unwrap();
    let (code, said) = r.ended();
    assert_eq!(code, Some(0), "{said}");
    let processes = rows(&r.path(), Kind::Process);
    let last = processes.last().unwrap();
    assert_eq!((last["event"].as_str(), last["exit_signal"].as_str()), ("exit", "9"));
    assert_closed(&r.path());
}

#[test]
fn a_target_that_becomes_another_program_is_recorded_on() {
    let test = "a_target_that_becomes_another_program_is_recorded_on";
    let Some(mut r) = Watch::of(test, Command::new("sh").args(["-c", "read line; exec sleep 0.3"])) else {
        return;
    };
    r.target.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let (code, said) = r.ended();
    assert_eq!(code, Some(0), "{said}");
    let processes = rows(&r.path(), Kind::Process);
    let events: Vec<_> = processes.iter().map(|p| (p["event"].as_str(), p["comm"].as_str())).collect();
    assert_eq!(events, [("running", "sh"), ("exec", "sleep"), ("exit", "sleep")]);
    assert!(processes.iter().all(|p| p["proc"] == processes[0]["proc"]), "the same process all along");
    let calls = rows(&r.path(), Kind::Syscall);
    assert!(calls.iter().any(|c| c["syscall"] == "clock_nanosleep"), "the new program's calls are there");
    assert_closed(&r.path());
}

/// The recorder is a child of what it records, as with `osd record -p $$`: it must not wait for its own end.
#[test]
fn a_recorder_below_its_target_ends_with_it() {
    if !may_record("a_recorder_below_its_target_ends_with_it") {
        return;
    }
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    let path = dir.path().join("r.parquet");
    let script = r#""$0" record -q -p $$ -o "$1" & echo $!; read line"#;
    let mut shell = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_osd"), path.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let recorder: u32 = line.trim().parse().unwrap();
    until("the recorder records", || has_given_up(recorder));
    drop(shell.stdin.take());
    shell.wait().unwrap();
    until("the recording is closed", || path.exists());
    assert_closed(&path);
}

#[test]
fn a_command_outlives_a_recorder_that_is_told_to_stop_and_the_summary_says_so() {
    if !may_record("a_command_outlives_a_recorder_that_is_told_to_stop_and_the_summary_says_so") {
        return;
    }
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    let path = dir.path().join("r.parquet");
    let mut recorder = Command::new(env!("CARGO_BIN_EXE_osd"))
        .args(["record", "-o", path.to_str().unwrap(), "--", targets().to_str().unwrap(), "wait", "1"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let command = until("the command runs", || child_of(recorder.id()));
    until("the recorder records", || has_given_up(recorder.id()));
    let stdin = recorder.stdin.take();
    signal(recorder.id(), libc::SIGTERM);
    recorder.wait().unwrap();
    assert!(Path::new(&format!("/proc/{command}")).exists(), "the command is not taken along");
    // Now it goes too, and with it the last writer to the recorder's stderr.
    drop(stdin);
    let out = recorder.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("; the command still runs"), "{}", text(&out.stderr));
    assert_closed(&path);
}
