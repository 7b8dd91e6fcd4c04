//! `osd import` of tables of metrics: what `osd export` wrote comes back, and tables of other tools
//! are what somebody says that they are.

use crate::bad_input::refused;
use crate::record::Place;
use crate::support::{osd, osd_ok, record, rows, text};
use osd_findings::Findings;
use osd_recording::{Kind, Recording};
use osd_synth::Synth;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Columns of the series by name, of a recording.
fn series(path: &Path) -> BTreeMap<String, Vec<Option<f64>>> {
    let csv = osd_ok(["export", path.to_str().unwrap(), "--to", "csv", "--series"]);
    let mut lines = csv.lines();
    let names: Vec<String> = lines.next().unwrap().split(',').map(str::to_owned).collect();
    let mut out: BTreeMap<String, Vec<Option<f64>>> = BTreeMap::new();
    for line in lines {
        for (name, field) in names.iter().zip(line.split(',')) {
            let value = if name == "ts" { None } else { field.parse().ok() };
            out.entry(name.clone()).or_default().push(value);
        }
    }
    out
}

/// Exports the series of a recording and imports it: the new recording, and what was said.
fn there_and_back(dir: &Path, run: &Path) -> (PathBuf, String) {
    let (table, back) = (dir.join("series.csv"), dir.join("back.parquet"));
    osd_ok(["export", run.to_str().unwrap(), "--to", "csv", "--series", "-o", table.to_str().unwrap()]);
    let said = osd(["import", table.to_str().unwrap(), "-o", back.to_str().unwrap()]);
    assert!(said.status.success(), "{}", text(&said.stderr));
    (back, text(&said.stderr).to_owned())
}

/// Metrics that samples have a place for, by their columns in the series.
const KEPT: [&str; 13] = [
    "cpu_cores",
    "rss_bytes",
    "net_rx_bytes_per_s",
    "net_tx_bytes_per_s",
    "syscalls_per_s",
    "runq_s_per_s",
    "errors_per_s",
    "write_bytes_per_s",
    "read_bytes_per_s",
    "faults_per_s",
    "ctx_per_s",
    "threads",
    "fds",
];

/// Every value is the one that was exported, but for what whole numbers cut off, which is carried on: less than two in an interval.
fn are_the_same(run: &Path, back: &Path) {
    let (before, after) = (series(run), series(back));
    let step_s = Recording::open(back).unwrap().metadata().interval_ns as f64 / 1e9;
    let mut compared = 0;
    for name in KEPT {
        // Last intervals of which less than half was recorded have no values.
        let n = after[name].len();
        assert!(n > 10 && before[name].len() >= n && before[name][n..].iter().all(Option::is_none), "{name}");
        let per_s = if name.ends_with("_per_s") || name == "cpu_cores" { 1.0 / step_s } else { 1.0 };
        // Of times it is nanoseconds that are whole.
        let one = if matches!(name, "cpu_cores" | "runq_s_per_s") { 1e-9 } else { 1.0 };
        for (i, (was, is)) in before[name].iter().zip(&after[name]).enumerate() {
            match (was, is) {
                (Some(was), Some(is)) => {
                    assert!((was - is).abs() <= 2.0 * one * per_s, "{name} {i}: {was} became {is}");
                    compared += 1;
                }
                (None, None) => {}
                (was, is) => panic!("{name} {i}: {was:?} became {is:?}"),
            }
        }
    }
    assert!(compared > 100, "{compared} values");
}

#[test]
fn the_series_of_a_recording_comes_back_with_its_windows() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run.parquet");
    Synth::default().write(&run).unwrap();
    let (back, said) = there_and_back(dir.path(), &run);
    assert!(said.contains("imported 1 200 samples from 1 201 lines"), "{said}");
    assert!(said.contains("note: `cpu_cores` is cpu_ns, in cores\n"), "{said}");
    assert!(
        said.contains(
            "note: made of single calls, which a table does not have: processes_started_per_s, calls_sync_per_s"
        ),
        "{said}"
    );
    are_the_same(&run, &back);
    // SQL, to one.
    for sum in ["cpu_ns", "n_syscalls", "net_tx_bytes", "write_bytes", "minor_faults + major_faults"] {
        let of = |path: &Path, sum: &str| -> f64 {
            let statement = format!("SELECT sum({sum}) FROM samples");
            osd_ok(["sql", path.to_str().unwrap(), &statement, "--format", "csv"])
                .lines()
                .nth(1)
                .unwrap()
                .parse()
                .unwrap()
        };
        let (was, is) = (of(&run, sum), of(&back, sum.split(' ').next().unwrap()));
        assert!((was - is).abs() <= 1.0 + was * 1e-9, "{sum}: {was} became {is}");
    }
    let path = back.to_str().unwrap();
    let nulls = "SELECT count(cpu_ns), count(rss_anon_bytes), count(rss_file_bytes), count(major_faults), count(syscall_ns), count(net_rx_msgs) FROM samples";
    assert_eq!(osd_ok(["sql", path, nulls, "--format", "csv"]).lines().nth(1), Some("1200,1200,0,0,0,0"));
    let info = osd_ok(["info", path]);
    for part in [
        "made from a table (CSV)",
        "anonymous, file and shared memory are not told apart: all are in rss_anon_bytes",
        "the table does not name processes",
    ] {
        assert!(info.contains(part), "{part}: {info}");
    }
    // A window by what a table has begins and ends where it did.
    let windows = |path: &Path| -> Vec<(String, i64, i64)> {
        let out = osd(["analyze", path.to_str().unwrap(), "--format", "json"]);
        let found: Findings = serde_json::from_slice(&out.stdout).unwrap();
        found.windows.into_iter().map(|w| (w.metric, w.start_ns, w.end_ns)).collect()
    };
    let (was, is) = (windows(&run), windows(&back));
    assert!(!is.is_empty());
    for (metric, start_ns, end_ns) in &is {
        let same = was.iter().find(|(_, start, end)| start < end_ns && start_ns < end);
        let (_, start, end) = same.unwrap_or_else(|| panic!("a window by {metric} that was not there: {was:?}"));
        assert!((start - start_ns).abs() <= 300_000_000 && (end - end_ns).abs() <= 1_000_000_000, "{was:?} {is:?}");
    }
    osd_ok(["replay", path, "--speed", "max"]);
    osd_ok(["export", path, "--to", "openmetrics", "-o", dir.path().join("o.om").to_str().unwrap()]);
}

#[test]
fn a_live_recording_comes_back_from_its_series() {
    let Some(place) = Place::new("a_live_recording_comes_back_from_its_series") else { return };
    let script = "for i in 1 2 3 4 5; do sleep 0.4; i=0; while [ $i -lt 40000 ]; do i=$((i+1)); done; ls -R /etc >/dev/null; done";
    record(&place.path(), &[], &["sh", "-c", script]);
    let (back, _) = there_and_back(place.dir.path(), &place.path());
    are_the_same(&place.path(), &back);
}

#[test]
fn a_table_without_memory_is_one_without_memory_and_trains_without_it() {
    let dir = tempfile::tempdir().unwrap();
    let table: String = (0..1_500).fold("time,cpu,syscalls\n".into(), |text, i| {
        let wave = (f64::from(i) / 20.0).sin();
        text + &format!("{}.{},{:.4},{:.1}\n", 1_767_225_600 + i / 10, i % 10, 0.4 + 0.1 * wave, 900.0 + 80.0 * wave)
    });
    std::fs::write(dir.path().join("t.csv"), table).unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let said = osd(["import", &path("t.csv"), "-o", &path("t.parquet")]);
    assert!(said.status.success(), "{}", text(&said.stderr));
    let m = Recording::open(path("t.parquet")).unwrap().metadata().clone();
    let blind = m.blind_spots.join("\n");
    assert!(
        blind.contains("the table does not have memory, network in, network out, waiting for a processor"),
        "{blind}"
    );
    assert!(!blind.contains("CPU time") && m.interval_ns == 100_000_000, "{blind}");
    let counts = "SELECT count(cpu_ns), count(n_syscalls), count(rss_anon_bytes), count(n_threads) FROM samples";
    assert_eq!(osd_ok(["sql", &path("t.parquet"), counts, "--format", "csv"]).lines().nth(1), Some("1500,1500,0,0"));
    // A model asks for a metric that is not there, and is told why; with those that are it learns.
    let lacking = osd(["train", &path("t.parquet"), "-o", &path("m"), "--features", "cpu,rss", "--epochs", "1"]);
    assert!(
        !lacking.status.success() && text(&lacking.stderr).contains("the table does not have memory"),
        "{}",
        text(&lacking.stderr)
    );
    osd_ok(["train", &path("t.parquet"), "-o", &path("m"), "--features", "cpu,syscalls", "--epochs", "1", "--quiet"]);
    let scored = osd(["score", &path("t.parquet"), "--model", &path("m"), "-o", &path("s.parquet")]);
    assert!(matches!(scored.status.code(), Some(0 | 1)), "{}", text(&scored.stderr));
}

#[test]
fn a_field_that_is_empty_is_a_gap_of_its_metric_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let table: String = (0..1_200).fold("time,cpu,mem_mb\n".into(), |text, i| {
        let memory = if (600..640).contains(&i) { String::new() } else { format!("{}", 200 + i % 3) };
        text + &format!("{}.{},{:.3},{memory}\n", 1_767_225_600 + i / 10, i % 10, 0.3 + f64::from(i % 7) / 100.0)
    });
    std::fs::write(path("t.csv"), table).unwrap();
    osd_ok(["import", &path("t.csv"), "-o", &path("t.parquet")]);
    let after = series(&dir.path().join("t.parquet"));
    let none = |name: &str| (0..1_200).filter(|i| after[name][*i].is_none()).collect::<Vec<_>>();
    assert_eq!(
        (none("cpu_cores"), none("rss_bytes")),
        (vec![], (600..640).collect()),
        "not 0, and not what was before"
    );
    let m = Recording::open(path("t.parquet")).unwrap().metadata().clone();
    assert_eq!(m.lost("sample"), 40, "and each is told");
    let found = osd(["analyze", &path("t.parquet")]);
    assert_eq!(found.status.code(), Some(0), "memory did not fall and rise: {}", text(&found.stdout));
    // As it streams, too: the same windows.
    let live = osd(["replay", &path("t.parquet"), "--detect", "--speed", "max"]);
    assert!(matches!(live.status.code(), Some(0)) && !text(&live.stdout).contains("memory"), "{}", text(&live.stdout));
}

#[test]
fn tables_of_other_tools_are_what_they_say_or_what_somebody_says() {
    let dir = tempfile::tempdir().unwrap();
    let import = |table: &str, options: &[&str]| {
        let (from, to) = (dir.path().join("t.txt"), dir.path().join("t.parquet"));
        std::fs::write(&from, table).unwrap();
        let fixed = ["import", "--force", from.to_str().unwrap(), "-o", to.to_str().unwrap()];
        let said = osd([&fixed[..], options].concat());
        assert!(said.status.success(), "{}", text(&said.stderr));
        let told: Vec<String> = rows(&to, Kind::Sample)
            .iter()
            .map(|r| {
                let names = ["ts", "dur_ns", "pid", "cpu_ns", "rss_anon_bytes", "net_rx_bytes", "n_fds"];
                names.map(|c| r[c].clone()).join(" ").replace("2026-01-01T00:", "")
            })
            .collect();
        (told, text(&said.stderr).to_owned(), Recording::open(&to).unwrap().metadata().blind_spots.join("\n"))
    };
    // Percent, MiB, a gap in time, an empty field and one that is no number.
    let (told, said, blind) = import(
        "\u{feff}Time,%CPU,Real (MB),ignored\n2026-01-01 00:00:00,50,1.5,x\n2026-01-01 00:00:01,,2,x\n2026-01-01 00:00:05,200,what,x\n",
        &["--interval", "1s"],
    );
    assert_eq!(
        told,
        [
            "00:00Z 1000000000 0 500000000 1572864  ",
            "00:01Z 1000000000 0  2097152  ",
            "00:05Z 1000000000 0 2000000000   "
        ]
    );
    assert!(
        said.contains("note: `%CPU` is cpu_ns, in %") && said.contains("note: `Real (MB)` is rss_anon_bytes, in MiB"),
        "{said}"
    );
    assert!(blind.contains("times name no time zone") && blind.contains("does not know: ignored"), "{blind}");
    assert!(blind.contains("1 fields were no numbers"), "{blind}");
    // Processes; counters that only grow, one of which begins anew; times at the end of rows; commas as decimal points.
    let (told, ..) = import(
        "when;pid;command;cpu_seconds_total;fds\n1767225601000;7;db;1,5;3\n1767225601000;8;web;9;4\n1767225602000;7;db;2,25;3\n1767225602000;8;web;0,5;5\n",
        &["--time", "when:ms"],
    );
    let wanted = [
        "00:00Z 1000000000 7    3",
        "00:00Z 1000000000 8    4",
        "00:01Z 1000000000 7 750000000   3",
        "00:01Z 1000000000 8 500000000   5",
    ];
    assert_eq!(told, wanted);
    let names: Vec<String> =
        rows(&dir.path().join("t.parquet"), Kind::Process).iter().map(|r| r["comm"].clone()).collect();
    assert_eq!(names, ["db", "web"]);
    // Whatever the names are. Times that count from some beginning.
    let (told, _, blind) = import(
        "t\tbusy\tmem:used\tin\n0.0\t25\t1000\t2\n0.5\t25\t1000\t2\n",
        &["--column", "busy=cpu:%", "--column", "mem:used=rss:KiB", "--column", "in=net_rx:kB/s", "--time", "t"],
    );
    let from_1970 = |text: &str| text.replace("1970-01-01T00:", "");
    assert_eq!(from_1970(&told[0]), "00:00Z 500000000 0 125000000 1024000 1000 ");
    assert_eq!(from_1970(&told[1]), "00:00.500Z 500000000 0 125000000 1024000 1000 ");
    assert!(blind.contains("told as if that had been in 1970"), "{blind}");
    // Rows of `osd export --kind samples` come back as they were, whose they were too.
    let run = dir.path().join("run.parquet");
    Synth { duration_s: 20, ..Synth::default() }.write(&run).unwrap();
    let table = osd_ok(["export", run.to_str().unwrap(), "--to", "csv", "--kind", "samples"]);
    import(&table, &[]);
    let counters = "SELECT pid, sum(cpu_ns), sum(n_syscalls), max(rss_file_bytes), sum(net_tx_bytes), sum(syscall_ns) FROM samples GROUP BY pid ORDER BY pid";
    let of = |path: &Path| osd_ok(["sql", path.to_str().unwrap(), counters, "--format", "csv"]);
    assert_eq!(of(&dir.path().join("t.parquet")), of(&run));
}

#[test]
fn tables_that_say_nothing_are_refused_and_hostile_ones_are_read() {
    let dir = tempfile::tempdir().unwrap();
    for (name, table, options, wanted) in [
        ("empty.csv", "", &[][..], "it is empty"),
        ("none.csv", "a,b\n1,2\n", &[], "it has no column of times; its columns are `a`, `b`"),
        ("no_metric.csv", "time,b\n1,2\n", &[], "none of its columns is a metric that osd knows; they are `time`, `b`"),
        ("no_time.csv", "time,cpu\nx,2\n", &[], "no row has a time"),
        ("a.csv", "time,cpu\n1,2\n", &["--time", "when"], "it has no column `when`; its columns are `time`, `cpu`"),
        ("b.csv", "time,cpu\n1,2\n", &["--column", "x=cpu"], "it has no column `x`"),
        (
            "c.csv",
            "time,a,b\n1,2,3\n",
            &["--column", "a=cpu", "--column", "b=cpu"],
            "two of its columns are to be cpu_ns",
        ),
        ("d.csv", "time,cpu\n1,2\n", &["--column", "cpu=cpu:MiB"], "`MiB` is no unit of cpu"),
        ("e.csv", "time,cpu\n1,2\n", &["--interval", "0"], "interval"),
    ] {
        std::fs::write(dir.path().join(name), table).unwrap();
        let args = [&["import", name, "-o", "r.parquet"][..], options].concat();
        let out = osd(args.iter().map(|a| if *a == name { dir.path().join(name) } else { PathBuf::from(a) }));
        assert!(out.status.code() == Some(2) && text(&out.stderr).contains(wanted), "{name}: {}", text(&out.stderr));
    }
    let said = refused(dir.path(), &["import", "none.csv", "-o", "r.parquet"]);
    assert!(said.contains("hint: the first line names the columns; name that of the times with --time"), "{said}");
    // No text, no end, quotes that do not close, a clock that jumps, rows that go back, numbers that are too large, a process without a number.
    let mut bytes =
        b"time,cpu,mem,pid,comm\n1767225600,1,2,7,\"a\xff\n1767225601,1e300,2,7,b\n\"1767225602,1\n".to_vec();
    bytes.extend(b"1767225603,inf,-1,7,c\x1b[31m\n1767225600,1,2,x,d\n9000000000,1,2,7,e\n1767225599,1,99999999999999999999,7,f\n,,,,\n1767225604,1");
    bytes.extend(vec![b'0'; 3 << 20]);
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("h.csv"), bytes).unwrap();
    let said = osd(["import", &path("h.csv"), "-o", &path("h.parquet")]);
    assert!(said.status.success(), "{}", text(&said.stderr));
    assert!(text(&said.stderr).contains("lines not understood"), "{}", text(&said.stderr));
    assert!(!rows(&dir.path().join("h.parquet"), Kind::Sample).is_empty());
    assert!(!osd_ok(["info", &path("h.parquet")]).contains('\u{1b}'));
    assert!(matches!(osd(["analyze", &path("h.parquet")]).status.code(), Some(0 | 1)));
}
