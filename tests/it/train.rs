//! `osd train`: from normal recordings to a model, and what goes wrong on the way.

use crate::bad_input::refused;
use crate::support::{text, until};
use osd_model::Model;
use osd_model::score::Options;
use osd_recording::rows::{Loss, Owner, Sample};
use osd_recording::{Metadata, ProcId, Recording, Writer, WriterOptions};
use osd_synth::{PID, START_NS, Synth};
use std::path::Path;
use std::process::{Command, Output};

fn synth(seed: u64, duration_s: u32, fault_s: Option<(u32, u32)>) -> Synth {
    Synth { seed, duration_s, fault_s, syscalls_per_s: 200, ..Synth::default() }
}

/// Two minutes of quiet, twice.
fn normal(dir: &Path) {
    synth(1, 120, None).write(dir.join("a.parquet")).unwrap();
    synth(2, 120, None).write(dir.join("b.parquet")).unwrap();
}

/// A small model of two recordings: seconds.
const SMALL: [&str; 16] = [
    "train",
    "a.parquet",
    "b.parquet",
    "-o",
    "model",
    "--hidden",
    "16",
    "--window",
    "40",
    "--epochs",
    "8",
    "--device",
    "cpu",
    "--threads",
    "2",
    "--force",
];

fn osd_in(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_osd")).args(args).current_dir(dir).output().unwrap()
}

fn trained(dir: &Path, args: &[&str]) -> String {
    let out = osd_in(dir, args);
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert_eq!(text(&out.stdout), "", "words go to stderr");
    text(&out.stderr).to_owned()
}

#[test]
fn a_model_of_quiet_recordings_finds_the_fault_of_another() {
    let dir = tempfile::tempdir().unwrap();
    normal(dir.path());
    synth(3, 120, Some((60, 66))).write(dir.path().join("run.parquet")).unwrap();
    let stderr = trained(dir.path(), &SMALL);
    assert!(
        stderr.contains("device: cpu\n") && stderr.contains("\nwrote model\n") && !stderr.contains('\r'),
        "{stderr}"
    );
    let model = Model::read(&dir.path().join("model")).unwrap();
    let names: Vec<&str> = model.config.recordings.iter().map(|r| r.name.as_str()).collect();
    assert_eq!((names, model.config.seed), (vec!["a.parquet", "b.parquet"], 1));
    let run = Recording::open(dir.path().join("run.parquet")).unwrap();
    let scored = model.score(&run, Options::default()).unwrap();
    let highest = (0..scored.total.len()).max_by(|a, b| scored.total[*a].total_cmp(&scored.total[*b])).unwrap();
    assert!((600..660).contains(&highest), "row {highest} of 100 ms is not in the fault");
    let alarms = scored.alarms();
    assert!(alarms.iter().any(|a| a.rows.start < 660 && a.rows.end > 600), "{alarms:?}");
    let false_ones = alarms.iter().filter(|a| a.rows.end < 580 || a.rows.start > 680).count();
    assert!(false_ones <= 1, "{alarms:?}");
}

#[test]
fn a_model_says_how_it_was_trained() {
    let dir = tempfile::tempdir().unwrap();
    normal(dir.path());
    trained(dir.path(), &SMALL);
    let model = dir.path().join("model");
    let metrics: serde_json::Value =
        serde_json::from_slice(&std::fs::read(model.join("metrics.json")).unwrap()).unwrap();
    let epochs = metrics["epochs"].as_array().unwrap();
    let best = metrics["best_epoch"].as_u64().unwrap() as usize;
    let loss = |i: usize| epochs[i]["validation_loss"].as_f64().unwrap();
    assert!((1..=8).contains(&epochs.len()) && (0..epochs.len()).all(|i| loss(best) <= loss(i)), "{metrics}");
    assert!(metrics["windows"].as_u64().unwrap() > 1_000 && metrics["windows_per_s"].as_f64().unwrap() > 0.0);
    assert_eq!((&metrics["device"], &metrics["threads"], &metrics["seed"]), (&"cpu".into(), &2.into(), &1.into()));
    assert!(metrics["hardware"].as_str().is_some_and(|h| h.contains(" x ")), "{metrics}");
    assert_eq!(std::fs::read(model.join("loss.png")).unwrap()[..4], *b"\x89PNG");
}

#[test]
fn the_same_seed_writes_the_same_weights() {
    let dir = tempfile::tempdir().unwrap();
    normal(dir.path());
    let weights = |more: &[&str]| {
        trained(dir.path(), &[&SMALL[..], more].concat());
        std::fs::read(dir.path().join("model/model.safetensors")).unwrap()
    };
    let first = weights(&[]);
    assert!(first == weights(&[]) && first != weights(&["--seed", "2"]));
}

#[test]
fn ctrl_c_writes_the_best_so_far() {
    let dir = tempfile::tempdir().unwrap();
    normal(dir.path());
    let mut child = Command::new(env!("CARGO_BIN_EXE_osd"))
        .args(SMALL.map(|a| if a == "8" { "100000" } else { a }))
        .args(["--patience", "100000"])
        .current_dir(dir.path())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // It says nothing where there is no terminal, but it works: far longer than a pass takes.
    let stat = format!("/proc/{}/stat", child.id());
    until("two seconds of processor time are used", || {
        let ticks = |s: String| s.rsplit(") ").next().and_then(|s| s.split(' ').nth(11)?.parse::<u64>().ok());
        std::fs::read_to_string(&stat).ok().and_then(ticks).is_some_and(|t| t > 200)
    });
    // SAFETY: a signal to a child that has not been waited for.
    unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGINT) };
    let mut stderr = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut stderr).unwrap();
    assert!(child.wait().unwrap().success() && stderr.contains("stopped; trained on 2 recordings"), "{stderr}");
    let metrics = std::fs::read_to_string(dir.path().join("model/metrics.json")).unwrap();
    assert!(metrics.contains("\"stopped\": true"), "{metrics}");
    Model::read(&dir.path().join("model")).unwrap();
}

/// A recording of samples alone: `cpu_ns` of each row, and the rows in which samples were lost.
fn samples(path: &Path, cpu_ns: impl Fn(u64) -> u64, lost: std::ops::Range<u64>) {
    const STEP: u64 = 100_000_000;
    const ROWS: u64 = 1_000;
    let options = WriterOptions { force: true, ..WriterOptions::default() };
    let mut writer = Writer::create(path, options).unwrap();
    let owner = Owner { proc: ProcId::new("host", PID, 1), pid: PID, cgroup_id: 1 };
    for row in 0..ROWS {
        let ts_ns = START_NS + (row * STEP) as i64;
        writer
            .push(Sample { ts_ns, dur_ns: STEP, owner, cpu_ns: cpu_ns(row), n_threads: 2, ..Sample::default() })
            .unwrap();
    }
    if !lost.is_empty() {
        let ts_ns = START_NS + (lost.start * STEP) as i64;
        let dur_ns = (lost.end - lost.start) * STEP;
        writer.push(Loss { ts_ns, dur_ns, stream: "sample".into(), reason: "test".into(), count: 7 }).unwrap();
    }
    let ended_ns = START_NS + (ROWS * STEP) as i64;
    let metadata = Metadata {
        interval_ns: STEP,
        started_ns: START_NS,
        ended_ns,
        recording_id: "id".into(),
        ..Metadata::default()
    };
    writer.close(metadata).unwrap();
}

fn wave(row: u64) -> u64 {
    50_000_000 + (30e6 * (row as f64 / 10.0).sin()) as u64 + row * 7_919 % 1_000_000
}

const OF_CPU: [&str; 14] = [
    "train",
    "r.parquet",
    "-o",
    "model",
    "--features",
    "cpu",
    "--hidden",
    "8",
    "--window",
    "20",
    "--epochs",
    "2",
    "--device",
    "cpu",
];

#[test]
fn losses_are_masked_and_it_says_so() {
    let dir = tempfile::tempdir().unwrap();
    samples(&dir.path().join("r.parquet"), wave, 300..312);
    let stderr = trained(dir.path(), &OF_CPU);
    assert!(stderr.contains("note: 12 of 1 0"), "{stderr}");
    let metrics = std::fs::read_to_string(dir.path().join("model/metrics.json")).unwrap();
    let metrics: serde_json::Value = serde_json::from_str(&metrics).unwrap();
    // 750 rows to train on, less a window, less the 12 targets that are masked; short edges may cost a row or two.
    let windows = metrics["windows"].as_u64().unwrap();
    assert!((714..=718).contains(&windows), "{windows}");
}

#[test]
fn what_cannot_be_trained_on_is_refused_and_nothing_is_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    synth(1, 60, None).write(at("long.parquet")).unwrap();
    synth(2, 6, None).write(at("short.parquet")).unwrap();
    Synth { interval_ms: 200, ..synth(3, 60, None) }.write(at("slow.parquet")).unwrap();
    samples(&at("still.parquet"), |_| 1_000_000, 0..0);
    std::fs::write(at("text.parquet"), "no recording").unwrap();
    std::fs::write(at("file"), "no model").unwrap();
    std::fs::create_dir(at("folder")).unwrap();
    let check = |args: &[&str], wanted: &str| {
        let before = std::fs::read_dir(dir.path()).unwrap().count();
        let stderr = refused(dir.path(), &[&["train", "--device", "cpu"], args].concat());
        assert!(stderr.contains(wanted), "{args:?}: {stderr}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), before, "{args:?} leaves something behind");
    };
    check(&["-o", "m"], "error: no recording given");
    check(&["none.parquet", "-o", "m"], "none.parquet");
    check(&["text.parquet", "-o", "m"], "text.parquet");
    check(&["short.parquet", "-o", "m"], "short.parquet has ");
    check(&["long.parquet", "slow.parquet", "-o", "m"], "slow.parquet has a sample every 200 ms");
    check(&["still.parquet", "-o", "m", "--features", "cpu"], "nothing changes in the training data: cpu");
    check(&["long.parquet", "-o", "m", "--features", "cpu,wind"], "no feature is called `wind`");
    check(&["long.parquet", "-o", "folder"], "folder exists");
    check(&["long.parquet", "-o", "folder", "--force"], "folder exists and is not a model");
    check(&["long.parquet", "-o", "file", "--force"], "file exists and is not a model");
    check(&["long.parquet", "-o", "no/such/model"], "cannot write to no/such");
    check(&["long.parquet", "-o", "/proc/model"], "cannot write to /proc");
    check(&["long.parquet", "-o", "m", "--window", "300"], "long.parquet has ");
}

/// Vulkan looks for its drivers where these say.
const NO_DRIVERS: [(&str, &str); 2] = [("VK_DRIVER_FILES", "/nonexistent"), ("VK_ICD_FILENAMES", "/nonexistent")];

/// `OF_CPU` on another device.
fn trains_on(dir: &Path, device: &str, with: impl FnOnce(&mut Command) -> &mut Command) -> String {
    samples(&dir.join("r.parquet"), wave, 0..0);
    let args = [&OF_CPU[..OF_CPU.len() - 1], &[device]].concat();
    let mut osd = Command::new(env!("CARGO_BIN_EXE_osd"));
    let out = with(osd.args(args).current_dir(dir)).output().unwrap();
    let stderr = text(&out.stderr).to_owned();
    assert!(out.status.success(), "{stderr}");
    stderr
}

#[test]
fn a_gpu_that_is_not_there_is_said_and_the_cpu_taken() {
    let dir = tempfile::tempdir().unwrap();
    let stderr = trains_on(dir.path(), "gpu", |osd| osd.envs(NO_DRIVERS));
    let (warning, hint) = ("warning: no GPU: Vulkan has no device; training on the CPU\n", "sudo apt-get install ");
    assert!(stderr.contains(warning) && stderr.contains(hint) && stderr.contains("device: cpu\n"), "{stderr}");
}

/// Where nobody asked for a GPU nothing is said of its absence, neither by osd nor by a driver.
#[test]
fn without_a_gpu_training_is_silent_on_the_cpu() {
    let dir = tempfile::tempdir().unwrap();
    let stderr = trains_on(dir.path(), "auto", |osd| osd.envs(NO_DRIVERS));
    assert!(stderr.starts_with("device: cpu\n"), "{stderr}");
    let quiet = trains_on(dir.path(), "auto", |osd| osd.envs(NO_DRIVERS).args(["-q", "--force"]));
    assert_eq!(quiet, "");
}

/// The binary that `make demo` builds trains on a GPU: on Vulkan in software, which CI has.
#[test]
fn the_usual_binary_trains_by_vulkan() {
    let dir = tempfile::tempdir().unwrap();
    let stderr = trains_on(dir.path(), "gpu", |osd| osd);
    if stderr.contains("warning: no GPU: ") {
        assert!(std::env::var_os("CI").is_none(), "needs mesa-vulkan-drivers: {stderr}");
        eprintln!("SKIPPED the_usual_binary_trains_by_vulkan: {stderr}");
        return;
    }
    let metrics = std::fs::read_to_string(dir.path().join("model/metrics.json")).unwrap();
    let metrics: serde_json::Value = serde_json::from_str(&metrics).unwrap();
    assert_eq!(metrics["gpu"], true, "{metrics}");
    let device = metrics["device"].as_str().unwrap();
    assert!(stderr.contains(&format!("device: {device}\n")) && device != "cpu", "{stderr}");
    let doctor = crate::support::osd(["doctor", "--no-cost", "--format", "json"]);
    let doctor: serde_json::Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let line = doctor["checks"].as_array().unwrap().iter().find(|c| c["check"] == "training").unwrap();
    assert!(line["found"].as_str().unwrap().contains(device), "{line}");
}

/// A host without Vulkan's loader, made by hiding it in a mount namespace: silent, or said with the package.
#[test]
fn a_missing_vulkan_loader_is_named_with_its_package() {
    let test = "a_missing_vulkan_loader_is_named_with_its_package";
    let hide = "for f in $(ldconfig -p | sed -n 's/.*libvulkan.so.1 .*=> //p'); do mount --bind /dev/null \"$(realpath \"$f\")\" || exit 9; done; ";
    let under = |rest: &str| {
        let script = format!("{hide}{rest}");
        Command::new("unshare").args(["--mount", "sh", "-c", &script, env!("CARGO_BIN_EXE_osd")]).output().unwrap()
    };
    if !under("true").status.success() {
        eprintln!("SKIPPED {test}: needs root, to hide a library");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    samples(&dir.path().join("r.parquet"), wave, 0..0);
    let args = OF_CPU[..OF_CPU.len() - 1].join(" ");
    let train = |device: &str| {
        let out = under(&format!("cd {} && \"$0\" {args} {device} --force", dir.path().display()));
        assert!(out.status.success(), "{}", text(&out.stderr));
        text(&out.stderr).to_owned()
    };
    let stderr = train("gpu");
    assert!(
        stderr.contains("no GPU: there is no Vulkan loader (libvulkan.so.1); training on the CPU\nhint: "),
        "{stderr}"
    );
    assert!(stderr.contains("sudo apt-get install libvulkan1 "), "{stderr}");
    assert!(train("auto").starts_with("device: cpu\n"));
}

/// Without a name a model goes where `osd score` and `osd analyze --model` look, and nothing is replaced there unasked.
#[test]
fn a_model_goes_where_it_is_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    normal(dir.path());
    let stderr = refused(dir.path(), &["score", "a.parquet"]);
    assert!(stderr.contains("error: there is no model in model/\nhint: learn one: osd train"), "{stderr}");
    assert!(refused(dir.path(), &["analyze", "a.parquet", "--model"]).contains("there is no model in model/"));
    let without: Vec<&str> = SMALL.iter().copied().filter(|a| !["-o", "model", "--force"].contains(a)).collect();
    std::fs::write(dir.path().join("model"), "mine").unwrap();
    assert!(refused(dir.path(), &without).contains("model exists and is not a model"));
    assert!(refused(dir.path(), &[&without[..], &["--force"]].concat()).contains("model exists and is not a model"));
    assert_eq!(std::fs::read_to_string(dir.path().join("model")).unwrap(), "mine");
    std::fs::remove_file(dir.path().join("model")).unwrap();
    let said = trained(dir.path(), &without);
    assert!(said.contains("\nwrote model\nhint: osd score run.parquet\n"), "{said}");
    assert!(refused(dir.path(), &without).contains("model exists\nhint: choose another name, or pass --force"));
    for args in
        [&["score", "b.parquet"][..], &["analyze", "b.parquet", "--model"], &["analyze", "--model", "b.parquet"]]
    {
        let out = osd_in(dir.path(), args);
        assert!(matches!(out.status.code(), Some(0 | 1)), "{args:?}: {}", text(&out.stderr));
    }
    let judged = osd_in(dir.path(), &["analyze", "--model", "b.parquet", "--format", "json"]);
    assert!(text(&judged.stdout).contains("LSTM forecast"), "{}", text(&judged.stdout));
}
