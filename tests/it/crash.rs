//! What becomes of a recording when its recorder, its disk or its folder does not last. Needs root.

use crate::record::Place;
use crate::support::{alone, osd, osd_ok, rows, sum, targets, text};
use osd_detect::rng::Rng;
use osd_recording::{Kind, Recording};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A process that is killed when the test is over, whatever came of it.
struct Load(Child);

impl Load {
    fn start(args: &[&str]) -> Self {
        Self::run(Command::new(targets()).args(args))
    }

    fn run(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn recorder(path: &Path, args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_osd"));
    command.args(["record", "-o"]).arg(path).args(args).stderr(Stdio::piped()).spawn().unwrap()
}

fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
    let began = Instant::now();
    while !happened() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what} did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn signal(child: &Child, signal: i32) {
    // SAFETY: a process this test started and has not waited for.
    assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
}

fn finish(mut child: Child) -> (Option<i32>, String) {
    let mut said = String::new();
    std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut said).unwrap();
    (child.wait().unwrap().code(), said)
}

fn now_ns() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as i64
}

/// End of the last call that is recorded, and how many there are. Each must be whole: known names, positive times.
fn last_call_ns(path: &Path) -> (i64, u64) {
    let out = osd_ok([
        "sql",
        path.to_str().unwrap(),
        "--format",
        "csv",
        "SELECT max(CAST(ts AS BIGINT) + dur_ns) AS last, count(*) AS n, count(DISTINCT tid) AS t FROM syscalls",
    ]);
    let fields: Vec<i64> = out.lines().nth(1).unwrap().split(',').map(|f| f.parse().unwrap_or(0)).collect();
    (fields[0], fields[1] as u64)
}

/// `kill -9` at random moments under full load: it opens, nothing older than a second is missing, `osd recover` closes it.
fn kill_at_random_moments(times: u64) {
    let place = tempfile::tempdir().unwrap();
    let load = Load::start(&["threads", "2000000000"]);
    let mut worst = 0;
    let mut rng = Rng(1);
    for i in 0..times {
        let path = place.path().join(format!("{i}.parquet"));
        let mut child = recorder(&path, &["-q", "-p", &load.pid(), "--ring-mib", "4"]);
        let folder = place.path().join(format!("{i}.parquet.partial"));
        let written = |n: u32| folder.join(format!("syscall.{n}")).metadata().is_ok_and(|m| m.len() > 0);
        wait_for("the first rows", || written(0) || written(1));
        std::thread::sleep(Duration::from_millis(rng.below(1_024) as u64));
        let killed_ns = now_ns();
        child.kill().unwrap();
        child.wait().unwrap();
        let before = last_call_ns(&path);
        let (mut last_ns, n) = before;
        if n == 0 {
            // In the midst of writing the first ones: what is missing began when the recording did.
            last_ns = Recording::open(&path).unwrap().metadata().started_ns;
        }
        worst = worst.max(killed_ns - last_ns);
        assert!(
            killed_ns - last_ns < 1_000_000_000,
            "kill {i}: the last {} ms are missing",
            (killed_ns - last_ns) / 1_000_000
        );
        let info = osd_ok(["info", path.to_str().unwrap()]);
        assert!(info.contains("unfinished"), "{info}");
        osd_ok(["recover", path.to_str().unwrap()]);
        assert_eq!(last_call_ns(&path), before, "recovering adds and loses nothing");
        assert!(!folder.exists());
        std::fs::remove_file(path).unwrap();
    }
    eprintln!("{times} kills: at most {} ms were missing", worst / 1_000_000);
}

#[test]
fn a_killed_recorder_costs_less_than_a_second() {
    let Some(_place) = Place::new("a_killed_recorder_costs_less_than_a_second") else { return };
    kill_at_random_moments(10);
}

#[test]
#[ignore = "minutes; `make soak` runs it"]
fn a_hundred_killed_recorders_cost_less_than_a_second_each() {
    let Some(_place) = Place::new("a_hundred_killed_recorders_cost_less_than_a_second_each") else { return };
    kill_at_random_moments(100);
}

/// A mounted file system that goes away with the test.
struct Mount(PathBuf);

impl Mount {
    fn tmpfs(dir: &Path, options: &str) -> Self {
        std::fs::create_dir(dir).unwrap();
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(dir).status().unwrap();
        assert!(status.success());
        Self(dir.to_owned())
    }

    /// An ext4 of its own below `dir`; `None` where there is no loop device.
    fn ext4(dir: &Path) -> Option<Self> {
        let (image, place) = (dir.join("image"), dir.join("disk"));
        std::fs::create_dir(&place).unwrap();
        std::fs::File::create(&image).unwrap().set_len(256 << 20).unwrap();
        Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image).status().is_ok_and(|s| s.success()).then_some(())?;
        Self::loop_mount(&image, &place).then(|| Self(place))
    }

    fn loop_mount(image: &Path, place: &Path) -> bool {
        let mut mount = Command::new("mount");
        mount.args(["-o", "loop,errors=remount-ro"]).arg(image).arg(place).status().is_ok_and(|s| s.success())
    }

    fn remount(&self, option: &str) -> bool {
        let option = format!("remount,{option}");
        Command::new("mount").args(["-o", &option]).arg(&self.0).stderr(Stdio::null()).status().unwrap().success()
    }

    /// Makes ext4 believe that its disk has failed.
    fn break_down(&self) {
        let source = Command::new("findmnt").args(["-no", "SOURCE"]).arg(&self.0).output().unwrap();
        let device = Path::new(text(&source.stdout).trim()).file_name().unwrap().to_owned();
        std::fs::write(Path::new("/sys/fs/ext4").join(device).join("trigger_fs_error"), "a test of osd").unwrap();
    }

    /// Unmounted and mounted once more, as after a repair.
    fn again(self) -> Self {
        assert!(Command::new("umount").arg(&self.0).status().unwrap().success());
        assert!(Self::loop_mount(&self.0.with_file_name("image"), &self.0));
        self
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_ends_with_a_closed_file_that_holds_what_fitted() {
    let Some(place) = Place::new("a_full_disk_ends_with_a_closed_file_that_holds_what_fitted") else { return };
    let disk = Mount::tmpfs(&place.dir.path().join("disk"), "size=6M");
    let path = disk.0.join("r.parquet");
    let load = Load::start(&["threads", "2000000000"]);
    let began = Instant::now();
    let (code, said) = finish(recorder(&path, &["-p", &load.pid(), "--duration", "60s"]));
    assert_eq!(code, Some(2), "{said}");
    assert!(began.elapsed() < Duration::from_secs(50), "it ended when the disk was full");
    assert!(said.contains("error: the disk is full") && said.contains("hint: free some space"), "{said}");
    let recording = Recording::open(&path).unwrap();
    let m = recording.metadata();
    assert!(m.complete && m.rows["syscall"] > 10_000);
    assert_eq!(
        sum(&rows(&path, Kind::Tally), "count"),
        m.rows["syscall"] + m.lost("syscall"),
        "counted = recorded + lost"
    );
    assert_eq!(std::fs::read_dir(&disk.0).unwrap().count(), 1, "the folder is gone");
}

/// Somebody else takes every last byte: what was kept free is enough for the end of a recording, and to recover a killed one.
#[test]
fn a_disk_that_others_fill_still_takes_the_end_of_a_recording() {
    let Some(place) = Place::new("a_disk_that_others_fill_still_takes_the_end_of_a_recording") else { return };
    for killed in [false, true] {
        let disk = Mount::tmpfs(&place.dir.path().join(format!("disk-{killed}")), "size=8M");
        let path = disk.0.join("r.parquet");
        let load = Load::run(Command::new("sh").args(["-c", "while sleep 0.05; do :; done"]));
        let mut child = recorder(&path, &["-q", "-p", &load.pid()]);
        wait_for("the first rows", || {
            disk.0.join("r.parquet.partial/sample.0").metadata().is_ok_and(|m| m.len() > 10_000)
        });
        // A byte at a time in the end, so that there is nothing left at all.
        let mut other = std::fs::File::create(disk.0.join("other")).unwrap();
        for length in [1 << 16, 1 << 12, 1] {
            while std::io::Write::write_all(&mut other, &vec![0; length]).is_ok() {}
        }
        if killed {
            child.kill().unwrap();
            child.wait().unwrap();
            osd_ok(["recover", path.to_str().unwrap()]);
        } else {
            signal(&child, libc::SIGINT);
            let (code, said) = finish(child);
            assert!(code == Some(0) || said.contains("the disk is full"), "{said}");
        }
        let recording = Recording::open(&path).unwrap();
        assert!(recording.metadata().complete != killed && recording.metadata().rows["sample"] > 10);
    }
}

/// The kernel refuses to remount read-only while files are open for writing; what does turn a file system read-only under a recorder is
/// an error of the disk, which ext4 lets one pretend.
#[test]
fn a_file_system_that_turns_read_only_leaves_what_was_written() {
    let test = "a_file_system_that_turns_read_only_leaves_what_was_written";
    let Some(place) = Place::new(test) else { return };
    let Some(disk) = Mount::ext4(place.dir.path()) else {
        eprintln!("SKIPPED {test}: no ext4 on a loop device here (mkfs.ext4, /dev/loop-control)");
        return;
    };
    let path = disk.0.join("r.parquet");
    let load = Load::start(&["threads", "2000000000"]);
    let child = recorder(&path, &["-p", &load.pid(), "--duration", "60s"]);
    wait_for("the first journal", || disk.0.join("r.parquet.partial/syscall.1").exists());
    let remounted = disk.remount("ro");
    assert!(!remounted, "the kernel takes a file system away from its writers");
    // On the disk and not only in memory, so that it is there after the file system was mounted anew.
    assert!(Command::new("sync").arg("-f").arg(&disk.0).status().unwrap().success());
    let turned_ns = now_ns();
    disk.break_down();
    let (code, said) = finish(child);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("error: cannot write") && said.contains("Read-only file system"), "{said}");
    assert!(said.contains("safe and can be read") && said.contains("osd recover"), "{said}");
    let (last_ns, n) = last_call_ns(&path);
    assert!(
        n > 0 && turned_ns - last_ns < 1_000_000_000,
        "the last {} ms are missing",
        (turned_ns - last_ns) / 1_000_000
    );
    let refused = osd(["recover", path.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stderr));
    assert!(
        text(&refused.stderr).contains("hint: ") && text(&refused.stderr).contains("writable"),
        "{}",
        text(&refused.stderr)
    );
    drop(load);
    let disk = disk.again();
    osd_ok(["recover", path.to_str().unwrap()]);
    assert!(last_call_ns(&path).1 > 0 && !Recording::open(&path).unwrap().is_unfinished());
    assert_eq!(
        std::fs::read_dir(&disk.0).unwrap().filter(|e| e.as_ref().unwrap().file_name() != "lost+found").count(),
        1
    );
}

#[test]
fn files_that_may_not_grow_any_more_leave_what_was_written() {
    let Some(place) = Place::new("files_that_may_not_grow_any_more_leave_what_was_written") else { return };
    let disk = Mount::tmpfs(&place.dir.path().join("disk"), "size=64M");
    let path = disk.0.join("r.parquet");
    let load = Load::start(&["threads", "2000000000"]);
    let child = recorder(&path, &["-p", &load.pid(), "--duration", "30s"]);
    wait_for("the first journal", || disk.0.join("r.parquet.partial/syscall.1").exists());
    let limit =
        Command::new("prlimit").args(["--pid", &child.id().to_string(), "--fsize=65536:65536"]).status().unwrap();
    assert!(limit.success());
    let (code, said) = finish(child);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("error: cannot write") && said.contains("osd recover"), "{said}");
    assert!(last_call_ns(&path).1 > 0);
    osd_ok(["recover", path.to_str().unwrap()]);
    assert!(last_call_ns(&path).1 > 0);
}

#[test]
fn a_folder_deleted_meanwhile_costs_nothing() {
    let Some(place) = Place::new("a_folder_deleted_meanwhile_costs_nothing") else { return };
    let path = place.path();
    let load = Load::start(&["threads", "2000000000"]);
    let child = recorder(&path, &["-p", &load.pid()]);
    let folder = place.dir.path().join("r.parquet.partial");
    wait_for("the first journal", || folder.join("syscall.0").exists());
    std::fs::remove_dir_all(&folder).unwrap();
    std::thread::sleep(Duration::from_millis(600));
    signal(&child, libc::SIGINT);
    let (code, said) = finish(child);
    assert_eq!(code, Some(0), "{said}");
    let m = Recording::open(&path).unwrap().metadata().clone();
    assert_eq!(sum(&rows(&path, Kind::Tally), "count"), m.rows["syscall"] + m.lost("syscall"));
}

#[test]
fn a_recorder_that_was_stopped_and_continued_counts_what_it_missed() {
    let Some(place) = Place::new("a_recorder_that_was_stopped_and_continued_counts_what_it_missed") else { return };
    let path = place.path();
    let load = Load::start(&["threads", "2000000000"]);
    let child = recorder(&path, &["-p", &load.pid(), "--ring-mib", "1"]);
    wait_for("the first journal", || place.dir.path().join("r.parquet.partial/syscall.0").exists());
    signal(&child, libc::SIGSTOP);
    std::thread::sleep(Duration::from_secs(1));
    signal(&child, libc::SIGCONT);
    std::thread::sleep(Duration::from_millis(500));
    signal(&child, libc::SIGTERM);
    let (code, said) = finish(child);
    assert_eq!(code, Some(0), "{said}");
    let m = Recording::open(&path).unwrap().metadata().clone();
    assert!(m.lost("syscall") > 0);
    assert_eq!(sum(&rows(&path, Kind::Tally), "count"), m.rows["syscall"] + m.lost("syscall"));
}

#[test]
fn a_series_of_files_stands_alone_each_and_only_the_newest_stay() {
    let Some(place) = Place::new("a_series_of_files_stands_alone_each_and_only_the_newest_stay") else { return };
    let load = Load::run(Command::new("tail").args(["---disable-inotify", "-f", "-s", "0.01", "/etc/hostname"]));
    let (code, said) =
        finish(recorder(&place.path(), &["-p", &load.pid(), "--rotate", "1s", "--keep", "2", "--duration", "4500ms"]));
    assert_eq!(code, Some(0), "{said}");
    for file in assert_two_of_a_series(place.dir.path(), &load.pid()) {
        let m = Recording::open(&file).unwrap().metadata().clone();
        assert!(m.rows["syscall"] > 0);
        assert_eq!(
            sum(&rows(&file, Kind::Tally), "count"),
            m.rows["syscall"] + m.lost("syscall"),
            "{}",
            file.display()
        );
    }
}

#[test]
fn each_file_of_a_series_balances_while_rings_overflow() {
    let Some(place) = Place::new("each_file_of_a_series_balances_while_rings_overflow") else { return };
    let load = Load::start(&["threads", "2000000000"]);
    let options = ["-p", &load.pid(), "--ring-mib", "1", "--rotate", "1s", "--duration", "4500ms"];
    let (code, said) = finish(recorder(&place.path(), &options));
    assert_eq!(code, Some(0), "{said}");
    let files: Vec<PathBuf> = std::fs::read_dir(place.dir.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(files.len() >= 4, "{files:?}");
    let mut lost = 0;
    for file in &files {
        let m = Recording::open(file).unwrap().metadata().clone();
        let tallies = sum(&rows(file, Kind::Tally), "count");
        assert_eq!(tallies, m.rows["syscall"] + m.lost("syscall"), "{}: {:?}", file.display(), m.losses);
        lost += m.lost("syscall");
    }
    assert!(lost > 0, "the test must overflow the rings");
}

#[test]
fn a_series_of_files_and_a_size_limit_need_no_bpf() {
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    let path = dir.path().join("r.parquet");
    let load = Load::start(&["wait", "1"]);
    let road = ["--backend", "proc", "-p", &load.pid()];
    let record = |options: &[&str]| {
        let (code, said) = finish(recorder(&path, &[&road, options].concat()));
        assert_eq!(code, Some(0), "{said}");
    };
    record(&["--rotate", "1s", "--keep", "2", "--duration", "4500ms"]);
    for file in assert_two_of_a_series(dir.path(), &load.pid()) {
        assert!(rows(&file, Kind::Sample).iter().any(|r| r["pid"] == load.pid()));
    }
    record(&["--rotate", "2K", "--interval", "10ms", "--duration", "3s"]);
    assert!(std::fs::read_dir(dir.path()).unwrap().count() > 3, "cut by size too");
}

/// The two files in `dir`, which follow one another without a gap and begin by introducing `pid`.
fn assert_two_of_a_series(dir: &Path, pid: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 2, "{files:?}");
    let mut before: Option<Recording> = None;
    for file in &files {
        let recording = Recording::open(file).unwrap();
        let m = recording.metadata();
        assert!(m.complete);
        let processes = rows(file, Kind::Process);
        assert!(processes.iter().any(|r| r["event"] == "running" && r["pid"] == pid));
        if let Some(before) = before {
            assert_eq!(before.metadata().ended_ns, m.started_ns, "no gap between files");
            assert_ne!(before.metadata().recording_id, m.recording_id);
        }
        before = Some(recording);
    }
    files
}

#[test]
fn a_recording_ends_at_its_size() {
    let Some(place) = Place::new("a_recording_ends_at_its_size") else { return };
    let load = Load::start(&["threads", "2000000000"]);
    let (code, said) = finish(recorder(&place.path(), &["-p", &load.pid(), "--max-size", "2M", "--duration", "60s"]));
    assert_eq!(code, Some(0), "{said}");
    let bytes = place.path().metadata().unwrap().len();
    assert!((1 << 20..4 << 20).contains(&bytes), "{bytes}");
}

#[test]
fn a_flight_recorder_writes_the_last_moments_and_what_follows() {
    let Some(place) = Place::new("a_flight_recorder_writes_the_last_moments_and_what_follows") else { return };
    last_moments_and_what_follows(place.dir.path(), "bpf", "9");
}

/// Without BPF nobody knows how a process that is not the recorder's child has ended: that is reason enough.
#[test]
fn a_flight_recorder_without_bpf_does_so_too() {
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    last_moments_and_what_follows(dir.path(), "proc", "");
}

fn last_moments_and_what_follows(dir: &Path, road: &str, signal: &str) {
    let path = dir.join("r.parquet");
    let mut load = Load::start(&["wait", "1"]);
    let child = recorder(&path, &["--backend", road, "-p", &load.pid(), "--last", "2s", "--after", "1s"]);
    wait_for("the flight folder", || dir.join("r.parquet.flight/pid").exists());
    std::thread::sleep(Duration::from_secs(4));
    assert!(!path.exists(), "nobody asked yet");
    let triggered_ns = now_ns();
    osd_ok(["trigger", path.to_str().unwrap()]);
    wait_for("the recording", || path.exists());
    let m = Recording::open(&path).unwrap().metadata().clone();
    let (before, after) = (triggered_ns - m.started_ns, m.ended_ns - triggered_ns);
    // Parts of a fifth of a second, each up to an interval longer.
    assert!((2_000_000_000..4_500_000_000).contains(&before), "{before} ns before the trigger");
    assert!((900_000_000..2_000_000_000).contains(&after), "{after} ns after the trigger");
    let processes = rows(&path, Kind::Process);
    assert_eq!(processes.iter().filter(|r| r["event"] == "running").count(), 1, "introduced once: {processes:?}");
    // Its target is killed: that is a reason to keep the last moments, in a file of their own.
    load.0.kill().unwrap();
    load.0.wait().unwrap();
    let (code, said) = finish(child);
    assert_eq!(code, Some(0), "{said}");
    let second = dir.join("r.2.parquet");
    let exit = rows(&second, Kind::Process).into_iter().find(|r| r["event"] == "exit").unwrap();
    assert_eq!(exit["exit_signal"], signal);
    assert_eq!(std::fs::read_dir(dir).unwrap().count(), 2, "the folder is gone");
    let nobody = osd(["trigger", path.to_str().unwrap()]);
    assert_eq!(nobody.status.code(), Some(2));
    assert!(text(&nobody.stderr).contains("error: no flight recorder writes"), "{}", text(&nobody.stderr));
}

#[test]
fn a_flight_recorder_of_a_command_that_ends_well_writes_nothing() {
    let Some(place) = Place::new("a_flight_recorder_of_a_command_that_ends_well_writes_nothing") else { return };
    let path = place.path();
    for road in ["bpf", "proc"] {
        let (code, said) = finish(recorder(&path, &["--backend", road, "--last", "10s", "--", "true"]));
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("nothing was written"), "{said}");
        assert_eq!(std::fs::read_dir(place.dir.path()).unwrap().count(), 0);
        let (code, said) = finish(recorder(&path, &["--backend", road, "--last", "10s", "--", "false"]));
        assert_eq!(code, Some(0), "{said}");
        assert!(Recording::open(&path).unwrap().metadata().rows["process"] > 0);
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_flight_recorder_that_cannot_begin_leaves_nothing() {
    let Some(place) = Place::new("a_flight_recorder_that_cannot_begin_leaves_nothing") else { return };
    let path = place.path();
    for road in ["bpf", "proc"] {
        let (code, said) = finish(recorder(&path, &["--backend", road, "--last", "10s", "--", "/no/such/program"]));
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("error: ") && said.contains("/no/such/program") && said.contains("hint: "), "{said}");
        assert_eq!(std::fs::read_dir(place.dir.path()).unwrap().count(), 0, "{road}");
    }
}

#[test]
fn a_killed_flight_recorder_keeps_its_last_moments() {
    let Some(place) = Place::new("a_killed_flight_recorder_keeps_its_last_moments") else { return };
    let path = place.path();
    let load = Load::start(&["threads", "2000000000"]);
    let mut child = recorder(&path, &["-p", &load.pid(), "--last", "10s"]);
    let folder = place.dir.path().join("r.parquet.flight");
    wait_for("a fourth part", || folder.is_dir() && std::fs::read_dir(&folder).unwrap().count() >= 5);
    let busy = osd(["recover", path.to_str().unwrap()]);
    assert_eq!(busy.status.code(), Some(2), "{}", text(&busy.stderr));
    child.kill().unwrap();
    child.wait().unwrap();
    osd_ok(["recover", path.to_str().unwrap()]);
    let m = Recording::open(&path).unwrap().metadata().clone();
    assert!(m.ended_ns - m.started_ns > 1_000_000_000, "{} ns", m.ended_ns - m.started_ns);
    assert_eq!(std::fs::read_dir(place.dir.path()).unwrap().count(), 1);
}
