//! `osd import` of what `sysdig -j` writes. The lines below are in the form of sysdig 0.29, which
//! sysdig's driver is needed to make: `docs/export.md` says with which public captures it was
//! tried.

use crate::bad_input::refused;
use crate::support::{osd, osd_ok, rows, text};
use osd_recording::{Kind, Recording};
use std::path::PathBuf;

fn import(text_of: &[u8]) -> (tempfile::TempDir, PathBuf, String) {
    let dir = tempfile::tempdir().unwrap();
    let (capture, out) = (dir.path().join("capture.json"), dir.path().join("run.parquet"));
    std::fs::write(&capture, text_of).unwrap();
    let said = osd(["import", capture.to_str().unwrap(), "-o", out.to_str().unwrap()]);
    assert!(said.status.success(), "{}", text(&said.stderr));
    (dir, out, text(&said.stderr).to_owned())
}

/// An event, as `sysdig -j` writes it unasked.
fn event(ms: u32, tid: u32, comm: &str, dir: &str, event: &str, info: &str) -> String {
    let time = 1_767_225_600_000_000_000_u64 + u64::from(ms) * 1_000_000;
    format!(
        r#"{{"evt.cpu":0,"evt.dir":"{dir}","evt.info":"{info}","evt.num":{ms},"evt.outputtime":{time},"evt.type":"{event}","proc.name":"{comm}","thread.tid":{tid}}}"#
    )
}

#[test]
fn halves_of_calls_are_joined_and_processes_live_as_sysdig_says() {
    let lines = [
        event(0, 100, "sh", "<", "read", "res=5 data=hello "),
        event(1, 100, "sh", ">", "clone", ""),
        event(
            2,
            100,
            "sh",
            "<",
            "clone",
            "res=101(sh) exe=sh args= tid=100(sh) pid=100(sh) flags=25165824(CLONE_CHILD_CLEARTID) ",
        ),
        event(
            3,
            101,
            "sh",
            "<",
            "clone",
            "res=0 exe=sh args= tid=101(sh) pid=101(sh) flags=25165824(CLONE_CHILD_CLEARTID) ",
        ),
        event(4, 101, "sh", ">", "execve", "filename=/usr/bin/curl "),
        event(6, 101, "curl", "<", "execve", "res=0 exe=curl args=-6. tid=101(curl) pid=101(curl) comm=curl "),
        event(7, 101, "curl", ">", "open", ""),
        event(9, 101, "curl", "<", "open", "res=-2(ENOENT) name=/etc/a b flags=1(O_RDONLY) mode=0 "),
        event(10, 101, "curl", ">", "clone", ""),
        event(11, 102, "curl", "<", "clone", "res=0 exe=curl tid=102(curl) pid=101(curl) flags=65536(CLONE_THREAD) "),
        event(
            12,
            101,
            "curl",
            "<",
            "clone",
            "res=102(curl) exe=curl tid=101(curl) pid=101(curl) flags=65536(CLONE_THREAD) ",
        ),
        event(13, 102, "curl", ">", "write", "fd=7(<f>/tmp/x) size=3 "),
        event(14, 101, "curl", ">", "switch", "next=102(curl) pgft_maj=0 "),
        event(15, 102, "curl", "<", "write", "res=3 data=abc "),
        event(16, 101, "curl", ">", "mprotect", ""),
        event(17, 101, "curl", "<", "mprotect", ""),
        event(18, 101, "curl", ">", "mmap", "addr=0 length=10 "),
        event(19, 101, "curl", "<", "mmap", "res=7FA69774E000 vm_size=536 "),
        event(20, 0, "", ">", "drop", "ratio=2 "),
        event(21, 0, "", "<", "drop", "ratio=2 "),
        event(22, 102, "curl", ">", "futex", "addr=0 op=0 "),
        event(23, 102, "curl", ">", "made_up", ""),
        event(24, 102, "curl", "<", "made_up", "res=1 "),
        event(25, 102, "curl", ">", "nanosleep", "interval=1000000000(1s) "),
        event(26, 101, "curl", ">", "exit_group", ""),
        event(27, 102, "curl", ">", "procexit", "status=0 "),
        event(28, 101, "curl", ">", "procexit", "status=9 "),
        event(29, 100, "sh", ">", "procexit", "status=768 "),
    ];
    let (_dir, path, said) = import(lines.join("\n").as_bytes());
    assert!(said.contains("imported 9 system calls from 28 lines"), "{said}");
    assert!(said.contains("note: 2 calls had not returned") && !said.contains("warning"), "{said}");
    let calls = rows(&path, Kind::Syscall);
    let told: Vec<String> = calls
        .iter()
        .map(|c| {
            let of = |name: &str| c[name].clone();
            [of("syscall"), of("pid"), of("tid"), of("dur_ns"), of("ret"), of("errno"), of("fd"), of("path")].join(" ")
        })
        .collect();
    let wanted = [
        "read 100 100  5   ",
        "clone 100 100 1000000 101   ",
        "execve 101 101 2000000 0   /usr/bin/curl",
        "open 101 101 2000000 -2 2  /etc/a b",
        "clone 101 101 2000000 102   ",
        "write 101 102 2000000 3  7 ",
        "mprotect 101 101 1000000    ",
        "mmap 101 101 1000000 140353482317824   ",
        "unknown 101 102 1000000 1   ",
    ];
    assert_eq!(told, wanted);
    let lives: Vec<String> = rows(&path, Kind::Process)
        .iter()
        .map(|r| ["event", "pid", "ppid", "comm", "exe", "exit_code", "exit_signal"].map(|c| r[c].clone()).join(" "))
        .collect();
    let wanted = [
        "running 100 0 sh   ",
        "fork 101 100 sh   ",
        "exec 101 100 curl /usr/bin/curl  ",
        "exit 101 100 curl /usr/bin/curl  9",
        "exit 100 0 sh  3 ",
    ];
    assert_eq!(lives, wanted);
    let m = Recording::open(&path).unwrap().metadata().clone();
    assert_eq!((m.target.pids.clone(), m.lost("syscall"), m.complete), (vec![100], 1, true));
    let blind = m.blind_spots.join("\n");
    for part in [
        "made from a capture of sysdig",
        "users are not known (-p without %user.uid)",
        "driver dropped events 1 times",
        "of 1 calls the beginning is not there",
        "of 1 calls it is not known how long they took",
        "of 1 calls sysdig does not say what they returned",
        "2 calls had not returned",
        "1 calls have names that this osd does not know",
    ] {
        assert!(blind.contains(part), "{part}: {blind}");
    }
    let path = path.to_str().unwrap();
    let sums = "SELECT (SELECT sum(count) FROM tallies) - (SELECT count(*) FROM syscalls), (SELECT sum(n_syscalls) FROM samples) - (SELECT count(*) FROM syscalls), (SELECT count(*) FROM syscalls WHERE ret IS NULL)";
    assert_eq!(osd_ok(["sql", path, sums, "--format", "csv"]).lines().nth(1), Some("0,0,1"));
    let nulls = "SELECT count(cpu_ns), count(rss_anon_bytes), count(net_rx_bytes), count(read_bytes) FROM samples";
    assert_eq!(osd_ok(["sql", path, nulls, "--format", "csv"]).lines().nth(1), Some("0,0,0,0"));
    assert!(osd_ok(["info", path]).contains("made from a capture of sysdig"));
    assert!(matches!(osd(["analyze", path]).status.code(), Some(0 | 1)));
    osd_ok(["export", path, "--to", "chrome"]);
    osd_ok(["replay", path, "--speed", "max"]);
}

#[test]
fn fields_that_were_asked_for_are_used() {
    let line = |ms: u64, dir: &str, more: &str| {
        let time = 1_767_225_600_000_000_000_u64 + ms * 1_000_000;
        format!(
            r#"{{"evt.rawtime":{time},"evt.type":"fsync","evt.dir":"{dir}","evt.args":"res=0 ","thread.tid":8,"proc.pid":7,"proc.ppid":3,"proc.name":"db","proc.cmdline":"db -x","proc.exepath":"/usr/bin/db","user.uid":1000{more}}}"#
        )
    };
    // Ends alone, as later versions of sysdig have them.
    let (_dir, path, _) =
        import([line(5, "<", ",\"evt.latency\":2000000,\"fd.num\":4"), line(9, "<", "")].join("\n").as_bytes());
    let calls = rows(&path, Kind::Syscall);
    let of = |i: usize| ["ts", "pid", "tid", "dur_ns", "ret", "fd"].map(|c| calls[i][c].clone()).join(" ");
    assert_eq!(of(0), "2026-01-01T00:00:00.003Z 7 8 2000000 0 4");
    assert_eq!(of(1), "2026-01-01T00:00:00.009Z 7 8  0 ");
    let life = &rows(&path, Kind::Process)[0];
    let of = ["event", "pid", "ppid", "comm", "exe", "argv", "uid"].map(|c| life[c].clone()).join(" ");
    assert_eq!(of, "running 7 3 db /usr/bin/db db -x 1000");
    let blind = Recording::open(&path).unwrap().metadata().blind_spots.join("\n");
    assert!(blind.contains("no beginnings of calls") && !blind.contains("users are not known"), "{blind}");
    assert!(!blind.contains("told as processes of their own"), "{blind}");
    // Without it, threads cannot be told from processes, and that is said.
    let (_dir, path, _) = import(
        [event(1, 8, "db", ">", "fsync", "fd=4 "), event(2, 8, "db", "<", "fsync", "res=-5(EIO) ")]
            .join(",\n")
            .as_bytes(),
    );
    let call = &rows(&path, Kind::Syscall)[0];
    assert_eq!((&*call["pid"], &*call["fd"], &*call["errno"]), ("8", "4", "5"));
    let blind = Recording::open(&path).unwrap().metadata().blind_spots.join("\n");
    assert!(blind.contains("told as processes of their own"), "{blind}");
}

#[test]
fn hostile_captures_of_sysdig_are_read_and_others_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let of_day = r#"{"evt.type":"brk","evt.dir":">","evt.time":"17:35:48.514648551","thread.tid":1}"#;
    std::fs::write(dir.path().join("day.json"), of_day).unwrap();
    let said = refused(dir.path(), &["import", "day.json", "-o", "r.parquet"]);
    assert!(said.contains("its events do not say when they were") && said.contains("sysdig -r FILE.scap -j"), "{said}");
    assert!(!dir.path().join("r.parquet").exists());
    // Times that go back and ones that lie, bytes that are no text, a line without an end, ends before beginnings, a child of itself.
    let mut bytes = event(5, 1, "a\\u001b[31m", ">", "open", "").into_bytes();
    bytes.extend(b"\n{\"evt.type\":\"open\",\"evt.dir\":\"<\",\"evt.info\":\"fd=3 name=/\xff\xfe \\u0000x\",\"evt.rawtime\":1767225600004000000,\"thread.tid\":1}\n");
    bytes.extend(b"{\"evt.type\":\"clone\",\"evt.dir\":\"<\",\"evt.info\":\"res=1 \",\"evt.rawtime\":9000000000000000000,\"thread.tid\":1}\n");
    bytes.extend(b"{\"evt.type\":\"clone\",\"evt.dir\":\"<\",\"evt.info\":\"res=99999999999 \",\"evt.rawtime\":1,\"thread.tid\":\"2\"}\n");
    bytes.extend(b"{\"evt.type\":\"close\",\"evt.dir\":\"<\",\"evt.info\":\"res=0 \",\"evt.latency\":9223372036854775807,\"evt.rawtime\":1767225600006000000,\"thread.tid\":4294967295}\n");
    bytes.extend(b"{\"evt.type\":\"read\",\"evt.dir\":\"<\",\"evt.rawtime\":-5,\"thread.tid\":1}\ngarbage\n{\"evt.type\":\"read\n");
    bytes.extend(b"{\"evt.type\":\"write\",\"evt.dir\":\">\",\"evt.rawtime\":1767225600007000000,\"thread.tid\":1,\"evt.info\":\"");
    bytes.extend(vec![b'x'; 3 << 20]);
    let (_dir, path, said) = import(&bytes);
    assert!(said.contains("warning: 4 lines not understood, line 6 first"), "{said}");
    let calls = rows(&path, Kind::Syscall);
    assert_eq!(calls.len(), 4);
    let open = calls.iter().find(|c| c["syscall"] == "open").unwrap();
    assert_eq!((&*open["dur_ns"], &*open["path"]), ("0", "/\u{fffd}\u{fffd} \0x"));
    let blind = Recording::open(&path).unwrap().metadata().blind_spots.join("\n");
    assert!(blind.contains("came after later ones"), "{blind}");
    let shown = osd_ok(["sql", path.to_str().unwrap(), "SELECT comm, path FROM syscalls JOIN processes USING (proc)"]);
    assert!(!shown.contains('\u{1b}'), "{shown}");
}
