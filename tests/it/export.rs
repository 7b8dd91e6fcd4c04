//! `osd export` to tables: the same rows as `osd sql` gives, in every form, in memory that does not
//! grow with the recording.

use crate::bad_input::refused;
use crate::support::{osd, osd_ok, text};
use osd_recording::Kind;
use osd_synth::Synth;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A recording of every kind of rows.
fn run(dir: &Path, duration_s: u32) -> PathBuf {
    let path = dir.join("run.parquet");
    Synth { duration_s, fault_s: Some((5, 8)), ..Synth::default() }.write(&path).unwrap();
    path
}

/// The Python with DuckDB and pyarrow that `make test` makes; says so visibly if there is none.
pub(crate) fn python(test: &str) -> Option<std::ffi::OsString> {
    let python = std::env::var_os("OSD_PYTHON");
    if python.is_none() {
        assert!(std::env::var_os("CI").is_none(), "OSD_PYTHON is not set; `make test` sets it");
        eprintln!("SKIPPED {test}: OSD_PYTHON is not set (`make test` sets it)");
    }
    python
}

#[test]
fn rows_are_those_of_sql_in_every_form() {
    let dir = tempfile::tempdir().unwrap();
    let path = run(dir.path(), 12);
    let path = path.to_str().unwrap();
    let tables = Kind::ALL.map(Kind::table);
    let later = [
        Kind::Cgroup,
        Kind::Neighbour,
        Kind::Thread,
        Kind::Descriptor,
        Kind::Capability,
        Kind::Container,
        Kind::Stack,
        Kind::File,
        Kind::Flow,
    ]
    .map(Kind::table);
    for (kind, table) in tables.into_iter().map(|t| (t, t)).chain([("all", "recording")]) {
        for form in ["csv", "ndjson", "json"] {
            // An alias of `dur_ns`, for whoever asks for it by that name.
            // And what joins the rows of another kind.
            let has_process = Kind::ALL.into_iter().filter(|k| k.columns().any(|c| c.name == "cgroup_id"));
            let joined = has_process.filter(|k| *k != Kind::Container).any(|k| k.table() == table);
            let but = match (table, joined) {
                ("samples", _) => " EXCEPT (interval_ns, container)",
                (_, true) => " EXCEPT (container)",
                (_, false) => "",
            };
            let statement = format!("SELECT *{but} FROM {table}");
            let (sql, ours) = (
                osd_ok(["sql", path, &statement, "--format", form]),
                osd_ok(["export", path, "--to", form, "--kind", kind]),
            );
            // SQL reads row groups side by side. The brackets of an array are on lines of their own then.
            let sorted = |text: &str| {
                let text =
                    if form == "json" { text.replace("},{", "},\n{").replace(['[', ']'], "\n") } else { text.into() };
                let mut lines: Vec<String> = text.lines().map(|l| l.trim_end_matches(',').to_owned()).collect();
                lines.sort();
                lines
            };
            // An older recorder knew fewer kinds.
            assert!(ours.lines().next().is_some() || later.contains(&kind), "{kind} as {form}");
            assert!(sorted(&sql) == sorted(&ours), "{kind} as {form} is not what SQL says");
        }
    }
}

#[test]
fn a_range_holds_what_begins_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = run(dir.path(), 12);
    let path = path.to_str().unwrap();
    let where_ = "ts >= '2026-01-01T00:00:03Z' AND ts < '2026-01-01T00:00:05Z'";
    let sql = osd_ok(["sql", path, &format!("SELECT count(*) AS n FROM tallies WHERE {where_}"), "--format", "csv"]);
    let n: usize = sql.trim_start_matches("n\n").trim().parse().unwrap();
    assert!(n > 0);
    for (from, until) in [("2026-01-01T00:00:03Z", "2026-01-01T00:00:05Z"), ("3s", "+5s")] {
        let args = ["export", path, "--to", "csv", "--kind", "tally", "--from", from, "--until", until];
        assert_eq!(osd_ok(args).lines().count() - 1, n, "{from}");
    }
    let all = osd_ok(["export", path, "--to", "csv", "--kind", "tallies"]);
    let (before, after) = (
        osd_ok(["export", path, "--to", "csv", "--kind", "tallies", "--until", "4s"]),
        osd_ok(["export", path, "--to", "csv", "--kind", "tallies", "--from", "4s"]),
    );
    assert_eq!(before.lines().count() + after.lines().count() - 1, all.lines().count());
}

/// A reader of Arrow that is not osd has the same rows, types and sums as one of Parquet.
#[test]
fn arrow_is_read_by_pyarrow_and_is_what_parquet_says() {
    let Some(python) = python("arrow_is_read_by_pyarrow_and_is_what_parquet_says") else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = run(dir.path(), 12);
    let path = path.to_str().unwrap();
    for (to, opener) in [("arrow", "open_file"), ("arrow-stream", "open_stream")] {
        for kind in ["samples", "tallies", "processes", "syscalls"] {
            let out = dir.path().join(format!("{kind}.{to}"));
            osd_ok(["export", path, "--to", to, "--kind", kind, "-o", out.to_str().unwrap()]);
            let script = "
import sys, pyarrow.ipc, pyarrow.parquet
path, out, kind, opener = sys.argv[1:]
ours = getattr(pyarrow.ipc, opener)(out).read_all()
name = {'tallies': 'tally', 'processes': 'process'}.get(kind, kind.rstrip('s'))
theirs = pyarrow.parquet.read_table(path, filters=[('kind', '==', name)])
assert ours.column_names[-1] == 'recording' and set(ours['recording'].to_pylist()) == {path}
assert ours.num_rows == theirs.num_rows > 0
for column in ours.column_names[:-1]:
    assert ours[column].to_pylist() == theirs[column].to_pylist(), column
    print(column, ours.schema.field(column).type)
";
            let said =
                Command::new(&python).args(["-c", script, path]).arg(&out).args([kind, opener]).output().unwrap();
            assert!(said.status.success(), "{kind} as {to}: {}", text(&said.stderr));
            assert!(text(&said.stdout).contains("ts timestamp[ns, tz=UTC]"), "{}", text(&said.stdout));
        }
    }
}

#[test]
fn the_series_has_the_sums_that_sql_has() {
    let dir = tempfile::tempdir().unwrap();
    let path = run(dir.path(), 12);
    let path = path.to_str().unwrap();
    let csv = osd_ok(["export", path, "--to", "csv", "--series", "--every", "1s"]);
    let mut lines = csv.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    assert_eq!(
        header[..6],
        ["ts", "cpu_cores", "rss_bytes", "net_rx_bytes_per_s", "net_tx_bytes_per_s", "syscalls_per_s"]
    );
    let rows: Vec<Vec<&str>> = lines.map(|l| l.split(',').collect()).collect();
    assert_eq!(rows.len(), 12);
    assert_eq!((rows[0][0], rows[11][0]), ("2026-01-01T00:00:00Z", "2026-01-01T00:00:11Z"));
    let statement = "SELECT sum(cpu_ns) / 1e9 AS cpu, sum(n_syscalls) AS n FROM samples";
    let sql = osd_ok(["sql", path, statement, "--format", "csv"]);
    let wanted: Vec<f64> = sql.lines().nth(1).unwrap().split(',').map(|v| v.parse().unwrap()).collect();
    for (column, wanted) in [(1, wanted[0]), (5, wanted[1])] {
        let sum: f64 = rows.iter().map(|r| r[column].parse::<f64>().unwrap()).sum();
        assert!((sum / wanted - 1.0).abs() < 1e-9, "{}: {sum}, and SQL says {wanted}", header[column]);
    }
}

#[test]
fn several_recordings_are_told_apart_and_a_reader_that_has_enough_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), 12);
    Synth { seed: 2, host: "other".into(), duration_s: 5, ..Synth::default() }
        .write(dir.path().join("b.parquet"))
        .unwrap();
    let csv = osd_ok(["export", dir.path().to_str().unwrap(), "--to", "csv"]);
    let of = |name: &str| csv.lines().filter(|l| l.ends_with(name)).count();
    assert_eq!((of("/run.parquet"), of("/b.parquet")), (120, 50));
    let mut child = Command::new(env!("CARGO_BIN_EXE_osd"))
        .args(["export", "--to", "csv", "--kind", "syscalls"])
        .arg(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let out = child.wait_with_output().unwrap();
    assert_eq!(text(&out.stderr), "");
    assert_eq!(out.status.signal(), Some(libc::SIGPIPE), "as of any tool in a pipe");
}

#[test]
fn what_cannot_be_exported_is_refused_with_a_way_to_mend_it() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), 5);
    for (args, wanted) in [
        (&["--to", "csv", "--every", "1s"][..], "rows have no steps, and --every is one"),
        (&["--to", "csv", "--from", "3s", "--until", "3s"], "nothing is from "),
        (&["--to", "csv", "--series", "--from", "1h"], "holds no samples in that time"),
        (&["--to", "openmetrics", "--series"], "--series is a table"),
        (&["--to", "csv", "--findings", "findings.json"], "rows and series have no place for findings"),
        (&["--to", "openmetrics", "--findings", "run.parquet"], "cannot read findings from run.parquet"),
        (&["--to", "openmetrics", "--every", "1us"], "is longer than 1000000 steps"),
    ] {
        let said = refused(dir.path(), &[&["export", "run.parquet"], args].concat());
        assert!(said.contains(wanted), "{said}");
    }
    let of = |args: &[&str]| text(&osd([&["export", "x.parquet"], args].concat()).stderr).to_owned();
    assert!(of(&["--to", "csv", "--kind", "fluxes"]).contains("write one of samples, tallies, syscalls"));
    assert!(of(&["--to", "csv", "--from", "yesterday"]).contains("write a time such as"));
    assert!(of(&["--to", "xls"]).contains("[possible values: csv, json"));
}

/// A hundred times the rows take about the memory that a few take.
#[test]
#[ignore = "a minute; `make soak` runs it"]
fn memory_does_not_grow_with_the_recording() {
    let dir = tempfile::tempdir().unwrap();
    let peak_kib = |duration_s: u32, kind: &str| {
        let path = run(dir.path(), duration_s);
        let script = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
        let out = Command::new("python3")
            .args(["-c", script, env!("CARGO_BIN_EXE_osd"), "export", "--to", "csv", "--kind", kind, "-o", "/dev/null"])
            .arg(&path)
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", text(&out.stderr));
        text(&out.stdout).trim().parse::<u64>().unwrap()
    };
    for kind in ["syscalls", "samples", "all"] {
        let (short, long) = (peak_kib(60, kind), peak_kib(6_000, kind));
        eprintln!("{kind}: {short} KiB for a minute, {long} KiB for 100");
        assert!(long < 256 << 10 && long < short * 4, "{kind}: {short} KiB, then {long}");
    }
}

#[test]
fn the_first_notebook_finds_the_spike_without_osd() {
    let Some(python) = python("the_first_notebook_finds_the_spike_without_osd") else { return };
    let dir = tempfile::tempdir().unwrap();
    let (path, picture) = (dir.path().join("run.parquet"), dir.path().join("run.png"));
    Synth { fault_s: Some((60, 66)), ..Synth::default() }.write(&path).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = Command::new(python)
        .arg(root.join("scripts/run-notebook.py"))
        .arg(root.join("notebooks/01-a-recording-in-pandas-polars-duckdb.ipynb"))
        .envs([("OSD_RECORDING", &path), ("OSD_PICTURE", &picture)])
        .output()
        .unwrap();
    let said = text(&out.stdout);
    assert!(out.status.success(), "{said}{}", text(&out.stderr));
    assert!(said.contains("not recorded: [('syscall', 'ring_full', 250)]"), "{said}");
    assert!(
        said.contains("the busiest is 00:01:0") && said.contains("the busiest call of that second is fsync"),
        "{said}"
    );
    assert!(std::fs::read(picture).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn the_third_notebook_tells_a_fault_and_finds_two_runs_of_the_same_equal() {
    let Some(python) = python("the_third_notebook_tells_a_fault_and_finds_two_runs_of_the_same_equal") else { return };
    let dir = tempfile::tempdir().unwrap();
    let run = |name: &str, seed: u64, fault_s: Option<(u32, u32)>| {
        let path = dir.path().join(format!("{name}.parquet"));
        Synth { seed, duration_s: 60, fault_s, ..Synth::default() }.write(&path).unwrap();
        path
    };
    let (good, same, bad) = (run("good", 1, None), run("same", 2, None), run("bad", 3, Some((5, 58))));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let compared = |after: &Path| {
        let picture = dir.path().join("compared.png");
        let out = Command::new(&python)
            .arg(root.join("scripts/run-notebook.py"))
            .arg(root.join("notebooks/03-compare-two-runs.ipynb"))
            .envs([("OSD_BEFORE", good.as_path()), ("OSD_AFTER", after), ("OSD_PICTURE", &picture)])
            .output()
            .unwrap();
        assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
        assert!(std::fs::read(picture).unwrap().starts_with(b"\x89PNG"));
        text(&out.stdout).to_owned()
    };
    assert!(compared(&same).contains("most different: nothing;"), "{}", compared(&same));
    assert!(compared(&bad).contains("most different: fsync;"), "{}", compared(&bad));
}
