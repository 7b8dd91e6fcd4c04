//! `osd replay --tui` on a real terminal, with real keys: tmux is both.

use crate::support::{alone, may_record, osd, text, until};
use osd_synth::Synth;
use std::path::Path;
use std::process::Command;

/// A tmux server of its own.
struct Tmux(String);

impl Tmux {
    fn start(name: &str, size: (u16, u16), command: &str) -> Self {
        let tmux = Self(format!("osd-{name}-{}", std::process::id()));
        let (width, height) = (size.0.to_string(), size.1.to_string());
        tmux.run(&["-f", "/dev/null", "new-session", "-d", "-x", &width, "-y", &height, command]);
        tmux
    }

    fn run(&self, args: &[&str]) -> String {
        let out = Command::new("tmux").args(["-L", &self.0]).args(args).env("TERM", "screen").output().unwrap();
        text(&out.stdout).to_owned()
    }

    fn screen(&self) -> String {
        self.run(&["capture-pane", "-p"])
    }

    fn press(&self, keys: &[&str]) {
        self.run(&[&["send-keys"], keys].concat());
    }

    fn wait(&self, what: &str) -> String {
        until(what, || Some(self.screen()).filter(|screen| screen.contains(what)))
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
    }
}

fn synth(dir: &Path) -> String {
    let path = dir.join("run.parquet");
    let synth = Synth { duration_s: 60, syscalls_per_s: 300, fault_s: Some((40, 44)), ..Synth::default() };
    synth.write(&path).unwrap();
    path.to_str().unwrap().to_owned()
}

fn has_tmux(test: &str) -> bool {
    let there = Command::new("tmux").arg("-V").output().is_ok();
    if !there {
        assert!(std::env::var_os("CI").is_none(), "tmux is not installed: scripts/install-deps.sh");
        eprintln!("SKIPPED {test}: tmux is not installed");
    }
    there
}

#[test]
fn keys_go_back_and_forth_and_the_terminal_is_as_it_was_afterwards() {
    if !has_tmux("keys_go_back_and_forth_and_the_terminal_is_as_it_was_afterwards") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = synth(dir.path());
    let osd = env!("CARGO_BIN_EXE_osd");
    let shell = format!("echo before; {osd} replay {path} --tui --detect; echo status $?; sleep 60");
    let tmux = Tmux::start("keys", (80, 24), &shell);
    let first = tmux.wait("FINDINGS 1");
    assert!(first.contains("System calls") && first.contains("synthd"), "{first}");
    tmux.press(&["n"]);
    // What is drawn last, so that all is there.
    let found = tmux.wait("> 1 ");
    assert!(found.contains("00:00:40") && found.contains("paused"), "{found}");
    tmux.press(&["Right", "Right", "Right", "Right", "Right"]);
    let later = tmux.wait("fsync");
    assert!(later.contains("00:00:40.") && later.contains("epoll_wait"), "{later}");
    tmux.press(&["g", "1", "0", "s", "Enter"]);
    // At ten seconds there is no fsync but in what is said of the fault.
    let is_gone = |screen: &str| !screen.lines().any(|l| l.contains("fsync") && !l.contains("  1 "));
    until("10 s are shown", || Some(tmux.screen()).filter(|s| s.contains("00:00:10.0") && is_gone(s)));
    tmux.press(&["/", "r", "e", "a", "d", "Enter"]);
    let filtered = tmux.wait("only names with `read`");
    assert!(!filtered.contains("epoll_wait"), "{filtered}");
    tmux.press(&["?"]);
    tmux.wait("Any key closes this.");
    tmux.press(&["x"]);
    tmux.press(&["q"]);
    let after = tmux.wait("status 0");
    assert!(after.contains("before") && !after.contains("FINDINGS"), "{after}");
}

/// Ends with the test.
struct Busy(std::process::Child);

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn busy() -> Busy {
    let work = "while :; do cat /etc/hostname > /dev/null; sleep 0.05; done";
    Busy(Command::new("sh").args(["-c", work]).spawn().unwrap())
}

#[test]
fn a_recording_is_on_the_screen_while_it_is_made_and_who_leaves_it_closes_it() {
    let test = "a_recording_is_on_the_screen_while_it_is_made_and_who_leaves_it_closes_it";
    if !has_tmux(test) || !may_record(test) {
        return;
    }
    let (_alone, dir, busy) = (alone(), tempfile::tempdir().unwrap(), busy());
    let path = dir.path().join("run.parquet");
    let (osd, file, pid) = (env!("CARGO_BIN_EXE_osd"), path.display(), busy.0.id());
    let shell = format!("{osd} record -p {pid} -o {file} --tui; echo status $?; sleep 60");
    let tmux = Tmux::start("live", (100, 30), &shell);
    let live = tmux.wait(" live");
    assert!(live.contains("osd record -o") && live.contains("q closes it"), "{live}");
    tmux.wait("openat");
    tmux.press(&["Left"]);
    tmux.wait("paused");
    tmux.press(&["End"]);
    tmux.wait(" live");
    // Somebody else sees the same, and what is closed stays on the screen.
    let other = Tmux::start("other", (100, 30), &format!("{osd} replay {file} --follow --tui"));
    other.wait(" live");
    tmux.press(&["q"]);
    let after = tmux.wait("status 0");
    assert!(after.contains("run.parquet") && !after.contains("FINDINGS"), "{after}");
    other.wait("1x");
    let recording = osd_recording::Recording::open(&path).unwrap();
    assert!(!recording.is_unfinished() && recording.metadata().rows["sample"] > 10);
}

#[test]
fn a_terminal_of_20_by_5_is_told_so_and_a_signal_restores_it() {
    if !has_tmux("a_terminal_of_20_by_5_is_told_so_and_a_signal_restores_it") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = synth(dir.path());
    let pid = dir.path().join("pid");
    let osd = env!("CARGO_BIN_EXE_osd");
    let shell = format!("sh -c 'echo $$ > {}; exec {osd} replay {path} --tui'; echo over; sleep 60", pid.display());
    let tmux = Tmux::start("small", (20, 5), &shell);
    tmux.wait("20x5");
    let pid: i32 = std::fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    // SAFETY: a plain call; the process is ours.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0);
    tmux.wait("over");
}

#[test]
fn a_terminal_that_is_closed_ends_the_screen() {
    if !has_tmux("a_terminal_that_is_closed_ends_the_screen") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = synth(dir.path());
    let pid = dir.path().join("pid");
    let osd = env!("CARGO_BIN_EXE_osd");
    // A shell that ignores hang-ups, so that nobody is told of it but by the terminal.
    let shell =
        format!("trap '' HUP; sh -c 'echo $$ > {}; exec {osd} replay {path} --tui --loop'; sleep 60", pid.display());
    let tmux = Tmux::start("closed", (80, 24), &shell);
    tmux.wait("FINDINGS");
    let pid = std::fs::read_to_string(pid).unwrap();
    drop(tmux);
    let alive = Path::new("/proc").join(pid.trim());
    until("the screen is over", || !alive.exists());
}

#[test]
fn without_a_terminal_there_is_no_screen() {
    let dir = tempfile::tempdir().unwrap();
    let path = synth(dir.path());
    let out = osd(["replay", &path, "--tui"]);
    let stderr = text(&out.stderr);
    assert!(
        out.status.code() == Some(2) && stderr.contains("needs a terminal") && stderr.contains("hint:"),
        "{stderr}"
    );
    let out = osd(["record", "-p", "1", "-o", "none.parquet", "--tui"]);
    let stderr = text(&out.stderr);
    assert!(out.status.code() == Some(2) && stderr.contains("osd replay --follow --tui FILE"), "{stderr}");
}
