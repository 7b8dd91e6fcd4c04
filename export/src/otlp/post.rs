//! Requests to a collector: OTLP over HTTP, Protocol Buffers, one connection each.
//!
//! A collector that is busy is asked again, as the protocol wants it: after as long as it says, or after one second, two, four.

use super::answer::{Answer, answer, is_whole, refusal, rejected};
use super::endpoint::Endpoint;
#[cfg(feature = "tls")]
use super::tls;
use crate::{Error, Result};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// A collector that says nothing for so long is not there.
const PATIENCE: Duration = Duration::from_secs(30);
/// Of an answer nobody needs more.
const MOST_ANSWER: usize = 64 * 1024;
/// How often a request is sent at most.
const TRIES: u32 = 4;
/// No collector is waited for longer than that at once, whatever it says.
const MOST_WAIT_S: u64 = 30;

/// Posts a request. How much of it the collector says that it did not keep.
pub(super) fn post(endpoint: &Endpoint, path: &str, body: &[u8]) -> Result<u64> {
    let failed = |detail: String| Error::Post { url: endpoint.url(path), detail };
    for again in 0..TRIES {
        let text = ask(endpoint, path, body).map_err(|e| failed(e.to_string()))?;
        let Some(Answer { status, retry_after_s, body }) = answer(&text) else {
            // The settings of HTTP/2, which a server of gRPC begins with.
            let is_grpc = text.get(3) == Some(&4) && text.starts_with(&[0, 0]);
            let what = if is_grpc { "gRPC, which osd does not speak" } else { "no HTTP" };
            return Err(failed(format!("what answers is {what}")));
        };
        match status {
            200..=299 => return Ok(rejected(&body).unwrap_or(0)),
            429 | 502 | 503 | 504 if again + 1 < TRIES => {
                std::thread::sleep(Duration::from_secs(retry_after_s.unwrap_or(1 << again).min(MOST_WAIT_S)));
            }
            _ => {
                let said = String::from_utf8_lossy(&body);
                let said = refusal(&body).unwrap_or(&said).chars().filter(|c| !c.is_control()).take(200);
                return Err(failed(format!("it answers {status} {}", said.collect::<String>()).trim_end().to_owned()));
            }
        }
    }
    Err(failed("it is busy".to_owned()))
}

fn ask(endpoint: &Endpoint, path: &str, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in (endpoint.bare_host(), endpoint.port).to_socket_addrs()? {
        let stream = match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => stream,
            Err(e) => {
                last = e;
                continue;
            }
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        #[cfg(feature = "tls")]
        if endpoint.is_tls {
            return talk(tls::over(stream, endpoint)?, endpoint, path, body);
        }
        return talk(stream, endpoint, path, body);
    }
    Err(last)
}

fn talk(mut stream: impl Read + Write, endpoint: &Endpoint, path: &str, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut head = format!(
        "POST {}{path} HTTP/1.1\r\nHost: {}:{}\r\nUser-Agent: osd/{}\r\nContent-Type: application/x-protobuf\r\n\
         Content-Length: {}\r\nConnection: close\r\n",
        endpoint.path,
        endpoint.host,
        endpoint.port,
        env!("CARGO_PKG_VERSION"),
        body.len()
    );
    endpoint.access.headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
    // Whoever refuses what it hears says so and hangs up before it has heard all: that answer is worth more than the broken pipe.
    let sent = stream
        .write_all(format!("{head}\r\n").as_bytes())
        .and_then(|()| stream.write_all(body))
        .and_then(|()| stream.flush());
    let (mut text, mut piece) = (vec![], [0; 4096]);
    while text.len() < MOST_ANSWER && !is_whole(&text) {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => text.extend_from_slice(&piece[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            // Many hang up without a word of TLS, when all is said.
            Err(_) if answer(&text).is_some() => break,
            Err(e) => return sent.and(Err(e)),
        }
    }
    if text.is_empty() {
        sent?;
    }
    Ok(text)
}
