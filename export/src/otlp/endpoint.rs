//! Where a collector is, and how one gets in: its address, headers, and whom to trust.

use crate::{Error, Result};
use std::path::PathBuf;

/// Where a collector is: `http://HOST[:PORT][/PATH]`, or https.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub(super) is_tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
    /// Without a slash at the end.
    pub(super) path: String,
    pub(super) access: Access,
}

/// What a collector asks of whoever sends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Names and values, sent with each request.
    pub headers: Vec<(String, String)>,
    /// A file of certificates, PEM, that are trusted instead of the system's.
    pub ca: Option<PathBuf>,
    /// Files of a certificate and its key, PEM, which the collector asks for.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Access {
    /// Reads `Name: value`.
    ///
    /// # Errors
    /// [`Error::Header`] if it is none, or one that osd sends itself. The value is not in it: it is a secret.
    pub fn header(&mut self, text: &str) -> Result<()> {
        let (name, value) = text.split_once(':').unwrap_or((text, ""));
        let (name, value) = (name.trim(), value.trim());
        let wrong = |problem| Error::Header { name: name.chars().take(80).collect(), problem };
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if !text.contains(':') || name.is_empty() || !name.bytes().all(is_token) {
            return Err(Error::Header { name: String::new(), problem: "a header is `Name: value`" });
        }
        if value.is_empty() || !value.bytes().all(|b| b == b' ' || b == b'\t' || b.is_ascii_graphic()) {
            return Err(wrong("its value is empty, or has something in it that headers do not have"));
        }
        const OURS: [&str; 6] =
            ["host", "content-length", "content-type", "connection", "transfer-encoding", "content-encoding"];
        if OURS.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(wrong("osd sends it itself"));
        }
        self.headers.push((name.to_owned(), value.to_owned()));
        Ok(())
    }
}

impl Endpoint {
    /// As a person writes it. The port of http is 4318 unless it is said, that of https 443.
    ///
    /// # Errors
    /// [`Error::Endpoint`] with what is wrong.
    pub fn parse(text: &str, access: Access) -> Result<Self> {
        let wrong = |problem| Error::Endpoint { endpoint: text.to_owned(), problem };
        let (is_tls, rest) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err(wrong("it begins with http:// or https://")),
        };
        if is_tls && cfg!(not(feature = "tls")) {
            return Err(wrong("this osd was built without TLS (the feature `tls`)"));
        }
        if !is_tls && (access.ca.is_some() || access.identity.is_some()) {
            return Err(wrong("certificates are for https://"));
        }
        let (authority, path) = rest.split_once('/').map_or((rest, ""), |(a, p)| (a, p));
        let has_port = authority
            .rsplit_once(':')
            .filter(|(host, _)| !host.ends_with(':') && (!host.contains(':') || host.ends_with(']')));
        let (host, port) = match has_port {
            Some((host, port)) => (host, port.parse().map_err(|_| wrong("its port is none"))?),
            None => (authority, if is_tls { 443 } else { 4318 }),
        };
        let is_clean = |c: char| c.is_ascii_graphic() && !"@?#".contains(c);
        if host.is_empty() || !host.chars().chain(path.chars()).all(is_clean) {
            return Err(wrong("it names no host, or has something that osd does not send"));
        }
        let path = if path.is_empty() { String::new() } else { format!("/{}", path.trim_end_matches('/')) };
        Ok(Self { is_tls, host: host.to_owned(), port, path, access })
    }

    /// The host without the brackets of an address.
    pub(super) fn bare_host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The address of what is at `path` there.
    pub(super) fn url(&self, path: &str) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}:{}{}{path}", self.host, self.port, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_and_what_cannot_be_sent_to_is_refused() {
        let of = |text: &str| Endpoint::parse(text, Access::default()).map(|e| (e.is_tls, e.host, e.port, e.path)).ok();
        let is = |is_tls, host: &str, port, path: &str| Some((is_tls, host.to_owned(), port, path.to_owned()));
        assert_eq!(of("http://127.0.0.1:4318"), is(false, "127.0.0.1", 4318, ""));
        assert_eq!(of("http://collector/otlp/"), is(false, "collector", 4318, "/otlp"));
        assert_eq!(of("http://[::1]:1/"), is(false, "[::1]", 1, ""));
        assert_eq!(of("http://[::1]"), is(false, "[::1]", 4318, ""));
        if cfg!(feature = "tls") {
            assert_eq!(of("https://otlp.example.org/x"), is(true, "otlp.example.org", 443, "/x"));
        }
        for wrong in ["", "127.0.0.1:4318", "http://", "http://x:99999", "http://a b", "http://u@h", "http://x/\r\nA:"]
        {
            let error = Endpoint::parse(wrong, Access::default()).unwrap_err();
            assert!(error.hint().is_some(), "{wrong}: {error}");
        }
        let ca = Access { ca: Some("ca.pem".into()), ..Access::default() };
        assert!(Endpoint::parse("http://x", ca).unwrap_err().to_string().contains("certificates are for https://"));
    }

    #[test]
    fn headers_are_read_and_what_would_be_a_second_one_is_refused() {
        let mut access = Access::default();
        access.header("Authorization: Bearer a:b=").unwrap();
        access.header("x-scope-orgid:7").unwrap();
        let is = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(access.headers, [is("Authorization", "Bearer a:b="), is("x-scope-orgid", "7")]);
        for wrong in ["", "a", "a: ", ": b", "a b: c", "a: b\r\nc: secret", "Host: x", "content-length: 7"] {
            let error = Access::default().header(wrong).unwrap_err();
            assert!(error.hint().is_some() && !error.to_string().contains("secret"), "{wrong}: {error}");
        }
    }
}
