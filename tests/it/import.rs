//! `osd import`: a program under strace or perf and under osd has the same calls, and a capture
//! that is broken, hostile or of another kind harms nothing.

use crate::bad_input::refused;
use crate::record::Place;
use crate::support::{osd, osd_ok, record, rows, targets, text};
use osd_recording::{Kind, Recording};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Calls by name, of a recording.
fn calls(path: &Path) -> BTreeMap<String, u64> {
    let csv =
        osd_ok(["sql", path.to_str().unwrap(), "SELECT syscall, count(*) FROM syscalls GROUP BY 1", "--format", "csv"]);
    let lines = csv.lines().skip(1).map(|l| l.split_once(',').unwrap());
    lines.map(|(name, n)| (name.to_owned(), n.parse().unwrap())).collect()
}

fn import(text: &str) -> (tempfile::TempDir, std::path::PathBuf, String) {
    let dir = tempfile::tempdir().unwrap();
    let (capture, out) = (dir.path().join("trace.txt"), dir.path().join("run.parquet"));
    std::fs::write(&capture, text).unwrap();
    let said = osd(["import", capture.to_str().unwrap(), "-o", out.to_str().unwrap()]);
    assert!(said.status.success(), "{}", crate::support::text(&said.stderr));
    (dir, out, crate::support::text(&said.stderr).to_owned())
}

#[test]
fn strace_and_osd_see_the_same_calls_of_the_same_program() {
    let test = "strace_and_osd_see_the_same_calls_of_the_same_program";
    let Some(place) = Place::new(test) else { return };
    // Children, threads, calls that fail, and a signal that ends somebody.
    let script = format!(
        "{} threads 500 >/dev/null; for i in 1 2 3; do /bin/ls /nowhere /etc >/dev/null 2>&1; done; /bin/sh -c 'kill -9 $$'; cat /etc/hostname >/dev/null",
        targets().display()
    );
    let (capture, imported) = (place.dir.path().join("trace.txt"), place.dir.path().join("imported.parquet"));
    for extra in [&["-s", "4096"][..], &["-y"]] {
        let status = Command::new("strace")
            .args(["-f", "-ttt", "-T", "-o"])
            .arg(&capture)
            .args(extra)
            .args(["sh", "-c", &script])
            .status()
            .unwrap();
        assert!(status.success());
        let said = osd(["import", "--force", capture.to_str().unwrap(), "-o", imported.to_str().unwrap()]);
        assert!(said.status.success() && !text(&said.stderr).contains("warning"), "{}", text(&said.stderr));
        record(&place.path(), &[], &["sh", "-c", &script]);
        let (mut theirs, mut ours) = (calls(&imported), calls(&place.path()));
        // How often a program waits for another depends on which of them is faster, and strace makes all of them slower.
        for name in ["futex", "restart_syscall", "wait4", "sched_yield", "mprotect", "munmap", "mmap", "brk", "madvise"]
        {
            theirs.remove(name);
            ours.remove(name);
        }
        // Who kills itself returns from that to nobody: strace has `= ?`, and says so on import.
        assert_eq!((theirs.remove("kill"), ours.remove("kill")), (None, Some(1)));
        assert!(text(&said.stderr).contains("note: 1 call had not returned"), "{}", text(&said.stderr));
        assert_eq!(theirs, ours, "{extra:?}");
        let lives = |path: &Path, what: &str| {
            osd_ok([
                "sql",
                path.to_str().unwrap(),
                &format!("SELECT {what} FROM processes WHERE event = 'exit' ORDER BY 1, 2, 3"),
                "--format",
                "csv",
            ])
        };
        assert_eq!(
            lives(&imported, "comm, exit_code, exit_signal"),
            lives(&place.path(), "comm, exit_code, exit_signal")
        );
        // Without a large -s strace cuts arguments, which end in `…` then.
        let columns = if extra.contains(&"-s") { "exe, argv" } else { "exe, pid > 0" };
        let programs = |path: &Path| {
            let statement =
                format!("SELECT {columns}, count(*) FROM processes WHERE event = 'exec' GROUP BY 1, 2 ORDER BY 1, 2");
            osd_ok(["sql", path.to_str().unwrap(), &statement, "--format", "csv"])
        };
        assert_eq!(programs(&imported), programs(&place.path()));
        let paths = |path: &Path| {
            let failed = "SELECT syscall, path, errno, count(*) FROM syscalls WHERE path LIKE '/nowhere%' GROUP BY 1, 2, 3 ORDER BY 1";
            osd_ok(["sql", path.to_str().unwrap(), failed, "--format", "csv"])
        };
        assert_eq!(paths(&imported), paths(&place.path()));
    }
    // Other commands take it for what it is.
    let path = imported.to_str().unwrap();
    assert!(osd_ok(["info", path]).contains("made from a capture of strace"));
    let sums = "SELECT (SELECT sum(count) FROM tallies) - (SELECT count(*) FROM syscalls), (SELECT sum(n_syscalls) FROM samples) - (SELECT count(*) FROM syscalls)";
    assert_eq!(
        osd_ok(["sql", path, sums, "--format", "csv"]).lines().nth(1),
        Some("0,0"),
        "tallies, samples and rows agree"
    );
    let nulls = "SELECT count(cpu_ns), count(rss_anon_bytes), count(net_rx_bytes), count(read_bytes) FROM samples";
    assert_eq!(
        osd_ok(["sql", path, nulls, "--format", "csv"]).lines().nth(1),
        Some("0,0,0,0"),
        "what is not known is null"
    );
    assert!(matches!(osd(["analyze", path]).status.code(), Some(0 | 1)));
    osd_ok(["export", path, "--to", "chrome"]);
}

#[test]
fn perf_and_osd_see_the_same_calls_of_the_same_program() {
    let test = "perf_and_osd_see_the_same_calls_of_the_same_program";
    let Some(place) = Place::new(test) else { return };
    let script = format!(
        "{} threads 500 >/dev/null; for i in 1 2 3; do /bin/ls /nowhere /etc >/dev/null 2>&1; done; cat /etc/hostname >/dev/null",
        targets().display()
    );
    let at = |name: &str| place.dir.path().join(name);
    let events = "raw_syscalls:sys_enter,raw_syscalls:sys_exit,sched:sched_process_fork,sched:sched_process_exec,sched:sched_process_exit";
    let captured = Command::new("perf")
        .args(["record", "-q", "-m", "4096", "-k", "mono", "-e", events, "-o"])
        .arg(at("perf.data"))
        .args(["--", "sh", "-c", &script])
        .output()
        .unwrap();
    assert!(captured.status.success(), "{}", text(&captured.stderr));
    let written = |fields: &str, name: &str| {
        let out = Command::new("perf")
            .args(["script", "--header", "--ns", "-F", fields, "-i"])
            .arg(at("perf.data"))
            .stdout(std::fs::File::create(at(name)).unwrap())
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", text(&out.stderr));
        let imported = at(&format!("{name}.parquet"));
        let said = osd(["import", at(name).to_str().unwrap(), "-o", imported.to_str().unwrap()]);
        assert!(said.status.success() && !text(&said.stderr).contains("warning"), "{}", text(&said.stderr));
        imported
    };
    let imported = written("comm,pid,tid,time,event,trace", "perf.txt");
    record(&place.path(), &[], &["sh", "-c", &script]);
    let (mut theirs, mut ours) = (calls(&imported), calls(&place.path()));
    // perf comes when the command has been forked, and osd when it is let go; how often one waits for another is chance.
    for name in [
        "futex",
        "restart_syscall",
        "sched_yield",
        "mprotect",
        "munmap",
        "mmap",
        "brk",
        "madvise",
        "read",
        "close",
        "newfstatat",
        "execve",
    ] {
        theirs.remove(name);
        ours.remove(name);
    }
    assert_eq!(theirs, ours);
    let path = imported.to_str().unwrap();
    let of = |statement: &str| osd_ok(["sql", path, statement, "--format", "csv"]);
    let lives = "SELECT event, comm, exit_code, count(*) FROM processes WHERE event <> 'running' AND comm IN ('ls', 'cat', 'targets') GROUP BY 1, 2, 3 ORDER BY 1, 2";
    let lives = of(lives);
    for wanted in ["exec,cat,,1", "exec,ls,,3", "exit,cat,0,1", "exit,ls,2,3"] {
        assert!(lives.lines().any(|l| l == wanted), "{wanted}: {lives}");
    }
    let sums = "SELECT (SELECT sum(count) FROM tallies) - (SELECT count(*) FROM syscalls), (SELECT sum(n_syscalls) FROM samples) - (SELECT count(*) FROM syscalls)";
    assert_eq!(of(sums).lines().nth(1), Some("0,0"), "tallies, samples and rows agree");
    assert!(of("SELECT count(*) FROM syscalls WHERE syscall = 'write' AND fd IS NULL").ends_with("\n0\n"));
    assert!(of("SELECT min(ts) > '2025-01-01' FROM syscalls").contains("true"), "perf's clock was the time of day");
    assert!(osd_ok(["info", path]).contains("made from a capture of perf"));
    // What perf script writes unasked has threads and no processes.
    let plain = written("comm,tid,cpu,time,event,trace", "plain.txt");
    assert_eq!(calls(&plain).get("openat"), calls(&imported).get("openat"));
    assert!(osd_ok(["info", plain.to_str().unwrap()]).contains("threads are told as processes of their own"));
}

#[test]
fn halves_of_calls_in_a_capture_of_perf_are_counted_and_have_no_row() {
    let capture = "# captured on : somewhere
a 7/7 10.000000100: raw_syscalls:sys_exit: NR 0 = 5
a 7/7 10.000000200: raw_syscalls:sys_enter: NR 1 (2, 0, 0, 0, 0, 0)
a 7/8 10.000000300: raw_syscalls:sys_enter: NR 202 (0, 0, 0, 0, 0, 0)
a 7/7 10.000000400: raw_syscalls:sys_exit: NR 1 = -32
a 7/7 10.000000500: raw_syscalls:sys_enter: NR 99999 (0, 0, 0, 0, 0, 0)
a 7/7 10.000000600: raw_syscalls:sys_exit: NR 99999 = -38
swapper 0/0 10.000000650: raw_syscalls:sys_enter: NR 1 (2, 0, 0, 0, 0, 0)
a 7/7 10.000000660: raw_syscalls:sys_enter: NR 15 (0, 0, 0, 0, 0, 0)
a 7/7 10.000000680: raw_syscalls:sys_exit: NR -1 = 3
a 7/7 10.000000700: raw_syscalls:sys_enter: NR 231 (3, 0, 0, 0, 0, 0)
what is this
";
    let (_dir, path, said) = import(capture);
    assert!(said.contains("imported 3 system calls from 12 lines"), "{said}");
    assert!(said.contains("warning: 1 line not understood, line 12 first"), "{said}");
    let calls = rows(&path, Kind::Syscall);
    let one = &calls[0];
    assert_eq!(
        (&*one["syscall"], &*one["fd"], &*one["ret"], &*one["errno"], &*one["dur_ns"], &*one["tid"]),
        ("write", "2", "-32", "32", "200", "7")
    );
    let names: Vec<&str> = calls.iter().map(|c| &*c["syscall"]).collect();
    assert_eq!(names, ["write", "unknown", "rt_sigreturn"]);
    let exits: Vec<String> =
        rows(&path, Kind::Process).iter().map(|r| format!("{} {} {}", r["event"], r["pid"], r["exit_code"])).collect();
    assert_eq!(exits, ["running 7 ", "exit 7 3"]);
    let blind = Recording::open(&path).unwrap().metadata().blind_spots.join("\n");
    for part in ["of 1 calls the beginning", "1 calls had not returned", "without -k mono", "was killed is not known"] {
        assert!(blind.contains(part), "{part}: {blind}");
    }
}

#[test]
fn calls_that_are_interrupted_resumed_killed_or_never_end_are_what_they_are() {
    let capture = r#"100 1767225600.000000 execve("/usr/bin/x", ["x", "a b"], 0x7ffd /* 3 vars */) = 0 <0.000100>
100 1767225600.001000 clone3({flags=CLONE_VM|CLONE_THREAD, exit_signal=0} => {parent_tid=[101]}, 88 <unfinished ...>
101 1767225600.001100 read(0, <unfinished ...>
100 1767225600.001200 <... clone3 resumed>) = 101 <0.000200>
100 1767225600.002000 fork() = 102 <0.000100>
102 1767225600.002500 openat(AT_FDCWD, "/etc/a\nb", O_RDONLY) = -1 ENOENT (No such file or directory) <0.000010>
102 1767225600.003000 pause() = ? ERESTARTNOHAND (To be restarted if no handler) <0.001000>
102 1767225600.004000 --- SIGTERM {si_signo=SIGTERM} ---
102 1767225600.004100 +++ killed by SIGTERM +++
100 1767225600.004200 --- SIGCHLD {si_signo=SIGCHLD} ---
101 1767225600.005000 <... read resumed>"x", 1) = 1 <0.003900>
101 1767225600.006000 nanosleep({tv_sec=9}, <unfinished ...>
100 1767225600.007000 exit_group(3) = ?
101 1767225600.007100 <... nanosleep resumed> <unfinished ...>) = ?
101 1767225600.007200 +++ exited with 3 +++
100 1767225600.007300 +++ exited with 3 +++
"#;
    let (_dir, path, said) = import(capture);
    assert!(
        said.contains("imported 6 system calls from 16 lines") && said.contains("note: 1 call had not returned"),
        "{said}"
    );
    let calls = rows(&path, Kind::Syscall);
    let of = |name: &str| calls.iter().find(|c| c["syscall"] == name).unwrap();
    let read = of("read");
    assert_eq!(
        (&*read["tid"], &*read["pid"], &*read["fd"], &*read["dur_ns"], &*read["ret"]),
        ("101", "100", "0", "3900000", "1")
    );
    assert_eq!(of("clone3")["dur_ns"], "200000");
    assert_eq!((&*of("openat")["path"], &*of("openat")["errno"]), ("/etc/a\nb", "2"));
    assert_eq!((&*of("pause")["ret"], &*of("pause")["errno"]), ("-514", ""), "no error, as in any recording");
    let lives: Vec<String> = rows(&path, Kind::Process)
        .iter()
        .map(|r| format!("{} {} {} {} {}", r["event"], r["pid"], r["comm"], r["exit_code"], r["exit_signal"]))
        .collect();
    let wanted = ["running 100 unknown  ", "exec 100 x  ", "fork 102 x  ", "exit 102 x  15", "exit 100 x 3 "];
    assert_eq!(lives, wanted);
    let m = Recording::open(&path).unwrap().metadata().clone();
    assert_eq!(m.target.pids, [100]);
    assert!(m.complete && m.blind_spots.iter().any(|b| b.contains("CPU time, memory")), "{:?}", m.blind_spots);
    // The same capture is the same recording, by name too.
    let (_again, path, _) = import(capture);
    assert_eq!(Recording::open(path).unwrap().metadata().recording_id, m.recording_id);
}

#[test]
fn without_lengths_or_numbers_a_capture_says_so() {
    let (_dir, path, _) = import("1767225600.5 getpid() = 7\n1767225600.6 close(9) = -1 EBADF (Bad file descriptor)\n");
    let m = Recording::open(&path).unwrap().metadata().clone();
    assert!(m.no_latency && m.blind_spots.iter().any(|b| b.contains("without -T")), "{:?}", m.blind_spots);
    assert!(m.blind_spots.iter().any(|b| b.contains("does not name the first process")), "{:?}", m.blind_spots);
    assert_eq!(rows(&path, Kind::Syscall).iter().map(|c| c["dur_ns"].clone()).collect::<Vec<_>>(), ["", ""]);
    assert_eq!(rows(&path, Kind::Tally).iter().map(|t| t["total_ns"].clone()).collect::<Vec<_>>(), ["", ""]);
}

#[test]
fn hostile_captures_are_read_and_others_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("times.txt"), "1 12:00:00.1 getpid() = 1\n1 12:00:00.2 getpid() = 1\n").unwrap();
    std::fs::write(dir.path().join("letter.txt"), "Dear reader,\nthis is no capture.\n").unwrap();
    std::fs::write(dir.path().join("empty.txt"), "").unwrap();
    for (name, wanted) in [
        ("times.txt", "its lines do not say when they were"),
        ("letter.txt", "it is no output of strace, and none of perf script"),
        ("empty.txt", "it is no output of strace, and none of perf script"),
        ("nowhere.txt", "No such file or directory"),
        ("/dev/zero", "it is no file, and a capture is read twice"),
    ] {
        let said = refused(dir.path(), &["import", name, "-o", "r.parquet"]);
        assert!(said.contains(wanted), "{name}: {said}");
        assert!(!dir.path().join("r.parquet").exists());
    }
    // Bytes that are no text, parents in a circle, a clock that jumps, a call that takes forever, a line without an end.
    let mut bytes = b"1 1767225600.1 open(\"\xff\xfe\\377\", 0) = -1 ENOENT (x) <0.1>\n".to_vec();
    bytes.extend(b"1 1767225600.2 fork() = 2 <0.1>\n2 1767225600.3 fork() = 1 <0.1>\n3 1767225600.4 clone(flags=CLONE_THREAD) = 3 <0.1>\n");
    bytes.extend(b"1 9000000000.1 getpid() = 1 <0.1>\n1 1767225600.3 getpid() = 1 <9000000000.1>\n");
    bytes.extend(b"1 1767225600.5 made_up(1) = 1 <0.1>\n1 1767225600.6 syscall_0x1b8(1) = 1 <0.1>\ngarbage\n");
    bytes.extend(b"1 1767225600.7 write(1, \"");
    bytes.extend(vec![b'x'; 3 << 20]);
    std::fs::write(dir.path().join("hostile.txt"), bytes).unwrap();
    let out = osd([
        "import",
        dir.path().join("hostile.txt").to_str().unwrap(),
        "-o",
        dir.path().join("h.parquet").to_str().unwrap(),
    ]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("warning: 2 lines not understood, line 9 first"), "{}", text(&out.stderr));
    let calls = rows(&dir.path().join("h.parquet"), Kind::Syscall);
    assert_eq!(calls.len(), 8);
    let names: Vec<&str> = calls.iter().map(|c| &*c["syscall"]).collect();
    assert!(names.contains(&"unknown") && names.contains(&"process_madvise"), "{names:?}");
}
