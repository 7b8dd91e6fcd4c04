//! What operators are called about: leaks, climbs, stalls with their reasons, jobs that do not run,
//! peers that turn slow, what recurs. Each on a live program (`trouble.c`) that nobody tuned
//! anything to, recorded once for all tests. Needs root; takes two minutes.

use crate::live::workload;
use crate::support::{alone, compile, describe, findings, may_record, options_of_all, record, rows, text};
use osd_findings::Window;
use osd_recording::Kind;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

/// The name of a recording, its kind of trouble, and seconds before, during and after it.
const TROUBLES: [(&str, &str, [u32; 3]); 16] = [
    ("leak", "leak", [20, 40, 3]),
    ("fds", "fds", [20, 40, 3]),
    ("climb", "climb", [20, 60, 3]),
    ("waits", "waits", [20, 8, 10]),
    ("stopped", "stopped", [20, 4, 10]),
    ("lock", "lock", [20, 6, 10]),
    ("slow-peer", "slow-peer", [25, 15, 8]),
    ("job", "job", [50, 15, 6]),
    ("cron", "cron", [110, 0, 0]),
    ("refused", "refused", [20, 5, 8]),
    ("quiet", "quiet", [60, 10, 10]),
    ("early", "missing", [3, 3, 30]),
    ("most", "missing", [5, 50, 4]),
    ("all", "missing", [0, 20, 0]),
    ("usual", "quiet", [20, 5, 5]),
    ("shared", "shared", [20, 6, 4]),
];

/// What was recorded of each, and when its trouble began and ended, UTC ns.
struct Recorded {
    folder: tempfile::TempDir,
    spans: BTreeMap<&'static str, (i64, i64)>,
}

static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| compile("trouble"));

static RECORDED: LazyLock<Recorded> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let _alone = alone();
    // All at once: they sleep nearly all the time.
    let spans = thread::scope(|scope| {
        let runs: Vec<_> = TROUBLES
            .iter()
            .map(|(name, kind, seconds)| {
                let (path, program) = (path_of(folder.path(), name), PROGRAM.as_path());
                scope.spawn(move || (*name, span(start(&path, program, kind, *seconds))))
            })
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    Recorded { folder, spans }
});

fn path_of(folder: &Path, kind: &str) -> PathBuf {
    folder.join(format!("{kind}.parquet"))
}

fn start(path: &Path, program: &Path, kind: &str, seconds: [u32; 3]) -> Child {
    let seconds = seconds.map(|s| s.to_string());
    let mut command = Command::new(env!("CARGO_BIN_EXE_osd"));
    command
        .args(["record", "-q", "-o"])
        .arg(path)
        .args(options_of_all())
        .arg("--")
        .arg(program)
        .arg(kind)
        .args(seconds);
    command.stdout(Stdio::piped()).spawn().unwrap()
}

/// When the trouble began and ended, as the program says.
fn span(child: Child) -> (i64, i64) {
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success());
    let said = |what: &str| text(&out.stdout).lines().find_map(|l| l.strip_prefix(what)?.trim().parse().ok());
    (said("begin").unwrap_or(0), said("end").unwrap_or(i64::MAX))
}

/// The recording of a kind, and the only window that overlaps its trouble, begun at most `late_s` after it.
fn window(test: &str, kind: &'static str, late_s: f64) -> Option<(PathBuf, Window)> {
    if !may_record(test) {
        return None;
    }
    let (begin, end) = RECORDED.spans[kind];
    let path = path_of(RECORDED.folder.path(), kind);
    let f = findings(&path, &[]);
    let during: Vec<&Window> = f.windows.iter().filter(|w| w.start_ns < end && w.end_ns > begin).collect();
    assert_eq!(during.len(), 1, "{kind}:\n{}", describe(&f));
    assert!(f.windows.len() <= 2, "{kind}:\n{}", describe(&f));
    let late = (during[0].start_ns - begin) as f64 / 1e9;
    // The less sharp a beginning is, the less sure.
    assert!((-(late_s / 4.0).max(1.5)..late_s).contains(&late), "{kind}: {late:.1} s late\n{}", describe(&f));
    Some((path, during[0].clone()))
}

fn reason(w: &Window, kind: &str, parts: &[&str]) {
    let reason = w.reason.as_ref().unwrap_or_else(|| panic!("no reason: {}", w.sentence));
    assert_eq!((w.pattern.as_str(), reason.kind.as_str()), ("stall", kind), "{}", w.sentence);
    assert!(w.sentence.contains(&reason.text), "it is in the first sentence: {}", w.sentence);
    for part in parts {
        assert!(reason.text.contains(part), "`{part}` is missing: {}", reason.text);
    }
    assert!((0.3..=1.0).contains(&reason.share), "{reason:?}");
}

#[test]
fn a_memory_leak_is_found_within_15_s_with_its_slope_and_the_time_left() {
    let test = "a_memory_leak_is_found_within_15_s_with_its_slope_and_the_time_left";
    let Some((path, w)) = window(test, "leak", 1.5) else { return };
    assert_eq!(w.pattern, "memory leak", "{}", w.sentence);
    // 20 KiB each 10 ms.
    assert!(w.sentence.contains("steadily") && w.sentence.contains("by 1.9"), "{}", w.sentence);
    assert!(w.sentence.contains("MiB/s; at this pace "), "{}", w.sentence);
    // 15 s after its beginning, knowing nothing of what comes later.
    let early = findings(&path, &["--to", "35s"]);
    assert!(early.windows.iter().any(|w| w.pattern.starts_with("memory")), "{}", describe(&early));
}

#[test]
fn a_slow_leak_of_descriptors_is_found() {
    let Some((_, w)) = window("a_slow_leak_of_descriptors_is_found", "fds", 3.0) else { return };
    // Two a second.
    assert_eq!(w.pattern, "fd leak", "{}", w.sentence);
    assert!(
        w.sentence.contains("by 2/s") || w.sentence.contains("by 1.9") || w.sentence.contains("by 2.0"),
        "{}",
        w.sentence
    );
}

#[test]
fn cpu_that_climbs_slowly_is_found() {
    let Some((_, w)) = window("cpu_that_climbs_slowly_is_found", "climb", 12.0) else { return };
    assert_eq!((w.pattern.as_str(), w.metric.as_str()), ("CPU climb", "cpu"), "{}", w.sentence);
    assert!(w.sentence.contains("each minute"), "{}", w.sentence);
}

#[test]
fn a_stall_says_that_each_turn_waits_for_longer() {
    let Some((_, w)) = window("a_stall_says_that_each_turn_waits_for_longer", "waits", 1.0) else { return };
    reason(&w, "waiting", &["waited in clock_nanosleep", " ms a call instead of 9"]);
}

#[test]
fn a_stall_says_that_the_process_was_stopped_and_by_whom() {
    let Some((_, w)) = window("a_stall_says_that_the_process_was_stopped_and_by_whom", "stopped", 1.0) else { return };
    reason(&w, "stopped", &["was stopped", "by kill of stopper/"]);
}

#[test]
fn a_stall_says_which_lock_it_waits_for() {
    let Some((_, w)) = window("a_stall_says_which_lock_it_waits_for", "lock", 1.0) else { return };
    // Opened while recorded: its path is known.
    reason(&w, "waiting", &["waited in flock on /tmp/trouble-", ".lock, one call of 5."]);
}

#[test]
fn a_stall_says_which_lock_it_waits_for_though_that_was_opened_before() {
    let test = "a_stall_says_which_lock_it_waits_for_though_that_was_opened_before";
    if !may_record(test) {
        return;
    }
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    let path = dir.path().join("held.parquet");
    let mut program = Command::new(&*PROGRAM);
    let mut program = program.args(["held", "18", "6", "6"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(program.stdout.as_mut().unwrap(), &mut ready).unwrap();
    let pid = program.id();
    let mut osd = Command::new(env!("CARGO_BIN_EXE_osd"));
    osd.args(["record", "-q", "-p", &pid.to_string(), "-o"]).arg(&path).args(options_of_all());
    assert!(osd.status().unwrap().success());
    program.wait().unwrap();
    let files = rows(&path, Kind::Descriptor);
    let lock = format!("/tmp/trouble-{pid}.held");
    assert!(files.iter().any(|r| r["path"] == lock && r["pid"] == pid.to_string()), "{files:?}");
    let f = findings(&path, &[]);
    let w = f.windows.iter().find(|w| w.pattern == "stall").unwrap_or_else(|| panic!("{}", describe(&f)));
    reason(w, "waiting", &[&format!("waited in flock on {lock}, one call of ")]);
}

#[test]
fn a_stall_says_that_a_quota_ran_out() {
    let test = "a_stall_says_that_a_quota_ran_out";
    if !may_record(test) {
        return;
    }
    let Some(group) = Quota::new() else {
        eprintln!("SKIPPED: {test}: no control group with a CPU quota can be made here");
        return;
    };
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    let path = dir.path().join("quota.parquet");
    let inside = format!("echo $$ > {}/cgroup.procs; exec {} quiet 20 18 0", group.folder.display(), PROGRAM.display());
    let mut osd = Command::new(env!("CARGO_BIN_EXE_osd"));
    osd.args(["record", "-q", "-o"]).arg(&path).args(options_of_all()).args(["--", "sh", "-c", &inside]);
    let mut osd = osd.stdout(Stdio::null()).spawn().unwrap();
    thread::sleep(Duration::from_secs(20));
    // A tenth of what it needs is left.
    group.set(Some(1_500));
    thread::sleep(Duration::from_secs(8));
    group.set(None);
    assert!(osd.wait().unwrap().success());
    drop(group);
    let f = findings(&path, &[]);
    let w = f.windows.iter().find(|w| w.pattern == "stall").unwrap_or_else(|| panic!("{}", describe(&f)));
    reason(w, "throttled", &["was throttled: /osd-test-", "may have 1.5 ms of each 500 ms", "which ran out in"]);
}

#[test]
fn a_stall_says_who_has_the_processors_instead() {
    let test = "a_stall_says_who_has_the_processors_instead";
    if !may_record(test) {
        return;
    }
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    let path = dir.path().join("neighbours.parquet");
    let osd = start(&path, &PROGRAM, "quiet", [20, 18, 0]);
    thread::sleep(Duration::from_secs(20));
    // Not recorded, and before all others.
    let greedy = "read name < /proc/$$/comm; while :; do :; done";
    let mut neighbours: Vec<Child> = (0..8)
        .map(|_| Command::new("nice").args(["-n", "-20", "timeout", "8", "sh", "-c", greedy]).spawn().unwrap())
        .collect();
    for neighbour in &mut neighbours {
        neighbour.wait().unwrap();
    }
    span(osd);
    let f = findings(&path, &[]);
    let w = f.windows.iter().find(|w| w.pattern == "stall").unwrap_or_else(|| panic!("{}", describe(&f)));
    reason(w, "not run", &["wanted to run and did not", " processes named sh had"]);
}

#[test]
fn a_slow_peer_is_found_though_the_rate_stays() {
    let Some((_, w)) = window("a_slow_peer_is_found_though_the_rate_stays", "slow-peer", 2.0) else { return };
    assert_eq!((w.pattern.as_str(), w.metric.as_str()), ("slow reads", "latency_reads"), "{}", w.sentence);
}

/// The workload with what its metrics do not show: a lock that its workers wait for, a peer that four of its twenty threads ask, a job of
/// one thread.
#[test]
fn what_only_some_threads_show_is_found_and_they_are_named() {
    let test = "what_only_some_threads_show_is_found_and_they_are_named";
    let Some(workload) = workload().filter(|_| may_record(test)) else { return };
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    let (path, labels) = (dir.path().join("few.parquet"), dir.path().join("labels"));
    let faults = ["stall@25s+5sx1", "slow_peer@38s+8sx1", "missed_job@54s+12sx1"];
    let arguments = faults.iter().flat_map(|fault| ["--fault", fault]);
    let labels = labels.to_str().unwrap();
    let program = [workload.to_str().unwrap(), "--seed", "5", "--duration", "70s", "--labels", labels];
    let command: Vec<&str> = program.into_iter().chain(arguments).collect();
    record(&path, &["--labels", labels], &command);
    let f = findings(&path, &[]);
    let during = |name: &str| {
        let label = f.labels.iter().find(|l| l.name == name).unwrap();
        let end = label.ts_ns + label.dur_ns as i64;
        let w = f.windows.iter().find(|w| w.start_ns < end && w.end_ns > label.ts_ns && w.role.is_some());
        let w = w.unwrap_or_else(|| panic!("{name}:\n{}", describe(&f)));
        ((w.start_ns - label.ts_ns) as f64 / 1e9, w.role.clone().unwrap(), w.clone())
    };
    let (late, role, w) = during("stall");
    assert_eq!((w.pattern.as_str(), role.name.as_str(), role.what.as_str()), ("stall", "worker-*", "locks"));
    assert!(late.abs() < 0.5 && role.during > 1.0 && role.before < 0.1, "{late} {role:?}");
    assert!(w.reason.is_some_and(|r| r.text.contains("waited in futex")), "{}", w.sentence);
    let (late, role, w) = during("slow_peer");
    assert_eq!((w.pattern.as_str(), role.name.as_str(), role.n_threads), ("slow receives", "upstream-*", 4));
    assert!(late.abs() < 1.0 && role.during > 1.0 && role.before < 0.1, "{late} {role:?}");
    assert!(w.sentence.contains("waited in receives for ") && w.sentence.contains(" ms a call instead of 1."), "{w:?}");
    // A run is missed when it is due, which is two seconds after the last.
    let (late, role, w) = during("missed_job");
    assert_eq!((w.pattern.as_str(), role.name.as_str(), role.n_threads), ("missed run", "timer", 1));
    assert!((-0.5..4.0).contains(&late) && w.sentence.contains(" every 2"), "{late} {}", w.sentence);
    assert!(f.windows.len() <= 4, "{}", describe(&f));
}

#[test]
fn a_job_that_does_not_run_is_missed() {
    let Some((_, w)) = window("a_job_that_does_not_run_is_missed", "job", 7.0) else { return };
    assert_eq!(w.pattern, "missed run", "{}", w.sentence);
    // A job of a host with other work begins late, now and then.
    let every = w.sentence.split_once(" every ").and_then(|(_, rest)| rest.split_once(" s and did not")).unwrap().0;
    assert!((4.5..5.2).contains(&every.parse().unwrap()), "{}", w.sentence);
}

#[test]
fn a_job_every_twenty_seconds_is_told_once() {
    if !may_record("a_job_every_twenty_seconds_is_told_once") {
        return;
    }
    LazyLock::force(&RECORDED);
    let f = findings(&path_of(RECORDED.folder.path(), "cron"), &[]);
    assert_eq!(f.windows.len(), 1, "{}", describe(&f));
    let recurs = f.windows[0].recurs.as_ref().unwrap_or_else(|| panic!("{}", describe(&f)));
    assert!(recurs.spans_ns.len() >= 4 && (19.0..21.0).contains(&(recurs.every_ns as f64 / 1e9)), "{recurs:?}");
    assert!(f.windows[0].sentence.contains("; it recurs every 19."), "{}", f.windows[0].sentence);
}

#[test]
fn connections_that_are_refused_are_a_burst_of_connections() {
    let test = "connections_that_are_refused_are_a_burst_of_connections";
    let Some((_, w)) = window(test, "refused", 1.0) else { return };
    assert_eq!(w.pattern, "connection burst", "{}", w.sentence);
    let whom = ": connect 0 -> ";
    assert!(w.sentence.contains(whom) && w.sentence.contains("on 40 addresses, such as 127.0.0.1:"), "{}", w.sentence);
    assert!(!w.errors.iter().any(|e| e.errno == "EINPROGRESS"), "no failure: {:?}", w.errors);
}

/// The findings in a recording of [`TROUBLES`], with more arguments.
fn found(name: &str, arguments: &[&str]) -> osd_findings::Findings {
    LazyLock::force(&RECORDED);
    findings(&path_of(RECORDED.folder.path(), name), arguments)
}

#[test]
fn a_fault_in_the_first_seconds_is_found() {
    let Some((_, w)) = window("a_fault_in_the_first_seconds_is_found", "early", 0.5) else { return };
    assert!(w.errors.iter().any(|e| (e.syscall.as_str(), e.errno.as_str()) == ("access", "ENOENT")), "{}", w.sentence);
    assert!(w.threads.iter().any(|t| t.comm == "misser"), "it has renamed itself: {:?}", w.threads);
    let f = found("early", &[]);
    assert_eq!((f.detector.reading.as_str(), f.detector.warm_up_s), ("whole", 1.0));
    let end = RECORDED.spans["early"].1;
    assert!((w.end_ns - end).abs() < 700_000_000, "{}", describe(&f));
}

#[test]
fn an_incident_that_fills_most_of_a_recording_is_found_to_its_end() {
    let test = "an_incident_that_fills_most_of_a_recording_is_found_to_its_end";
    let Some((_, w)) = window(test, "most", 0.7) else { return };
    let end = RECORDED.spans["most"].1;
    assert!((w.end_ns - end).abs() < 2_500_000_000, "{}", describe(&found("most", &[])));
    assert!(w.errors.iter().any(|e| e.syscall == "access" && e.before_per_s < 1.0), "{}", w.sentence);
}

#[test]
fn an_incident_that_fills_a_recording_shows_beside_a_usual_one() {
    if !may_record("an_incident_that_fills_a_recording_shows_beside_a_usual_one") {
        return;
    }
    let alone = found("all", &[]);
    assert!(alone.windows.is_empty(), "{}", describe(&alone));
    assert!(alone.detector.notes.iter().any(|n| n.contains("--baseline")), "{:?}", alone.detector.notes);
    let usual = path_of(RECORDED.folder.path(), "usual");
    let beside = ["--baseline", usual.to_str().unwrap()];
    let f = found("all", &beside);
    assert_eq!((f.windows.len(), f.detector.reading.as_str()), (1, "baselines"), "{}", describe(&f));
    let w = &f.windows[0];
    assert!(w.end_ns - w.start_ns > 17_000_000_000, "{}", describe(&f));
    let access = w.errors.iter().find(|e| e.syscall == "access").unwrap_or_else(|| panic!("{}", describe(&f)));
    assert!(access.before_per_s < 1.0 && access.during_per_s > 1_000.0, "{access:?}");
    assert!(access.objects[0].starts_with("/tmp/not-there/"), "{access:?}");
    assert!(w.threads.iter().any(|t| t.comm == "misser" && t.before_per_s < 1.0), "{:?}", w.threads);
    // And what is usual is that.
    let quiet = found("quiet", &beside);
    assert!(quiet.windows.is_empty(), "{}", describe(&quiet));
}

#[test]
fn steady_work_raises_nothing() {
    if !may_record("steady_work_raises_nothing") {
        return;
    }
    LazyLock::force(&RECORDED);
    let f = findings(&path_of(RECORDED.folder.path(), "quiet"), &[]);
    assert!(f.windows.is_empty(), "{}", describe(&f));
}

#[test]
fn memory_that_forks_share_is_counted_once() {
    if !may_record("memory_that_forks_share_is_counted_once") {
        return;
    }
    let f = found("shared", &[]);
    let rss = f.series.iter().find(|s| s.metric == "rss").unwrap();
    let most = rss.values.iter().flatten().copied().fold(0.0, f64::max) / 1_048_576.0;
    // 300 MiB in seven processes.
    assert!((300.0..330.0).contains(&most), "{most} MiB");
    assert!(!f.windows.iter().any(|w| w.pattern.starts_with("memory")), "{}", describe(&f));
}

#[test]
fn a_leak_says_when_the_limit_of_its_control_group_is_reached() {
    let test = "a_leak_says_when_the_limit_of_its_control_group_is_reached";
    if !may_record(test) {
        return;
    }
    let Some(group) = MemoryLimit::new(256 << 20) else {
        eprintln!("SKIPPED: {test}: no control group with a memory limit can be made here");
        return;
    };
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    let path = dir.path().join("limit.parquet");
    let inside = format!("echo $$ > {}/cgroup.procs; exec {} leak 12 25 0", group.0.display(), PROGRAM.display());
    let mut osd = Command::new(env!("CARGO_BIN_EXE_osd"));
    osd.args(["record", "-q", "-o"]).arg(&path).args(options_of_all()).args(["--", "sh", "-c", &inside]);
    assert!(osd.stdout(Stdio::null()).status().unwrap().success());
    drop(group);
    let f = findings(&path, &[]);
    let w = f.windows.iter().find(|w| w.pattern == "memory leak").unwrap_or_else(|| panic!("{}", describe(&f)));
    let said = "; at this pace the limit of /osd-test-memory-";
    assert!(w.sentence.contains(said) && w.sentence.contains(" is reached in "), "{}", w.sentence);
    // 256 MiB less what it has, at 2 MiB/s or a little less.
    let left = w.sentence.split(" is reached in ").nth(1).unwrap().split(':').next().unwrap();
    let seconds = match left.split_once(" min") {
        Some((minutes, rest)) => {
            60.0 * minutes.parse::<f64>().unwrap() + rest.trim().trim_end_matches(" s").parse::<f64>().unwrap_or(0.0)
        }
        None => left.trim_end_matches(" s").parse::<f64>().unwrap(),
    };
    assert!((80.0..140.0).contains(&seconds), "{seconds} s: {}", w.sentence);
}

/// A control group with a limit of its memory, of whichever version there is.
struct MemoryLimit(PathBuf);

impl MemoryLimit {
    fn new(bytes: u64) -> Option<Self> {
        let name = format!("osd-test-memory-{}", std::process::id());
        let roots = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
        roots.into_iter().find_map(|(root, file)| {
            let group = Self(Path::new(root).join(&name));
            (Path::new(root).exists() && std::fs::create_dir(&group.0).is_ok()).then_some(())?;
            std::fs::write(group.0.join(file), bytes.to_string()).ok()?;
            Some(group)
        })
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// A control group with a CPU quota, of whichever version there is.
struct Quota {
    folder: PathBuf,
    v2: bool,
}

impl Quota {
    fn new() -> Option<Self> {
        let name = format!("osd-test-{}", std::process::id());
        let group = [("/sys/fs/cgroup/cpu", false), ("/sys/fs/cgroup", true)].into_iter().find_map(|(root, v2)| {
            let folder = Path::new(root).join(&name);
            let has = if v2 { "cpu.max" } else { "cpu.cfs_quota_us" };
            (Path::new(root).exists() && std::fs::create_dir(&folder).is_ok()).then_some(())?;
            let group = Self { folder, v2 };
            group.folder.join(has).exists().then_some(group)
        })?;
        if !group.v2 {
            std::fs::write(group.folder.join("cpu.cfs_period_us"), "500000").ok()?;
        }
        // A quota that is no limit, so that the recorder knows the group from the beginning.
        group.set(None);
        Some(group)
    }

    /// Microseconds of each half second; `None`: more than there are.
    fn set(&self, us: Option<u32>) {
        let us = us.unwrap_or(32_000_000);
        let (file, value) =
            if self.v2 { ("cpu.max", format!("{us} 500000")) } else { ("cpu.cfs_quota_us", us.to_string()) };
        std::fs::write(self.folder.join(file), value).unwrap();
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.folder);
    }
}
