//! What lives shortly, against what the kernel itself says of it when it is over: getrusage of the
//! children that were waited for, and the account of a cgroup. The processes are in `short.c`.
//! Needs root.

use crate::record::Place;
use crate::support::{compile, options_of_all, osd, rows, sum, text};
use osd_recording::{Kind, Recording};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

fn short() -> &'static str {
    static BUILT: LazyLock<PathBuf> = LazyLock::new(|| compile("short"));
    BUILT.to_str().unwrap()
}

/// The loads of this file: processes of 0.1, 1 and 10 ms, programs, threads one after the other, two at once with memory to take down.
const LOADS: [&str; 7] = [
    "forks 500 100",
    "forks 300 1000",
    "forks 50 10000",
    "programs 500",
    "threads 5000 20",
    "pairs 100 1000 4",
    "forks 20 1000 64",
];

/// A group whose CPU time the kernel accounts for, if this machine has the old hierarchy; removed in the end.
struct Account(PathBuf);

impl Account {
    fn new() -> Option<Self> {
        let root =
            ["/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup/cpu,cpuacct"].into_iter().find(|r| Path::new(r).is_dir())?;
        let group = Path::new(root).join(format!("osd-test-{}", std::process::id()));
        std::fs::create_dir(&group).ok()?;
        Some(Self(group))
    }

    fn cpu_ns(&self) -> u64 {
        std::fs::read_to_string(self.0.join("cpuacct.usage")).unwrap().trim().parse().unwrap()
    }

    /// A shell that enters it, then becomes the program that its arguments name.
    fn entered(&self) -> String {
        format!("echo $$ > {}/cgroup.procs && exec \"$0\" \"$@\"", self.0.display())
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// What getrusage says of one load, and what was recorded of the same processes.
struct Compared {
    truth: HashMap<String, u64>,
    samples: Vec<HashMap<String, String>>,
    /// Of all processes.
    all: Vec<HashMap<String, String>>,
    /// All processes: as recorded, and as the cgroup has it.
    all_ns: (u64, Option<u64>),
    unseen: u64,
}

impl Compared {
    fn of(path: &Path, load: &str, options: &[&str], account: Option<&Account>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_osd"));
        command.args(["record", "-q", "--force", "-o"]).arg(path).args(options).args(options_of_all()).arg("--");
        if let Some(account) = account {
            command.args(["sh", "-c", &account.entered()]);
        }
        let before = account.map(Account::cpu_ns);
        let out = command.arg(short()).args(load.split(' ')).output().unwrap();
        assert!(out.status.success(), "{load}: {}", text(&out.stderr));
        let accounted = account.zip(before).map(|(a, before)| a.cpu_ns() - before);
        let truth: HashMap<String, u64> = serde_json::from_slice(&out.stdout).unwrap();
        let all = rows(path, Kind::Sample);
        let all_ns = (sum(&all, "cpu_ns"), accounted);
        // The first process waits for the one that does it all, and getrusage of children is without it.
        let samples = all.iter().filter(|r| r["pid"] != truth["pid"].to_string()).cloned().collect();
        let unseen = Recording::open(path).unwrap().metadata().lost("sample");
        Self { truth, samples, all, all_ns, unseen }
    }

    fn cpu_ns(&self) -> u64 {
        sum(&self.samples, "cpu_ns")
    }

    fn truth_ns(&self) -> u64 {
        self.truth["cpu_us"] * 1000
    }
}

fn assert_near(what: &str, recorded: u64, truth: u64, share: f64) {
    let off = recorded as f64 / truth as f64 - 1.0;
    assert!(off.abs() <= share, "{what}: recorded {recorded}, the kernel says {truth}: {:+.2} % off", off * 100.0);
}

/// The kernel's own sums for threads that nobody waits for lack what they used since their last tick, so getrusage says less than a cgroup.
fn getrusage_is_short(load: &str) -> bool {
    load.starts_with("threads") || load.starts_with("pairs")
}

/// CPU time within 2 % of getrusage and of the cgroup.
fn cpu_time_agrees(place: &Place, options: &[&str]) {
    let account = Account::new();
    if account.is_none() {
        eprintln!("SKIPPED the account of a cgroup: this machine has no cpuacct hierarchy");
    }
    for load in LOADS {
        let c = Compared::of(&place.path(), load, options, account.as_ref());
        if getrusage_is_short(load) {
            assert!(c.cpu_ns() >= c.truth_ns() / 100 * 98, "{load}: {} of {} ns", c.cpu_ns(), c.truth_ns());
        } else {
            assert_near(&format!("CPU time of {load} by getrusage"), c.cpu_ns(), c.truth_ns(), 0.02);
        }
        if let (recorded, Some(accounted)) = c.all_ns {
            // The shell was on its way before it entered the group.
            let tolerance = 0.02 + 5e6 / accounted as f64;
            assert_near(&format!("CPU time of {load} by cgroup"), recorded, accounted, tolerance);
        }
    }
}

#[test]
fn cpu_time_of_what_lives_shortly_is_that_of_getrusage_and_of_the_cgroup() {
    let Some(place) = Place::new("cpu_time_of_what_lives_shortly_is_that_of_getrusage_and_of_the_cgroup") else {
        return;
    };
    cpu_time_agrees(&place, &[]);
    cpu_time_agrees(&place, &["--syscalls", "off", "-i", "1s"]);
}

/// Where a task cannot be held until it has been looked at, the kernel tells when it forgets it. Some kernels forget a few without a word:
/// those are counted, and what they used after their last tick is missing.
#[test]
fn kernels_that_hold_no_tasks_tell_when_they_forget_them() {
    let Some(place) = Place::new("kernels_that_hold_no_tasks_tell_when_they_forget_them") else { return };
    cpu_time_agrees(&place, &["--pretend-missing", "held_tasks"]);
    cpu_time_agrees(&place, &["--pretend-missing", "tp_btf"]);
}

#[test]
fn a_shell_loop_has_the_cpu_time_of_all_its_programs() {
    let Some(place) = Place::new("a_shell_loop_has_the_cpu_time_of_all_its_programs") else { return };
    let script = "import subprocess, resource, os, sys\n\
        subprocess.call(['sh', '-c', 'i=0; while [ $i -lt 300 ]; do /bin/true; i=$((i+1)); done'])\n\
        r = resource.getrusage(resource.RUSAGE_CHILDREN)\n\
        print(os.getpid(), round((r.ru_utime + r.ru_stime) * 1e9))";
    let path = place.path();
    let out = osd(["record", "-q", "-o", path.to_str().unwrap(), "--", "python3", "-c", script]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let mut said = text(&out.stdout).split_whitespace();
    let (pid, truth) = (said.next().unwrap(), said.next().unwrap().parse::<u64>().unwrap());
    let samples: Vec<_> = rows(&path, Kind::Sample).into_iter().filter(|r| r["pid"] != pid).collect();
    assert_near("CPU time of the loop", sum(&samples, "cpu_ns"), truth, 0.02);
}

/// Everything else that is read at a tick or at the end of a thread, for processes of 0.1, 1 and 10 ms.
#[test]
fn faults_and_switches_of_what_lives_shortly_are_those_of_getrusage() {
    let Some(place) = Place::new("faults_and_switches_of_what_lives_shortly_are_those_of_getrusage") else { return };
    for load in LOADS {
        let c = Compared::of(&place.path(), load, &[], None);
        assert_eq!(c.unseen, 0, "{load}");
        let recorded = |column| sum(&c.samples, column);
        assert_eq!(recorded("minor_faults"), c.truth["minor_faults"], "{load}");
        assert_eq!(recorded("major_faults"), c.truth["major_faults"], "{load}");
        // A parent that is quick asks while its child is leaving its processor for the last time.
        let n: u64 = load.split(' ').nth(1).unwrap().parse().unwrap();
        let (voluntary, truth) = (recorded("ctx_voluntary"), c.truth["voluntary"]);
        assert!((truth..=truth + 2 * n).contains(&voluntary), "{load}: {voluntary} voluntary switches, {truth}");
        assert!(recorded("ctx_involuntary") >= c.truth["involuntary"], "{load}");
    }
}

#[test]
fn bytes_read_and_written_by_what_lives_shortly_are_counted_to_the_last() {
    let Some(place) = Place::new("bytes_read_and_written_by_what_lives_shortly_are_counted_to_the_last") else {
        return;
    };
    for (us, n) in [(100, 300), (1000, 100), (10000, 20)] {
        let c = Compared::of(&place.path(), &format!("forks {n} {us}"), &[], None);
        // Each child reads 1000 bytes of a device, writes 700 to a socket and reads them.
        assert_eq!((sum(&c.samples, "read_chars"), sum(&c.samples, "write_chars")), (n * 1700, n * 700), "{us} us");
    }
}

#[test]
fn the_end_of_a_large_process_is_in_its_time_and_not_in_its_memory() {
    let Some(place) = Place::new("the_end_of_a_large_process_is_in_its_time_and_not_in_its_memory") else { return };
    let c = Compared::of(&place.path(), "forks 1 1000 512", &["-i", "10ms"], None);
    assert_near("CPU time", c.cpu_ns(), c.truth_ns(), 0.02);
    let exits = rows(&place.path(), Kind::Process);
    let child = exits.iter().filter(|r| r["event"] == "exit").min_by_key(|r| r["ts"].clone()).unwrap();
    let of_child = || c.samples.iter().filter(|r| r["proc"] == child["proc"]);
    let most = of_child().filter_map(|r| r["rss_anon_bytes"].parse::<u64>().ok()).max().unwrap();
    assert!(most >= 500 << 20, "{most}");
    // Rows that begin after its exit are of a process that has no memory and no threads any more.
    let after: Vec<_> = of_child().filter(|r| r["ts"] > child["ts"]).collect();
    assert!(after.iter().all(|r| r["rss_anon_bytes"] == "0" && r["n_threads"] == "0"), "{after:?}");
}

/// `/proc` shows no process that comes and goes between two looks, but its parent's account of children that it has waited for.
#[test]
fn from_proc_what_lived_shortly_is_charged_to_who_waited_for_it() {
    let Some(place) = Place::new("from_proc_what_lived_shortly_is_charged_to_who_waited_for_it") else { return };
    for load in ["forks 2000 100", "programs 1000", "forks 50 10000", "threads 10000 20"] {
        let c = Compared::of(&place.path(), load, &["--backend", "proc"], None);
        // What the first process waited for in the end is its own here. Ticks are 10 ms, and cut for user and system time.
        let (recorded, truth) = (c.all_ns.0 as f64, c.truth_ns() as f64);
        let off = (recorded - truth).abs();
        assert!(off <= truth * 0.02 + 20e6, "{load}: recorded {recorded:.0} ns, getrusage says {truth:.0}");
        let (recorded, truth) = (sum(&c.all, "minor_faults"), c.truth["minor_faults"]);
        assert!(recorded.abs_diff(truth) <= truth / 50 + 100, "{load}: {recorded} faults, getrusage says {truth}");
    }
}

/// Waiting for a processor and bytes sent, of processes of 0.1, 1 and 10 ms that crowd each other; the truth is what the kernel says of each
/// when it has ended and nobody has waited for it.
#[test]
fn waiting_and_bytes_sent_of_what_lives_shortly_are_those_of_its_zombies() {
    let Some(place) = Place::new("waiting_and_bytes_sent_of_what_lives_shortly_are_those_of_its_zombies") else {
        return;
    };
    let script = r#"
import os, socket, sys, time
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(('127.0.0.1', 0))
n, us, runq, cpu, pids = int(sys.argv[1]), float(sys.argv[2]), 0, 0, []
def work():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x' * 700, server.getsockname())
    end = time.monotonic() + us / 1e6
    while time.monotonic() < end:
        pass
    os._exit(0)
def last_totals(pid):
    # Its parent is told a little before it leaves its processor.
    before = None
    while True:
        now = open(f'/proc/{pid}/schedstat').read().split()[:2]
        if now == before:
            return map(int, now)
        before = now
        time.sleep(0.002)
for _ in range(n):
    crowd = [os.fork() or work() for _ in range(4)]
    for pid in crowd:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        its_cpu, its_runq = last_totals(pid)
        cpu, runq = cpu + its_cpu, runq + its_runq
        os.waitpid(pid, 0)
    pids += crowd
print(runq, cpu, *pids)
"#;
    let path = place.path();
    for (n, us) in [("60", "100"), ("40", "1000"), ("15", "10000")] {
        let record = ["record", "-q", "--force", "-o", path.to_str().unwrap(), "--", "python3", "-c", script, n, us];
        let out = osd(record);
        assert!(out.status.success(), "{}", text(&out.stderr));
        let said: Vec<u64> = text(&out.stdout).split_whitespace().map(|n| n.parse().unwrap()).collect();
        let (runq, cpu, pids) = (said[0], said[1], &said[2..]);
        let of_crowd = |r: &HashMap<String, String>| r["pid"].parse().is_ok_and(|pid: u64| pids.contains(&pid));
        let samples: Vec<_> = rows(&path, Kind::Sample).into_iter().filter(of_crowd).collect();
        assert_near(&format!("waiting, {us} us"), sum(&samples, "runq_ns"), runq, 0.01);
        assert_near(&format!("CPU time, {us} us"), sum(&samples, "cpu_ns"), cpu, 0.01);
        let n = pids.len() as u64;
        assert_eq!((sum(&samples, "net_tx_bytes"), sum(&samples, "net_tx_msgs")), (700 * n, n), "{us} us");
    }
}
