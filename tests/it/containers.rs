//! Containers by podman: recorded by name from the first call of what is executed in them, named
//! however shortly they live, and said in what `osd analyze` finds. Needs root, podman and runc.

use crate::record::{Place, Rows, of};
use crate::support::{findings, osd, osd_ok, rows, sum, text};
use crate::whom::Recorder;
use osd_recording::{Kind, Recording};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A podman whose storage is a folder of its own, with an image of the targets.
struct Podman {
    dir: PathBuf,
}

const CONFIG: &str = "[containers]\ndefault_ulimits=[\"nofile=1024:1024\",\"nproc=4096:4096\"]\n\
    [engine]\ncgroup_manager=\"cgroupfs\"\nruntime=\"runc\"\n";

impl Podman {
    /// `None` if there is none here; it has been said.
    fn new(test: &str, dir: &Path) -> Option<Self> {
        let has = |name: &str| Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success());
        if !has("podman") || !has("runc") {
            assert!(
                std::env::var_os("CI").is_none(),
                "tests of containers need podman and runc: scripts/install-deps.sh"
            );
            eprintln!("SKIPPED {test}: no podman and runc here");
            return None;
        }
        let podman = Self { dir: dir.join("podman") };
        let root = podman.dir.join("root");
        std::fs::create_dir_all(root.join("bin")).unwrap();
        std::fs::write(podman.dir.join("containers.conf"), CONFIG).unwrap();
        let source = format!("{}/tests/it/targets.c", env!("CARGO_MANIFEST_DIR"));
        let target = root.join("bin/target");
        let built = Command::new("cc").args(["-O2", "-static", "-pthread", "-o"]).arg(&target).arg(source).status();
        assert!(built.unwrap().success());
        let tar = podman.dir.join("rootfs.tar");
        assert!(Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&tar).arg(".").status().unwrap().success());
        podman.ok(&["import", tar.to_str().unwrap(), "local/target:1"]);
        Some(podman)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("podman");
        command.env("CONTAINERS_CONF", self.dir.join("containers.conf"));
        command.arg("--root").arg(self.dir.join("store")).arg("--runroot").arg(self.dir.join("run"));
        command
    }

    fn ok(&self, args: &[&str]) -> String {
        let out = self.command().args(args).output().unwrap();
        assert!(out.status.success(), "podman {args:?}: {}", text(&out.stderr));
        text(&out.stdout).trim().to_owned()
    }

    /// Starts a container that waits for its end.
    fn start(&self, name: &str) -> String {
        self.ok(&["run", "-d", "-i", "--network=none", "--name", name, "local/target:1", "/bin/target", "wait", "1"])
    }

    /// Runs one to its end.
    fn run(&self, name: &str, args: &[&str]) {
        let mut all = vec!["run", "--rm", "--network=none", "--name", name, "local/target:1", "/bin/target"];
        all.extend(args);
        self.ok(&all);
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = self.command().args(["rm", "-af", "-t", "0"]).output();
    }
}

#[test]
fn a_container_is_recorded_by_its_name_from_the_first_call_of_what_is_executed_in_it() {
    let test = "a_container_is_recorded_by_its_name_from_the_first_call_of_what_is_executed_in_it";
    let Some(place) = Place::new(test) else { return };
    let Some(podman) = Podman::new(test, place.dir.path()) else { return };
    let id = podman.start("web");
    let path = place.path();
    // Nearly right.
    let out = osd(["record", "--container", "wbe", "-o", path.to_str().unwrap()]);
    let said = text(&out.stderr);
    assert!(said.contains("error: no container `wbe` here\nhint: the nearest are web"), "{said}");
    for name in ["web", &id[..12]] {
        let recorder = Recorder::start(&path, &["--container", name]);
        podman.ok(&["exec", "web", "/bin/target", "loop", "1000"]);
        // Another one, which nobody asked for.
        podman.run("other", &["loop", "77"]);
        recorder.stop();
        assert_eq!(of(&rows(&path, Kind::Syscall), "syscall", "getppid").len(), 1000);
        let containers = rows(&path, Kind::Container);
        let own: Rows = of(&containers, "container_id", &id).into_iter().cloned().collect();
        assert_eq!((own.len(), own[0]["runtime"].as_str(), own[0]["container_name"].as_str()), (1, "podman", "web"));
        assert_eq!(own[0]["image"], "localhost/local/target:1");
        let file = path.to_str().unwrap();
        let sql =
            osd_ok(["sql", file, "SELECT DISTINCT container FROM processes WHERE comm = 'target'", "--format", "csv"]);
        assert_eq!(sql, "container\nweb\n");
        assert!(osd_ok(["info", file]).contains("container   web (localhost/local/target:1), podman\n"));
    }
}

#[test]
fn a_container_that_is_waited_for_is_recorded_when_it_is_there() {
    let test = "a_container_that_is_waited_for_is_recorded_when_it_is_there";
    let Some(place) = Place::new(test) else { return };
    let Some(podman) = Podman::new(test, place.dir.path()) else { return };
    // Where its runtime keeps its files is learnt from one that runs.
    podman.start("first");
    let path = place.path();
    let recorder = Recorder::start(&path, &["--container", "later", "--wait"]);
    podman.start("later");
    podman.ok(&["exec", "later", "/bin/target", "loop", "500"]);
    podman.ok(&["exec", "first", "/bin/target", "loop", "50"]);
    recorder.stop();
    // What the runtime did in it before is there, too.
    let processes = rows(&path, Kind::Process);
    let own = processes.iter().find(|r| r["event"] == "exec" && r["argv"] == "/bin/target loop 500").unwrap();
    let calls: Rows = of(&rows(&path, Kind::Syscall), "proc", &own["proc"]).into_iter().cloned().collect();
    let after = of(&calls, "syscall", "getppid").into_iter().filter(|r| r["ts"] > own["ts"]);
    assert_eq!(after.count(), 500);
    assert!(processes.iter().all(|r| r["argv"] != "/bin/target loop 50"));
}

/// Each of so many containers that live for a moment has its name, and every call of it is counted.
fn all_are_named(test: &str, n: usize, at_once: usize) {
    let Some(place) = Place::new(test) else { return };
    let Some(podman) = Podman::new(test, place.dir.path()) else { return };
    podman.start("first");
    let path = place.path();
    let recorder = Recorder::start(&path, &["--all", "--syscalls", "tally"]);
    std::thread::scope(|scope| {
        for worker in 0..at_once {
            let podman = &podman;
            scope.spawn(move || {
                (worker..n).step_by(at_once).for_each(|i| podman.run(&format!("short-{i}"), &["loop", "100"]));
            });
        }
    });
    recorder.stop();
    let containers = rows(&path, Kind::Container);
    let named: BTreeSet<&String> =
        containers.iter().map(|r| &r["container_name"]).filter(|name| name.starts_with("short-")).collect();
    assert_eq!(named.len(), n, "{named:?}");
    // By name, of each the calls that it made.
    let statement = "SELECT container, sum(count) AS n FROM tallies WHERE syscall = 'getppid' AND container LIKE 'short-%' GROUP BY container";
    let csv = osd_ok(["sql", path.to_str().unwrap(), statement, "--format", "csv"]);
    let counts: Vec<u64> = csv.lines().skip(1).filter_map(|l| l.split(',').nth(1)?.parse().ok()).collect();
    // With the few that the runtime makes in the same process before it executes the program.
    assert!(counts.len() == n && counts.iter().all(|calls| (100..110).contains(calls)), "{csv}");
}

#[test]
fn ten_containers_of_a_moment_are_all_named() {
    all_are_named("ten_containers_of_a_moment_are_all_named", 10, 2);
}

#[test]
#[ignore = "takes minutes"]
fn two_hundred_containers_of_a_moment_are_all_named() {
    all_are_named("two_hundred_containers_of_a_moment_are_all_named", 200, 4);
}

#[test]
fn what_is_found_says_in_which_container_it_was() {
    let test = "what_is_found_says_in_which_container_it_was";
    let Some(place) = Place::new(test) else { return };
    let Some(podman) = Podman::new(test, place.dir.path()) else { return };
    podman.start("web");
    let path = place.path();
    let recorder = Recorder::start(&path, &["--container", "web"]);
    // Quiet, then calls without end, then quiet.
    podman.ok(&["exec", "web", "/bin/target", "connects", "25"]);
    recorder.stop();
    assert!(Recording::open(&path).unwrap().metadata().rows["container"] > 0);
    assert!(sum(&rows(&path, Kind::Tally), "count") > 0);
    let found = findings(&path, &[]);
    let said = found.windows.iter().any(|w| w.sentence.contains("web (localhost/local/target:1)"));
    assert!(said, "{}", crate::support::describe(&found));
}
