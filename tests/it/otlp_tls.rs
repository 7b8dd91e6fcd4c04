//! A collector behind TLS that asks who sends: it gets everything, and whoever may not send is told
//! why.

use crate::export::python;
use crate::support::{osd, text};
use osd_synth::Synth;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A receiver made of the published definitions, over TLS, which asks for a client's certificate and a token. It is busy once, and answers in chunks.
const SERVE: &str = r"
import http.server, ssl, sys
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse
state = {'points': 0, 'busy': 1, 'over': False}

class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def say(self, status, body, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header('Transfer-Encoding', 'chunked')
        self.end_headers()
        for piece in [body[:3], body[3:]]:
            if piece:
                self.wfile.write(b'%x\r\n%s\r\n' % (len(piece), piece))
        self.wfile.write(b'0\r\n\r\n')
    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        assert self.path == '/otlp/v1/metrics' and self.headers['Content-Type'] == 'application/x-protobuf'
        subject = dict(pair for part in self.connection.getpeercert()['subject'] for pair in part)
        assert subject['commonName'] == 'osd test client'
        if self.headers['Authorization'] != 'Bearer secret' or self.headers['X-Scope-OrgID'] != '7':
            # google.rpc.Status: code 16, and a message.
            return self.say(401, b'\x08\x10\x12\x0cwho are you?')
        if state['busy']:
            state['busy'] -= 1
            return self.say(503, b'', [('Retry-After', '1')])
        request = ExportMetricsServiceRequest()
        request.ParseFromString(body)
        for rm in request.resource_metrics:
            for sm in rm.scope_metrics:
                for m in sm.metrics:
                    state['points'] += len(getattr(m, m.WhichOneof('data')).data_points)
        answer = ExportMetricsServiceResponse()
        answer.partial_success.rejected_data_points = 5
        self.say(200, answer.SerializeToString())
        print('points', state['points'], 'tls', self.connection.version(), flush=True)
    def log_message(self, *a):
        pass

server = http.server.HTTPServer(('127.0.0.1', 0), Receiver)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1] + '/server.pem', sys.argv[1] + '/server.key')
context.load_verify_locations(sys.argv[1] + '/ca.pem')
context.verify_mode = ssl.CERT_REQUIRED
if len(sys.argv) > 2:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
";

#[test]
fn a_collector_behind_tls_gets_what_is_sent_by_who_may() {
    let Some(python) = python("a_collector_behind_tls_gets_what_is_sent_by_who_may") else { return };
    let dir = tempfile::tempdir().unwrap();
    Synth { duration_s: 20, ..Synth::default() }.write(dir.path().join("run.parquet")).unwrap();
    let run = dir.path().join("run.parquet");
    let certificates = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls");
    let file = |name: &str| certificates.join(name).to_str().unwrap().to_owned();
    let token = dir.path().join("token");
    std::fs::write(&token, "Authorization: Bearer secret\n\n").unwrap();
    let token = format!("@{}", token.display());
    for old in [false, true] {
        let mut receiver = Command::new(&python)
            .args(["-c", SERVE])
            .arg(&certificates)
            .args(old.then_some("1.2"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut heard = BufReader::new(receiver.stdout.take().unwrap());
        let mut port = String::new();
        heard.read_line(&mut port).unwrap();
        let send = |host: &str, options: &[&str]| -> Output {
            let endpoint = format!("https://{host}:{}/otlp", port.trim());
            osd([&["export", run.to_str().unwrap(), "--to", "otlp", "--endpoint", &endpoint][..], options].concat())
        };
        let fails = |out: Output, parts: &[&str]| {
            let said = text(&out.stderr).to_owned();
            assert_eq!(out.status.code(), Some(2), "{said}");
            assert!(parts.iter().all(|part| said.contains(part)) && !said.contains("secret"), "{parts:?}: {said}");
        };
        let (ca, certificate, key) = (file("ca.pem"), file("client.pem"), file("client.key"));
        let trusted = ["--ca", &ca];
        let known = ["--ca", &ca, "--client-cert", &certificate, "--client-key", &key];
        // Whom nobody has signed that this system trusts, and whom somebody else has.
        fails(send("127.0.0.1", &[]), &["invalid peer certificate: UnknownIssuer", "hint: ", "--ca FILE"]);
        fails(send("127.0.0.1", &["--ca", &key]), &["client.key holds no certificate"]);
        fails(send("127.0.0.1", &["--ca", "/nowhere.pem"]), &["/nowhere.pem cannot be read"]);
        // One that is called otherwise.
        fails(send("127.0.0.2", &trusted), &["127.0.0.2"]);
        fails(
            send("127.0.0.1", &trusted),
            if old { &["error: cannot post"] } else { &["error: cannot post", "--client-cert FILE"] },
        );
        fails(
            send("127.0.0.1", &[&known[..], &["--header", "Authorization: secret"]].concat()),
            &["it answers 401 who are you?"],
        );
        let all = [&known[..], &["--header", &token, "--header", "X-Scope-OrgID: 7"]].concat();
        let sent = send("localhost", &all);
        let said = text(&sent.stderr).to_owned();
        assert!(sent.status.success() && said.contains("; the collector did not keep 5"), "{said}");
        // SAFETY: a process this test started and has not waited for.
        unsafe { libc::kill(receiver.id() as i32, libc::SIGKILL) };
        receiver.wait().unwrap();
        let mut received = String::new();
        heard.read_to_string(&mut received).unwrap();
        let last = received.lines().last().unwrap();
        let told: String = said.split("sample").next().unwrap().chars().filter(char::is_ascii_digit).collect();
        assert_eq!(last, format!("points {told} tls TLSv1.{}", if old { 2 } else { 3 }), "{received}");
    }
}

#[test]
fn what_speaks_grpc_or_no_tls_is_told_from_a_collector() {
    let dir = tempfile::tempdir().unwrap();
    Synth { duration_s: 5, ..Synth::default() }.write(dir.path().join("run.parquet")).unwrap();
    let run = dir.path().join("run.parquet");
    // The settings that a server of HTTP/2 begins with; and a server that says something else.
    for (scheme, says, wanted) in [
        ("http", &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 128][..], "gRPC, which osd does not speak"),
        ("http", b"220 mail.example ESMTP\r\n", "what answers is no HTTP"),
        ("https", b"HTTP/1.1 400 Bad Request\r\n\r\n", "error: cannot post to https://"),
    ] {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            use std::io::Write;
            let (mut client, _) = server.accept().unwrap();
            client.write_all(says).unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
            let _ = client.read_to_end(&mut vec![]);
        });
        let out =
            osd(["export", run.to_str().unwrap(), "--to", "otlp", "--endpoint", &format!("{scheme}://{address}")]);
        assert!(out.status.code() == Some(2) && text(&out.stderr).contains(wanted), "{}", text(&out.stderr));
        thread.join().unwrap();
    }
}
