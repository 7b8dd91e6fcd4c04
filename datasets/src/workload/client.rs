//! The clients: each sends requests on a schedule of its own, however long replies take.
//!
//! The schedule is open-loop (a late reply delays no later request's due time), its gaps are jittered, and its rate
//! follows a slow sine, so that a steady run is alive rather than flat.

use std::f64::consts::TAU;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::workload::Error;
use crate::workload::rng::Rng;
use crate::workload::server::{OP_GET, OP_SET, REPLY_HEAD, REQUEST_HEAD, STATUS_NONE, STATUS_OK};
use crate::workload::steady::{N_KEYS, spawn, value};
use crate::workload::stop::Stop;

/// The period of the load's wave.
const WAVE_PERIOD: Duration = Duration::from_secs(20);

const GET_FRACTION: f64 = 0.8;
const UNKNOWN_KEY_FRACTION: f64 = 0.03;
/// A client connects anew after about this many requests.
const REQUESTS_PER_CONNECTION: usize = 200;
/// Requests further behind than this are not made at all: an overload must end when its cause does.
const BACKLOG_MAX: Duration = Duration::from_millis(500);
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// How many requests the clients make, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) rate_per_s: f64,
    pub(crate) wave: f64,
    pub(crate) n_clients: usize,
    pub(crate) irregular: bool,
}

impl Load {
    /// One client's mean gap between requests, `since_start` into the run.
    fn gap(&self, since_start: Duration, seed: u64) -> Duration {
        let phase = TAU * since_start.as_secs_f64() / WAVE_PERIOD.as_secs_f64();
        let mut rate_per_s = self.rate_per_s * (1.0 + self.wave * phase.sin());
        if self.irregular {
            rate_per_s *= burst(seed, since_start);
        }
        Duration::from_secs_f64(self.n_clients as f64 / rate_per_s)
    }

    /// The part of a mean gap that one is: half of it to one and a half; of irregular arrivals those of a Poisson process.
    fn jitter(&self, rng: &mut Rng) -> f64 {
        if self.irregular { -(1.0 - rng.unit()).ln() } else { 0.5 + rng.unit() }
    }
}

/// How far the rate of irregular load is from its mean, the same for all clients: another factor every second and a half, between 0.4 and
/// 1.4, and three one time in fifteen.
fn burst(seed: u64, since_start: Duration) -> f64 {
    const EVERY_S: f64 = 1.5;
    let slot = (since_start.as_secs_f64() / EVERY_S) as u64;
    let mut rng = Rng::new(seed, (1 << 40) + slot);
    if rng.below(15) == 0 { 3.0 } else { 0.4 + rng.unit() }
}

/// What the clients saw.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) requests: AtomicU64,
    pub(crate) failures: AtomicU64,
}

pub(crate) fn start(
    server: SocketAddr,
    load: Load,
    seed: u64,
    counts: &Arc<Counts>,
    stop: &Stop,
) -> Result<Vec<JoinHandle<()>>, Error> {
    let client = |i: usize| {
        let (counts, stop) = (Arc::clone(counts), stop.clone());
        let rng = Rng::new(seed, 100 + i as u64);
        spawn(&format!("client-{i}"), move || run(server, load, seed, rng, &counts, &stop))
    };
    (0..load.n_clients).map(client).collect()
}

fn run(server: SocketAddr, load: Load, seed: u64, mut rng: Rng, counts: &Counts, stop: &Stop) {
    let start = Instant::now();
    let mut due = start + load.gap(Duration::ZERO, seed).mul_f64(rng.unit());
    let mut connection = None;
    let mut buffer = Vec::new();
    while stop.sleep_until(due) {
        if connection.is_none() || rng.below(REQUESTS_PER_CONNECTION) == 0 {
            connection = connect(server).ok();
        }
        let answered = match connection.as_mut() {
            Some(stream) => request(stream, seed, &mut rng, &mut buffer),
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        counts.requests.fetch_add(1, Ordering::Relaxed);
        if answered.is_err() {
            counts.failures.fetch_add(1, Ordering::Relaxed);
            connection = None;
            due = Instant::now() + RETRY_AFTER;
            continue;
        }
        let now = Instant::now();
        let gap = load.gap(now - start, seed).mul_f64(load.jitter(&mut rng));
        due = (due + gap).max(now.checked_sub(BACKLOG_MAX).unwrap_or(now));
    }
}

fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(REPLY_TIMEOUT))?;
    Ok(stream)
}

/// Makes one request and reads its reply.
fn request(stream: &mut TcpStream, seed: u64, rng: &mut Rng, buffer: &mut Vec<u8>) -> io::Result<()> {
    // Squaring favours low keys: some values are hot, most are not.
    let popular = rng.unit().powi(2);
    let mut key = ((popular * f64::from(N_KEYS)) as u32).min(N_KEYS - 1);
    let (op, payload) = if rng.chance(GET_FRACTION) { (OP_GET, Vec::new()) } else { (OP_SET, value(seed, key)) };
    let unknown = op == OP_GET && rng.chance(UNKNOWN_KEY_FRACTION);
    if unknown {
        key += N_KEYS;
    }
    let n_payload = u32::try_from(payload.len()).map_err(io::Error::other)?;
    buffer.clear();
    buffer.reserve(REQUEST_HEAD + payload.len());
    buffer.push(op);
    buffer.extend_from_slice(&key.to_le_bytes());
    buffer.extend_from_slice(&n_payload.to_le_bytes());
    buffer.extend_from_slice(&payload);
    stream.write_all(buffer)?;

    let status = read_reply(stream, buffer)?;
    let expected = if unknown { STATUS_NONE } else { STATUS_OK };
    if status == expected { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Reads one reply, mostly in one call, and returns its status.
fn read_reply(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<u8> {
    buffer.resize(16 << 10, 0);
    let mut n_received = 0;
    loop {
        match stream.read(&mut buffer[n_received..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => n_received += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        if let Some([status, n0, n1, n2, n3]) = buffer[..n_received].first_chunk::<REPLY_HEAD>() {
            let n_reply = REPLY_HEAD + u32::from_le_bytes([*n0, *n1, *n2, *n3]) as usize;
            if n_received >= n_reply {
                return Ok(*status);
            }
            if buffer.len() < n_reply {
                buffer.resize(n_reply, 0);
            }
        }
    }
}
