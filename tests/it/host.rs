//! The recorder on hosts as they are: with few rights, with none, and what `osd doctor` says of
//! them.

use crate::support::{
    NOTHING, alone, child_of, has_given_up, may_record, of_threads, osd, rows, sum, targets, text, until,
};
use osd_recording::{Kind, Recording};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// A place that the user `nobody` may use, with copies of osd and of the target programs. Needs root.
struct Nobody(TempDir);

/// What setpriv gives to a user who may load BPF programs and nothing else.
const BPF: [&str; 2] = ["--inh-caps=+bpf,+perfmon", "--ambient-caps=+bpf,+perfmon"];

impl Nobody {
    /// `None` if this process is not root; it has said so.
    fn new(test: &str) -> Option<Self> {
        // SAFETY: plain call.
        if unsafe { libc::geteuid() } != 0 {
            may_record(test);
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(dir.path(), Some(65534), Some(65534)).unwrap();
        for (from, to) in [(Path::new(env!("CARGO_BIN_EXE_osd")), "osd"), (targets(), "targets")] {
            // By another process: a file open for writing here would be inherited by what other tests start meanwhile.
            assert!(Command::new("cp").arg(from).arg(dir.path().join(to)).status().unwrap().success());
        }
        Some(Self(dir))
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn osd(&self, rights: &[&str], args: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).args(rights);
        command.arg(self.path("osd")).args(args).current_dir(self.0.path());
        command
    }

    fn run(&self, rights: &[&str], args: &[&str]) -> Output {
        self.osd(rights, args).output().unwrap()
    }
}

/// A recorder that does not outlive a test that fails.
struct Recorder(Child);

impl Recorder {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    /// By itself, once its command sees the end of its input.
    fn ends_well(mut self) {
        let mut said = String::new();
        drop(self.0.stdin.take());
        self.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(self.0.wait().unwrap().success(), "{said}");
    }

    fn stop(self) {
        // SAFETY: a signal to our own child.
        unsafe { libc::kill(self.pid() as i32, libc::SIGINT) };
        self.ends_well();
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn with_two_capabilities_a_user_records_and_gives_them_up_but_the_command_keeps_its_own() {
    let name = "with_two_capabilities_a_user_records_and_gives_them_up_but_the_command_keeps_its_own";
    let Some(nobody) = Nobody::new(name).filter(|_| may_record(name)) else { return };
    let _alone = alone();
    let recorder = Recorder::start(
        &mut nobody.osd(&BPF, &["record", "--backend", "bpf", "-o", "r.parquet", "--", "./targets", "wait", "1"]),
    );
    let pid = recorder.pid();
    until("the recorder gives up its capabilities", || has_given_up(pid));
    let command = until("the command runs", || child_of(pid));
    assert_eq!(of_threads(command, "CapEff:"), ["000000c000000000"], "the command has what it was started with");
    assert_eq!(of_threads(command, "NoNewPrivs:"), ["0"]);
    recorder.ends_well();
    let recording = Recording::open(nobody.path("r.parquet")).unwrap();
    assert!(recording.metadata().families.iter().any(|f| f.name == "syscalls" && f.attach != "off"));
    assert!(recording.metadata().rows["syscall"] > 0 && recording.metadata().complete);
}

#[test]
fn two_capabilities_reach_a_process_of_another_user_except_for_the_path_of_its_program() {
    let name = "two_capabilities_reach_a_process_of_another_user_except_for_the_path_of_its_program";
    let Some(nobody) = Nobody::new(name).filter(|_| may_record(name)) else { return };
    let _alone = alone();
    let mut sleeper = Command::new("sleep").arg("60").spawn().unwrap();
    let pid = sleeper.id().to_string();
    let with_ptrace = ["--inh-caps=+bpf,+perfmon,+sys_ptrace", "--ambient-caps=+bpf,+perfmon,+sys_ptrace"];
    for (rights, exe) in [(&BPF, false), (&with_ptrace, true)] {
        let out = nobody.run(rights, &["record", "--force", "-p", &pid, "--duration", "200ms", "-o", "r.parquet"]);
        assert!(out.status.success(), "{}", text(&out.stderr));
        let processes = rows(&nobody.path("r.parquet"), Kind::Process);
        assert_eq!((processes[0]["argv"].as_str(), processes[0]["exe"].ends_with("/sleep")), ("sleep 60", exe));
        assert!(!rows(&nobody.path("r.parquet"), Kind::Sample).is_empty());
    }
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
}

#[test]
fn root_gives_up_its_capabilities_too_unless_told_to_keep_them() {
    let name = "root_gives_up_its_capabilities_too_unless_told_to_keep_them";
    let Some(nobody) = Nobody::new(name).filter(|_| may_record(name)) else { return };
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let record = |options: &[&str], output: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_osd"));
        command.args(["record", "-p", &std::process::id().to_string(), "-o"]).arg(output).args(options);
        Recorder::start(&mut command)
    };
    let recorder = record(&[], &dir.path().join("a.parquet"));
    until("the recorder gives up its capabilities", || has_given_up(recorder.pid()));
    recorder.stop();
    let recorder = record(&["--keep-privileges"], &dir.path().join("b.parquet"));
    until("the recorder has its writer", || of_threads(recorder.pid(), "CapEff:").len() >= 2);
    assert!(of_threads(recorder.pid(), "CapEff:").iter().all(|v| v != NOTHING));
    recorder.stop();
    // `sudo osd record` in a folder of one's own: the right to name the file there (CAP_DAC_OVERRIDE) is kept, alone.
    let recorder = record(&[], &nobody.path("r.parquet"));
    let all_are = |field, wanted: &str| of_threads(recorder.pid(), field).iter().all(|v| v == wanted);
    until("the recorder gives up its capabilities", || {
        all_are("CapEff:", "0000000000000002") && all_are("CapPrm:", "0000000000000002") && all_are("NoNewPrivs:", "1")
    });
    recorder.stop();
    assert!(Recording::open(nobody.path("r.parquet")).unwrap().metadata().complete);
}

/// What the systemd unit asks for and can be had without systemd: a dynamic user's two capabilities and no way to more, no new
/// privileges, a file system that is read-only but for the state folder, a /tmp and a /dev of its own. Its seccomp filters are not here.
#[test]
fn the_recorder_works_in_the_sandbox_of_the_systemd_unit() {
    let name = "the_recorder_works_in_the_sandbox_of_the_systemd_unit";
    let Some(nobody) = Nobody::new(name).filter(|_| may_record(name)) else { return };
    let _alone = alone();
    let mut sleeper = Command::new("sleep").arg("60").spawn().unwrap();
    let script = r#"set -e
        mount --bind "$1" "$1"
        mount -o remount,bind,ro /
        mount -t tmpfs -o mode=755 none /dev && mknod -m 666 /dev/null c 1 3
        cd "$1"
        ! touch /etc/osd-was-here 2>/dev/null
        exec setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all,+bpf,+perfmon --inh-caps=-all,+bpf,+perfmon \
            --ambient-caps=-all,+bpf,+perfmon --no-new-privs ./osd record --backend bpf --status json --duration 1s -p "$2" -o r.parquet"#;
    let out = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(nobody.0.path())
        .arg(sleeper.id().to_string())
        .output()
        .unwrap();
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(text(&out.stderr).lines().last().unwrap().contains(r#""event":"closed""#), "{}", text(&out.stderr));
    let recording = Recording::open(nobody.path("r.parquet")).unwrap();
    assert!(recording.metadata().complete && recording.metadata().rows["sample"] > 3);
}

#[test]
fn without_privilege_proc_is_recorded_and_what_is_missing_is_said() {
    let Some(nobody) = Nobody::new("without_privilege_proc_is_recorded_and_what_is_missing_is_said") else { return };
    let _alone = alone();
    let out = nobody.run(&[], &["record", "-o", "r.parquet", "--", "./targets", "burn", "3", "in-child"]);
    let stderr = text(&out.stderr);
    assert_eq!(out.status.code(), Some(0), "{stderr}");
    assert!(stderr.starts_with("warning: not allowed to load BPF programs: CAP_BPF and CAP_PERFMON are missing\n"));
    assert!(stderr.contains("warning: recording from /proc instead: no system calls"), "{stderr}");
    assert!(stderr.contains("hint: run `sudo osd record ...`, or grant them once: `sudo setcap cap_bpf,"), "{stderr}");

    let path = nobody.path("r.parquet");
    let recording = Recording::open(&path).unwrap();
    let m = recording.metadata();
    let attach = |name: &str| m.families.iter().find(|f| f.name == name).map(|f| f.attach.as_str());
    assert_eq!((attach("usage"), attach("life"), attach("syscalls")), (Some("/proc"), Some("/proc"), Some("off")));
    assert!(m.blind_spots[0].starts_with("recorded from /proc without BPF"), "{:?}", m.blind_spots);
    assert_eq!((m.complete, m.target.exit_code, m.rows["syscall"], m.rows["tally"]), (true, Some(0), 0, 0));
    assert!(m.rows["system"] > 10);

    let samples = rows(&path, Kind::Sample);
    let truth: f64 = text(&out.stdout).trim().parse().unwrap();
    let recorded = sum(&samples, "cpu_ns") as f64 / 1e9;
    assert!((recorded - truth).abs() < 0.1, "recorded {recorded:.3} s of CPU, getrusage says {truth:.3} s");
    for unseen in ["net_rx_bytes", "n_syscalls", "syscall_ns"] {
        assert!(samples.iter().all(|r| r[unseen].is_empty()), "{unseen} was not seen: null, not 0");
    }
    for seen in ["read_chars", "runq_ns", "rss_anon_bytes", "n_threads"] {
        assert!(samples.iter().all(|r| !r[seen].is_empty()), "{seen}");
    }
    let events: Vec<_> = rows(&path, Kind::Process).iter().map(|r| (r["event"].clone(), r["comm"].clone())).collect();
    let has = |event: &str| events.iter().filter(|e| *e == &(event.to_owned(), "targets".to_owned())).count();
    assert_eq!((has("exec"), has("fork"), has("exit")), (1, 1, 2), "{events:?}");
}

#[test]
fn who_insists_on_bpf_gets_an_error_instead_of_proc() {
    let Some(nobody) = Nobody::new("who_insists_on_bpf_gets_an_error_instead_of_proc") else { return };
    let out =
        nobody.run(&[], &["record", "--backend", "bpf", "-p", &std::process::id().to_string(), "-o", "r.parquet"]);
    assert_eq!(out.status.code(), Some(2), "{}", text(&out.stderr));
    assert_eq!(
        text(&out.stderr),
        "error: not allowed to load BPF programs: CAP_BPF and CAP_PERFMON are missing\n\
         hint: run `sudo osd record ...`, or grant them once: `sudo setcap cap_bpf,cap_perfmon=ep \"$(command -v osd)\"`\n"
    );
    assert!(!nobody.path("r.parquet").exists());
}

#[test]
fn what_this_kernel_lacks_is_named_and_left_out_by_request_only() {
    if !may_record("what_this_kernel_lacks_is_named_and_left_out_by_request_only") {
        return;
    }
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    let path = dir.path().join("r.parquet");
    let record = |options: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_osd"));
        command.args(["record", "--force", "-o"]).arg(&path).args(options).arg("--").args([targets()]);
        command.args(["loop", "1000"]).output().unwrap()
    };
    let attach = |name: &str| {
        let recording = Recording::open(&path).unwrap();
        let families = &recording.metadata().families;
        families.iter().find(|f| f.name == name).map(|f| f.attach.clone()).unwrap_or_default()
    };
    for (family, probe) in [("syscalls", "sys_enter"), ("life", "task_newtask"), ("usage", "iter/task")] {
        let out = record(&["--pretend-missing", family]);
        assert_eq!(out.status.code(), Some(2), "{}", text(&out.stderr));
        let wanted =
            format!("error: cannot record {family}: {probe} cannot be attached: this kernel does not have it\n");
        assert!(text(&out.stderr).starts_with(&wanted), "{}", text(&out.stderr));
        assert!(text(&out.stderr).contains("hint: record what can be attached: osd record --best-effort"));
        assert!(!path.exists());
    }
    let out = record(&["--pretend-missing", "syscalls", "--best-effort"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert!(text(&out.stderr).starts_with("warning: system calls are not recorded: "), "{}", text(&out.stderr));
    assert_eq!((attach("syscalls").as_str(), attach("usage").as_str()), ("off", "iter/task"));
    assert!(rows(&path, Kind::Sample).iter().all(|r| r["n_syscalls"].is_empty() && !r["net_rx_bytes"].is_empty()));
    // Before Linux 6.3: no request is needed, and nothing else is missing.
    let out = record(&["--pretend-missing", "network"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert!(text(&out.stderr).starts_with("warning: network bytes are not recorded: "), "{}", text(&out.stderr));
    assert_eq!((attach("network"), attach("syscalls") != "off"), ("off".into(), true));
    assert!(rows(&path, Kind::Sample).iter().all(|r| r["net_rx_bytes"].is_empty() && !r["n_syscalls"].is_empty()));
    // Nobody to follow, nothing to sample with: what is left is /proc.
    let out = record(&["--pretend-missing", "life", "--best-effort"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert_eq!((attach("usage").as_str(), attach("life").as_str()), ("/proc", "/proc"));
}

#[test]
fn proc_and_bpf_agree_on_who_a_process_is() {
    if !may_record("proc_and_bpf_agree_on_who_a_process_is") {
        return;
    }
    let (_alone, dir) = (alone(), tempfile::tempdir().unwrap());
    let mut sleeper = Command::new("sleep").arg("60").spawn().unwrap();
    let identity = |backend: &str| {
        let path = dir.path().join(backend);
        let pid = sleeper.id().to_string();
        let options = ["record", "--backend", backend, "--duration", "200ms", "-p", &pid, "-o", path.to_str().unwrap()];
        let out = osd(options);
        assert!(out.status.success(), "{}", text(&out.stderr));
        let r = &rows(&path, Kind::Process)[0];
        ["proc", "pid", "ppid", "comm", "exe", "argv", "uid", "cgroup_id"].map(|c| r[c].clone())
    };
    assert_eq!(identity("bpf"), identity("proc"));
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
}

#[test]
fn doctor_ends_each_failing_line_in_its_fix() {
    let Some(nobody) = Nobody::new("doctor_ends_each_failing_line_in_its_fix") else { return };
    let out = nobody.run(&[], &["doctor"]);
    assert_eq!(out.status.code(), Some(2), "{}", text(&out.stderr));
    let lines: Vec<_> = text(&out.stdout).lines().collect();
    for line in &lines {
        let (state, fix) = (line.split(' ').next().unwrap(), line.split_once("; fix: "));
        assert_eq!(state != "ok", fix.is_some(), "{line}");
    }
    let of = |name: &str| *lines.iter().find(|l| l.contains(name)).unwrap_or_else(|| panic!("no line on {name}"));
    assert!(of("CAP_BPF").starts_with("missing"));
    assert!(of("CAP_PERFMON").ends_with("sudo setcap cap_bpf,cap_perfmon=ep \"$(command -v osd)\""));
    for name in ["memlock", "tracefs", "perf_event_paranoid", "lockdown", "cgroups", "kernel types (BTF)"] {
        of(name);
    }
    assert!(of("recording").ends_with("osd record --backend proc"));
    // Without the right to try, what the kernel offers: its types are anybody's to read.
    assert!(
        of("syscalls by ").ends_with("syscalls by tp_btf (not tried): sys_enter, sys_exit"),
        "{}",
        of("syscalls by ")
    );
    for name in
        ["kernel ", "CAP_SYS_PTRACE", "user namespace", "bpf(2)", "architecture", "socket tracepoints", "pressure"]
    {
        of(name);
    }
}

#[test]
fn doctor_tries_and_measures_with_two_capabilities() {
    let name = "doctor_tries_and_measures_with_two_capabilities";
    let Some(nobody) = Nobody::new(name).filter(|_| may_record(name)) else { return };
    let _alone = alone();
    let out = nobody.run(&BPF, &["doctor", "--format", "json"]);
    assert_eq!(out.status.code(), Some(0), "{}{}", text(&out.stdout), text(&out.stderr));
    let doctor: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let states =
        |name: &str| doctor["checks"].as_array().unwrap().iter().find(|c| c["check"] == name).unwrap()["state"].clone();
    for (check, state) in [("CAP_BPF", "ok"), ("CAP_PERFMON", "ok"), ("CAP_SYS_PTRACE", "limited"), ("bpf(2)", "ok")] {
        assert_eq!(states(check), state, "{check}");
    }
    assert_eq!(doctor["tried"], true);
    assert!(doctor["cost"]["call_recorded_ns"].as_f64() > doctor["cost"]["call_ns"].as_f64(), "{doctor}");
}

#[test]
fn doctor_says_what_attaches_by_which_road_and_what_it_costs() {
    if !may_record("doctor_says_what_attaches_by_which_road_and_what_it_costs") {
        return;
    }
    let _alone = alone();
    let out = osd(["doctor", "--format", "json"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stdout));
    let doctor: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(doctor["able"], true);
    let modes: Vec<_> = doctor["families"].as_array().unwrap().iter().map(|f| f["attach"].as_str().unwrap()).collect();
    assert!(modes.contains(&"iter/task") && modes.len() >= 5, "{modes:?}");
    let ns = |name: &str| doctor["cost"][name].as_f64().unwrap();
    assert!(ns("call_ns") > 0.0 && ns("call_of_bystander_ns") > 0.0);
    assert!(ns("call_recorded_ns") > ns("call_ns"), "{doctor}");
}
