//! `osd record --serve`, as a real Prometheus scrapes it, and what `contrib` has for both: alert
//! rules and a dashboard.

use crate::crash::{Load, finish};
use crate::prometheus::{Server, blocks, get, has_prometheus};
use crate::record::Place;
use crate::support::{has_given_up, osd, osd_ok, rows, sum, text, until};
use osd_recording::Kind;
use osd_synth::Synth;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A recorder that serves, and the port that it took.
struct Serving {
    child: Child,
    port: u16,
    said: BufReader<std::process::ChildStderr>,
}

impl Serving {
    fn start(path: &Path, options: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_osd"))
            .args(["record", "--status", "json", "--serve", "0", "-o"])
            .arg(path)
            .args(options)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let first: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert_eq!(first["event"], "serving", "{line}");
        let url = first["url"].as_str().unwrap();
        let port = url.strip_prefix("http://127.0.0.1:").unwrap().strip_suffix("/metrics").unwrap().parse().unwrap();
        Self { child, port, said }
    }

    fn metrics(&self, accept: &str) -> String {
        let (head, body) = get(self.port, "/metrics", &[accept]).unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        body
    }

    /// Closes the recording.
    fn end(mut self) {
        // SAFETY: a process this test started and has not waited for.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{rest}");
    }
}

/// What Prometheus' `rate` makes of samples (time in s, value) of the range that ends at `end_s`: their difference, drawn out to both ends of
/// the range, or half a step beyond where samples stop short of them (`extrapolatedRate` in promql/functions.go).
fn rate(samples: &[(f64, f64)], end_s: f64, range_s: f64) -> f64 {
    let (first, last) = (samples[0], samples[samples.len() - 1]);
    let (delta, sampled) = (last.1 - first.1, last.0 - first.0);
    let step = sampled / (samples.len() - 1) as f64;
    let mut before = first.0 - (end_s - range_s);
    if delta > 0.0 && first.1 >= 0.0 {
        // A counter cannot have been below 0.
        before = before.min(sampled * (first.1 / delta));
    }
    let after = end_s - last.0;
    let drawn_out = |gap: f64| if gap < step * 1.1 { gap } else { step / 2.0 };
    delta * ((sampled + drawn_out(before) + drawn_out(after)) / sampled) / range_s
}

/// Every value that was scraped is, to the nanosecond, what SQL sums up to the end of some interval of the finished recording; and a rate is what
/// Prometheus' own formula makes of those sums.
#[test]
fn what_prometheus_scrapes_of_a_recording_in_progress_is_what_sql_says_of_the_finished_one() {
    let test = "what_prometheus_scrapes_of_a_recording_in_progress_is_what_sql_says_of_the_finished_one";
    let Some(place) = Place::new(test) else { return };
    if !has_prometheus(test) {
        return;
    }
    let load = Load::start(&["loop", "2000000000"]);
    let recorder = Serving::start(&place.path(), &["-p", &load.pid(), "--syscalls", "tally"]);
    let config = format!(
        "global: {{scrape_interval: 300ms, scrape_timeout: 300ms}}\nscrape_configs: [{{job_name: osd, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}]\n",
        recorder.port
    );
    let server = Server::start(place.dir.path(), &place.dir.path().join("data"), &config);
    let cpu = format!("osd_process_cpu_seconds_total{{pid=\"{}\"}}", load.pid());
    let now_s = || crate::crash::now_ns() as f64 / 1e9;
    until("there are a dozen scrapes", || {
        let counted = server.query(&format!("count_over_time({cpu}[1m])"), now_s());
        counted.first().and_then(|r| r["value"][1].as_str()?.parse::<u64>().ok()).is_some_and(|n| n >= 12)
    });
    let scraped = |series: &str, range: &str, at_s: f64| -> Vec<(f64, String)> {
        let result = server.query(&format!("{series}[{range}]"), at_s);
        assert_eq!(result.len(), 1, "{series}: {result:?}");
        let values = result[0]["values"].as_array().unwrap().iter();
        values.map(|v| (v[0].as_f64().unwrap(), v[1].as_str().unwrap().to_owned())).collect()
    };
    let at_s = now_s();
    let calls = format!("osd_process_syscalls_total{{pid=\"{}\"}}", load.pid());
    let (cpu_values, calls_values) = (scraped(&cpu, "1m", at_s), scraped(&calls, "1m", at_s));
    let rates = [&cpu, &calls]
        .map(|series| (series, scraped(series, "2s", at_s), server.value(&format!("rate({series}[2s])"), at_s)));
    drop(server);
    recorder.end();

    let statement = format!(
        "SELECT sum(cpu_ns) OVER w AS cpu, sum(n_syscalls) OVER w AS n FROM samples WHERE pid = {} WINDOW w AS (ORDER BY ts)",
        load.pid()
    );
    let csv = osd_ok(["sql", place.path().to_str().unwrap(), &statement, "--format", "csv"]);
    let sums: Vec<(u64, u64)> = csv
        .lines()
        .skip(1)
        .map(|l| l.split_once(',').unwrap())
        .map(|(cpu, n)| (cpu.parse().unwrap(), n.parse().unwrap()))
        .collect();
    let nanoseconds = |text: &str| (text.parse::<f64>().unwrap() * 1e9).round() as u64;
    assert!(cpu_values.len() >= 12);
    for (at, value) in &cpu_values {
        assert!(sums.iter().any(|(cpu, _)| *cpu == nanoseconds(value)), "{value} s at {at} is no sum of SQL");
    }
    for (at, value) in &calls_values {
        let n = value.parse::<f64>().unwrap() as u64;
        assert!(sums.iter().any(|(_, calls)| *calls == n), "{value} calls at {at} is no sum of SQL");
    }
    for (series, samples, found) in rates {
        let samples: Vec<(f64, f64)> = samples.iter().map(|(at, value)| (*at, value.parse().unwrap())).collect();
        let wanted = rate(&samples, at_s, 2.0);
        assert!((found / wanted - 1.0).abs() < 1e-6, "{series}: {found} a second, and {wanted} by the same samples");
        assert!(found > 0.0);
    }
}

/// A replay of four times the speed is scraped as a recorder is: what is scraped is what SQL sums up to some row, and a rate is four times
/// that of the recording.
#[test]
fn what_prometheus_scrapes_of_a_replay_is_what_sql_says_of_the_recording() {
    let test = "what_prometheus_scrapes_of_a_replay_is_what_sql_says_of_the_recording";
    if !has_prometheus(test) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.parquet");
    Synth { duration_s: 60, fault_s: None, ..Synth::default() }.write(&path).unwrap();
    let mut replay = Command::new(env!("CARGO_BIN_EXE_osd"))
        .args(["replay", "--speed", "4", "--serve", "0"])
        .arg(&path)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(replay.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("serving http://").unwrap_or_else(|| panic!("{line}"));
    let target = address.strip_suffix("/metrics").unwrap();
    let config = format!(
        "global: {{scrape_interval: 300ms, scrape_timeout: 300ms}}\nscrape_configs: [{{job_name: osd, static_configs: [{{targets: ['{target}']}}]}}]\n"
    );
    let server = Server::start(dir.path(), &dir.path().join("data"), &config);
    let series = "osd_syscalls_total{syscall=\"read\"}";
    let now_s = || crate::crash::now_ns() as f64 / 1e9;
    until("there are two dozen scrapes", || {
        let counted = server.query(&format!("count_over_time({series}[1m])"), now_s());
        counted.first().and_then(|r| r["value"][1].as_str()?.parse::<u64>().ok()).is_some_and(|n| n >= 24)
    });
    let at_s = now_s();
    let result = server.query(&format!("{series}[1m]"), at_s);
    let values = result[0]["values"].as_array().unwrap().iter();
    let scraped: Vec<f64> = values.map(|v| v[1].as_str().unwrap().parse().unwrap()).collect();
    let per_s = server.value(&format!("rate({series}[4s])"), at_s);
    drop(server);
    // SAFETY: a process this test started and has not waited for.
    unsafe { libc::kill(replay.id() as i32, libc::SIGTERM) };
    assert!(replay.wait().unwrap().success());

    let statement = "SELECT sum(count) OVER (ORDER BY ts) AS n FROM tallies WHERE syscall = 'read'";
    let csv = osd_ok(["sql", path.to_str().unwrap(), statement, "--format", "csv"]);
    let sums: Vec<f64> = csv.lines().skip(1).map(|n| n.parse().unwrap()).collect();
    assert!(scraped.len() >= 24);
    for n in &scraped {
        assert!(sums.contains(n), "{n} calls are no sum of SQL");
    }
    let recorded = sums.last().unwrap() / 60.0;
    assert!((per_s / (4.0 * recorded) - 1.0).abs() < 0.15, "{per_s} a second, {recorded} when it was recorded");
}

#[test]
fn clients_that_are_slow_or_hostile_harm_no_recording_and_serving_needs_no_privilege() {
    let Some(place) = Place::new("clients_that_are_slow_or_hostile_harm_no_recording_and_serving_needs_no_privilege")
    else {
        return;
    };
    let load = Load::run(Command::new("tail").args(["---disable-inotify", "-f", "-s", "0.01", "/etc/hostname"]));
    let recorder = Serving::start(&place.path(), &["-p", &load.pid()]);
    let silent: Vec<TcpStream> = (0..32).map(|_| TcpStream::connect(("127.0.0.1", recorder.port)).unwrap()).collect();
    for text in
        ["\0\0\0", "GET", "POST /metrics HTTP/1.1\r\n\r\n", "GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n"]
    {
        let mut client = TcpStream::connect(("127.0.0.1", recorder.port)).unwrap();
        client.write_all(text.as_bytes()).unwrap();
    }
    let mut shouting = TcpStream::connect(("127.0.0.1", recorder.port)).unwrap();
    let _ = shouting.write_all(&vec![b'x'; 4 << 20]);
    until("somebody is heard all the same", || {
        get(recorder.port, "/metrics", &[])
            .is_some_and(|(_, body)| body.contains("osd_process_syscalls_total{comm=\"tail\""))
    });
    assert!(has_given_up(recorder.child.id()), "threads that answer have no privilege either");
    drop(silent);
    let plain = recorder.metrics("Accept: text/plain");
    assert!(plain.contains("# TYPE osd_syscalls_total counter\n") && plain.contains("\nprocess_cpu_seconds_total "));
    let open = recorder.metrics("Accept: application/openmetrics-text; version=1.0.0");
    assert!(open.contains("# TYPE osd_syscalls counter\n") && open.ends_with("# EOF\n"));
    if has_prometheus("clients_that_are_slow_or_hostile_harm_no_recording_and_serving_needs_no_privilege") {
        let mut check = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        check.stdin.take().unwrap().write_all(plain.as_bytes()).unwrap();
        let checked = check.wait_with_output().unwrap();
        assert!(checked.status.success() && checked.stderr.is_empty(), "{}", text(&checked.stderr));
    }
    recorder.end();
    let counted = sum(&rows(&place.path(), Kind::Tally), "count");
    assert!(counted > 0);
    assert_eq!(
        counted,
        rows(&place.path(), Kind::Syscall).len() as u64 + sum(&rows(&place.path(), Kind::Loss), "count")
    );
}

#[test]
fn a_port_in_use_is_an_error_before_anything_is_recorded() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let said = crate::bad_input::refused(
        dir.path(),
        &["record", "--backend", "proc", "--serve", &address, "-o", "r.parquet", "--", "touch", "ran"],
    );
    assert!(said.contains(&format!("error: cannot listen on {address}: Address already in use")), "{said}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the command did not run, and nothing was recorded");
    let wrong = osd(["record", "--serve", "nowhere", "-o", "r.parquet", "--", "true"]);
    assert!(
        text(&wrong.stderr).contains("write an address and a port such as 127.0.0.1:9435"),
        "{}",
        text(&wrong.stderr)
    );
    let out = osd([
        "record",
        "--backend",
        "proc",
        "--serve",
        "0.0.0.0:0",
        "-o",
        dir.path().join("r.parquet").to_str().unwrap(),
        "--",
        "true",
    ]);
    assert!(text(&out.stderr).contains("warning: whoever can reach 0.0.0.0:"), "{}", text(&out.stderr));
    finish(Command::new("true").stderr(Stdio::piped()).spawn().unwrap());
}

fn contrib(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib").join(path)
}

#[test]
fn alert_rules_do_what_their_tests_say() {
    if !has_prometheus("alert_rules_do_what_their_tests_say") {
        return;
    }
    for args in [["check", "rules", "osd.rules.yml"], ["test", "rules", "osd.rules.test.yml"]] {
        let out = Command::new("promtool").args(args).current_dir(contrib("prometheus")).output().unwrap();
        assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
    }
}

fn dashboard() -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(contrib("grafana/osd.json")).unwrap()).unwrap()
}

/// A panel whose query is wrong is merely empty, in Grafana as in Prometheus. So each query is asked of a Prometheus that osd itself filled.
#[test]
fn every_query_of_the_dashboard_and_every_metric_of_the_rules_has_series() {
    if !has_prometheus("every_query_of_the_dashboard_and_every_metric_of_the_rules_has_series") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run.parquet");
    // Busy enough that calls fail in every interval.
    Synth { syscalls_per_s: 3_000, ..Synth::default() }.write(&run).unwrap();
    let findings = dir.path().join("findings.json");
    std::fs::write(&findings, osd(["analyze", run.to_str().unwrap(), "--format", "json"]).stdout).unwrap();
    let (data, ..) = blocks(dir.path(), &[run.to_str().unwrap(), "--findings", findings.to_str().unwrap()]);
    // What a synthetic host does not have: pressure and load. Also for who may not load programs.
    let real = dir.path().join("real.parquet");
    osd_ok(["record", "-q", "--backend", "proc", "-o", real.to_str().unwrap(), "--", "sleep", "2.5"]);
    let before_s = crate::crash::now_ns() as f64 / 1e9;
    blocks(dir.path(), &[real.to_str().unwrap()]);
    let server = Server::start(dir.path(), &data, "global: {scrape_interval: 1h}\n");
    let start_s = (osd_synth::START_NS / 1_000_000_000) as f64;
    let anomaly_s = start_s + 63.0;
    let has_series = |expression: &str| {
        [start_s + 40.0, anomaly_s, before_s + 1.0].into_iter().any(|at_s| !server.query(expression, at_s).is_empty())
    };
    let dashboard = dashboard();
    let (mut n, mut names) = (0, BTreeSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let written = target["expr"].as_str().unwrap();
            let expression =
                written.replace("$__rate_interval", "30s").replace("$instance", ".*").replace("$comm", ".*");
            assert!(!expression.contains('$'), "{written}: a variable that the dashboard does not have");
            assert!(has_series(&expression), "{}: {written} finds nothing", panel["title"]);
            names.extend(
                expression
                    .split(|c: char| !c.is_alphanumeric() && c != '_')
                    .filter(|w| w.starts_with("osd_"))
                    .map(str::to_owned),
            );
            n += 1;
        }
    }
    assert!(n >= 25 && names.len() >= 25, "{n} queries of {} metrics", names.len());
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let query = variable["query"]["query"].as_str().unwrap();
        let (series, label) =
            query.strip_prefix("label_values(").unwrap().strip_suffix(')').unwrap().rsplit_once(", ").unwrap();
        assert!(has_series(&format!("count by ({label}) ({})", series.replace("$instance", ".*"))), "{query}");
    }
    let rules = std::fs::read_to_string(contrib("prometheus/osd.rules.yml")).unwrap();
    let words = rules.split(|c: char| !c.is_alphanumeric() && c != '_');
    let metrics: BTreeSet<&str> = words.filter(|w| w.starts_with("osd_")).collect();
    assert!(metrics.len() >= 5, "{metrics:?}");
    for metric in metrics {
        assert!(has_series(metric), "{metric}, which a rule asks for");
    }
}

/// Names that `@grafana/schema` 13.2.3 has for what the dashboard has, against whose types it was checked once, with the options of each panel: what a
/// name is misspelt in, Grafana leaves out without a word.
#[test]
fn the_dashboard_has_names_that_grafana_knows() {
    let names = |value: &serde_json::Value, known: &[&str]| {
        for name in value.as_object().unwrap().keys() {
            assert!(known.contains(&name.as_str()), "{name} is no name of the schema: {value}");
        }
    };
    let dashboard = dashboard();
    let top = [
        "annotations",
        "editable",
        "graphTooltip",
        "links",
        "panels",
        "refresh",
        "schemaVersion",
        "tags",
        "templating",
        "time",
        "timezone",
        "title",
        "uid",
        "version",
        "__inputs",
        "__requires",
    ];
    names(&dashboard, &top);
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let known = [
            "allValue",
            "current",
            "datasource",
            "hide",
            "includeAll",
            "label",
            "multi",
            "name",
            "options",
            "query",
            "refresh",
            "regex",
            "sort",
            "type",
        ];
        names(variable, &known);
    }
    for panel in dashboard["panels"].as_array().unwrap() {
        let known = [
            "collapsed",
            "datasource",
            "description",
            "fieldConfig",
            "gridPos",
            "id",
            "options",
            "panels",
            "targets",
            "title",
            "type",
        ];
        names(panel, &known);
        for target in panel["targets"].as_array().into_iter().flatten() {
            names(target, &["datasource", "expr", "instant", "legendFormat", "range", "refId"]);
        }
        if panel["type"] == "timeseries" {
            names(&panel["options"], &["legend", "tooltip"]);
            let defaults = &panel["fieldConfig"]["defaults"];
            names(defaults, &["color", "custom", "decimals", "max", "min", "noValue", "unit"]);
            let mode =
                |part: &str| panel["options"][part]["mode"].as_str().or(panel["options"][part]["displayMode"].as_str());
            assert!(["single", "multi", "none"].contains(&mode("tooltip").unwrap()), "{panel}");
        }
    }
}

#[test]
fn the_dashboard_can_be_imported_anywhere() {
    let dashboard = dashboard();
    assert_eq!(dashboard["__inputs"][0]["name"], "DS_PROMETHEUS");
    let text = dashboard.to_string();
    let sources = text.matches("\"uid\":\"${DS_PROMETHEUS}\"").count();
    assert_eq!(sources, text.matches("\"type\":\"prometheus\"").count(), "no data source of one server only");
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|p| p["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "panels have numbers of their own");
    let place = |p: &serde_json::Value| ["x", "y", "w", "h"].map(|k| p["gridPos"][k].as_u64().unwrap());
    for (i, panel) in panels.iter().enumerate() {
        let [x, y, w, h] = place(panel);
        assert!(x + w <= 24 && h > 0, "{} is beside the page", panel["title"]);
        for other in &panels[..i] {
            let [ox, oy, ow, oh] = place(other);
            let apart = x + w <= ox || ox + ow <= x || y + h <= oy || oy + oh <= y;
            assert!(apart, "{} lies on {}", panel["title"], other["title"]);
        }
        let kind = panel["type"].as_str().unwrap();
        assert!(["row", "timeseries", "stat", "heatmap"].contains(&kind), "{kind}");
        assert_eq!(kind == "row", panel["targets"].is_null());
        assert!(kind == "row" || panel["description"].as_str().is_some_and(|d| d.ends_with('.')), "{}", panel["title"]);
    }
}
