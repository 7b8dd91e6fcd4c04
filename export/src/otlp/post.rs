//! Requests to a collector: OTLP over HTTP, Protocol Buffers, one connection each.
//!
//! Without TLS: a collector on the same host or in a network of one's own takes it from there, and knows how to authenticate.

use crate::{Error, Result};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// A collector that says nothing for so long is not there.
const PATIENCE: Duration = Duration::from_secs(30);
/// Of an answer nobody needs more.
const MOST_ANSWER: u64 = 64 * 1024;

/// Where a collector is: `http://HOST[:PORT][/PATH]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
    /// Without a slash at the end.
    path: String,
}

impl Endpoint {
    /// As a person writes it. The port is 4318 unless it is said.
    ///
    /// # Errors
    /// [`Error::Endpoint`] with what is wrong.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |problem| Error::Endpoint { endpoint: text.to_owned(), problem };
        if text.starts_with("https://") {
            return Err(wrong("osd sends without TLS; let a collector on this host do that"));
        }
        let rest = text.strip_prefix("http://").ok_or_else(|| wrong("it begins with http://"))?;
        let (authority, path) = rest.split_once('/').map_or((rest, ""), |(a, p)| (a, p));
        let has_port = authority
            .rsplit_once(':')
            .filter(|(host, _)| !host.ends_with(':') && (!host.contains(':') || host.ends_with(']')));
        let (host, port) = match has_port {
            Some((host, port)) => (host, port.parse().map_err(|_| wrong("its port is none"))?),
            None => (authority, 4318),
        };
        let is_clean = |c: char| c.is_ascii_graphic() && !"@?#".contains(c);
        if host.is_empty() || !host.chars().chain(path.chars()).all(is_clean) {
            return Err(wrong("it names no host, or has something that osd does not send"));
        }
        let path = if path.is_empty() { String::new() } else { format!("/{}", path.trim_end_matches('/')) };
        Ok(Self { host: host.to_owned(), port, path })
    }

    /// Posts a request. How much of it the collector says that it did not keep.
    pub(super) fn post(&self, path: &str, body: &[u8]) -> Result<u64> {
        let url = format!("http://{}:{}{}{path}", self.host, self.port, self.path);
        let failed = |detail: String| Error::Post { url: url.clone(), detail };
        let answer = self.ask(path, body).map_err(|e| failed(e.to_string()))?;
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
        let head = String::from_utf8_lossy(&answer[..end]);
        let status = head.split(' ').nth(1).and_then(|s| s.parse::<u16>().ok());
        match status {
            Some(200..=299) => Ok(rejected(&answer[end..]).unwrap_or(0)),
            Some(status) => {
                let said = String::from_utf8_lossy(&answer[end..]);
                let said: String = said.chars().filter(|c| !c.is_control()).take(200).collect();
                Err(failed(format!("it answers {status} {said}").trim_end().to_owned()))
            }
            None => Err(failed("what answers is no HTTP".to_owned())),
        }
    }

    fn ask(&self, path: &str, body: &[u8]) -> io::Result<Vec<u8>> {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for address in (bare, self.port).to_socket_addrs()? {
            let mut stream = match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(stream) => stream,
                Err(e) => {
                    last = e;
                    continue;
                }
            };
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            write!(
                stream,
                "POST {}{path} HTTP/1.1\r\nHost: {}:{}\r\nUser-Agent: osd/{}\r\nContent-Type: application/x-protobuf\r\n\
                 Content-Length: {}\r\nConnection: close\r\n\r\n",
                self.path,
                self.host,
                self.port,
                env!("CARGO_PKG_VERSION"),
                body.len()
            )?;
            stream.write_all(body)?;
            let mut answer = vec![];
            stream.take(MOST_ANSWER).read_to_end(&mut answer)?;
            return Ok(answer);
        }
        Err(last)
    }
}

/// `partial_success.rejected_*` of an answer.
fn rejected(answer: &[u8]) -> Option<u64> {
    let (partial, _) = field(answer, 1)?;
    field(partial, 1).map(|(_, n)| n)
}

/// The first field of this number: its bytes if it has some, or its number.
fn field(mut message: &[u8], number: u64) -> Option<(&[u8], u64)> {
    while !message.is_empty() {
        let key = varint(&mut message)?;
        let n = varint(&mut message)?;
        let bytes = match key & 7 {
            0 => &[][..],
            2 => message.split_off(..usize::try_from(n).ok()?)?,
            _ => return None,
        };
        if key >> 3 == number {
            return Some((bytes, n));
        }
    }
    None
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut n = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.split_off_first()?;
        n |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(n);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_and_what_cannot_be_sent_to_is_refused() {
        let of = |text: &str| Endpoint::parse(text).map(|e| (e.host, e.port, e.path)).ok();
        let is = |host: &str, port, path: &str| Some((host.to_owned(), port, path.to_owned()));
        assert_eq!(of("http://127.0.0.1:4318"), is("127.0.0.1", 4318, ""));
        assert_eq!(of("http://collector/otlp/"), is("collector", 4318, "/otlp"));
        assert_eq!(of("http://[::1]:1/"), is("[::1]", 1, ""));
        assert_eq!(of("http://[::1]"), is("[::1]", 4318, ""));
        for wrong in [
            "",
            "127.0.0.1:4318",
            "https://x",
            "http://",
            "http://x:99999",
            "http://a b",
            "http://u@h",
            "http://x/\r\nA:",
        ] {
            let error = Endpoint::parse(wrong).unwrap_err();
            assert!(error.hint().is_some(), "{wrong}: {error}");
        }
    }

    #[test]
    fn what_a_collector_rejects_is_read_and_what_it_garbles_is_not() {
        assert_eq!(rejected(&[0x0a, 2, 8, 7]), Some(7));
        assert_eq!(rejected(&[0x0a, 6, 8, 0x96, 1, 0x12, 1, b'x']), Some(150));
        for nothing in [&[][..], &[0x0a], &[0x0a, 9, 8], &[0xff; 12], &[0x0a, 0]] {
            assert_eq!(rejected(nothing), None);
        }
    }
}
