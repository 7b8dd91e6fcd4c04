//! The sockets: a listener, and a few threads that answer one client each at a time.

use super::request::{self, Asked};
use crate::{Error, Result};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// Clients that are heard at once; the kernel keeps the others waiting, as many as it lets.
pub const WORKERS: usize = 4;
/// A client may be silent for so long, and not oftener than [`PIECES`] times.
const PAUSE: Duration = Duration::from_millis(500);
/// A head comes in so many pieces, and an answer goes in so many.
const PIECES: usize = 8;

/// A socket that listens, and does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Listens on `address`.
    ///
    /// # Errors
    /// [`Error::Listen`], such as when the port is taken.
    pub fn bind(address: SocketAddr) -> Result<Self> {
        let failed = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Where it listens: the port that it got if it asked for any.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether only this host can reach it.
    pub fn is_local(&self) -> bool {
        self.address.ip().is_loopback()
    }

    /// Answers from now on, in threads that inherit what the caller may do and end with the process. `metrics` gives them, in OpenMetrics
    /// if it is told so.
    ///
    /// # Errors
    /// [`Error::Write`] if the system gives no thread.
    pub fn answer(self, metrics: impl Fn(bool) -> Vec<u8> + Send + Sync + 'static) -> Result<()> {
        let (server, metrics) = (Arc::new(self), Arc::new(metrics));
        for _ in 0..WORKERS {
            let (server, metrics) = (Arc::clone(&server), Arc::clone(&metrics));
            let work = move || {
                loop {
                    match server.listener.accept() {
                        // What a client does is its own affair.
                        Ok((mut client, _)) => drop(serve(&mut client, server.is_local(), &*metrics)),
                        // Out of descriptors, or a client that went before it was heard.
                        Err(_) => std::thread::sleep(PAUSE),
                    }
                }
            };
            std::thread::Builder::new().name("osd-metrics".into()).spawn(work)?;
        }
        Ok(())
    }
}

fn serve(client: &mut TcpStream, is_local: bool, metrics: &dyn Fn(bool) -> Vec<u8>) -> io::Result<()> {
    client.set_read_timeout(Some(PAUSE))?;
    client.set_write_timeout(Some(PAUSE))?;
    let Some(head) = head(client)? else {
        return Ok(());
    };
    let plain = "text/plain; version=0.0.4; charset=utf-8";
    let (status, media, with_body, body) = match request::read(&head, is_local) {
        Asked::Metrics { open, body } => {
            let media = if open { "application/openmetrics-text; version=1.0.0; charset=utf-8" } else { plain };
            ("200 OK", media, body, metrics(open))
        }
        Asked::Root { body } => ("200 OK", plain, body, b"osd record: metrics are at /metrics\n".to_vec()),
        Asked::Refused(status, words) => (status, plain, true, words.into()),
    };
    let mut answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {media}\r\nContent-Length: {}\r\nX-Content-Type-Options: nosniff\r\n\
         Connection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    if with_body {
        answer.extend(body);
    }
    let mut left = &answer[..];
    for _ in 0..PIECES.max(answer.len() / 4096) {
        match client.write(left)? {
            n if n == left.len() || n == 0 => break,
            n => left = &left[n..],
        }
    }
    client.shutdown(std::net::Shutdown::Write)
}

/// The head of a request; `None` if the client does not come to an end of it.
fn head(client: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let (mut head, mut buffer) = (vec![], [0; 1024]);
    for _ in 0..PIECES {
        let n = client.read(&mut buffer)?;
        head.extend_from_slice(&buffer[..n]);
        if request::is_whole(&head) || (n == 0 && !head.is_empty()) {
            return Ok(Some(head));
        }
        if n == 0 || head.len() > request::MOST_BYTES {
            return Ok(None);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> SocketAddr {
        let server = Server::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = server.address();
        assert!(server.is_local());
        server.answer(|open| if open { b"open\n".to_vec() } else { vec![b'x'; 3 << 20] }).unwrap();
        address
    }

    fn ask(address: SocketAddr, text: &str) -> String {
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn metrics_are_answered_in_the_form_that_is_accepted() {
        let address = server();
        let open = ask(address, "GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text\r\n\r\n");
        assert!(open.starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text; version=1.0.0"));
        assert!(open.ends_with("\r\n\r\nopen\n"));
        // Larger than what the kernel keeps for a reader.
        let plain = ask(address, "GET /metrics HTTP/1.1\r\n\r\n");
        assert!(plain.contains("text/plain; version=0.0.4") && plain.ends_with(&"x".repeat(3 << 20)));
        let head = ask(address, "HEAD /metrics HTTP/1.1\r\nAccept: application/openmetrics-text\r\n\r\n");
        assert!(head.contains("Content-Length: 5\r\n") && head.ends_with("\r\n\r\n"));
    }

    #[test]
    fn clients_that_say_nothing_or_too_much_are_left_and_others_are_heard() {
        let address = server();
        let silent: Vec<TcpStream> = (0..2 * WORKERS).map(|_| TcpStream::connect(address).unwrap()).collect();
        let mut endless = TcpStream::connect(address).unwrap();
        let _ = endless.write_all(format!("GET /metrics HTTP/1.1\r\nX: {}", "y".repeat(1 << 20)).as_bytes());
        let answer = ask(address, "GET / HTTP/1.1\r\n\r\n");
        assert!(answer.contains("osd record: metrics are at /metrics"), "{answer}");
        drop(silent);
    }

    #[test]
    fn a_port_that_is_taken_is_an_error_with_a_way_out() {
        let first = Server::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = Server::bind(first.address()).unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot listen on {}: ", first.address())), "{error}");
        assert!(error.hint().unwrap().contains("127.0.0.1:0"));
    }
}
