//! What recorders get wrong, a test each: who is who, what was counted, what was lost. The
//! processes are in `honesty.c`. Needs root.

use crate::record::{Place, Rows, assert_counts_hold, of};
use crate::support::{honesty, options_of_all, osd, osd_ok, record, rows, sum, text};
use osd_recording::{Kind, Recording};
use osd_synth::Synth;
use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Records `honesty ARGS`, and checks what holds whatever a process does: counted = recorded + lost. What it printed.
pub(crate) fn record_honesty(path: &Path, options: &[&str], args: &[&str]) -> String {
    let mut command = vec![honesty().to_str().unwrap()];
    command.extend(args);
    let out = record(path, options, &command);
    if Recording::open(path).unwrap().metadata().syscalls == "events" {
        assert_counts_hold(path);
    }
    text(&out.stdout).to_owned()
}

/// What was lost of each stream and for each reason, by the metadata.
pub(crate) fn losses(path: &Path) -> BTreeMap<(String, String), u64> {
    let metadata = Recording::open(path).unwrap().metadata().clone();
    metadata.losses.into_iter().map(|l| ((l.stream, l.reason), l.count)).collect()
}

/// The same of one stream and reason.
pub(crate) fn lost(path: &Path, stream: &str, reason: &str) -> u64 {
    losses(path).get(&(stream.to_owned(), reason.to_owned())).copied().unwrap_or(0)
}

/// Nothing was lost, and the books agree: tallies, events and samples; beginnings, ends and identities.
fn assert_whole(path: &Path) -> Rows {
    let mut lost = losses(path);
    // By the other attach modes: the kernel may forget a thread without a word.
    if !options_of_all().is_empty() {
        lost.remove(&("sample".to_owned(), "end_unseen".to_owned()));
    }
    assert_eq!(lost, BTreeMap::new());
    let calls = rows(path, Kind::Syscall).len() as u64;
    assert_eq!(sum(&rows(path, Kind::Tally), "count"), calls);
    assert_eq!(sum(&rows(path, Kind::Sample), "n_syscalls"), calls);
    let processes = rows(path, Kind::Process);
    let mut began: Vec<_> = of(&processes, "event", "running");
    began.extend(of(&processes, "event", "fork"));
    let procs = |rows: &[&_]| -> HashSet<String> {
        rows.iter().map(|r: &&std::collections::HashMap<String, String>| r["proc"].clone()).collect()
    };
    let ended = of(&processes, "event", "exit");
    assert_eq!((procs(&began).len(), procs(&ended).len()), (began.len(), ended.len()), "one beginning, one end");
    assert_eq!(procs(&began), procs(&ended));
    for kind in [Kind::Sample, Kind::Tally, Kind::Syscall] {
        let rows = rows(path, kind);
        assert!(procs(&rows.iter().collect::<Vec<_>>()).is_subset(&procs(&began)), "{kind:?} of known processes only");
    }
    processes
}

/// The rows of one system call.
pub(crate) fn calls<'a>(calls: &'a Rows, name: &str) -> Vec<&'a std::collections::HashMap<String, String>> {
    of(calls, "syscall", name)
}

#[test]
fn a_pid_that_is_used_again_is_another_process_each_time() {
    let Some(place) = Place::new("a_pid_that_is_used_again_is_another_process_each_time") else { return };
    let path = place.path();
    // As fast as it can: several of them start within one tick of the clock that identities are made of.
    record_honesty(&path, &[], &["reuse", "20"]);
    let processes = assert_whole(&path);
    let parent = &of(&processes, "event", "running")[0]["proc"];
    let forks = of(&processes, "event", "fork");
    let pids: HashSet<_> = forks.iter().map(|r| &r["pid"]).collect();
    let procs: HashSet<_> = forks.iter().map(|r| &r["proc"]).collect();
    assert_eq!((forks.len(), pids.len(), procs.len()), (20, 1, 20));
    assert!(forks.iter().all(|r| r["parent"] == *parent));
    // Child i made i + 1 calls and ended with i: nothing was charged to another one.
    let tallies = rows(&path, Kind::Tally);
    for exit in of(&processes, "event", "exit").into_iter().filter(|r| r["proc"] != *parent) {
        let number: u64 = exit["exit_code"].parse().unwrap();
        let own: Rows = of(&tallies, "proc", &exit["proc"]).into_iter().cloned().collect();
        let getppid: Rows = calls(&own, "getppid").into_iter().cloned().collect();
        assert_eq!(sum(&getppid, "count"), number + 1);
    }
}

#[test]
fn an_exec_by_another_thread_keeps_the_process_and_every_call() {
    let Some(place) = Place::new("an_exec_by_another_thread_keeps_the_process_and_every_call") else { return };
    let path = place.path();
    record_honesty(&path, &[], &["exec-from-thread"]);
    let processes = assert_whole(&path);
    let events: Vec<_> = processes.iter().map(|r| r["event"].as_str()).collect();
    assert_eq!(events, ["running", "exec", "exec", "exit"]);
    let (last, pid) = (&processes[2], &processes[0]["pid"]);
    assert!(last["argv"].ends_with(" loop 50"), "{}", last["argv"]);
    assert!(processes.iter().all(|r| r["proc"] == last["proc"] && r["pid"] == *pid && r["tid"] == *pid));
    let all = rows(&path, Kind::Syscall);
    // 100 by the thread that is about to exec, under its own TID; 50 after, under the first thread's, which it took over.
    let by = |own: bool| calls(&all, "getppid").into_iter().filter(|r| (r["tid"] == *pid) == own).count();
    assert_eq!((by(false), by(true)), (100, 50));
    // The first thread and the other one slept in read: both were interrupted for good.
    let torn: HashSet<_> = calls(&all, "read").into_iter().filter(|r| r["ret"] == "-512").map(|r| &r["tid"]).collect();
    assert_eq!(torn.len(), 2);
    assert!(torn.contains(pid));
}

#[test]
fn a_thread_killed_inside_a_call_leaves_that_call() {
    let Some(place) = Place::new("a_thread_killed_inside_a_call_leaves_that_call") else { return };
    let path = place.path();
    for (how, ends) in [("3", ("3", "")), ("9", ("", "9"))] {
        record_honesty(&path, &[], &["killed-in-call", how]);
        let processes = assert_whole(&path);
        let child = of(&processes, "event", "fork")[0];
        let exit = of(&processes, "event", "exit").into_iter().find(|r| r["proc"] == child["proc"]).unwrap();
        assert_eq!((exit["exit_code"].as_str(), exit["exit_signal"].as_str()), ends);
        // The kernel backs out of the call before it ends the thread, so the call is there: interrupted, and no error.
        let all = rows(&path, Kind::Syscall);
        let torn: Vec<_> = calls(&all, "read").into_iter().filter(|r| r["ret"] == "-512").collect();
        assert_eq!(torn.len(), 1);
        assert!(torn[0]["proc"] == child["proc"] && torn[0]["tid"] != child["pid"] && torn[0]["errno"].is_empty());
    }
}

#[test]
fn a_process_whose_first_thread_ends_first_has_the_status_its_parent_sees() {
    let Some(place) = Place::new("a_process_whose_first_thread_ends_first_has_the_status_its_parent_sees") else {
        return;
    };
    let path = place.path();
    let seen = record_honesty(&path, &[], &["leader-exits-first"]);
    let processes = assert_whole(&path);
    let child = of(&processes, "event", "fork")[0];
    let exit = of(&processes, "event", "exit").into_iter().find(|r| r["proc"] == child["proc"]).unwrap();
    assert_eq!((exit["exit_code"].as_str(), exit["tid"] != child["pid"]), (seen.trim(), true));
    let own: Rows = of(&rows(&path, Kind::Syscall), "proc", &child["proc"]).into_iter().cloned().collect();
    assert_eq!(calls(&own, "getppid").len(), 20);
}

#[test]
fn a_vfork_child_is_a_process_and_its_parent_waits_in_the_call() {
    let Some(place) = Place::new("a_vfork_child_is_a_process_and_its_parent_waits_in_the_call") else { return };
    let path = place.path();
    record_honesty(&path, &[], &["vfork"]);
    let processes = assert_whole(&path);
    let parent = of(&processes, "event", "running")[0];
    let forks = of(&processes, "event", "fork");
    assert_eq!(forks.len(), 2);
    assert!(forks.iter().all(|r| r["parent"] == parent["proc"] && r["ppid"] == parent["pid"]));
    let all = rows(&path, Kind::Syscall);
    // The first child sleeps 60 ms before it ends; the parent is inside vfork for as long.
    let waited: Vec<u64> = calls(&all, "vfork").into_iter().map(|r| r["dur_ns"].parse().unwrap()).collect();
    assert!(waited.len() == 2 && waited[0] > 60_000_000, "{waited:?}");
    let getppid = calls(&all, "getppid");
    assert!(getppid.len() == 10 && getppid.iter().all(|r| r["proc"] == forks[0]["proc"]));
    let exits = of(&processes, "event", "exit");
    let of_first = exits.iter().find(|r| r["proc"] == forks[0]["proc"]).unwrap();
    let of_second = exits.iter().find(|r| r["proc"] == forks[1]["proc"]).unwrap();
    assert_eq!((of_first["exit_code"].as_str(), of_second["exe"].as_str()), ("7", "/bin/true"));
}

#[test]
fn a_sibling_made_with_clone_parent_has_its_makers_parent() {
    let Some(place) = Place::new("a_sibling_made_with_clone_parent_has_its_makers_parent") else { return };
    let path = place.path();
    record_honesty(&path, &[], &["clone-parent"]);
    let processes = assert_whole(&path);
    let root = of(&processes, "event", "running")[0];
    let forks = of(&processes, "event", "fork");
    assert_eq!(forks.len(), 2);
    assert!(forks.iter().all(|r| r["parent"] == root["proc"] && r["ppid"] == root["pid"]));
}

#[test]
fn calls_by_the_32_bit_abi_have_names_of_their_own() {
    let Some(place) = Place::new("calls_by_the_32_bit_abi_have_names_of_their_own") else { return };
    let path = place.path();
    if !cfg!(target_arch = "x86_64") {
        return eprintln!("SKIPPED calls_by_the_32_bit_abi_have_names_of_their_own: int 0x80 is x86");
    }
    let out = Command::new(honesty()).arg("int80").output().unwrap();
    if !out.status.success() {
        return eprintln!("SKIPPED calls_by_the_32_bit_abi_have_names_of_their_own: this kernel has no 32-bit calls");
    }
    record_honesty(&path, &[], &["int80"]);
    assert_whole(&path);
    let all = rows(&path, Kind::Syscall);
    let n = |name| calls(&all, name).len();
    assert_eq!((n("i386:getpid"), n("i386:getppid")), (100, 50));
    // The numbers of these two in the 64-bit table.
    assert_eq!((n("writev"), n("semget")), (0, 0));
    // 100000, 100007 ... and -1 are in no table; however many different ones, they are one tally.
    let unknown = calls(&all, "unknown");
    assert!(unknown.len() == 6 && unknown.iter().all(|r| r["ret"] == "-38"));
    assert_eq!(calls(&rows(&path, Kind::Tally), "unknown").len(), 1);
}

#[test]
fn calls_that_signals_interrupt_are_no_errors() {
    let Some(place) = Place::new("calls_that_signals_interrupt_are_no_errors") else { return };
    let path = place.path();
    record_honesty(&path, &[], &["restart"]);
    let processes = assert_whole(&path);
    let all = rows(&path, Kind::Syscall);
    let results = |child: usize, names: &[&str]| -> Vec<(String, String, String)> {
        let proc = &of(&processes, "event", "fork")[child]["proc"];
        let own = all.iter().filter(|r| r["proc"] == *proc && names.contains(&r["syscall"].as_str()));
        own.map(|r| (r["syscall"].clone(), r["ret"].clone(), r["errno"].clone())).collect()
    };
    let row = |name: &str, ret: &str, errno: &str| (name.to_owned(), ret.to_owned(), errno.to_owned());
    // Stopped and continued: the rest of the sleep is another call.
    let sleep = results(0, &["nanosleep", "restart_syscall"]);
    assert_eq!(sleep, [row("nanosleep", "-516", ""), row("restart_syscall", "0", "")]);
    // Not started again: what the program gets shows where the handler returns.
    let once = results(1, &["read", "rt_sigreturn"]);
    assert_eq!(once, [row("read", "-512", ""), row("rt_sigreturn", "-4", "4")]);
    // Started again.
    let again = results(2, &["read", "rt_sigreturn"]);
    assert_eq!([again[0].clone(), again[2].clone()], [row("read", "-512", ""), row("read", "1", "")]);
    // The tallies count all of them, and as errors those that a program saw as one.
    let tallies = rows(&path, Kind::Tally);
    let errors = |name| sum(&calls(&tallies, name).into_iter().cloned().collect::<Vec<_>>(), "errors");
    assert_eq!((errors("nanosleep"), errors("read"), errors("rt_sigreturn")), (0, 0, 1));
    let by_row = all.iter().filter(|r| !r["errno"].is_empty()).count() as u64;
    assert_eq!((sum(&tallies, "errors"), sum(&rows(&path, Kind::Sample), "n_syscall_errors")), (by_row, by_row));
}

#[test]
fn io_uring_requests_are_counted_and_workers_belong_to_the_process() {
    let Some(place) = Place::new("io_uring_requests_are_counted_and_workers_belong_to_the_process") else { return };
    let path = place.path();
    if !Command::new(honesty()).arg("io_uring").output().unwrap().status.success() {
        return eprintln!("SKIPPED io_uring_requests_are_counted: io_uring is not allowed here");
    }
    let cpu_us: u64 = record_honesty(&path, &[], &["io_uring"]).trim().parse().unwrap();
    assert_whole(&path);
    let samples = rows(&path, Kind::Sample);
    assert_eq!(sum(&samples, "n_io_uring_sqes"), 64 + 16 + 8);
    // Nearly all of its time is in reads that workers do, threads that the process never asked for.
    let recorded_us = sum(&samples, "cpu_ns") / 1000;
    assert!(recorded_us * 10 > cpu_us * 8, "recorded {recorded_us} us of {cpu_us} us");
    let metadata = Recording::open(&path).unwrap().metadata().clone();
    assert!(metadata.blind_spots.iter().any(|s| s.contains("io_uring")), "{:?}", metadata.blind_spots);
}

#[test]
fn a_process_in_a_pid_namespace_has_the_pid_it_knows() {
    let Some(place) = Place::new("a_process_in_a_pid_namespace_has_the_pid_it_knows") else { return };
    let path = place.path();
    record(&path, &[], &["unshare", "--pid", "--fork", honesty().to_str().unwrap(), "storm", "3"]);
    assert_counts_hold(&path);
    let processes = assert_whole(&path);
    let ours = std::fs::metadata("/proc/self/ns/pid").unwrap().ino().to_string();
    let root = of(&processes, "event", "running")[0];
    assert_eq!(root["pid_ns"], ours);
    let forks = of(&processes, "event", "fork");
    let inside: Vec<_> = forks.iter().map(|r| r["ns_pid"].as_str()).collect();
    assert_eq!(inside, ["1", "2", "3", "4"]);
    assert!(forks.iter().all(|r| r["pid_ns"] == forks[0]["pid_ns"] && r["pid_ns"] != ours && r["pid"] != r["ns_pid"]));
    assert_eq!(forks[0]["parent"], root["proc"]);
    assert!(forks[1..].iter().all(|r| r["parent"] == forks[0]["proc"] && r["ppid"] == forks[0]["pid"]));
}

/// `n` children of one process, each of one call. What of their lives is not there was counted as lost.
fn fork_storm(path: &Path, options: &[&str], n: u64) {
    record_honesty(path, options, &["storm", &n.to_string()]);
    let processes = rows(path, Kind::Process);
    let count = |event| of(&processes, "event", event).len() as u64;
    let life = count("fork") + count("exec") + count("exit");
    assert_eq!(life + lost(path, "process", "ring_full"), 2 * n + 2, "{:?}", losses(path));
    let tallies = rows(path, Kind::Tally);
    let getppid = sum(&calls(&tallies, "getppid").into_iter().cloned().collect::<Vec<_>>(), "count");
    assert!(getppid <= n && getppid + lost(path, "tally", "map_full") >= n);
    let metadata = Recording::open(path).unwrap().metadata().clone();
    assert!(metadata.complete);
}

/// The same where nothing was lost: every child by itself.
fn assert_every_child(path: &Path, n: usize) {
    let processes = assert_whole(path);
    let forks = of(&processes, "event", "fork");
    let procs: HashSet<_> = forks.iter().map(|r| &r["proc"]).collect();
    let parent = &of(&processes, "event", "running")[0]["proc"];
    assert_eq!((forks.len(), procs.len()), (n, n));
    assert!(forks.iter().all(|r| r["parent"] == *parent));
    let mut codes = [0; 128];
    for exit in of(&processes, "event", "exit").into_iter().filter(|r| r["proc"] != *parent) {
        codes[exit["exit_code"].parse::<usize>().unwrap()] += 1;
    }
    assert!((0..128).all(|code| codes[code] == (n + 127 - code) / 128), "{codes:?}");
}

#[test]
fn a_storm_of_ten_thousand_processes_is_recorded_whole() {
    let Some(place) = Place::new("a_storm_of_ten_thousand_processes_is_recorded_whole") else { return };
    let path = place.path();
    fork_storm(&path, &[], 10_000);
    assert_every_child(&path, 10_000);
}

#[test]
#[ignore = "a hundred thousand processes; `make soak` runs it"]
fn identity_survives_a_hundred_thousand_forks() {
    let Some(place) = Place::new("identity_survives_a_hundred_thousand_forks") else { return };
    let path = place.path();
    fork_storm(&path, &["--syscalls", "tally"], 100_000);
    let processes = rows(&path, Kind::Process);
    let forks = of(&processes, "event", "fork");
    let procs: HashSet<_> = forks.iter().map(|r| &r["proc"]).collect();
    let pids: HashSet<_> = forks.iter().map(|r| &r["pid"]).collect();
    assert_eq!((forks.len(), procs.len()), (100_000, 100_000), "{:?}", losses(&path));
    eprintln!("100 000 processes had {} PIDs", pids.len());
    let ended: HashSet<_> = of(&processes, "event", "exit").iter().map(|r| &r["proc"]).collect();
    assert!(procs.is_subset(&ended));
    // A recorder that is held up for long has more processes to tally than there is room for: calls without a name, counted all the same.
    let nameless = lost(&path, "tally", "map_full");
    assert_eq!(sum(&rows(&path, Kind::Tally), "count") + nameless, sum(&rows(&path, Kind::Sample), "n_syscalls"));
    eprintln!("{nameless} calls found the tallies full");
}

#[test]
fn a_process_of_1024_threads_is_recorded_whole() {
    let Some(place) = Place::new("a_process_of_1024_threads_is_recorded_whole") else { return };
    let path = place.path();
    record_honesty(&path, &[], &["threads", "1024"]);
    assert_whole(&path);
    let all = rows(&path, Kind::Syscall);
    let getppid = calls(&all, "getppid");
    let tids: HashSet<_> = getppid.iter().map(|r| &r["tid"]).collect();
    assert_eq!((getppid.len(), tids.len()), (10_240, 1024));
    // And from outside, when all of them are there already.
    let mut target =
        Command::new(honesty()).args(["threads", "1024"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(target.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let pid = target.id().to_string();
    let out = osd(["record", "--force", "-p", &pid, "--duration", "500ms", "-o", path.to_str().unwrap()]);
    drop(target.stdin.take());
    target.wait().unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    let samples = rows(&path, Kind::Sample);
    assert!(!samples.is_empty() && samples.iter().all(|r| r["n_threads"] == "1025"), "{samples:?}");
}

#[test]
fn two_hosts_merge_without_collision() {
    let dir = tempfile::tempdir().unwrap();
    let file = |host: &str| {
        let path = dir.path().join(format!("{host}.parquet"));
        Synth { duration_s: 2, host: host.into(), ..Synth::default() }.write(&path).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (a, b) = (file("a"), file("b"));
    // The same PID, started at the same time after boot.
    let statement = "SELECT count(DISTINCT pid) AS pids, count(DISTINCT proc) AS procs FROM samples";
    assert_eq!(osd_ok(["sql", &a, &b, statement, "--format", "csv"]), "pids,procs\n1,2\n");
    let joined =
        "SELECT count(*) AS n FROM samples s JOIN processes p ON s.proc = p.proc AND s.recording <> p.recording";
    assert_eq!(osd_ok(["sql", &a, &b, joined, "--format", "csv"]), "n\n0\n");
}

#[test]
fn a_recording_says_how_its_clocks_stood() {
    let Some(place) = Place::new("a_recording_says_how_its_clocks_stood") else { return };
    let path = place.path();
    let wall = || std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as i64;
    let before = wall();
    record_honesty(&path, &[], &["loop", "10"]);
    let after = wall();
    let clock = Recording::open(&path).unwrap().metadata().clock.clone();
    assert!(clock.0.len() >= 2, "at the start and at the end");
    let uncertain = clock.0.iter().map(|p| p.uncertainty_ns).max().unwrap();
    assert!(clock.0.iter().all(|p| p.uncertainty_ns > 0) && uncertain < 1_000_000);
    assert!(clock.0.iter().all(|p| (before..=after).contains(&p.realtime_ns)));
    // Nobody slept, so the two clocks that suspend parts stayed together.
    assert!(clock.suspended_ns().abs() <= 2 * uncertain, "{}", clock.suspended_ns());
    for call in rows(&path, Kind::Syscall) {
        let ts: jiff::Timestamp = call["ts"].parse().unwrap();
        let (wall_ns, within_ns) = clock.wall_clock_ns(ts.as_nanosecond() as i64);
        assert!((before - within_ns..=after + within_ns).contains(&wall_ns));
    }
}

#[test]
fn calls_that_a_seccomp_filter_refuses_are_counted_and_listed_without_a_duration() {
    let Some(place) = Place::new("calls_that_a_seccomp_filter_refuses_are_counted_and_listed_without_a_duration")
    else {
        return;
    };
    let path = place.path();
    for options in [&[][..], &["--no-latency"], &["--syscalls", "tally"], &["--pretend-missing", "tp_btf"]] {
        record_honesty(&path, options, &["seccomp", "500"]);
        let tallies = rows(&path, Kind::Tally);
        for (name, errors) in [("getuid", 1000), ("getppid", 0), ("getgid", 0), ("rt_sigreturn", 0)] {
            if name == "rt_sigreturn" && options == ["--no-latency"] {
                continue; // counted as `unknown`, as ever
            }
            let of_name: Rows = calls(&tallies, name).into_iter().cloned().collect();
            assert_eq!((sum(&of_name, "count"), sum(&of_name, "errors")), (1000, errors), "{name} {options:?}");
        }
        let calls_of = rows(&path, Kind::Syscall);
        for row in calls(&calls_of, "getuid") {
            assert_eq!(
                (row["ret"].as_str(), row["errno"].as_str(), row["dur_ns"].as_str()),
                ("-1", "1", ""),
                "{options:?}"
            );
        }
        if options.is_empty() {
            assert!(calls(&calls_of, "getppid").iter().all(|row| !row["dur_ns"].is_empty()));
            assert_whole(&path);
        }
    }
}
