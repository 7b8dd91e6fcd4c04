//! What it costs a real server to be watched: redis under redis-benchmark and nginx under wrk, with
//! nothing attached, with the empty pair of programs, with osd, and with the tools people use
//! today, in one interleaved run.
//!
//! `make bench-peers` runs it, as root, and writes the tables into `docs/benchmarks.md`. `servers` starts the servers and their load,
//! `watchers` attaches osd and its peers, `rounds` puts them in turns, `process` reads what everybody used, `table` says it.
//!
//! Server and load are pinned to processor 0, whoever watches to processor 1. Sharing one processor, server and load hand it to each other in
//! the same rhythm whoever watches, so a request costs the same calls, sleeps and cache misses in every row. Apart (`--apart`: load and
//! watcher on processor 1) that rhythm depends on how much of its processor the watcher leaves to the load: a greedy watcher makes the
//! load send in larger batches, and by that makes the server *cheaper* by more than the hooks cost. The load is a bystander: it is not
//! watched, and what it pays more is shown apart.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    reason = "a benchmark prints, and says by status how it ended"
)]

mod process;
mod rounds;
mod servers;
mod statistics;
mod table;
mod watchers;

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Whatever stopped us, in words.
type Error = Box<dyn std::error::Error>;
type Result<T> = std::result::Result<T, Error>;

/// Where the server runs.
const SERVER_CPU: usize = 0;
/// Where the watchers run, and this program.
const WATCHER_CPU: usize = 1;

const USAGE: &str = "usage: make bench-peers [ARGS='OPTIONS']
  --quick       2 rounds, printed only
  --rounds N    how often each variant is measured (21)
  --seconds S   how long each time (1)
  --only WORDS  only variants whose name has one of these words, e.g. osd,perf; printed only
  --apart       the load on the watcher's processor instead of the server's
  --print       do not touch docs/benchmarks.md";

#[derive(Clone, Debug)]
struct Options {
    rounds: usize,
    length: Duration,
    only: Option<String>,
    load_cpu: usize,
    write: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { rounds: 21, length: Duration::from_secs(1), only: None, load_cpu: SERVER_CPU, write: true }
    }
}

fn main() {
    if let Err(error) = run() {
        eprintln!("error: {error}");
        std::process::exit(2);
    }
}

fn run() -> Result<()> {
    let options = parse(std::env::args().skip(1))?;
    // SAFETY: plain call.
    if unsafe { libc::geteuid() } != 0 {
        return Err("attaching to servers needs root: sudo make bench-peers".into());
    }
    process::pin_to(WATCHER_CPU).map_err(|e| format!("the benchmark needs two processors: {e}"))?;
    let dir = Scratch::new()?;
    let osd = osd_binary()?;
    let setting = table::Setting::describe(&options)?;
    let mut tables = String::new();
    for kind in servers::Kind::ALL {
        let results = rounds::measure(kind, &options, &dir.0, &osd)?;
        tables.push_str(&table::render(kind, &results));
    }
    let text = setting.in_words()? + &tables;
    println!("{text}");
    if options.write && text.contains(table::NOISE) {
        eprintln!(
            "warning: other work or other guests take too much of this machine: docs/benchmarks.md stays as it is"
        );
    } else if options.write {
        table::write(&text)?;
        eprintln!("written to docs/benchmarks.md");
    }
    Ok(())
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Options> {
    let mut options = Options::default();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value\n{USAGE}"));
        let number = |text: String| match text.parse::<u32>() {
            Ok(n @ 1..=1000) => Ok(n),
            _ => Err(format!("{text}: not a number from 1 to 1000")),
        };
        match arg.as_str() {
            "--quick" => (options.rounds, options.write) = (2, false),
            "--rounds" => options.rounds = number(value()?)? as usize,
            "--seconds" => options.length = Duration::from_secs(number(value()?)?.into()),
            "--only" => (options.only, options.write) = (Some(value()?), false),
            "--apart" => options.load_cpu = WATCHER_CPU,
            "--print" => options.write = false,
            // Cargo adds it.
            "--bench" => {}
            _ => return Err(format!("{arg}: not an option\n{USAGE}").into()),
        }
    }
    Ok(options)
}

/// The binary people run: what `OSD` names.
fn osd_binary() -> Result<PathBuf> {
    let path =
        std::env::var_os("OSD").map(PathBuf::from).ok_or("OSD does not name the osd binary: run make bench-peers")?;
    path.canonicalize().map_err(|e| format!("OSD={}: {e}", path.display()).into())
}

/// A directory that goes when we go.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("osd-peers-{}", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The file's text, or nothing if there is none.
fn read(path: &Path) -> String {
    // Traces hold the bytes of the processes traced, whatever they are.
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
