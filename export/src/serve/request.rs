//! One request: its head, and what it asks for. No body is read.

use std::net::IpAddr;

/// A longer head is refused.
pub(super) const MOST_BYTES: usize = 8 * 1024;

/// What a client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The metrics, `open` in OpenMetrics; without the body for HEAD.
    Metrics { open: bool, body: bool },
    /// The page that says where they are.
    Root { body: bool },
    /// Something else: status and words.
    Refused(&'static str, &'static str),
}

/// Whether the head of a request is all there.
pub(super) fn is_whole(head: &[u8]) -> bool {
    head.windows(4).any(|w| w == b"\r\n\r\n") || head.windows(2).any(|w| w == b"\n\n")
}

/// What `head` asks for. A server that only this host can reach (`is_local`) answers nobody who calls it by the name of another: a page in
/// a browser can have its own name lead to 127.0.0.1.
pub(super) fn read(head: &[u8], is_local: bool) -> Asked {
    let Ok(text) = std::str::from_utf8(head) else { return BAD };
    let mut lines = text.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    if !version.is_some_and(|v| v.starts_with("HTTP/1.")) || words.next().is_some() {
        return BAD;
    }
    let headers = lines.take_while(|l| !l.is_empty()).filter_map(|l| l.split_once(':'));
    let (mut open, mut is_ours) = (false, true);
    for (name, value) in headers {
        if name.eq_ignore_ascii_case("accept") {
            open |= value.contains("application/openmetrics-text");
        } else if name.eq_ignore_ascii_case("host") {
            is_ours &= !is_local || names_this_host(value.trim());
        }
    }
    if !is_ours {
        return Asked::Refused("403 Forbidden", "call this server by its address, or localhost\n");
    }
    let body = match method {
        Some("GET") => true,
        Some("HEAD") => false,
        _ => return Asked::Refused("405 Method Not Allowed", "GET /metrics\n"),
    };
    match target.map(|t| t.split('?').next().unwrap_or(t)) {
        Some("/metrics") => Asked::Metrics { open, body },
        Some("/") => Asked::Root { body },
        _ => Asked::Refused("404 Not Found", "metrics are at /metrics\n"),
    }
}

const BAD: Asked = Asked::Refused("400 Bad Request", "this is HTTP: GET /metrics\n");

/// `localhost`, or an address, with or without a port.
fn names_this_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_understood_and_all_else_refused() {
        let asked = |text: &str| read(text.as_bytes(), true);
        let plain = Asked::Metrics { open: false, body: true };
        assert_eq!(asked("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:9435\r\n\r\n"), plain);
        assert_eq!(asked("GET /metrics?x=y HTTP/1.0\n\n"), plain);
        let accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
        let open = Asked::Metrics { open: true, body: false };
        assert_eq!(asked(&format!("HEAD /metrics HTTP/1.1\r\nhost: [::1]:1\r\n{accept}\r\n\r\n")), open);
        assert_eq!(asked("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), Asked::Root { body: true });
        for (text, status) in [
            ("", "400"),
            ("GET /metrics", "400"),
            ("GET /metrics HTTP/2 x", "400"),
            ("\u{16}\u{3}\u{1} TLS hello", "400"),
            ("POST /metrics HTTP/1.1\r\n\r\n", "405"),
            ("GET /../etc/passwd HTTP/1.1\r\n\r\n", "404"),
            ("GET /metrics HTTP/1.1\r\nHost: evil.example:9435\r\n\r\n", "403"),
        ] {
            assert!(matches!(asked(text), Asked::Refused(s, _) if s.starts_with(status)), "{text}: {:?}", asked(text));
        }
        assert!(matches!(read(&[0xff, 0xfe], true), Asked::Refused(..)));
        // Whoever opened it to others knows by what names it is called.
        assert_eq!(read(b"GET /metrics HTTP/1.1\r\nHost: metrics.example\r\n\r\n", false), plain);
    }
}
