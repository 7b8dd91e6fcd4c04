//! Whom to record by rule: groups, users, names, programs, everybody. Who matches later is recorded
//! from its first call on, and no one else is. Needs root.

use crate::honesty::lost;
use crate::record::{Place, Rows, assert_counts_hold, of};
use crate::support::{options_of_all, osd, rows, sum, targets, text, until};
use osd_recording::{Kind, Recording};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A recorder that goes on until it is told to stop.
pub(crate) struct Recorder {
    child: Child,
    path: PathBuf,
}

impl Recorder {
    /// Records by rule, and has begun.
    pub(crate) fn start(path: &Path, rules: &[&str]) -> Self {
        // One that was made before would look as if this one had begun.
        let _ = std::fs::remove_file(path);
        let mut command = Command::new(env!("CARGO_BIN_EXE_osd"));
        command.args(["record", "-o"]).arg(path).args(rules).args(options_of_all());
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut recorder = Self { child, path: path.to_owned() };
        until("it records", || {
            assert!(recorder.child.try_wait().unwrap().is_none(), "it has ended: {:?}", recorder.said());
            Recording::open(&recorder.path).is_ok_and(|r| r.metadata().started_ns > 0)
        });
        recorder
    }

    fn said(&mut self) -> String {
        let mut text = String::new();
        let stderr = self.child.stderr.as_mut().unwrap();
        std::io::Read::read_to_string(stderr, &mut text).unwrap();
        text
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it, and checks what always holds.
    pub(crate) fn stop(self) -> Output {
        // Two intervals, so that whoever has just ended has its last totals.
        std::thread::sleep(std::time::Duration::from_millis(250));
        // SAFETY: a signal to our own child.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGINT) };
        let out = self.child.wait_with_output().unwrap();
        assert!(out.status.success(), "{}", text(&out.stderr));
        if Recording::open(&self.path).unwrap().metadata().syscalls == "events" {
            assert_counts_hold(&self.path);
        }
        out
    }
}

/// A control group of a test's own, taken away at its end.
struct Group {
    folder: PathBuf,
    /// From the root of the hierarchy.
    path: String,
}

impl Group {
    /// In the hierarchy of version 2, or of a controller of version 1; `None` where that is not mounted.
    fn new(controller: Option<&str>, name: &str) -> Option<Self> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mount = mounts.lines().find_map(|line| {
            let (before, after) = line.split_once(" - ")?;
            let (kind, options) = (after.split(' ').next()?, after.split(' ').nth(2)?);
            let wanted = match controller {
                None => kind == "cgroup2",
                Some(name) => kind == "cgroup" && options.split(',').any(|o| o == name),
            };
            before.split(' ').nth(4).filter(|_| wanted)
        });
        Some(Self::at(&Path::new(mount?).join(format!("osd-{name}-{}", std::process::id()))))
    }

    fn at(folder: &Path) -> Self {
        std::fs::create_dir(folder).unwrap();
        let name = folder.file_name().unwrap().to_str().unwrap();
        Self { folder: folder.to_owned(), path: format!("/{name}") }
    }

    /// Runs `targets ARGS` in it, entered by a shell that moves itself.
    fn run(&self, args: &[&str]) {
        let script = format!("echo $$ > {}/cgroup.procs && exec \"$0\" \"$@\"", self.folder.display());
        let status = Command::new("sh").args(["-c", &script]).arg(targets()).args(args).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Those below first.
        for below in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let _ = std::fs::remove_dir(below.path());
        }
        let _ = std::fs::remove_dir(&self.folder);
    }
}

/// Calls of `getppid` of processes called `comm`, by rows and by tallies, which must agree.
fn getppid(path: &Path, comm: &str) -> u64 {
    let processes = rows(path, Kind::Process);
    let own: Vec<&String> = of(&processes, "comm", comm).into_iter().map(|r| &r["proc"]).collect();
    let by = |kind| -> Rows {
        let all = rows(path, kind);
        all.into_iter().filter(|r| r["syscall"] == "getppid" && own.contains(&&r["proc"])).collect()
    };
    let (calls, counted) = (by(Kind::Syscall).len() as u64, sum(&by(Kind::Tally), "count"));
    assert_eq!(calls + lost(path, "syscall", "ring_full"), counted);
    counted
}

/// A copy of the targets under a name of its own, where every user may run it.
fn renamed(dir: &Path, name: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = dir.join(name);
    std::fs::copy(targets(), &path).unwrap();
    mode(&path);
    mode(dir);
    path
}

fn run(program: &Path, args: &[&str]) {
    assert!(Command::new(program).args(args).status().unwrap().success());
}

#[test]
fn who_enters_a_control_group_is_recorded_from_its_first_call_in_it_and_nobody_else_is() {
    let Some(place) = Place::new("who_enters_a_control_group_is_recorded_from_its_first_call_in_it_and_nobody_else_is")
    else {
        return;
    };
    for controller in [None, Some("cpu"), Some("pids")] {
        let Some(group) = Group::new(controller, "enter") else { continue };
        let path = place.path();
        let recorder = Recorder::start(&path, &["--cgroup", group.folder.to_str().unwrap()]);
        group.run(&["loop", "1000"]);
        // Threads and children of it, and a group below that is made now.
        group.run(&["threads", "500"]);
        group.run(&["loop", "200", "in-child"]);
        let below = Group::at(&group.folder.join("below"));
        below.run(&["loop", "300"]);
        // Not in it.
        run(targets(), &["loop", "7777"]);
        recorder.stop();
        let comm = targets().file_name().unwrap().to_str().unwrap().chars().take(15).collect::<String>();
        assert_eq!(getppid(&path, &comm), 1000 + 4 * 500 + 200 + 300, "{controller:?}");
        let processes = rows(&path, Kind::Process);
        assert_eq!(of(&processes, "event", "running").len(), 4, "each is met once, as it enters");
        assert_eq!(of(&processes, "event", "exit").len(), 5);
        let m = Recording::open(&path).unwrap().metadata().clone();
        assert_eq!(m.target.selection, [format!("cgroup {}", group.folder.display())]);
        drop(below);
    }
}

#[test]
fn who_is_in_a_control_group_when_the_recording_begins_is_recorded_with_all_its_threads() {
    let Some(place) =
        Place::new("who_is_in_a_control_group_when_the_recording_begins_is_recorded_with_all_its_threads")
    else {
        return;
    };
    let Some(group) = Group::new(None, "there") else { return };
    let path = place.path();
    let mut target = Command::new(targets()).args(["wait", "1"]).stdin(Stdio::piped()).spawn().unwrap();
    std::fs::write(group.folder.join("cgroup.procs"), target.id().to_string()).unwrap();
    let recorder = Recorder::start(&path, &["--cgroup", &group.path]);
    let mut stdin = target.stdin.take().unwrap();
    for _ in 0..10 {
        std::io::Write::write_all(&mut stdin, b"x").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    drop(stdin);
    target.wait().unwrap();
    recorder.stop();
    // The first read had begun before: nobody's.
    assert_eq!(of(&rows(&path, Kind::Syscall), "syscall", "read").len(), 10);
    let events: Vec<String> = rows(&path, Kind::Process).into_iter().map(|r| r["event"].clone()).collect();
    assert_eq!(events, ["running", "exit"]);
}

#[test]
fn everybody_is_recorded_but_the_recorder_unless_that_is_asked_for() {
    let Some(place) = Place::new("everybody_is_recorded_but_the_recorder_unless_that_is_asked_for") else { return };
    let path = place.path();
    let target = renamed(place.dir.path(), "osd-everybody");
    for with in [false, true] {
        let rules: &[&str] = if with { &["--all", "--with-osd"] } else { &["--all"] };
        let recorder = Recorder::start(&path, rules);
        let own = recorder.pid().to_string();
        run(&target, &["loop", "10000"]);
        run(&target, &["threads", "1000"]);
        run(&target, &["spawn", "50"]);
        recorder.stop();
        assert_eq!(getppid(&path, "osd-everybody"), 10_000 + 4 * 1000);
        let processes = rows(&path, Kind::Process);
        assert_eq!(!of(&processes, "pid", &own).is_empty(), with);
        // This process runs, and so do others.
        assert_eq!(of(&of_event(&processes, "running"), "pid", &std::process::id().to_string()).len(), 1);
        let parents = of(&processes, "comm", "true");
        assert_eq!(parents.iter().filter(|r| r["event"] == "exit" && !r["parent"].is_empty()).count(), 50);
    }
}

fn of_event(processes: &Rows, event: &str) -> Rows {
    of(processes, "event", event).into_iter().cloned().collect()
}

#[test]
fn names_programs_and_users_choose_who_is_recorded_and_all_sorts_must_hold() {
    let Some(place) = Place::new("names_programs_and_users_choose_who_is_recorded_and_all_sorts_must_hold") else {
        return;
    };
    let path = place.path();
    let [one, two] = ["osd-one", "osd-two"].map(|name| renamed(place.dir.path(), name));
    let whole = format!("{}*", place.dir.path().join("osd-o").display());
    // Rules; calls of the first and the second program, and of the first by another user.
    let cases: [(&[&str], [u64; 3]); 7] = [
        (&["--comm", "osd-one"], [1, 0, 1]),
        (&["--comm", "osd-*"], [1, 1, 1]),
        (&["--exe", "*-two", "--exe", "nobody"], [0, 1, 0]),
        (&["--exe", &whole], [1, 0, 1]),
        (&["--user", "12345"], [0, 0, 1]),
        (&["--user", "12345", "--comm", "osd-two"], [0, 0, 0]),
        (&["--user", "12345", "--user", "0", "--exe", "osd-one", "--comm", "*one"], [1, 0, 1]),
    ];
    for (rules, wanted) in cases {
        let recorder = Recorder::start(&path, rules);
        run(&one, &["loop", "100"]);
        run(&two, &["loop", "20"]);
        let other = Command::new(&one).args(["loop", "3"]).uid(12_345).current_dir("/").status().unwrap();
        assert!(other.success());
        recorder.stop();
        let counted = getppid(&path, "osd-one") + getppid(&path, "osd-two");
        assert_eq!(counted, wanted[0] * 100 + wanted[1] * 20 + wanted[2] * 3, "{rules:?}");
        let nobody = wanted == [0; 3];
        assert_eq!(rows(&path, Kind::Process).is_empty(), nobody, "{rules:?}");
    }
}

#[test]
fn who_comes_to_match_without_executing_anything_is_recorded_within_a_second() {
    let Some(place) = Place::new("who_comes_to_match_without_executing_anything_is_recorded_within_a_second") else {
        return;
    };
    let path = place.path();
    let recorder = Recorder::start(&path, &["--user", "12346"]);
    // A service that gives up root and goes on.
    let script =
        "import os, time\nos.setresuid(12346, 12346, 12346)\nfor i in range(250): time.sleep(0.01); os.getppid()";
    assert!(Command::new("python3").args(["-c", script]).status().unwrap().success());
    recorder.stop();
    let calls = of(&rows(&path, Kind::Syscall), "syscall", "getppid").len();
    assert!((100..=250).contains(&calls), "{calls}");
    let m = Recording::open(&path).unwrap().metadata().clone();
    assert!(m.blind_spots.iter().any(|s| s.contains("became another user")), "{:?}", m.blind_spots);
}

#[test]
fn a_group_that_is_waited_for_is_recorded_when_it_is_there() {
    let Some(place) = Place::new("a_group_that_is_waited_for_is_recorded_when_it_is_there") else { return };
    let path = place.path();
    let name = format!("osd-later-{}", std::process::id());
    let recorder = Recorder::start(&path, &["--cgroup", &name, "--wait"]);
    let Some(group) = Group::new(None, "later") else { return };
    // Whoever makes a group puts something into it at once; a recorder has heard of it some milliseconds later.
    std::thread::sleep(std::time::Duration::from_millis(200));
    group.run(&["loop", "1000"]);
    recorder.stop();
    assert_eq!(of(&rows(&path, Kind::Syscall), "syscall", "getppid").len(), 1000);
}

#[test]
fn what_is_not_there_is_an_error_with_the_nearest_names() {
    let Some(place) = Place::new("what_is_not_there_is_an_error_with_the_nearest_names") else { return };
    let group = Group::new(None, "nearest");
    let path = place.path();
    let refused = |rules: &[&str]| {
        let out = osd(["record", "-o", path.to_str().unwrap(), "--duration", "1s"].iter().chain(rules));
        assert_eq!(out.status.code(), Some(2), "{}", text(&out.stderr));
        assert!(!path.exists() && !path.with_extension("parquet.partial").exists());
        text(&out.stderr).to_owned()
    };
    if let Some(group) = &group {
        let said = refused(&["--cgroup", "/osd-nearst"]);
        assert!(said.starts_with("error: no control group `/osd-nearst` here\nhint: the nearest are "), "{said}");
        assert!(said.contains(&group.path) && said.contains("--wait"), "{said}");
    }
    let said = refused(&["--user", "rooot"]);
    assert!(said.contains("error: no user `rooot` here") && said.contains("root"), "{said}");
    assert!(refused(&["--container", "nowhere"]).contains("error: no container `nowhere` here"));
    assert!(refused(&["--unit", "nowhere.service"]).contains("error: no unit `nowhere.service` here"));
    assert!(refused(&["--exe", "a*b*c"]).contains("hint: use one `*` at most"));
    assert!(refused(&["--comm", ""]).contains("is no pattern of --comm"));
    assert!(refused(&["--cgroup", ""]).contains("an empty name"));
    // A folder that is no group, and a way out of the mount.
    assert!(refused(&["--cgroup", "/../.."]).contains("no control group"));
}

#[test]
fn a_storm_of_short_processes_is_counted_to_the_last_call_or_said_to_be_lost() {
    let Some(place) = Place::new("a_storm_of_short_processes_is_counted_to_the_last_call_or_said_to_be_lost") else {
        return;
    };
    let path = place.path();
    let target = renamed(place.dir.path(), "osd-storm");
    for small in [false, true] {
        let rules: &[&str] = if small { &["--all", "--life-ring-kib", "4"] } else { &["--all"] };
        let recorder = Recorder::start(&path, rules);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| run(&target, &["spawn", "1000"]));
            }
        });
        recorder.stop();
        let processes = rows(&path, Kind::Process);
        let ended = processes.iter().filter(|r| r["comm"] == "true" && r["event"] == "exit").count() as u64;
        let lives_lost = lost(&path, "process", "ring_full") + lost(&path, "process", "follow_failed");
        if small {
            assert!(lives_lost > 0, "the test must overflow the ring");
        } else {
            assert_eq!((ended, lives_lost), (2000, 0));
        }
        assert!(ended + lives_lost >= 2000, "{ended} ended, {lives_lost} lost");
    }
}

/// The samples of a process that lives throughout follow one another without gap or overlap, from the beginning to the end.
fn assert_whole_time(path: &Path, samples: &Rows) {
    let ns = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_nanosecond();
    let mut spans: Vec<(i128, i128)> =
        samples.iter().map(|s| (ns(&s["ts"]), ns(&s["ts"]) + s["dur_ns"].parse::<i128>().unwrap())).collect();
    spans.sort_unstable();
    let m = Recording::open(path).unwrap().metadata().clone();
    assert!(spans[0].0 <= i128::from(m.started_ns), "{spans:?}");
    assert_eq!(spans[spans.len() - 1].1, i128::from(m.ended_ns));
    assert!(spans.is_sorted_by(|a, b| a.1 == b.0), "{spans:?}");
}

#[test]
fn a_process_that_does_nothing_has_few_samples_and_they_leave_no_gap() {
    let Some(place) = Place::new("a_process_that_does_nothing_has_few_samples_and_they_leave_no_gap") else { return };
    let path = place.path();
    let mut idle = Command::new(targets()).args(["wait", "1"]).stdin(Stdio::piped()).spawn().unwrap();
    let recorder = Recorder::start(&path, &["--all", "--interval", "50ms"]);
    let mut stdin = idle.stdin.take().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    // The read that had begun before is nobody's; the next one counts.
    for _ in 0..2 {
        std::io::Write::write_all(&mut stdin, b"x").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    std::thread::sleep(std::time::Duration::from_millis(1500));
    recorder.stop();
    drop(stdin);
    idle.wait().unwrap();
    let samples: Rows = of(&rows(&path, Kind::Sample), "pid", &idle.id().to_string()).into_iter().cloned().collect();
    assert!(samples.len() <= 8, "{} samples of a process that woke once in 3 s", samples.len());
    assert_whole_time(&path, &samples);
    assert_eq!(sum(&samples, "n_syscalls"), 1);
    // Where it did something, it is said within an interval.
    let woke = samples.iter().find(|s| s["n_syscalls"] == "1").unwrap();
    assert!(woke["dur_ns"].parse::<u64>().unwrap() < 200_000_000, "{woke:?}");
    assert!(samples.iter().all(|s| s["n_threads"] == "1" && s["rss_anon_bytes"] == samples[0]["rss_anon_bytes"]));
}

#[test]
fn each_file_of_a_series_says_of_everybody_and_of_every_group() {
    let Some(place) = Place::new("each_file_of_a_series_says_of_everybody_and_of_every_group") else { return };
    let path = place.path();
    let mut idle = Command::new(targets()).args(["wait", "1"]).stdin(Stdio::piped()).spawn().unwrap();
    let out = osd(["record", "--all", "--rotate", "1s", "--duration", "3s", "-o", path.to_str().unwrap()]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    idle.kill().unwrap();
    idle.wait().unwrap();
    let files: Vec<PathBuf> = std::fs::read_dir(place.dir.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(files.len() >= 2, "{files:?}");
    for file in files {
        let pid = idle.id().to_string();
        let samples: Rows = of(&rows(&file, Kind::Sample), "pid", &pid).into_iter().cloned().collect();
        assert_whole_time(&file, &samples);
        assert_eq!(of(&rows(&file, Kind::Process), "pid", &pid).len(), 1);
        assert!(!rows(&file, Kind::Container).is_empty());
    }
}

#[test]
fn a_path_of_a_group_that_is_too_long_is_counted_as_lost() {
    let Some(place) = Place::new("a_path_of_a_group_that_is_too_long_is_counted_as_lost") else { return };
    let path = place.path();
    let Some(group) = Group::new(None, "long") else { return };
    let recorder = Recorder::start(&path, &["--cgroup", &group.path]);
    let deep = Group::at(&group.folder.join("x".repeat(200)));
    let deeper = Group::at(&deep.folder.join("y".repeat(200)));
    deeper.run(&["loop", "10"]);
    recorder.stop();
    drop((deeper, deep));
    assert_eq!(lost(&path, "group", "truncated"), 1);
    assert_eq!(of(&rows(&path, Kind::Syscall), "syscall", "getppid").len(), 10);
}

#[test]
fn without_bpf_the_same_rules_hold_at_the_end_of_each_interval() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.parquet");
    let target = renamed(dir.path(), "osd-polled");
    let mut child = Command::new(&target).args(["wait", "1"]).stdin(Stdio::piped()).spawn().unwrap();
    let out =
        osd(["record", "--backend", "proc", "--comm", "osd-pol*", "--duration", "500ms", "-o", path.to_str().unwrap()]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    child.kill().unwrap();
    child.wait().unwrap();
    let processes = rows(&path, Kind::Process);
    assert!(processes.iter().all(|r| r["pid"] == child.id().to_string()) && !processes.is_empty(), "{processes:?}");
    let m = Recording::open(&path).unwrap().metadata().clone();
    assert!(m.blind_spots.iter().any(|s| s.contains("decided by rule")), "{:?}", m.blind_spots);
}
