//! OpenTelemetry: what is written is read by the published definitions, and what is posted arrives
//! at a receiver made of them.

use crate::bad_input::refused;
use crate::export::python;
use crate::score::scene;
use crate::support::{osd, osd_ok, text};
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Command, Stdio};

/// Sums of the last points of each series by name, and the bodies of log records. Reads a file of JSON lines strictly, where an unknown name is an
/// error, or is a receiver of two requests at most, the second of logs, which says of the metrics that it did not keep five.
const READ: &str = r"
import collections, http.server, sys
from google.protobuf import json_format
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
last, resources, bodies, points = {}, set(), [], 0

def attributes(all):
    return tuple(sorted((a.key, str(getattr(a.value, a.value.WhichOneof('value')))) for a in all))

def metrics(data):
    global points
    for rm in data.resource_metrics:
        resource = attributes(rm.resource.attributes)
        resources.add(resource)
        for sm in rm.scope_metrics:
            assert sm.scope.name == 'osd'
            for m in sm.metrics:
                kind = m.WhichOneof('data')
                d = getattr(m, kind)
                assert m.unit and m.description and len(d.data_points) > 0
                if kind != 'gauge':
                    assert d.aggregation_temporality == 2
                for p in d.data_points:
                    points += 1
                    key = (m.name, resource, attributes(p.attributes))
                    assert key not in last or last[key][0] < p.time_unix_nano, 'points are in order'
                    if kind == 'histogram':
                        assert len(p.bucket_counts) == len(p.explicit_bounds) + 1 and sum(p.bucket_counts) == p.count
                        value = p.sum
                    else:
                        value = p.as_int if p.WhichOneof('value') == 'as_int' else p.as_double
                    if kind != 'gauge':
                        assert p.start_time_unix_nano < p.time_unix_nano or not (kind == 'histogram' or d.is_monotonic)
                    last[key] = (p.time_unix_nano, value)

def logs(data):
    for rl in data.resource_logs:
        for sl in rl.scope_logs:
            for r in sl.log_records:
                assert r.severity_number == 13 and r.event_name == 'osd.anomaly' and r.time_unix_nano <= r.observed_time_unix_nano
                bodies.append(r.body.string_value)

def say():
    sums = collections.Counter()
    for (name, resource, attributes), (_, value) in last.items():
        sums[name] += value
    for name in ['process.cpu.time', 'osd.process.syscalls', 'osd.syscalls', 'osd.syscall.duration', 'process.network.io', 'osd.lost']:
        print(name, repr(round(sums[name], 6)))
    print('points', points)
    for body in bodies:
        print('body', body)
    for r in sorted(resources):
        if 'process.pid' in dict(r):
            print('process', dict(r)['process.pid'], dict(r)['process.executable.name'], dict(r)['host.name'])

if sys.argv[1] == 'serve':
    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers['Content-Length']))
            assert self.headers['Content-Type'] == 'application/x-protobuf'
            if self.path == '/x/v1/metrics':
                request = ExportMetricsServiceRequest(); request.ParseFromString(body); metrics(request)
                answer = ExportMetricsServiceResponse()
                if points < 20000:
                    answer.partial_success.rejected_data_points = 5
                    answer.partial_success.error_message = 'no'
            else:
                assert self.path == '/x/v1/logs'
                request = ExportLogsServiceRequest(); request.ParseFromString(body); logs(request)
                answer = ExportLogsServiceResponse()
            answer = answer.SerializeToString()
            self.send_response(200)
            self.send_header('Content-Type', 'application/x-protobuf')
            self.send_header('Content-Length', str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
        def log_message(self, *a):
            pass
    server = http.server.HTTPServer(('127.0.0.1', 0), Receiver)
    print(server.server_port, flush=True)
    while not bodies:
        server.handle_request()
else:
    for path, message, take in [(sys.argv[1], MetricsData, metrics), (sys.argv[2], LogsData, logs)]:
        for line in open(path):
            data = message()
            json_format.Parse(line, data, ignore_unknown_fields=False)
            take(data)
say()
";

#[test]
fn a_file_and_a_collector_get_what_sql_says() {
    let Some(python) = python("a_file_and_a_collector_get_what_sql_says") else { return };
    let (scene, dir) = (scene(), tempfile::tempdir().unwrap());
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (run, findings) = (scene.path().join("run.parquet"), path("findings.json"));
    let run = run.to_str().unwrap();
    let found = osd(["analyze", run, "--format", "json"]).stdout;
    std::fs::write(&findings, &found).unwrap();
    let (metrics, logs) = (path("m.jsonl"), path("l.jsonl"));
    let said = osd(["export", run, "--to", "otlp", "-o", &metrics]);
    assert!(said.status.success(), "{}", text(&said.stderr));
    osd_ok(["export", run, "--to", "otlp-logs", "--findings", &findings, "-o", &logs]);
    let read = Command::new(&python).args(["-c", READ, &metrics, &logs]).output().unwrap();
    assert!(read.status.success(), "{}", text(&read.stderr));
    let of_file = text(&read.stdout).to_owned();

    let sql = |statement: &str| -> f64 {
        osd_ok(["sql", run, statement, "--format", "csv"]).lines().nth(1).unwrap().parse().unwrap()
    };
    for (name, statement) in [
        ("process.cpu.time", "SELECT sum(cpu_ns) / 1e9 FROM samples"),
        ("osd.process.syscalls", "SELECT sum(n_syscalls) FROM samples"),
        ("osd.syscalls", "SELECT sum(count) FROM tallies"),
        ("osd.syscall.duration", "SELECT sum(total_ns) / 1e9 FROM tallies"),
        ("process.network.io", "SELECT sum(net_rx_bytes + net_tx_bytes) FROM samples"),
        ("osd.lost", "SELECT sum(count) FROM losses"),
    ] {
        let line = of_file.lines().find(|l| l.starts_with(&format!("{name} "))).unwrap();
        let (found, wanted) = (line.rsplit(' ').next().unwrap().parse::<f64>().unwrap(), sql(statement));
        assert!((found - wanted).abs() <= 1e-5, "{name}: {found}, and SQL says {wanted}");
    }
    let points = of_file.lines().find_map(|l| l.strip_prefix("points ")).unwrap();
    let told: String =
        text(&said.stderr).split("sample").next().unwrap().chars().filter(char::is_ascii_digit).collect();
    assert_eq!(points, told, "as many points as osd says");
    assert!(of_file.contains("process 4000 synthd synthetic"), "{of_file}");
    let findings_json: serde_json::Value = serde_json::from_slice(&found).unwrap();
    for window in findings_json["windows"].as_array().unwrap() {
        assert!(of_file.contains(&format!("body {}", window["sentence"].as_str().unwrap())), "{of_file}");
    }

    let mut receiver = Command::new(&python).args(["-c", READ, "serve"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut heard = BufReader::new(receiver.stdout.take().unwrap());
    let mut port = String::new();
    heard.read_line(&mut port).unwrap();
    let endpoint = format!("http://127.0.0.1:{}/x/", port.trim());
    let sent = osd(["export", run, "--to", "otlp", "--endpoint", &endpoint, "--findings", &findings]);
    assert!(sent.status.success(), "{}", text(&sent.stderr));
    let mut of_collector = String::new();
    heard.read_to_string(&mut of_collector).unwrap();
    assert!(receiver.wait().unwrap().success());
    let but_points = |text: &str| text.lines().filter(|l| !l.starts_with("points ")).collect::<Vec<_>>().join("\n");
    assert_eq!(but_points(&of_collector), but_points(&of_file));
    assert!(text(&sent.stderr).contains("; the collector did not keep 5"), "{}", text(&sent.stderr));
}

#[test]
fn an_endpoint_that_is_none_or_silent_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    osd_synth::Synth { duration_s: 5, ..Default::default() }.write(dir.path().join("a.parquet")).unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (args, wanted) in [
        (vec!["--to", "otlp", "--endpoint", "localhost:4318"], "it begins with http:// or https://"),
        (vec!["--to", "otlp", "--endpoint", "http://x", "--ca", "a.pem"], "certificates are for https://"),
        (vec!["--to", "otlp", "--endpoint", "http://x", "--header", "a"], "a header is `Name: value`"),
        (vec!["--to", "otlp", "--endpoint", "http://x", "--header", "Host: y"], "header `Host`: osd sends it itself"),
        (vec!["--to", "otlp", "--endpoint", "http://x", "--header", "@nowhere"], "cannot read headers from nowhere"),
        (vec!["--to", "otlp", "--endpoint", "https://localhost:1", "--ca", "nowhere.pem"], "Connection refused"),
        (vec!["--to", "csv", "--endpoint", "http://x"], "only OpenTelemetry has an --endpoint"),
        (vec!["--to", "otlp-logs"], "log records are findings, and none are named"),
        (vec!["--to", "otlp", "--endpoint", &format!("http://{nobody}")], "Connection refused"),
    ] {
        let said = refused(dir.path(), &[vec!["export", "a.parquet"], args].concat());
        assert!(said.contains(wanted), "{said}");
    }
}
