//! `osd sql`: statement in, text out.

use osd_recording::rows::{Label, Owner, Process, ProcessEvent};
use osd_recording::{Metadata, ProcId, Writer, WriterOptions};
use osd_synth::Synth;
use std::path::{Path, PathBuf};
use std::process::Command;

fn synth(dir: &Path, name: &str, seed: u64) -> PathBuf {
    let path = dir.join(name);
    let synth = Synth { seed, duration_s: 12, syscalls_per_s: 200, fault_s: Some((6, 8)), ..Synth::default() };
    synth.write(&path).unwrap();
    path
}

/// Runs `osd sql` in `dir`; returns status, stdout, stderr.
fn run(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_osd")).arg("sql").args(args).current_dir(dir).output().unwrap();
    let text = |b: Vec<u8>| String::from_utf8(b).unwrap();
    (out.status.code().unwrap(), text(out.stdout), text(out.stderr))
}

fn answer(args: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    synth(dir.path(), "run.parquet", 1);
    let mut all = vec!["run.parquet"];
    all.extend(args);
    let (code, stdout, stderr) = run(dir.path(), &all);
    assert_eq!(code, 0, "{stderr}");
    stdout
}

#[test]
fn every_kind_has_its_view() {
    insta::assert_snapshot!(answer(&["--format", "csv", "
        SELECT 'samples' AS v, count(*) AS n FROM samples UNION ALL SELECT 'systems', count(*) FROM systems
        UNION ALL SELECT 'labels', count(*) FROM labels UNION ALL SELECT 'losses', sum(count) FROM losses
        UNION ALL SELECT 'processes', count(*) FROM processes ORDER BY v"]), @"
    v,n
    labels,1
    losses,250
    processes,1
    samples,120
    systems,120
    ");
}

#[test]
fn counted_is_recorded_plus_lost() {
    insta::assert_snapshot!(answer(&["--format", "csv", "
        SELECT (SELECT sum(count) FROM tallies) - (SELECT count(*) FROM syscalls) AS missing,
               (SELECT sum(count) FROM losses WHERE stream = 'syscall') AS lost"]), @"
    missing,lost
    250,250
    ");
}

#[test]
fn functions_answer() {
    insta::assert_snapshot!(answer(&["
        SELECT time_bucket('5s', ts) AS t, errno_name(2) AS e, errno_name(0) AS none,
               histogram_quantile(make_array(0, 0, 0, 10), 0.5) BETWEEN 8 AND 16 AS inside, count(*) AS n
        FROM samples GROUP BY t ORDER BY t"]), @"
    +----------------------+--------+------+--------+----+
    | t                    | e      | none | inside | n  |
    +----------------------+--------+------+--------+----+
    | 2026-01-01T00:00:00Z | ENOENT |      | true   | 50 |
    | 2026-01-01T00:00:05Z | ENOENT |      | true   | 50 |
    | 2026-01-01T00:00:10Z | ENOENT |      | true   | 20 |
    +----------------------+--------+------+--------+----+
    ");
}

#[test]
fn merged_histograms_hold_every_call() {
    let out = answer(&[
        "--format",
        "ndjson",
        "
        SELECT syscall, sum(count) AS n, array_to_string(histogram_merge(latency_log2), '+') AS h,
               histogram_quantile(histogram_merge(latency_log2), 0.99) AS p99
        FROM tallies GROUP BY syscall ORDER BY n DESC",
    ]);
    for line in out.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let sum: u64 = row["h"].as_str().unwrap().split('+').map(|n| n.parse::<u64>().unwrap()).sum();
        assert_eq!(Some(sum), row["n"].as_u64(), "{row}");
        assert!(row["p99"].as_f64().unwrap() > 100.0, "{row}");
    }
    assert_eq!(out.lines().count(), 6);
}

#[test]
fn lists_are_json_in_csv_and_in_json() {
    let list = "SELECT latency_log2 AS h FROM tallies WHERE syscall = 'read' ORDER BY ts LIMIT 1";
    let csv = answer(&["--format", "csv", list]);
    assert!(csv.starts_with("h\n\"[0,0,"), "{csv}");
    let json: serde_json::Value = serde_json::from_str(&answer(&["--format", "json", list])).unwrap();
    assert_eq!(json[0]["h"][0], 0);
    assert_eq!(answer(&["--format", "csv", "SELECT ts FROM samples WHERE false"]), "ts\n");
    assert_eq!(answer(&["--format", "json", "SELECT ts FROM samples WHERE false"]).trim(), "[]");
}

#[test]
fn files_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    // Names that a URL or a glob would take apart.
    synth(dir.path(), "a b%20*.parquet", 1);
    synth(dir.path(), "ü#?.parquet", 2);
    let (code, stdout, stderr) = run(
        dir.path(),
        &[
            "a b%20*.parquet",
            "ü#?.parquet",
            "--format",
            "csv",
            "SELECT recording, count(*) AS n FROM samples GROUP BY 1 ORDER BY 1",
        ],
    );
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(stdout, "recording,n\na b%20*.parquet,120\nü#?.parquet,120\n");
}

#[test]
fn bad_sql_is_one_line_with_what_there_is() {
    let dir = tempfile::tempdir().unwrap();
    synth(dir.path(), "run.parquet", 1);
    let error = |statement: &str| {
        let (code, stdout, stderr) = run(dir.path(), &["run.parquet", statement]);
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
        stderr
    };
    insta::assert_snapshot!(error("SELECT 1 FROM smaples"), @"
    error: no table `smaples`
    hint: there are: recording, samples, tallies, syscalls, processes, systems, losses, labels, cgroups, neighbours, threads, descriptors, capabilities, containers, stacks, files, flows
    ");
    insta::assert_snapshot!(error("SELECT nam FROM labels"), @"
    error: no column `nam`
    hint: did you mean `name`? there are: ts, dur_ns, name, note, recording
    ");
    let parse = error("SELECT FROM WHERE");
    assert!(parse.starts_with("error: ") && parse.lines().count() <= 2, "{parse}");
    let copy = error("COPY samples TO 'x.csv'");
    assert!(copy.starts_with("error: ") && !dir.path().join("x.csv").exists(), "{copy}");
}

#[test]
fn what_is_no_recording_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x.parquet"), "not parquet").unwrap();
    let (code, stdout, stderr) = run(dir.path(), &["x.parquet", "SELECT 1"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    insta::assert_snapshot!(stderr, @"
    error: x.parquet is not a Parquet file
    hint: osd reads what `osd record -o FILE` wrote
    ");
}

#[test]
fn losses_are_told_where_they_matter() {
    let dir = tempfile::tempdir().unwrap();
    synth(dir.path(), "run.parquet", 1);
    let warnings = |statement: &str| run(dir.path(), &["run.parquet", statement]).2;
    insta::assert_snapshot!(warnings("SELECT count(*) FROM syscalls"), @"warning: run.parquet: rows not recorded: 250 syscall (ring_full); `tallies` are exact");
    assert_eq!(warnings("SELECT count(*) FROM tallies"), "");
    // By the time that is looked at, too: 250 were lost in one second.
    let at = run(dir.path(), &["run.parquet", "SELECT ts FROM losses", "--format", "csv"]).1;
    let at = at.lines().nth(1).unwrap();
    assert_eq!(warnings(&format!("SELECT count(*) FROM syscalls WHERE ts < '{at}'")), "");
    assert_eq!(
        warnings(&format!("SELECT count(*) FROM syscalls WHERE ts > '{at}'::timestamp + interval '1 minute'")),
        ""
    );
    let around =
        format!("SELECT count(*) FROM syscalls WHERE ts BETWEEN '{at}'::timestamp - interval '1 second' AND '{at}'");
    assert!(warnings(&around).contains("250 syscall (ring_full)"), "{}", warnings(&around));
}

#[test]
fn an_output_file_is_whole_and_never_replaced_unasked() {
    let dir = tempfile::tempdir().unwrap();
    synth(dir.path(), "run.parquet", 1);
    let write = |extra: &[&str]| {
        let mut args =
            vec!["run.parquet", "SELECT ts, cpu_ns FROM samples", "--format", "parquet", "-o", "out.parquet"];
        args.extend(extra);
        run(dir.path(), &args)
    };
    assert_eq!(write(&[]), (0, String::new(), String::new()));
    let (code, _, stderr) = write(&[]);
    assert_eq!(code, 2);
    assert!(stderr.contains("out.parquet exists already") && stderr.contains("--force"), "{stderr}");
    assert_eq!(write(&["--force"]).0, 0);
    let file = std::fs::File::open(dir.path().join("out.parquet")).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    assert_eq!(reader.metadata().file_metadata().num_rows(), 120);
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn statements_come_from_a_file_too() {
    let dir = tempfile::tempdir().unwrap();
    synth(dir.path(), "run.parquet", 1);
    std::fs::write(
        dir.path().join("q.sql"),
        "-- two; statements\nSELECT ';' AS a;\nSELECT count(*) AS b FROM labels;\n",
    )
    .unwrap();
    let (code, stdout, stderr) = run(dir.path(), &["run.parquet", "-f", "q.sql", "--format", "csv"]);
    assert_eq!((code, stdout.as_str()), (0, "a\n;\nb\n1\n"), "{stderr}");
}

#[test]
fn hostile_names_do_not_reach_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(dir.path().join("run.parquet"), WriterOptions::default()).unwrap();
    writer
        .push(Process {
            ts_ns: 1,
            owner: Owner { proc: ProcId(1), pid: 1, cgroup_id: 0 },
            tid: 1,
            event: ProcessEvent::Running,
            ppid: 0,
            parent: None,
            comm: "a\u{1b}[2Jb\nc".into(),
            exe: None,
            argv: None,
            uid: 0,
            exit_code: None,
            exit_signal: None,
            start_ts_ns: 0,
            ns_pid: None,
            pid_ns: None,
        })
        .unwrap();
    writer.push(Label { ts_ns: 1, dur_ns: 1, name: "x".into(), note: String::new() }).unwrap();
    writer.close(Metadata::default()).unwrap();
    let (code, stdout, stderr) = run(dir.path(), &["run.parquet", "SELECT comm FROM processes"]);
    assert_eq!(code, 0, "{stderr}");
    insta::assert_snapshot!(stdout, @"
    +----------+
    | comm     |
    +----------+
    | a�[2Jb�c |
    +----------+
    ");
}

#[test]
fn other_kinds_are_pruned_by_statistics() {
    let plan = |text: &str| answer(&["--format", "csv", text]);
    let counted = plan("EXPLAIN ANALYZE SELECT sum(cpu_ns) FROM samples WHERE ts > TIMESTAMP '2026-01-01T00:00:01Z'");
    let pruned = counted.split("row_groups_pruned_statistics=").nth(1).unwrap().split(',').next().unwrap();
    // Seven row groups, one kind each: six are not even asked.
    assert!(pruned.starts_with("1 total") && pruned.contains("1 matched"), "{pruned}");
    // Whose rows are all of the kind has no row compared with it, nor the column read.
    let scanned = plan("EXPLAIN SELECT sum(cpu_ns) FROM samples WHERE cpu_ns > 5");
    assert!(scanned.contains("predicate=cpu_ns"), "{scanned}");
    let physical = scanned.split("physical_plan").nth(1).unwrap();
    assert!(!physical.contains("kind"), "{physical}");
    // What statistics cannot decide is compared.
    let compared = plan("EXPLAIN SELECT sum(cpu_ns) FROM recording WHERE kind <> 'sample'");
    assert!(compared.split("physical_plan").nth(1).unwrap().contains("kind"), "{compared}");
}

#[test]
fn groups_of_text_and_numbers_are_numbered_and_others_are_not() {
    let plan =
        |by: &str| answer(&["--format", "csv", &format!("EXPLAIN SELECT {by}, count(*) FROM syscalls GROUP BY {by}")]);
    for by in ["syscall", "tid", "errno, syscall, fd", "time_bucket('1s', ts)", "path", "recording"] {
        assert!(plan(by).contains("DictionaryAggregateExec: mode=Partial"), "{by}: {}", plan(by));
    }
    for by in ["syscall || ''", "ret / 2.5", "syscall, errno IS NULL"] {
        assert!(!plan(by).contains("DictionaryAggregateExec"), "{by}");
    }
}

/// Rows of a kind by the plan that compares them one by one, which no statistics decide.
const ONE_BY_ONE: &str = "(SELECT * FROM recording WHERE kind || '' = 'syscall')";

#[test]
fn answers_are_the_same_by_numbers_and_by_values() {
    let dir = tempfile::tempdir().unwrap();
    for (name, seed) in [("a.parquet", 1), ("b.parquet", 2)] {
        let synth = Synth { seed, duration_s: 12, syscalls_per_s: 20_000, fault_s: Some((6, 8)), ..Synth::default() };
        synth.write(dir.path().join(name)).unwrap();
    }
    // The last one has about as many groups as rows, which are handed on as they are.
    let questions = [
        ("syscall", "count(*), min(dur_ns), max(path)", ""),
        ("tid", "count(*), sum(dur_ns), avg(dur_ns)", ""),
        ("syscall, errno", "count(*), count(errno), count(*) FILTER (WHERE ret < 0)", ""),
        (
            "errno, fd",
            "sum(ret), count(DISTINCT syscall)",
            "WHERE syscall IN ('read', 'write', 'openat') AND ret >= -2",
        ),
        ("path", "count(*), first_value(syscall ORDER BY ts)", "WHERE ts >= TIMESTAMP '2026-01-01T00:00:05Z'"),
        ("recording, time_bucket('1s', ts)", "count(*), percentile_cont(0.99) WITHIN GROUP (ORDER BY dur_ns)", ""),
        ("syscall, recording, tid", "median(dur_ns), stddev(dur_ns) > 0", "WHERE path IS NOT NULL OR errno IS NULL"),
        ("ts, dur_ns, syscall", "count(*), max(ret), bool_or(errno = 2)", ""),
    ];
    for (by, found, filter) in questions {
        let ask = |from: &str, more: &str| {
            let text = format!("SELECT {by}, {found} FROM {from} {filter} GROUP BY {by}{more}");
            let (code, stdout, stderr) = run(dir.path(), &["a.parquet", "b.parquet", "--format", "csv", &text]);
            assert_eq!(code, 0, "{text}: {stderr}");
            let mut lines: Vec<String> = stdout.lines().skip(1).map(str::to_owned).collect();
            lines.sort();
            assert!(lines.len() > 1, "{text}");
            lines
        };
        // A group column that is neither text nor a number takes the other way.
        assert!(ask("syscalls", "") == ask(ONE_BY_ONE, ", errno IS NULL AND kind IS NULL"), "{by}");
    }
}

#[test]
fn kinds_are_chosen_however_they_are_asked_for() {
    for (filter, n) in [
        ("kind = 'sample'", "120"),
        ("'sample' = kind", "120"),
        ("kind = 'nothing'", "0"),
        ("kind = 'sample' AND kind = 'system'", "0"),
        ("kind IN ('sample', 'system')", "240"),
        ("kind = 'sample' OR kind = 'system'", "240"),
        ("kind = NULL", "0"),
        ("NOT (kind = 'sample') AND kind = 'system'", "120"),
        ("kind = 'sample' AND ts < TIMESTAMP '2026-01-01T00:00:06Z'", "60"),
    ] {
        let text = format!("SELECT count(*) AS n FROM recording WHERE {filter}");
        assert_eq!(answer(&["--format", "csv", &text]), format!("n\n{n}\n"), "{filter}");
    }
}

/// As another program may write a recording again: no statistics, and rows of all kinds in one row group.
#[test]
fn where_statistics_leave_kinds_open_rows_are_compared() {
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::file::properties::{EnabledStatistics, WriterProperties};
    let dir = tempfile::tempdir().unwrap();
    let from = std::fs::File::open(synth(dir.path(), "whole.parquet", 1)).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(from).unwrap();
    let keys = reader.metadata().file_metadata().key_value_metadata().cloned().unwrap();
    let keys = keys.into_iter().filter(|k| k.key == "osd.recording").collect();
    let properties =
        WriterProperties::builder().set_statistics_enabled(EnabledStatistics::None).set_key_value_metadata(Some(keys));
    let to = std::fs::File::create(dir.path().join("open.parquet")).unwrap();
    let mut writer =
        ArrowWriter::try_new(to, std::sync::Arc::clone(reader.schema()), Some(properties.build())).unwrap();
    reader.build().unwrap().for_each(|batch| writer.write(&batch.unwrap()).unwrap());
    writer.close().unwrap();
    let ask = |name: &str, text: &str| {
        let (code, stdout, stderr) = run(dir.path(), &[name, "--format", "csv", text]);
        assert_eq!(code, 0, "{stderr}");
        stdout
    };
    for text in [
        "SELECT count(*), sum(cpu_ns) FROM samples",
        "SELECT syscall, errno, count(*) AS n FROM syscalls GROUP BY syscall, errno ORDER BY n DESC, syscall, errno",
        "SELECT ts, dur_ns FROM syscalls WHERE ts >= TIMESTAMP '2026-01-01T00:00:03Z' ORDER BY dur_ns DESC, ts LIMIT 9",
    ] {
        assert_eq!(ask("open.parquet", text), ask("whole.parquet", text), "{text}");
    }
    let plan = ask("open.parquet", "EXPLAIN SELECT sum(cpu_ns) FROM samples");
    assert!(plan.split("physical_plan").nth(1).unwrap().contains("kind@"), "{plan}");
}

/// Comments, quotes and `;` are what the parser that runs them says they are.
#[test]
fn statements_are_split_by_their_own_grammar() {
    let dir = tempfile::tempdir().unwrap();
    synth(dir.path(), "r.parquet", 1);
    let csv = |args: &[&str]| {
        let (code, stdout, stderr) = run(dir.path(), &[&["r.parquet", "--format", "csv"], args].concat());
        assert_eq!(code, 0, "{args:?}: {stderr}");
        stdout
    };
    for (statement, answer) in [
        ("select 1 /* ; */ as a", "a\n1\n"),
        ("select $$a;b$$ as a", "a\na;b\n"),
        ("select 1 /* don't */ as a; select 2 as b", "a\n1\nb\n2\n"),
        ("select /* a /* nested; */ ; */ 1 as a", "a\n1\n"),
        ("select E'it\\'s; so' as a", "a\nit's; so\n"),
        ("-- by hour; and day\nSELECT 1 AS a", "a\n1\n"),
        ("--by hour\nSELECT 1 AS a", "a\n1\n"),
        ("--a=1, it's one\r\nSELECT 1 AS a;\r\n-- done", "a\n1\n"),
        ("\u{feff}SELECT ';' AS a;;", "a\n;\n"),
    ] {
        assert_eq!(csv(&[statement]), answer, "{statement}");
        std::fs::write(dir.path().join("s.sql"), statement).unwrap();
        assert_eq!(csv(&["-f", "s.sql"]), answer, "{statement}");
    }
    // Options go on being options, before and after it.
    assert_eq!(run(dir.path(), &["r.parquet", "-- x\nSELECT 1 AS a", "--format", "csv"]).1, "a\n1\n");
    assert_eq!(run(dir.path(), &["r.parquet", "--format=csv", "--", "-- x\nSELECT 1 AS a"]).1, "a\n1\n");
    let (code, _, stderr) = run(dir.path(), &["r.parquet", "--fromat", "csv", "SELECT 1"]);
    assert!(code == 2 && stderr.contains("--fromat"), "{stderr}");
    for comments in ["-- nothing yet\n", "/* select 1; */", "-- a\r\n-- b\r\n"] {
        std::fs::write(dir.path().join("s.sql"), comments).unwrap();
        let (code, stdout, stderr) = run(dir.path(), &["r.parquet", "-f", "s.sql"]);
        assert_eq!((code, stdout.as_str()), (0, ""), "{stderr}");
        assert_eq!(stderr, "note: there is no statement, only comments\n");
    }
    let (code, stdout, stderr) = run(dir.path(), &["r.parquet", "SELECT 1 AS a; SELEC 2"]);
    assert_eq!((code, stdout.as_str()), (2, ""), "nothing runs before all are understood: {stderr}");
}

/// The prompt splits as a file is split: typed at a terminal.
#[test]
fn the_prompt_waits_for_the_end_of_a_statement() {
    let dir = tempfile::tempdir().unwrap();
    synth(dir.path(), "r.parquet", 1);
    let typed = "select 1 /* ;\n*/ as one;\nselect ';\n' as two;\n\\x\nselect 3 as three; -- done;\n\\q\n";
    std::fs::write(dir.path().join("typed"), typed).unwrap();
    // `script` gives it a terminal.
    let osd = format!("{} sql r.parquet", env!("CARGO_BIN_EXE_osd"));
    let out = Command::new("script")
        .args(["-qec", &osd, "/dev/null"])
        .stdin(std::fs::File::open(dir.path().join("typed")).unwrap())
        .env("HOME", dir.path())
        .env("TERM", "dumb")
        .current_dir(dir.path())
        .output();
    let Ok(out) = out else {
        eprintln!("SKIPPED the_prompt_waits_for_the_end_of_a_statement: no program `script` here");
        return;
    };
    let said = String::from_utf8_lossy(&out.stdout).replace('\r', "");
    assert!(said.contains("| one |") && said.contains("| two |"), "{said}");
    assert!(said.contains("expanded display is on") && said.contains("three | 3"), "{said}");
    assert!(!said.contains("error:"), "{said}");
}

/// One argument of 4096 characters does not make every line as long.
#[test]
fn long_values_are_cut_in_a_table_and_nowhere_else() {
    let long = "x".repeat(4_000);
    let statement = format!("SELECT '{long}' AS argv, 123456789012345678 AS n, 'short' AS s");
    let dir = tempfile::tempdir().unwrap();
    synth(dir.path(), "run.parquet", 1);
    let (_, table, said) = run(dir.path(), &["run.parquet", &statement]);
    assert!(
        table.lines().all(|l| l.chars().count() < 150) && table.contains("x… | 123456789012345678 | short |"),
        "{table}"
    );
    assert!(said.starts_with("note: long values are cut at `…`"), "{said}");
    for args in [&["--wide"][..], &["-x"], &["--format", "csv"], &["--format", "json"], &["--format", "ndjson"]] {
        let (_, whole, said) = run(dir.path(), &[&["run.parquet", &statement], args].concat());
        assert!(whole.contains(&long) && said.is_empty(), "{args:?}: {said}");
    }
    insta::assert_snapshot!(run(dir.path(), &["run.parquet", "-x", "SELECT 'a' AS name, 1 AS n UNION ALL SELECT 'b', 2 ORDER BY n"]).1, @"
    -[ row 1 ]--
    name | a
    n    | 1
    -[ row 2 ]--
    name | b
    n    | 2
    ");
}
