//! The run: starts everything, keeps the timetable, ends everything.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::workload::client::{self, Counts, Load};
use crate::workload::fault::{Fault, FaultSpec, Site};
use crate::workload::labels::LabelFile;
use crate::workload::levers::Levers;
use crate::workload::peer;
use crate::workload::sink::{PEER_ARG, SINK_ARG, SinkProcess};
use crate::workload::steady::{self, Log, Store, spawn};
use crate::workload::stop::Stop;
use crate::workload::sys::{self, Signals};
use crate::workload::temp::TempFolder;
use crate::workload::{Error, server};

/// What to run; see the flags of the same names.
#[derive(Clone, Debug)]
pub struct Config {
    /// From the moment the service is ready.
    pub duration: Duration,
    /// By start.
    pub faults: Vec<FaultSpec>,
    /// Where the ground truth goes.
    pub labels: Option<PathBuf>,
    /// Names the run.
    pub seed: u64,
    /// Requests a second.
    pub rate_per_s: f64,
    /// Swing of the rate, 0 to below 1.
    pub wave: f64,
    /// Requests come at random and in bursts.
    pub irregular: bool,
    /// Server threads.
    pub n_workers: usize,
    /// Client threads.
    pub n_clients: usize,
    /// Where the run's own folder is made; the system's temporary folder if `None`.
    pub parent_folder: Option<PathBuf>,
    /// Where to say that the service is ready.
    pub ready_file: Option<PathBuf>,
}

/// A service that takes requests.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// This process.
    pub pid: u32,
    /// The server's TCP port on 127.0.0.1.
    pub port: u16,
}

impl std::fmt::Display for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ready pid={} port={}", self.pid, self.port)
    }
}

/// How a run went.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// From ready to the end.
    pub elapsed: Duration,
    /// Requests made.
    pub n_requests: u64,
    /// Those of them without a right reply.
    pub n_failures: u64,
    /// Faults that ran, whole or in part.
    pub n_faults: usize,
    /// The signal that ended the run, if one did.
    pub signal: Option<i32>,
}

/// Runs it, with `on_ready` called once the service takes requests.
///
/// SIGINT and SIGTERM are blocked in the calling thread from here on, and end the run in good order.
///
/// # Errors
/// If it cannot start, or a fault could not do its work (the run goes on to its end first).
pub fn run(config: &Config, on_ready: impl FnOnce(Ready)) -> Result<Summary, Error> {
    let labels = config.labels.as_deref().map(LabelFile::create).transpose()?.map(Arc::new);
    // Both before the first thread. All inherit the mask, and only `Timetable::keep` takes the signals.
    sys::use_one_heap();
    let signals = Signals::block().map_err(Error::of("block signals"))?;
    let open_files_limit = sys::raise_open_files_limit().map_err(Error::of("raise the limit of open files"))?;
    let folder = TempFolder::new(config.parent_folder.as_deref())?;
    let files = steady::create_files(folder.path(), config.seed)?;
    // Not started when nothing is sent: the steady run is one process.
    let asked = |fault| config.faults.iter().any(|spec| spec.fault == fault);
    let sink = if asked(Fault::OutgoingTransfer) { Some(start_far_end(SINK_ARG)?) } else { None };
    let peer = if asked(Fault::SlowPeer) { Some(start_far_end(PEER_ARG)?) } else { None };
    let levers = Arc::new(Levers::default());

    let (log, log_lines) = mpsc::channel();
    let store = Arc::new(Store::new(folder.path(), files.clone(), config.seed, &levers));
    let server_stop = Stop::default();
    let server = server::start(&store, &Log::new(log), config.n_workers, &server_stop)?;
    let log_path = folder.path().join("service.log");
    let mut server_threads = steady::start(&store, log_lines, &log_path, config.seed, &server_stop)?;
    server_threads.extend(server.threads);
    if let Some(peer) = &peer {
        server_threads.extend(peer::start(peer.address(), &levers, &server_stop)?);
    }
    let Config { rate_per_s, wave, n_clients, irregular, .. } = *config;
    let load = Load { rate_per_s, wave, n_clients, irregular };
    let (client_stop, counts) = (Stop::default(), Arc::new(Counts::default()));
    let client_threads = client::start(server.address, load, config.seed, &counts, &client_stop)?;

    let ready = Ready { pid: process::id(), port: server.address.port() };
    if let Some(path) = &config.ready_file {
        announce(path, ready)?;
    }
    on_ready(ready);

    let start = Instant::now();
    let (report, reports) = mpsc::channel();
    let site = Site {
        folder: folder.path().to_path_buf(),
        files,
        sink: sink.as_ref().map(SinkProcess::address),
        levers,
        open_files_limit,
        strength: 1.0,
        start,
        end: start,
        stop: Stop::default(),
    };
    let timetable = Timetable { start, site, labels, report };
    let (signal, fault_threads) = timetable.keep(config, &signals)?;

    // A fault may last to the very end of the run; only a signal cuts it short.
    if signal.is_some() {
        timetable.site.stop.set();
    }
    let n_faults = fault_threads.len();
    join(fault_threads);
    // Then the clients: a server that goes before them would look like failures.
    client_stop.set();
    join(client_threads);
    server_stop.set();
    join(server_threads);
    drop(timetable);
    if let Some(error) = reports.iter().next() {
        return Err(error);
    }
    Ok(Summary {
        elapsed: start.elapsed(),
        n_requests: counts.requests.load(Ordering::Relaxed),
        n_failures: counts.failures.load(Ordering::Relaxed),
        n_faults,
        signal,
    })
}

fn start_far_end(argument: &str) -> Result<SinkProcess, Error> {
    let program = env::current_exe().map_err(Error::of("find this program's own file"))?;
    SinkProcess::start(&program, argument)
}

/// Writes the ready file under another name first: who waits for it never reads half of it. A device or FIFO is written through, and the file
/// that a link leads to is the one that is replaced.
fn announce(path: &Path, ready: Ready) -> Result<(), Error> {
    let leads_nowhere = path.is_symlink() && !path.exists();
    if leads_nowhere || fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return fs::write(path, format!("{ready}\n")).map_err(Error::at("write", path));
    }
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut partial = path.as_os_str().to_os_string();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    fs::write(&partial, format!("{ready}\n")).map_err(Error::at("write", &partial))?;
    fs::rename(&partial, path).map_err(Error::at("write", path))
}

fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        // A thread that panicked has said so on stderr.
        let _ = thread.join();
    }
}

struct Timetable {
    start: Instant,
    site: Site,
    labels: Option<Arc<LabelFile>>,
    report: Sender<Error>,
}

impl Timetable {
    /// Starts each fault at its time, until the duration is over or a signal comes.
    fn keep(&self, config: &Config, signals: &Signals) -> Result<(Option<i32>, Vec<JoinHandle<()>>), Error> {
        let mut threads = Vec::new();
        let mut faults = config.faults.iter().peekable();
        loop {
            let elapsed = self.start.elapsed();
            while let Some(spec) = faults.next_if(|spec| spec.start <= elapsed) {
                threads.push(self.start_fault(*spec)?);
            }
            if elapsed >= config.duration {
                return Ok((None, threads));
            }
            let next = faults.peek().map_or(config.duration, |spec| spec.start.min(config.duration));
            let signal = signals.wait(next.saturating_sub(elapsed)).map_err(Error::of("wait for a signal"))?;
            if signal.is_some() {
                return Ok((signal, threads));
            }
        }
    }

    fn start_fault(&self, spec: FaultSpec) -> Result<JoinHandle<()>, Error> {
        let mut site = self.site.clone();
        site.strength = spec.strength;
        let (labels, report) = (self.labels.clone(), self.report.clone());
        spawn(spec.fault.thread(), move || {
            // Read here: on a busy machine a thread begins milliseconds after it was started.
            site.start = Instant::now();
            site.end = site.start + spec.length;
            let (label, result) = spec.fault.run(&site);
            let labelled = labels.map_or(Ok(()), |labels| labels.append(&label));
            for error in [result.err(), labelled.err()].into_iter().flatten() {
                let _ = report.send(error);
            }
        })
    }
}
