//! The dependency that `slow_peer` makes slow: a process of its own that answers when it is told
//! to, and the threads of the service that ask it.
//!
//! Each question says how long the answer is to take, so that the same process is quick and slow. It is there only if the fault is asked
//! for: the steady run is one process.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::workload::Error;
use crate::workload::levers::Levers;
use crate::workload::steady::spawn;
use crate::workload::stop::Stop;

/// Threads that ask, and how often each does.
const N_ASKING: usize = 4;
const ASK_EVERY: Duration = Duration::from_millis(200);

/// Answers the questions of one connection until it ends.
pub(crate) fn answer(mut stream: TcpStream) {
    let mut question = [0; 4];
    while stream.read_exact(&mut question).is_ok() {
        thread::sleep(Duration::from_micros(u64::from(u32::from_le_bytes(question))));
        if stream.write_all(b"!").is_err() {
            return;
        }
    }
}

/// Starts the threads that ask the dependency at `address`.
pub(crate) fn start(address: SocketAddr, levers: &Arc<Levers>, stop: &Stop) -> Result<Vec<JoinHandle<()>>, Error> {
    let asking = |i: usize| {
        let stream = TcpStream::connect(address).map_err(Error::of("connect to the dependency"))?;
        stream.set_nodelay(true).map_err(Error::of("set up the dependency's connection"))?;
        let (levers, stop) = (Arc::clone(levers), stop.clone());
        spawn(&format!("upstream-{i}"), move || ask(stream, &levers, &stop, ASK_EVERY * i as u32 / N_ASKING as u32))
    };
    (0..N_ASKING).map(asking).collect()
}

fn ask(mut stream: TcpStream, levers: &Levers, stop: &Stop, after: Duration) {
    let mut next = Instant::now() + after;
    let mut answer = [0];
    while stop.sleep_until(next) {
        let delay_us = levers.delay_us.load(Ordering::Relaxed);
        if stream.write_all(&delay_us.to_le_bytes()).is_err() || stream.read_exact(&mut answer).is_err() {
            return;
        }
        levers.answers.fetch_add(1, Ordering::Relaxed);
        next = (next + ASK_EVERY).max(Instant::now());
    }
}
