//! What the tests of the binary share: running it, the programs they record, and reading a
//! recording back.

use osd_findings::{Findings, Window};
use osd_recording::{Kind, Query, Recording};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// Runs `osd` with `args`.
pub(crate) fn osd<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_osd"));
    for (i, arg) in args.into_iter().enumerate() {
        command.arg(&arg);
        if i == 0 && arg.as_ref() == "record" {
            command.args(options_of_all());
        }
    }
    command.output().unwrap()
}

/// Options that every recorder is given: see `attach_modes.rs`.
pub(crate) fn options_of_all() -> Vec<String> {
    let options = std::env::var("OSD_TEST_OPTIONS").unwrap_or_default();
    options.split_whitespace().map(str::to_owned).collect()
}

/// The same, and it must succeed; stdout as text.
pub(crate) fn osd_ok<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> String {
    let out = osd(args);
    assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
    text(&out.stdout).to_owned()
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// One at a time: two recordings at once would measure each other.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static RECORDER: Mutex<()> = Mutex::new(());
    RECORDER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether this process may load BPF programs; says so visibly when it may not.
pub(crate) fn may_record(test: &str) -> bool {
    // What runs these tests in the background may have them ignore interrupts, and a recorder would go on ignoring them.
    for signal in [libc::SIGINT, libc::SIGHUP, libc::SIGTERM] {
        // SAFETY: sets a signal to its default.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let doctor = osd(["doctor", "--no-cost"]);
    if doctor.status.success() {
        return true;
    }
    assert!(
        std::env::var_os("CI").is_none() || std::env::var_os("OSD_ALLOW_UNPRIVILEGED").is_some(),
        "the recorder's tests need root:\n{}",
        text(&doctor.stdout)
    );
    eprintln!("SKIPPED {test}: this user cannot load BPF programs (run the tests as root)");
    false
}

/// Waits until `condition` gives something (true, or a value), which must be within half a minute.
pub(crate) fn until<T: Awaited>(what: &str, mut condition: impl FnMut() -> T) -> T::Value {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        if let Some(value) = condition().value() {
            return value;
        }
        assert!(std::time::Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// What [`until`] can wait for.
pub(crate) trait Awaited {
    type Value;
    fn value(self) -> Option<Self::Value>;
}

impl Awaited for bool {
    type Value = ();
    fn value(self) -> Option<()> {
        self.then_some(())
    }
}

impl<T> Awaited for Option<T> {
    type Value = T;
    fn value(self) -> Option<T> {
        self
    }
}

/// Values of `field` in `/proc/PID/status` of every thread.
pub(crate) fn of_threads(pid: u32, field: &str) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let statuses = tasks.filter_map(|t| std::fs::read_to_string(t.path().join("status")).ok());
    statuses.filter_map(|s| s.lines().find_map(|l| Some(l.strip_prefix(field)?.trim().to_owned()))).collect()
}

/// An empty set of capabilities.
pub(crate) const NOTHING: &str = "0000000000000000";

/// Whether all threads of a recorder, the writer among them, have given up every capability for good: the last thing it does before
/// it records.
pub(crate) fn has_given_up(pid: u32) -> bool {
    let all = |field, wanted| of_threads(pid, field).iter().all(|v| v == wanted);
    of_threads(pid, "CapEff:").len() >= 2
        && all("CapEff:", NOTHING)
        && all("CapPrm:", NOTHING)
        && all("CapAmb:", NOTHING)
        && all("NoNewPrivs:", "1")
}

/// The only child of `pid`.
pub(crate) fn child_of(pid: u32) -> Option<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// The programs of `targets.c`, built once.
pub(crate) fn targets() -> &'static Path {
    static BUILT: LazyLock<PathBuf> = LazyLock::new(|| compile("targets"));
    &BUILT
}

/// The programs of `honesty.c`, built once.
pub(crate) fn honesty() -> &'static Path {
    static BUILT: LazyLock<PathBuf> = LazyLock::new(|| compile("honesty"));
    &BUILT
}

pub(crate) fn compile(name: &str) -> PathBuf {
    let source = format!("{}/tests/it/{name}.c", env!("CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let status = Command::new("cc").args(["-O2", "-pthread", "-o"]).arg(&out).arg(source).status().unwrap();
    assert!(status.success());
    out
}

/// Records `command` with `options` into `path`; stderr of osd and stdout of the command.
pub(crate) fn record(path: &Path, options: &[&str], command: &[&str]) -> Output {
    let out = Command::new(env!("CARGO_BIN_EXE_osd"))
        .args(["record", "--force", "-o"])
        .arg(path)
        .args(options)
        .args(options_of_all())
        .arg("--")
        .args(command)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    out
}

/// All rows of one kind, as (column name → value as text), through the library and not through SQL.
pub(crate) fn rows(path: &Path, kind: Kind) -> Vec<std::collections::HashMap<String, String>> {
    use arrow::util::display::{ArrayFormatter, FormatOptions};
    let recording = Recording::open(path).unwrap();
    let mut out = Vec::new();
    for batch in recording.read(&Query::kind(kind)).unwrap() {
        let batch = batch.unwrap();
        let options = FormatOptions::default();
        let schema = batch.schema();
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .zip(schema.fields())
            .map(|(c, f)| (f.name(), ArrayFormatter::try_new(c, &options).unwrap()))
            .collect();
        for i in 0..batch.num_rows() {
            out.push(columns.iter().map(|(name, c)| ((*name).clone(), c.value(i).to_string())).collect());
        }
    }
    out
}

/// A column of rows, summed.
pub(crate) fn sum(rows: &[std::collections::HashMap<String, String>], column: &str) -> u64 {
    rows.iter().filter_map(|r| r[column].parse::<u64>().ok()).sum()
}

/// What `osd analyze` finds in a recording.
pub(crate) fn findings(path: &Path, options: &[&str]) -> Findings {
    let out = osd(["analyze", path.to_str().unwrap(), "--format", "json"].into_iter().chain(options.iter().copied()));
    assert!(out.status.code().is_some_and(|c| c < 2), "{}", text(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

/// A line a window, for whoever reads that a test failed.
pub(crate) fn describe(f: &Findings) -> String {
    let at = |ns: i64| (ns - f.recording.started_ns) as f64 / 1e9;
    let line =
        |w: &Window| format!("{:.1}-{:.1} {} [{}]: {}", at(w.start_ns), at(w.end_ns), w.pattern, w.metric, w.sentence);
    f.windows.iter().map(line).collect::<Vec<_>>().join("\n")
}
