//! Losses of the classes that need help from outside to happen: a writer that is held up, memory
//! that runs out. Needs root.
//!
//! One class no test brings about: `copy_fault` of `argv`. Exec has written the arguments into pages of the new program's stack just before the
//! recorder reads them, and nobody else has a hold of that memory yet; only swapping within those microseconds could take them away.

use crate::record::{Place, assert_counts_hold, of};
use crate::support::{has_given_up, honesty, rows, targets, text, until};
use osd_recording::{Kind, Recording};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

fn now_ns() -> i64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as i64
}

fn ns(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_nanosecond() as i64
}

/// The thread `name` of process `pid`.
fn thread_of(pid: u32, name: &str) -> Option<libc::pid_t> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    let named = |dir: &Path| std::fs::read_to_string(dir.join("comm")).is_ok_and(|comm| comm.trim() == name);
    tasks.map(|t| t.path()).find(|dir| named(dir))?.file_name()?.to_str()?.parse().ok()
}

/// Holds one thread of another process up for a while, as a debugger does.
fn hold(tid: libc::pid_t, long: Duration) {
    let nothing = std::ptr::null_mut::<libc::c_void>();
    let trace = |request| {
        // SAFETY: these requests take no memory of ours.
        assert_eq!(unsafe { libc::ptrace(request, tid, nothing, nothing) }, 0, "{}", std::io::Error::last_os_error());
    };
    trace(libc::PTRACE_SEIZE);
    trace(libc::PTRACE_INTERRUPT);
    // SAFETY: no status is asked for.
    assert_eq!(unsafe { libc::waitpid(tid, std::ptr::null_mut(), libc::__WALL) }, tid);
    std::thread::sleep(long);
    trace(libc::PTRACE_DETACH);
}

#[test]
fn calls_lost_while_the_writer_is_held_up_have_a_reason_of_their_own() {
    let Some(place) = Place::new("calls_lost_while_the_writer_is_held_up_have_a_reason_of_their_own") else { return };
    let path = place.path();
    let mut load = Command::new(targets()).args(["loop", "2000000000"]).spawn().unwrap();
    let recorder = Command::new(env!("CARGO_BIN_EXE_osd"))
        .args(["record", "--ring-mib", "1", "-p", &load.id().to_string(), "-o", path.to_str().unwrap()])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until("the recorder records", || has_given_up(recorder.id()));
    let writer = until("there is a writer", || thread_of(recorder.id(), "osd-writer"));
    std::thread::sleep(Duration::from_millis(500));
    let from = now_ns();
    hold(writer, Duration::from_millis(1500));
    let to = now_ns();
    std::thread::sleep(Duration::from_millis(500));
    // SAFETY: a signal to our own child.
    unsafe { libc::kill(recorder.id() as i32, libc::SIGINT) };
    let out = recorder.wait_with_output().unwrap();
    load.kill().unwrap();
    load.wait().unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert_counts_hold(&path);
    let losses = rows(&path, Kind::Loss);
    let held: Vec<_> = of(&losses, "reason", "writer_behind")
        .into_iter()
        .filter(|r| ns(&r["ts"]) < to && ns(&r["ts"]) + r["dur_ns"].parse::<i64>().unwrap() > from)
        .collect();
    let calls: u64 = held.iter().map(|r| r["count"].parse::<u64>().unwrap()).sum();
    // A loop makes a million calls a second and more; the queue to the writer takes some of them.
    assert!(calls > 200_000, "{losses:?}");
    assert!(held.iter().all(|r| r["stream"] == "syscall"));
    let total = Recording::open(&path).unwrap().metadata().losses.clone();
    assert!(total.iter().any(|l| l.reason == "writer_behind" && l.count >= calls), "{total:?}");
    assert!(text(&out.stderr).contains("syscall lost: writer_behind"), "{}", text(&out.stderr));
}

/// A memory cgroup of its own, by either version of the interface.
struct MemoryGroup(PathBuf);

impl MemoryGroup {
    fn new() -> Option<Self> {
        let name = format!("osd-test-{}", std::process::id());
        ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"].into_iter().find_map(|root| {
            let group = Self(Path::new(root).join(&name));
            std::fs::create_dir(&group.0).ok()?;
            (group.file("memory.limit_in_bytes").exists() || group.file("memory.max").exists()).then_some(group)
        })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// From now on nothing more can be charged to it.
    fn close(&self) {
        // The first version refuses a limit below what is used; the second takes it.
        let used = std::fs::read_to_string(self.file("memory.usage_in_bytes")).unwrap_or_default();
        let _ = std::fs::write(self.file("memory.limit_in_bytes"), used);
        let _ = std::fs::write(self.file("memory.max"), "0");
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn a_child_for_which_there_is_no_memory_is_counted_as_not_followed() {
    let Some(place) = Place::new("a_child_for_which_there_is_no_memory_is_counted_as_not_followed") else { return };
    let Some(group) = MemoryGroup::new() else {
        return eprintln!("SKIPPED a_child_for_which_there_is_no_memory: no memory cgroup can be made here");
    };
    let path = place.path();
    const N: usize = 1000;
    let mut target = Command::new(honesty())
        .args(["collide", &N.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // What the programs take is charged to where the recorder was when it made the maps.
    let recorder = Command::new("sh")
        .args(["-c", "echo $$ > \"$1\"; shift; exec \"$@\"", "sh"])
        .arg(group.file("cgroup.procs"))
        .args([env!("CARGO_BIN_EXE_osd"), "record", "-p", &target.id().to_string(), "-o", path.to_str().unwrap()])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until("the recorder records", || has_given_up(recorder.id()));
    // The recorder itself is not to run out of memory.
    std::fs::write(group.0.parent().unwrap().join("cgroup.procs"), recorder.id().to_string()).unwrap();
    let over = AtomicBool::new(false);
    let made: usize = std::thread::scope(|threads| {
        // What the recorder gives back of its old charge would make room.
        threads.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                group.close();
            }
        });
        std::thread::sleep(Duration::from_millis(100));
        target.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        let mut line = String::new();
        BufReader::new(target.stdout.take().unwrap()).read_line(&mut line).unwrap();
        over.store(true, Ordering::Relaxed);
        line.trim().parse().unwrap()
    });
    target.stdin.as_mut().unwrap().write_all(b"x").unwrap();
    assert!(target.wait().unwrap().success());
    let out = recorder.wait_with_output().unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert_counts_hold(&path);
    let losses = Recording::open(&path).unwrap().metadata().losses.clone();
    let failed = losses.iter().find(|l| (l.stream.as_str(), l.reason.as_str()) == ("process", "follow_failed"));
    let failed = failed.map_or(0, |l| l.count) as usize;
    assert!(failed > 0, "the test must run out of memory: {made} in the same place, {losses:?}");
    let processes = rows(&path, Kind::Process);
    assert_eq!(of(&processes, "event", "fork").len() + failed, N + made);
}
