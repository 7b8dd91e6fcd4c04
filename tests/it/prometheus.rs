//! The door to Prometheus: what is exported is taken by its own tool without a loss, and a server
//! over it answers queries as `osd sql` does.

use crate::export::python;
use crate::score::scene;
use crate::support::{osd, osd_ok, text, until};
use osd_recording::rows::{Owner, Process, ProcessEvent, Sample};
use osd_recording::{Metadata, ProcId, Writer, WriterOptions};
use osd_synth::{PID, START_NS, Synth};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A Prometheus on loopback that ends with the test.
pub(crate) struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Over the blocks in `data`, by the configuration `config`.
    pub(crate) fn start(dir: &Path, data: &Path, config: &str) -> Self {
        let path = dir.join("prometheus.yml");
        std::fs::write(&path, config).unwrap();
        // Free a moment ago, which on a loopback of one's own is free.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg("--storage.tsdb.retention.time=100y")
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=warn")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { child, port };
        until("Prometheus is ready", || get(port, "/-/ready", &[]).is_some_and(|(head, _)| head.contains(" 200 ")));
        server
    }

    /// What it answers to a query at a time, UTC s.
    pub(crate) fn query(&self, expression: &str, at_s: f64) -> Vec<serde_json::Value> {
        let encoded: String = expression.bytes().map(|b| format!("%{b:02x}")).collect();
        let path = format!("/api/v1/query?query={encoded}&time={at_s}");
        let (head, body) = get(self.port, &path, &[]).unwrap();
        assert!(head.contains(" 200 "), "{expression}: {head}{body}");
        let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer["status"], "success", "{expression}: {body}");
        answer["data"]["result"].as_array().unwrap().clone()
    }

    /// The only value of the answer.
    pub(crate) fn value(&self, expression: &str, at_s: f64) -> f64 {
        let result = self.query(expression, at_s);
        assert_eq!(result.len(), 1, "{expression} at {at_s}: {result:?}");
        result[0]["value"][1].as_str().unwrap().parse().unwrap()
    }
}

/// Head and body of what a server on loopback answers.
pub(crate) fn get(port: u16, path: &str, headers: &[&str]) -> Option<(String, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let headers: String = headers.iter().map(|h| format!("{h}\r\n")).collect();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n{headers}\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.to_owned(), body.to_owned()))
}

/// Whether Prometheus is here; in CI it must be.
pub(crate) fn has_prometheus(test: &str) -> bool {
    let there = Command::new("promtool").arg("--version").output().is_ok();
    if !there {
        assert!(std::env::var_os("CI").is_none(), "`make install-deps` installs prometheus");
        eprintln!("SKIPPED {test}: promtool is not installed");
    }
    there
}

/// Exports with `args` and makes blocks of it; how many samples and series osd says that it wrote.
pub(crate) fn blocks(dir: &Path, args: &[&str]) -> (PathBuf, u64, u64) {
    let (om, data) = (dir.join("run.om"), dir.join("data"));
    let out = osd([&["export", "--to", "openmetrics", "--force", "-o", om.to_str().unwrap()], args].concat());
    assert!(out.status.success(), "{}", text(&out.stderr));
    let said: Vec<u64> = text(&out.stderr)
        .split_whitespace()
        .collect::<Vec<_>>()
        .concat()
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|n| n.parse().ok())
        .collect();
    let made = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([&om, &data])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}{}", text(&made.stdout), text(&made.stderr));
    (data, said[0], said[1])
}

/// Samples and series of all blocks in `data`, as Prometheus counts them.
fn in_blocks(data: &Path) -> (u64, u64) {
    let metas = std::fs::read_dir(data).unwrap().map(|e| e.unwrap().path().join("meta.json")).filter(|p| p.is_file());
    let stats = metas.map(|p| serde_json::from_str::<serde_json::Value>(&std::fs::read_to_string(p).unwrap()).unwrap());
    let all: Vec<_> = stats
        .map(|m| (m["stats"]["numSamples"].as_u64().unwrap(), m["stats"]["numSeries"].as_u64().unwrap()))
        .collect();
    // A series that crosses a boundary of blocks is in both.
    (all.iter().map(|s| s.0).sum(), all.iter().map(|s| s.1).max().unwrap())
}

const QUIET: &str = "global: {scrape_interval: 1h}\n";

/// promtool drops samples that are out of order without a word, so they are counted on both sides. Then a server over the blocks is asked
/// what `osd sql` is asked.
#[test]
fn a_backfill_loses_no_sample_and_answers_as_sql_does() {
    if !has_prometheus("a_backfill_loses_no_sample_and_answers_as_sql_does") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.parquet");
    Synth { duration_s: 60, fault_s: Some((30, 34)), ..Synth::default() }.write(&path).unwrap();
    let path = path.to_str().unwrap();
    let (data, samples, series) = blocks(dir.path(), &[path]);
    assert!(samples > 3_000 && series > 100, "{samples} {series}");
    assert_eq!(in_blocks(&data), (samples, series));

    let server = Server::start(dir.path(), &data, QUIET);
    let sql = |statement: &str| -> f64 {
        let csv = osd_ok(["sql", path, statement, "--format", "csv"]);
        csv.lines().nth(1).unwrap().parse().unwrap()
    };
    let start_s = (START_NS / 1_000_000_000) as f64;
    for (expression, statement) in [
        ("osd_process_cpu_seconds_total", "SELECT sum(cpu_ns) / 1e9 FROM samples"),
        ("osd_process_syscalls_total", "SELECT sum(n_syscalls) FROM samples"),
        ("sum(osd_syscalls_total)", "SELECT sum(count) FROM tallies"),
        ("osd_syscalls_total{syscall=\"fsync\"}", "SELECT sum(count) FROM tallies WHERE syscall = 'fsync'"),
        ("sum(osd_syscall_errors_total)", "SELECT sum(errors) FROM tallies"),
        ("sum(osd_syscall_duration_seconds_sum)", "SELECT sum(total_ns) / 1e9 FROM tallies"),
        ("sum(osd_syscall_duration_seconds_count)", "SELECT sum(count) FROM tallies"),
        ("sum(osd_lost_total)", "SELECT sum(count) FROM losses"),
        ("osd_host_memory_bytes", "SELECT max(mem_total_bytes) FROM systems"),
        (
            "sum(osd_process_resident_memory_bytes)",
            "SELECT rss_anon_bytes + rss_file_bytes + rss_shmem_bytes FROM samples ORDER BY ts DESC LIMIT 1",
        ),
    ] {
        let (ours, theirs) = (sql(statement), server.value(expression, start_s + 61.0));
        assert!((ours - theirs).abs() <= ours.abs() * 1e-12, "{expression}: {theirs}, and SQL says {ours}");
    }
    // A rate over ten seconds whose ends are samples needs no guess by Prometheus: it is the difference by the time.
    let during = "ts >= '2026-01-01T00:00:20Z' AND ts < '2026-01-01T00:00:30Z'";
    let ours = sql(&format!("SELECT sum(n_syscalls) / 10.0 FROM samples WHERE {during}"));
    let theirs = server.value("rate(osd_process_syscalls_total[10s])", start_s + 30.0);
    assert!((ours / theirs - 1.0).abs() < 1e-9, "{theirs} a second, and SQL says {ours}");
    // Within the bucket that holds it.
    let wanted =
        sql("SELECT histogram_quantile(histogram_merge(latency_log2), 0.5) FROM tallies WHERE syscall = 'fsync'") / 1e9;
    let half = "histogram_quantile(0.5, osd_syscall_duration_seconds_bucket{syscall=\"fsync\"})";
    let found = server.value(half, start_s + 61.0);
    assert!(found / wanted < 2.0 && wanted / found < 2.0, "{found} s, and SQL says {wanted} s");
}

/// A process that gives itself a name of quotes, line breaks and the end of the text.
fn hostile(path: &Path) -> u64 {
    let mut writer = Writer::create(path, WriterOptions { force: true, ..WriterOptions::default() }).unwrap();
    let names = ["a\"b\\", "x\n# EOF\n", "{le=\"1\"} 1 2", "\u{202e}gnp", "\u{1b}[31m\0"];
    for (i, name) in names.iter().enumerate() {
        let pid = PID + i as u32;
        let owner = Owner { proc: ProcId::new("h", pid, 1), pid, cgroup_id: 0 };
        writer
            .push(Process {
                ts_ns: START_NS,
                owner,
                tid: pid,
                event: ProcessEvent::Running,
                ppid: 1,
                parent: None,
                comm: (*name).into(),
                exe: None,
                argv: None,
                uid: 0,
                exit_code: None,
                exit_signal: None,
                start_ts_ns: START_NS,
                ns_pid: None,
                pid_ns: None,
            })
            .unwrap();
        for tick in 0..50 {
            let ts_ns = START_NS + tick * 100_000_000;
            writer.push(Sample { ts_ns, dur_ns: 100_000_000, owner, cpu_ns: 1_000_000, ..Sample::default() }).unwrap();
        }
    }
    let mut metadata = Metadata {
        started_ns: START_NS,
        ended_ns: START_NS + 5_000_000_000,
        interval_ns: 100_000_000,
        ..Metadata::default()
    };
    metadata.host.hostname = "ho\"st\n".into();
    metadata.recording_id = "r".into();
    writer.close(metadata).unwrap();
    names.len() as u64
}

#[test]
fn hostile_names_are_labels_and_nothing_else_and_processes_are_bounded() {
    if !has_prometheus("hostile_names_are_labels_and_nothing_else_and_processes_are_bounded") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.parquet");
    let n = hostile(&path);
    let (data, samples, series) = blocks(dir.path(), &[path.to_str().unwrap()]);
    assert_eq!(in_blocks(&data), (samples, series));
    let server = Server::start(dir.path(), &data, QUIET);
    let at_s = (START_NS / 1_000_000_000 + 5) as f64;
    assert_eq!(server.value("count(osd_process_cpu_seconds_total)", at_s), n as f64);
    drop(server);
    std::fs::remove_dir_all(&data).unwrap();
    let (data, samples, series) = blocks(dir.path(), &[path.to_str().unwrap(), "--processes", "2"]);
    assert_eq!(in_blocks(&data), (samples, series));
    let server = Server::start(dir.path(), &data, QUIET);
    assert_eq!(server.value("count(osd_process_cpu_seconds_total)", at_s), 3.0);
    assert_eq!(server.value("sum(osd_process_cpu_seconds_total)", at_s), 0.25);
    assert!((server.value("osd_process_cpu_seconds_total{comm=\"(others)\"}", at_s) - 0.15).abs() < 1e-12);
}

/// By the parser of the format's own Python library, which takes nothing that is interleaved, out of order or misnamed.
#[test]
fn the_strict_parser_of_openmetrics_takes_it() {
    let Some(python) = python("the_strict_parser_of_openmetrics_takes_it") else { return };
    let (scene, dir) = (scene(), tempfile::tempdir().unwrap());
    let findings = dir.path().join("findings.json");
    let run = scene.path().join("run.parquet");
    std::fs::write(&findings, osd(["analyze", run.to_str().unwrap(), "--format", "json"]).stdout).unwrap();
    let om = dir.path().join("run.om");
    let (run, findings, om) = (run.to_str().unwrap(), findings.to_str().unwrap(), om.to_str().unwrap());
    let out = osd(["export", run, "--to", "openmetrics", "--findings", findings, "-o", om]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    // Of a histogram it takes one time at once: with several it forgets buckets (0.26: `group_timestamp_samples` outlives its time).
    let script = "
import collections, io, sys
from prometheus_client.openmetrics.parser import text_fd_to_metric_families
rest, head, times = [], [], collections.defaultdict(list)
name = 'osd_syscall_duration_seconds'
for line in open(sys.argv[1]):
    if line.startswith('#') and line.split()[1] != 'EOF' and line.split()[2] == name:
        head.append(line)
    elif line.startswith(name):
        times[line.split()[-1]].append(line)
    else:
        rest.append(line)
texts = [''.join(rest)] + [''.join(head + lines) + '# EOF\\n' for lines in times.values()]
samples, series, types = 0, set(), {}
for text in texts:
    for family in text_fd_to_metric_families(io.StringIO(text)):
        types[family.name] = family.type
        for s in family.samples:
            samples += 1
            series.add((s.name, tuple(sorted(s.labels.items()))))
print(samples, len(series), types['osd_process_cpu_seconds'], types[name], 'osd_anomaly_severity' in types)
";
    let read = Command::new(python).args(["-c", script, om]).output().unwrap();
    assert!(read.status.success(), "{}", text(&read.stderr));
    let said = text(&out.stderr).replace(' ', "");
    let (samples, rest) = said.trim_start_matches("exported").split_once("samplesof").unwrap();
    let series = rest.trim().trim_end_matches("series");
    assert_eq!(text(&read.stdout), format!("{samples} {series} counter histogram True\n"));
}

#[test]
fn recordings_of_one_host_at_one_time_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (name, host) in [("a", "one"), ("b", "one"), ("c", "two")] {
        let synth = Synth { duration_s: 5, host: host.into(), seed: u64::from(name.as_bytes()[0]), ..Synth::default() };
        synth.write(dir.path().join(format!("{name}.parquet"))).unwrap();
    }
    let said = crate::bad_input::refused(dir.path(), &["export", "a.parquet", "b.parquet", "--to", "openmetrics"]);
    assert!(said.contains("a.parquet and b.parquet are of one host and of the same time"), "{said}");
    let (a, c) = (dir.path().join("a.parquet"), dir.path().join("c.parquet"));
    let both = osd_ok(["export", a.to_str().unwrap(), c.to_str().unwrap(), "--to", "openmetrics"]);
    assert!(both.contains("{instance=\"one\",") && both.contains("{instance=\"two\","));
}
