//! `osd record --serve`: the counts of the recording under way, over HTTP.
//!
//! The socket is there before anything is recorded, so that a port which is taken is an error and not a surprise. It is answered from the
//! end of the first interval on, by threads that are started then: privileges are gone, and these have none.

use osd_export::prom::{Live, Recorder};
use osd_export::serve::Server;
use osd_record::{Status, Watch};
use osd_recording::names::Arch;
use osd_recording::rows::Row;
use osd_recording::{Calls, Metadata};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// `127.0.0.1:9435`, `[::1]:9435`, `localhost:9435`, or a port of this host's alone.
pub(crate) fn parse_address(text: &str) -> std::result::Result<SocketAddr, String> {
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let port = text.strip_prefix("localhost").unwrap_or(text);
    let port = port.strip_prefix(':').unwrap_or(port).parse::<u16>().ok();
    let address = port.map(|port| SocketAddr::new(loopback, port)).or_else(|| text.parse().ok());
    address.ok_or_else(|| "write an address and a port such as 127.0.0.1:9435".to_owned())
}

/// What is asked for over HTTP, and how the recording goes.
pub(crate) struct Serving {
    counts: Arc<Mutex<Counts>>,
}

struct Counts {
    live: Live,
    status: Recorder,
    /// Grows whenever something was counted.
    version: u64,
    /// The last answer in each form, of which version: whoever asks all the time costs no more than once an interval.
    answers: [Option<(u64, Vec<u8>)>; 2],
}

fn locked(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts what is recorded, and answers from the end of the first interval on.
struct Counting {
    counts: Arc<Mutex<Counts>>,
    server: Option<Server>,
}

impl Watch for Counting {
    fn begin(&mut self, _: &Metadata) {}

    fn rows(&mut self, rows: &[Row]) {
        let mut counts = locked(&self.counts);
        counts.live.add(rows);
        counts.version += 1;
        drop(counts);
        // A `system` row ends an interval: by then the session has given up what its threads would inherit.
        let begun = rows.iter().any(|row| matches!(row, Row::System(_)));
        if let Some(server) = self.server.take_if(|_| begun) {
            let asked = Arc::clone(&self.counts);
            // Without a thread nobody is answered, and the recording goes on.
            let _ = server.answer(move |open| locked(&asked).answer(open));
        }
    }

    fn calls(&mut self, _: &Calls) {}

    fn end(&mut self) {}
}

impl Serving {
    /// Serves what the watch that comes with it sees.
    pub(crate) fn start(server: Server, arch: Arch) -> (Self, Box<dyn Watch>) {
        let live = Live::new(arch, env!("CARGO_PKG_VERSION"));
        let counts = Counts { live, status: Recorder::default(), version: 0, answers: [None, None] };
        let counts = Arc::new(Mutex::new(counts));
        let serving = Self { counts: Arc::clone(&counts) };
        (serving, Box::new(Counting { counts, server: Some(server) }))
    }

    /// About once a second.
    pub(crate) fn status(&self, status: &Status) {
        let mut counts = locked(&self.counts);
        counts.status.events = status.events;
        counts.status.bytes = status.bytes;
        counts.status.processes = status.processes as u64;
    }
}

impl Counts {
    fn answer(&mut self, open: bool) -> Vec<u8> {
        let version = self.version;
        if let Some((_, answer)) = self.answers[usize::from(open)].as_ref().filter(|(of, _)| *of == version) {
            return answer.clone();
        }
        let recorder = Recorder { cpu: own_cpu(), rss_bytes: own_rss_bytes(), ..self.status };
        let answer = self.live.text(open, &recorder);
        self.answers[usize::from(open)] = Some((version, answer.clone()));
        answer
    }
}

fn own_cpu() -> Duration {
    // SAFETY: plain data, written by the call.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let time = |t: libc::timeval| Duration::new(t.tv_sec.unsigned_abs(), t.tv_usec.unsigned_abs() as u32 * 1000);
    time(usage.ru_utime) + time(usage.ru_stime)
}

fn own_rss_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    // SAFETY: a plain call.
    let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages.unwrap_or(0).saturating_mul(page_bytes.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_host_is_this_host_alone() {
        for (text, address) in [
            ("9435", "127.0.0.1:9435"),
            (":9435", "127.0.0.1:9435"),
            ("localhost:1", "127.0.0.1:1"),
            ("0.0.0.0:9435", "0.0.0.0:9435"),
            ("[::1]:9435", "[::1]:9435"),
        ] {
            assert_eq!(parse_address(text), Ok(address.parse().unwrap()));
        }
        for wrong in ["", "127.0.0.1", "70000", "example.com:80", "localhost"] {
            assert!(parse_address(wrong).is_err(), "{wrong}");
        }
    }
}
