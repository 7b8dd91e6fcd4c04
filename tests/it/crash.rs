//! What becomes of a recording when its recorder, its disk or its folder does not last. Needs root.

use crate::record::Place;
use crate::support::{osd, osd_ok, rows, sum, targets, text};
use osd_detect::rng::Rng;
use osd_recording::{Kind, Recording};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A process that is killed when the test is over, whatever came of it.
pub(crate) struct Load(pub(crate) Child);

impl Load {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::run(Command::new(targets()).args(args))
    }

    pub(crate) fn run(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }

    pub(crate) fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn recorder(path: &Path, args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_osd"));
    command.args(["record", "-o"]).arg(path).args(args).stderr(Stdio::piped()).spawn().unwrap()
}

pub(crate) fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
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

pub(crate) fn finish(mut child: Child) -> (Option<i32>, String) {
    let mut said = String::new();
    std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut said).unwrap();
    (child.wait().unwrap().code(), said)
}

pub(crate) fn now_ns() -> i64 {
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
