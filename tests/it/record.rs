//! The recorder against processes whose behaviour is known exactly. Needs root.

use crate::support::{alone, compile, may_record, options_of_all, osd, osd_ok, record, rows, sum, targets, text};
use osd_recording::{Kind, Recording};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::MutexGuard;
use tempfile::TempDir;

pub(crate) type Rows = Vec<HashMap<String, String>>;

pub(crate) fn of<'a>(rows: &'a Rows, column: &str, value: &str) -> Vec<&'a HashMap<String, String>> {
    rows.iter().filter(|r| r[column] == value).collect()
}

/// Where a test records: alone on the machine, into a folder of its own.
pub(crate) struct Place {
    _alone: MutexGuard<'static, ()>,
    pub(crate) dir: TempDir,
}

impl Place {
    /// `None` if this process may not record; it has said so.
    pub(crate) fn new(test: &str) -> Option<Self> {
        may_record(test).then(|| Self { _alone: alone(), dir: tempfile::tempdir().unwrap() })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("r.parquet")
    }
}

#[test]
fn a_recorded_command_has_the_environment_that_osd_was_given() {
    let Some(place) = Place::new("a_recorded_command_has_the_environment_that_osd_was_given") else { return };
    let mut osd = Command::new(env!("CARGO_BIN_EXE_osd"));
    osd.args(["record", "--quiet", "-o"]).arg(place.path()).args(["--", "/usr/bin/env"]);
    let out = osd.env_clear().env("ONLY", "this").output().unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert_eq!(text(&out.stdout), "ONLY=this\n");
}

/// A process that waits until its stdin closes, and a recorder of it that has begun.
fn wait_and_record(path: &Path) -> (Child, Child) {
    let target = Command::new(targets()).args(["wait", "1"]).stdin(Stdio::piped()).spawn().unwrap();
    let recorder = Command::new(env!("CARGO_BIN_EXE_osd"))
        .args(["record", "-p", &target.id().to_string(), "-o"])
        .arg(path)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    (target, recorder)
}

/// Counted = recorded + lost, for every syscall and in total.
pub(crate) fn assert_counts_hold(path: &Path) {
    let tallies = sum(&rows(path, Kind::Tally), "count");
    let recording = Recording::open(path).unwrap();
    let events = recording.metadata().rows["syscall"];
    let lost = recording.metadata().lost("syscall");
    assert_eq!(tallies, events + lost, "counted = recorded + lost");
    let in_rows: u64 = rows(path, Kind::Loss)
        .iter()
        .filter(|r| r["stream"] == "syscall")
        .filter_map(|r| r["count"].parse::<u64>().ok())
        .sum();
    assert_eq!(in_rows, lost, "loss rows sum to the footer's total");
}

#[test]
fn a_million_calls_are_counted_to_the_last_one() {
    let Some(place) = Place::new("a_million_calls_are_counted_to_the_last_one") else { return };
    let path = place.path();
    record(&path, &[], &[targets().to_str().unwrap(), "loop", "1000000"]);
    let tallies = rows(&path, Kind::Tally);
    let getppid: u64 = of(&tallies, "syscall", "getppid").iter().map(|r| r["count"].parse::<u64>().unwrap()).sum();
    assert_eq!(getppid, 1_000_000);
    let histogram: u64 = of(&tallies, "syscall", "getppid")
        .iter()
        .flat_map(|r| {
            r["latency_log2"]
                .trim_matches(['[', ']'])
                .split(", ")
                .map(|n| n.parse::<u64>().unwrap())
                .collect::<Vec<_>>()
        })
        .sum();
    assert_eq!(histogram, 1_000_000, "every call is in a bucket");
    assert_counts_hold(&path);
}

#[test]
fn counts_hold_when_the_ring_overflows() {
    let Some(place) = Place::new("counts_hold_when_the_ring_overflows") else { return };
    let path = place.path();
    // Four threads on all processors against a ring of 1 MiB: the recorder cannot keep up.
    record(&path, &["--ring-mib", "1"], &[targets().to_str().unwrap(), "threads", "500000"]);
    let tallies = rows(&path, Kind::Tally);
    let getppid: u64 = of(&tallies, "syscall", "getppid").iter().map(|r| r["count"].parse::<u64>().unwrap()).sum();
    assert_eq!(getppid, 2_000_000);
    assert!(Recording::open(&path).unwrap().metadata().lost("syscall") > 0, "the test must overflow the ring");
    assert_counts_hold(&path);
}

#[test]
fn a_duration_holds_under_a_load_that_never_lets_the_ring_run_dry() {
    let Some(place) = Place::new("a_duration_holds_under_a_load_that_never_lets_the_ring_run_dry") else { return };
    let path = place.path();
    let mut load = Command::new(targets()).args(["threads", "2000000000"]).spawn().unwrap();
    let began = std::time::Instant::now();
    let pid = load.id().to_string();
    let out = osd(["record", "-p", &pid, "--ring-mib", "1", "--duration", "1s", "-o", path.to_str().unwrap()]);
    let took = began.elapsed();
    load.kill().unwrap();
    load.wait().unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    // Loading, draining and closing take their time on a busy machine; what must not happen is that it never ends.
    assert!(took.as_secs() < 20, "a recording of one second took {took:?}");
    assert_counts_hold(&path);
}

/// Recording strace while it traces a pipeline gives both the same execution: every count must agree, even those that timing
/// decides, such as reads from a pipe.
#[test]
fn strace_and_osd_agree_on_every_count_of_a_pipeline() {
    let Some(place) = Place::new("strace_and_osd_agree_on_every_count_of_a_pipeline") else { return };
    strace_agrees(&place, &[]);
    strace_agrees(&place, &["--no-latency"]);
}

fn strace_agrees(place: &Place, options: &[&str]) {
    let (path, table) = (place.path(), place.dir.path().join("strace.txt"));
    let pipeline = "ls -R /usr/share/doc | sort | wc -l";
    record(
        &path,
        options,
        &[
            "env",
            "-i",
            "LC_ALL=C",
            "PATH=/usr/bin:/bin",
            "strace",
            "-f",
            "-c",
            "-o",
            table.to_str().unwrap(),
            "sh",
            "-c",
            pipeline,
        ],
    );
    let mut by_strace: BTreeMap<String, u64> = BTreeMap::new();
    for line in std::fs::read_to_string(&table).unwrap().lines().skip(2) {
        let fields: Vec<_> = line.split_whitespace().collect();
        if let [_, _, _, calls, .., name] = fields[..]
            && name != "total"
            && let Ok(calls) = calls.parse()
        {
            by_strace.insert(name.to_owned(), calls);
        }
    }
    // strace begins to count at the exec of `sh`; what its fork did before, and strace itself, it does not count.
    let processes = rows(&path, Kind::Process);
    let sh = of(&processes, "event", "exec").into_iter().find(|r| r["comm"] == "sh").expect("sh was executed");
    let strace: Vec<_> = of(&processes, "event", "exec")
        .iter()
        .filter(|r| r["comm"] != "sh" && r["proc"] != sh["proc"])
        .filter(|r| ["env", "strace"].contains(&r["comm"].as_str()))
        .map(|r| r["proc"].clone())
        .collect();
    let mut by_osd: BTreeMap<String, u64> = BTreeMap::new();
    for call in rows(&path, Kind::Syscall) {
        let before_exec = call["proc"] == sh["proc"] && call["ts"] < sh["ts"] && call["syscall"] != "execve";
        // An execve that found nothing (PATH lookup) is before the exec of `sh` too, but strace resolves PATH itself.
        if !strace.contains(&call["proc"]) && !before_exec {
            *by_osd.entry(call["syscall"].clone()).or_default() += 1;
        }
    }
    // strace -f sees probes of its own in its forks (it checks what ptrace can do); those processes never exec.
    let executed: Vec<_> = of(&processes, "event", "exec").iter().map(|r| r["proc"].clone()).collect();
    let probes = of(&processes, "event", "fork")
        .into_iter()
        .filter(|r| strace.contains(&r["parent"]) && !executed.contains(&r["proc"]));
    for probe in probes {
        for call in rows(&path, Kind::Syscall).iter().filter(|c| c["proc"] == probe["proc"]) {
            *by_osd.get_mut(&call["syscall"]).unwrap() -= 1;
        }
    }
    by_osd.retain(|_, n| *n > 0);
    if !options.is_empty()
        && let Some(n) = by_osd.remove("unknown")
    {
        by_osd.insert("rt_sigreturn".to_owned(), n);
    }
    assert!(by_strace.len() > 15, "strace's table was read: {by_strace:?}");
    assert_eq!(by_osd, by_strace);
    assert_counts_hold(&path);
}

/// Mean CPU share over the time the burner ran, from samples; and the truth it printed.
fn burn(in_child: bool) -> (f64, f64) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.parquet");
    let mut command = vec![targets().to_str().unwrap(), "burn", "4"];
    if in_child {
        command.push("in-child");
    }
    let out = record(&path, &[], &command);
    let truth: f64 = text(&out.stdout).trim().parse().unwrap();
    let recorded = sum(&rows(&path, Kind::Sample), "cpu_ns") as f64 / 1e9;
    (recorded / 4.0, truth / 4.0)
}

#[test]
fn a_half_time_burner_shows_the_cpu_that_getrusage_says() {
    if !may_record("a_half_time_burner_shows_the_cpu_that_getrusage_says") {
        return;
    }
    let _alone = alone();
    for in_child in [false, true] {
        let (recorded, truth) = burn(in_child);
        assert!(
            (recorded - truth).abs() < 0.01,
            "in child: {in_child}: recorded {recorded:.4} cores, getrusage {truth:.4}"
        );
        assert!((0.3..0.6).contains(&truth));
    }
}

#[test]
fn touched_memory_shows_in_rss_within_a_percent() {
    let Some(place) = Place::new("touched_memory_shows_in_rss_within_a_percent") else { return };
    let path = place.path();
    for child in [&[][..], &["in-child"][..]] {
        let mut command = vec![targets().to_str().unwrap(), "touch", "512"];
        command.extend(child);
        record(&path, &[], &command);
        let samples = rows(&path, Kind::Sample);
        let peak = samples.iter().map(|r| r["rss_anon_bytes"].parse::<u64>().unwrap()).max().unwrap();
        let wanted = 512 << 20;
        assert!(peak.abs_diff(wanted) < wanted / 100, "{child:?}: {peak} instead of {wanted}");
    }
}

#[test]
fn bytes_over_loopback_are_counted_each_way() {
    let Some(place) = Place::new("bytes_over_loopback_are_counted_each_way") else { return };
    let path = place.path();
    for child in [&[][..], &["in-child"][..]] {
        let mut command = vec![targets().to_str().unwrap(), "net", "100"];
        command.extend(child);
        record(&path, &[], &command);
        let samples = rows(&path, Kind::Sample);
        // 100 MiB each way, both ends in this process; a peek and a failed receive must not count.
        let wanted = 200 << 20;
        for column in ["net_rx_bytes", "net_tx_bytes"] {
            let got = sum(&samples, column);
            assert!(got.abs_diff(wanted) <= wanted / 1000, "{child:?} {column}: {got} instead of {wanted}");
        }
    }
}

#[test]
fn two_hundred_short_lived_children_are_all_there() {
    let Some(place) = Place::new("two_hundred_short_lived_children_are_all_there") else { return };
    let path = place.path();
    record(&path, &[], &[targets().to_str().unwrap(), "spawn", "200"]);
    let processes = rows(&path, Kind::Process);
    let by_event = |event: &str| -> std::collections::HashSet<String> {
        of(&processes, "event", event)
            .iter()
            .filter(|r| r["comm"] == "true" || event == "fork")
            .map(|r| r["proc"].clone())
            .collect()
    };
    let (forked, executed, ended) = (by_event("fork"), by_event("exec"), by_event("exit"));
    assert_eq!((forked.len(), executed.len(), ended.len()), (200, 200, 200));
    assert_eq!(forked, executed);
    assert_eq!(executed, ended);
    for exit in of(&processes, "event", "exit").iter().filter(|r| r["comm"] == "true") {
        assert_eq!(
            (exit["exit_code"].as_str(), exit["exe"].as_str(), exit["argv"].as_str()),
            ("0", "/bin/true", "true")
        );
    }
    // Shorter than an interval, yet each with its own sample and tallies.
    let sampled: std::collections::HashSet<_> = rows(&path, Kind::Sample).iter().map(|r| r["proc"].clone()).collect();
    let tallied: std::collections::HashSet<_> = rows(&path, Kind::Tally).iter().map(|r| r["proc"].clone()).collect();
    assert!(executed.is_subset(&sampled) && executed.is_subset(&tallied));
    assert_counts_hold(&path);
}

#[test]
fn a_running_process_is_recorded_by_its_pid_until_it_ends() {
    let Some(place) = Place::new("a_running_process_is_recorded_by_its_pid_until_it_ends") else { return };
    let path = place.path();
    let (mut target, recorder) = wait_and_record(&path);
    let mut stdin = target.stdin.take().unwrap();
    for _ in 0..10 {
        stdin.write_all(b"x").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(30));
    }
    drop(stdin);
    target.wait().unwrap();
    let out = recorder.wait_with_output().unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    let processes = rows(&path, Kind::Process);
    let events: Vec<_> = processes.iter().map(|r| r["event"].as_str()).collect();
    assert_eq!(events, ["running", "exit"]);
    assert!(processes[0]["argv"].ends_with(" wait 1"), "{}", processes[0]["argv"]);
    // The first read had begun before the recording: its entry was not seen, so it is in neither count.
    let reads = of(&rows(&path, Kind::Syscall), "syscall", "read").len();
    assert_eq!(reads, 10);
    assert_counts_hold(&path);
}

#[test]
fn the_first_interrupt_closes_the_recording() {
    let Some(place) = Place::new("the_first_interrupt_closes_the_recording") else { return };
    let path = place.path();
    let (mut target, recorder) = wait_and_record(&path);
    // SAFETY: a signal to our own child.
    unsafe { libc::kill(recorder.id() as i32, libc::SIGINT) };
    let out = recorder.wait_with_output().unwrap();
    drop(target.stdin.take());
    target.wait().unwrap();
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert!(Recording::open(&path).unwrap().metadata().complete);
    assert!(text(&out.stderr).contains("hint: osd analyze"), "{}", text(&out.stderr));
}

#[test]
fn tally_mode_counts_without_events() {
    let Some(place) = Place::new("tally_mode_counts_without_events") else { return };
    let path = place.path();
    record(&path, &["--syscalls", "tally"], &[targets().to_str().unwrap(), "loop", "100000"]);
    let metadata = Recording::open(&path).unwrap().metadata().clone();
    assert_eq!((metadata.rows["syscall"], metadata.lost("syscall")), (0, 0));
    let calls = osd_ok([
        "sql",
        path.to_str().unwrap(),
        "SELECT sum(count) AS n FROM tallies WHERE syscall = 'getppid'",
        "--format",
        "csv",
    ]);
    assert_eq!(calls, "n\n100000\n");
    let samples = rows(&path, Kind::Sample);
    assert!(sum(&samples, "n_syscalls") >= 100_000);
}

#[test]
fn without_latencies_every_call_is_counted_and_no_duration_is_made_up() {
    let Some(place) = Place::new("without_latencies_every_call_is_counted_and_no_duration_is_made_up") else { return };
    let path = place.path();
    for syscalls in ["events", "tally"] {
        let options = ["--no-latency", "--syscalls", syscalls];
        record(&path, &options, &[targets().to_str().unwrap(), "threads", "250000"]);
        let metadata = Recording::open(&path).unwrap().metadata().clone();
        assert!(metadata.no_latency && metadata.families[0].probes == ["sys_exit"], "{metadata:?}");
        let tallies = rows(&path, Kind::Tally);
        let getppid = of(&tallies, "syscall", "getppid").into_iter().cloned().collect::<Rows>();
        assert_eq!(sum(&getppid, "count"), 1_000_000);
        assert!(tallies.iter().all(|r| r["total_ns"].is_empty() && r["latency_log2"].is_empty()), "{:?}", tallies[0]);
        let samples = rows(&path, Kind::Sample);
        assert_eq!(sum(&samples, "n_syscalls"), sum(&tallies, "count"));
        assert!(samples.iter().all(|r| r["syscall_ns"].is_empty()));
        // Four threads were made; their own first returns, from a call they did not make, are not among these.
        let made = of(&tallies, "syscall", "clone3").into_iter().chain(of(&tallies, "syscall", "clone"));
        assert_eq!(sum(&made.cloned().collect::<Rows>(), "count"), 4);
        if syscalls == "events" {
            assert_counts_hold(&path);
            assert!(rows(&path, Kind::Syscall).iter().all(|r| r["dur_ns"].is_empty()));
        }
    }
    // Paths and descriptors are there, but for the exec whose registers are gone; its process row has it.
    record(&path, &["--no-latency"], &["cat", "/proc/self/stat"]);
    let all = rows(&path, Kind::Syscall);
    let opened = of(&all, "syscall", "openat").into_iter().find(|r| r["path"] == "/proc/self/stat").unwrap();
    let read = of(&all, "syscall", "read").into_iter().filter(|r| r["fd"] == opened["ret"]);
    assert!(read.count() >= 2);
    let exec = of(&all, "syscall", "execve").into_iter().find(|r| r["ret"] == "0").unwrap();
    assert_eq!((exec["path"].as_str(), exec["dur_ns"].as_str()), ("", ""));
    let started = of(&rows(&path, Kind::Process), "event", "exec")[0]["exe"].clone();
    assert!(started.ends_with("/cat"));
    assert!(Recording::open(&path).unwrap().metadata().losses.is_empty());
    assert_counts_hold(&path);
}

#[test]
fn children_are_left_alone_with_no_follow() {
    let Some(place) = Place::new("children_are_left_alone_with_no_follow") else { return };
    let path = place.path();
    record(&path, &["--no-follow"], &[targets().to_str().unwrap(), "loop", "1000", "in-child"]);
    assert!(of(&rows(&path, Kind::Process), "event", "fork").is_empty());
    assert!(of(&rows(&path, Kind::Tally), "syscall", "getppid").is_empty());
}

#[test]
fn who_was_called_is_in_the_row_of_the_call() {
    if !may_record("who_was_called_is_in_the_row_of_the_call") {
        return;
    }
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    let (path, program) = (dir.path().join("peers.parquet"), compile("peers"));
    let said = Command::new(env!("CARGO_BIN_EXE_osd"))
        .args(["record", "-q", "-o"])
        .arg(&path)
        .args(options_of_all())
        .arg("--")
        .arg(&program)
        .output()
        .unwrap();
    let told = rows(&path, Kind::Syscall).into_iter().filter(|r| matches!(r["syscall"].as_str(), "connect" | "bind"));
    let number = |errno: &str| if errno.is_empty() { "0".to_owned() } else { errno.to_owned() };
    let told: Vec<String> = told.map(|r| format!("{} {} {}", r["syscall"], r["path"], number(&r["errno"]))).collect();
    let said: Vec<String> = text(&said.stdout).lines().map(str::to_owned).collect();
    assert_eq!(told, said);
    assert_eq!(said.len(), 6, "{said:?}");
}
