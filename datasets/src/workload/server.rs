//! The service: an `accept` thread that deals connections out, and workers that each wait on their
//! own epoll set.
//!
//! A request is `op: u8, key: u32, len: u32` and `len` bytes; a reply is `status: u8, len: u32` and `len` bytes; numbers
//! are little-endian. A worker reads until the kernel says `EAGAIN`, so a healthy run has some failing calls too.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::workload::Error;
use crate::workload::steady::{Log, Store, digest, spawn};
use crate::workload::stop::{LOOK_EVERY, Stop};
use crate::workload::sys::{self, Epoll};

pub(crate) const OP_GET: u8 = b'G';
pub(crate) const OP_SET: u8 = b'S';
pub(crate) const STATUS_OK: u8 = 0;
pub(crate) const STATUS_NONE: u8 = 1;
pub(crate) const REQUEST_HEAD: usize = 9;
pub(crate) const REPLY_HEAD: usize = 5;

/// Steps of [`digest`] a request costs: about 0.2 ms of CPU.
const WORK_ROUNDS: usize = 150_000;
/// What is worked on when a reply carries no value.
const KEY_ONLY: &[u8] = b"no value";
/// A client that does not take its reply is dropped after this time.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) threads: Vec<JoinHandle<()>>,
}

/// Listens on a free port of the loopback interface.
pub(crate) fn start(store: &Arc<Store>, log: &Log, n_workers: usize, stop: &Stop) -> Result<Server, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::of("listen on 127.0.0.1"))?;
    let address = listener.local_addr().map_err(Error::of("read the server's port"))?;
    let mut threads = Vec::new();
    let mut inboxes = Vec::new();
    for i in 0..n_workers {
        let epoll = Epoll::new().map_err(Error::of("create an epoll set"))?;
        let inbox = Arc::new(Inbox { epoll, incoming: Mutex::default() });
        inboxes.push(Arc::clone(&inbox));
        let (store, log, stop) = (Arc::clone(store), log.clone(), stop.clone());
        threads.push(spawn(&format!("worker-{i}"), move || work(&inbox, &store, &log, &stop))?);
    }
    let stop = stop.clone();
    threads.push(spawn("accept", move || accept(&listener, &inboxes, &stop))?);
    Ok(Server { address, threads })
}

/// How a connection reaches its worker: put into `incoming` first, watched second.
struct Inbox {
    epoll: Epoll,
    incoming: Mutex<Vec<TcpStream>>,
}

fn accept(listener: &TcpListener, inboxes: &[Arc<Inbox>], stop: &Stop) {
    let mut turn = inboxes.iter().cycle();
    while !stop.is_set() {
        let Ok(true) = sys::wait_readable(listener, LOOK_EVERY) else { continue };
        let (Ok((stream, _)), Some(inbox)) = (listener.accept(), turn.next()) else { continue };
        if stream.set_nodelay(true).and_then(|()| stream.set_write_timeout(Some(WRITE_TIMEOUT))).is_err() {
            continue;
        }
        let fd = stream.as_raw_fd();
        inbox.incoming.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
        // If it cannot be watched the client sees silence, then an error of its own.
        let _ = inbox.epoll.add(fd);
    }
}

fn work(inbox: &Inbox, store: &Store, log: &Log, stop: &Stop) {
    let mut connections: HashMap<RawFd, Connection> = HashMap::new();
    let mut ready = Vec::new();
    let mut buffer = vec![0; 16 << 10];
    while !stop.is_set() {
        if inbox.epoll.wait(&mut ready, LOOK_EVERY).is_err() {
            return;
        }
        for fd in &ready {
            if !connections.contains_key(fd) {
                let mut incoming = inbox.incoming.lock().unwrap_or_else(PoisonError::into_inner);
                connections.extend(incoming.drain(..).map(|stream| (stream.as_raw_fd(), Connection::new(stream))));
            }
            let open = connections.get_mut(fd).is_some_and(|c| c.on_readable(&mut buffer, store, log).unwrap_or(false));
            if !open {
                connections.remove(fd);
            }
        }
    }
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    reply: Vec<u8>,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self { stream, received: Vec::new(), reply: Vec::new() }
    }

    /// Answers what has arrived. Returns whether the connection goes on.
    fn on_readable(&mut self, buffer: &mut [u8], store: &Store, log: &Log) -> io::Result<bool> {
        loop {
            match sys::receive_now(&self.stream, buffer) {
                Ok(0) => return Ok(false),
                Ok(n) => {
                    self.received.extend_from_slice(&buffer[..n]);
                    self.answer(store, log)?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                // A tracer that stops the thread does this.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Answers every whole request among the bytes received.
    fn answer(&mut self, store: &Store, log: &Log) -> io::Result<()> {
        let mut rest = &self.received[..];
        while let Some((op, key, payload, after)) = split_request(rest) {
            rest = after;
            let (status, value) = match op {
                OP_SET => {
                    store.put(key, payload.into());
                    (STATUS_OK, None)
                }
                OP_GET => store.get(key).map_or((STATUS_NONE, None), |value| (STATUS_OK, Some(value))),
                _ => return Err(io::Error::from(io::ErrorKind::InvalidData)),
            };
            let value = value.as_deref().unwrap_or_default();
            let digest = digest(if value.is_empty() { KEY_ONLY } else { value }, WORK_ROUNDS);
            log.line(format!(
                "op={} key={key} status={status} bytes={} digest={digest:016x}\n",
                op as char,
                value.len()
            ));
            self.reply.clear();
            self.reply.push(status);
            self.reply.extend_from_slice(&(value.len() as u32).to_le_bytes());
            self.reply.extend_from_slice(value);
            self.stream.write_all(&self.reply)?;
        }
        let n_answered = self.received.len() - rest.len();
        self.received.drain(..n_answered);
        Ok(())
    }
}

/// The first request of `bytes` as `(op, key, payload, what follows)`, or `None` while it is incomplete.
fn split_request(bytes: &[u8]) -> Option<(u8, u32, &[u8], &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<REQUEST_HEAD>()?;
    let [op, k0, k1, k2, k3, n0, n1, n2, n3] = *head;
    let n_payload = u32::from_le_bytes([n0, n1, n2, n3]) as usize;
    let (payload, after) = rest.split_at_checked(n_payload)?;
    Some((op, u32::from_le_bytes([k0, k1, k2, k3]), payload, after))
}

#[cfg(test)]
mod tests {
    use super::{OP_SET, split_request};

    #[test]
    fn request_is_answered_only_when_whole() {
        let bytes = [OP_SET, 7, 0, 0, 0, 2, 0, 0, 0, b'h', b'i', b'G'];
        for n in 0..11 {
            assert_eq!(split_request(&bytes[..n]), None, "{n} bytes");
        }
        assert_eq!(split_request(&bytes), Some((OP_SET, 7, &b"hi"[..], &b"G"[..])));
    }
}
