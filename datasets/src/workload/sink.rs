//! The far end of `outgoing_transfer`: takes connections and forgets what they bring.
//!
//! It runs in a process of its own, so that the workload's process only sends. The child is started before the service is
//! ready and is a child like any other: a recorder that follows children sees it too, and there the received bytes grow.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;

use crate::workload::{Error, peer, sys};

/// The argument that makes `osd-workload` a sink.
pub const SINK_ARG: &str = "--sink";
/// The argument that makes it the dependency of `slow_peer`, which is started and ended in the same way.
pub const PEER_ARG: &str = "--peer";

/// A sink in a child process, ended on drop.
#[derive(Debug)]
pub struct SinkProcess {
    child: Child,
    stdin: Option<ChildStdin>,
    address: SocketAddr,
}

impl SinkProcess {
    /// Starts `program` as what `argument` says, and waits for its port.
    ///
    /// # Errors
    /// If it does not start, or does not say a port.
    pub fn start(program: &Path, argument: &str) -> Result<Self, Error> {
        let mut child = Command::new(program)
            .arg(argument)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Error::at("start the sink process", program))?;
        let stdin = child.stdin.take();
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).map_err(Error::of("read the sink's port"))?;
        }
        let port = line.trim().parse().map_err(|_| {
            let found = io::Error::new(io::ErrorKind::InvalidData, format!("{line:?} is not a port"));
            Error::new("read the sink's port", found)
        });
        // Built before the check, so that a child that talks nonsense is ended too.
        let mut sink = Self { child, stdin, address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)) };
        sink.address.set_port(port?);
        Ok(sink)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for SinkProcess {
    fn drop(&mut self) {
        // End of input is the sink's signal to go; it needs no other, and gets the same if this process is killed.
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// Is the sink: prints the port on `out`, then discards what comes until `lifeline` ends.
///
/// # Errors
/// If there is no port to listen on.
pub fn run(out: impl Write, lifeline: impl Read) -> Result<(), Error> {
    be("sink", discard, out, lifeline)
}

/// Is the dependency: the same, but that it answers.
///
/// # Errors
/// The same.
pub fn run_peer(out: impl Write, lifeline: impl Read) -> Result<(), Error> {
    be("peer", peer::answer, out, lifeline)
}

fn be(name: &'static str, serve: fn(TcpStream), mut out: impl Write, mut lifeline: impl Read) -> Result<(), Error> {
    sys::name_this_thread(name.as_ref()).map_err(Error::of("name the sink's thread"))?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::of("listen on 127.0.0.1"))?;
    let port = listener.local_addr().map_err(Error::of("read the sink's port"))?.port();
    writeln!(out, "{port}").and_then(|()| out.flush()).map_err(Error::of("say the sink's port"))?;
    thread::Builder::new()
        .name(format!("{name}-accept"))
        .spawn(move || accept(name, serve, &listener))
        .map_err(Error::of("start a thread of the sink"))?;
    io::copy(&mut lifeline, &mut io::sink()).map_err(Error::of("wait for the workload"))?;
    Ok(())
}

fn accept(name: &str, serve: fn(TcpStream), listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        // A sink that cannot take a connection shows at the sender, as a broken pipe.
        let _ = thread::Builder::new().name(format!("{name}-read")).spawn(move || serve(stream));
    }
}

fn discard(mut stream: TcpStream) {
    let mut buffer = vec![0; 256 << 10];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
