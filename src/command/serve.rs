//! `osd record --serve` and `osd replay --serve`: the counts of the recording under way, over HTTP.
//!
//! The socket is there before anything is recorded, so that a port which is taken is an error and not a surprise. A recorder answers from
//! the end of the first interval on, by threads that are started then: privileges are gone, and these have none.

use osd_export::prom::{Live, Recorder};
use osd_export::serve::Server;
#[cfg(feature = "record")]
use osd_record::{Status, Watch};
use osd_recording::names::Arch;
#[cfg(feature = "record")]
use osd_recording::{Calls, Metadata, rows::Row};
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

/// Listens. A warning of whom it can be read by, if not only from this host, and what would be so.
pub(crate) fn bind(address: SocketAddr) -> crate::failure::Result<(Server, Option<[String; 2]>)> {
    let server = Server::bind(address)?;
    let warning = (!server.is_local()).then(|| {
        let all = "can read what is recorded: names of processes and their counts";
        [
            format!("whoever can reach {} {all}", server.address()),
            "--serve 127.0.0.1:9435 is for this host alone".into(),
        ]
    });
    Ok((server, warning))
}

/// What is asked for over HTTP, and how the recording goes.
pub(crate) struct Serving {
    counts: Arc<Mutex<Counts>>,
}

struct Counts {
    live: Live,
    /// Of a recorder; a replay has none.
    status: Option<Recorder>,
    /// Grows whenever something was counted.
    version: u64,
    /// The last answer in each form, of which version: whoever asks all the time costs no more than once an interval.
    answers: [Option<(u64, Vec<u8>)>; 2],
}

/// Nothing was counted yet.
fn fresh() -> Live {
    Live::new(Arch::native().unwrap_or(Arch::X86_64), env!("CARGO_PKG_VERSION"))
}

fn locked(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts what is recorded, and answers from the end of the first interval on.
#[cfg(feature = "record")]
struct Counting {
    counts: Arc<Mutex<Counts>>,
    server: Option<Server>,
}

#[cfg(feature = "record")]
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
    fn new(status: Option<Recorder>) -> Self {
        Self { counts: Arc::new(Mutex::new(Counts { live: fresh(), status, version: 0, answers: [None, None] })) }
    }

    /// Serves what the watch that comes with it sees.
    #[cfg(feature = "record")]
    pub(crate) fn start(server: Server) -> (Self, Box<dyn Watch>) {
        let serving = Self::new(Some(Recorder::default()));
        let counts = Arc::clone(&serving.counts);
        (serving, Box::new(Counting { counts, server: Some(server) }))
    }

    /// Serves what it is given, from now on.
    #[cfg(feature = "replay")]
    pub(crate) fn replay(server: Server) -> crate::failure::Result<Self> {
        let serving = Self::new(None);
        let asked = Arc::clone(&serving.counts);
        server.answer(move |open| locked(&asked).answer(open))?;
        Ok(serving)
    }

    /// Counts rows of a recording, all of one kind.
    #[cfg(feature = "replay")]
    pub(crate) fn block(
        &self,
        kind: osd_recording::Kind,
        rows: &arrow::array::RecordBatch,
    ) -> crate::failure::Result<()> {
        let mut counts = locked(&self.counts);
        counts.version += 1;
        Ok(counts.live.block(kind, rows)?)
    }

    /// Begins anew: counters that go back to zero are what a restart looks like.
    #[cfg(feature = "replay")]
    pub(crate) fn restart(&self) {
        let mut counts = locked(&self.counts);
        counts.version += 1;
        counts.live = fresh();
    }

    /// About once a second.
    #[cfg(feature = "record")]
    pub(crate) fn status(&self, status: &Status) {
        if let Some(recorder) = &mut locked(&self.counts).status {
            recorder.events = status.events;
            recorder.bytes = status.bytes;
            recorder.processes = status.processes as u64;
        }
    }
}

impl Counts {
    fn answer(&mut self, open: bool) -> Vec<u8> {
        let version = self.version;
        if let Some((_, answer)) = self.answers[usize::from(open)].as_ref().filter(|(of, _)| *of == version) {
            return answer.clone();
        }
        let recorder = self.status.map(|status| Recorder { cpu: own_cpu(), rss_bytes: own_rss_bytes(), ..status });
        let answer = self.live.text(open, recorder.as_ref());
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
