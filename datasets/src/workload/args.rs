//! The command line of `osd-workload`, and what it comes to.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::workload::duration::parse_duration;
use crate::workload::fault::{FaultSpec, STRENGTHS};
use crate::workload::run::Config;

const EXAMPLES: &str = "\
EXAMPLES
  osd-workload --duration 2m
      a steady service, nothing wrong with it
  osd-workload --fault cpu_burn@20s+5s --fault fsync_storm@40s+5sx0.5 --labels labels.ndjson
      two faults, one of them weak, and the ground truth
  sudo osd record -o run.parquet --labels labels.ndjson -- \\
      osd-workload --demo-faults --labels labels.ndjson
      every fault once, recorded

Ends by itself, or cleanly on SIGINT or SIGTERM. Exit status: 0 done, 2 error or misuse.";

/// The quiet time after the last fault if no duration is given, and the least length of a run then.
const TAIL: Duration = Duration::from_secs(9);
const DURATION: Duration = Duration::from_secs(60);

/// Run a small key-value service with its clients in one process, and make it misbehave when told
///
/// The steady part serves GET and SET over loopback from a cache and from files, logs with an fsync a second, sweeps its
/// cache every two seconds, and costs 10 to 25 % of a core. Faults are added on top of it, each with its start and end
/// written to the label file.
#[derive(Debug, Parser)]
#[command(name = "osd-workload", version, after_help = EXAMPLES)]
pub struct Args {
    /// How long to run from the moment the service is ready: 500ms, 10s, 2m [default: 60s, longer if the faults need it]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    duration: Option<Duration>,

    /// A fault and its time, repeatable: NAME@START+LENGTH[xSTRENGTH], strength 0.5 weak, 1 medium, 2 strong
    #[arg(long, value_name = "SPEC")]
    fault: Vec<FaultSpec>,

    /// The first ten faults once: the first at 20 s, each 5 s long, 9 s of quiet between
    #[arg(long)]
    demo_faults: bool,

    /// List the faults and end
    #[arg(long)]
    list_faults: bool,

    /// Write one JSON line for each fault, when it ends: name, start_ns, end_ns (UTC), note
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,

    /// The seed of all that is random: sizes, keys, gaps
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Requests a second, of all clients together
    #[arg(long, value_name = "PER_S", default_value = "400", value_parser = parse_rate)]
    rate: f64,

    /// How far the rate swings around its mean, as a fraction; one swing takes 20 s
    #[arg(long, value_name = "FRACTION", default_value = "0.15", value_parser = parse_wave)]
    wave: f64,

    /// How requests come: in jittered steps, or at random (Poisson) and in bursts
    #[arg(long, value_enum, default_value = "steady")]
    load: LoadKind,

    /// Server threads
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,

    /// Client threads
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    clients: u16,

    /// Keep files below this folder, in one of their own that is removed at the end [default: the temporary folder]
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,

    /// Write `ready pid=.. port=..` to this file when the service is ready
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,

    /// Be the receiving end of outgoing_transfer
    #[arg(long, hide = true, exclusive = true)]
    sink: bool,

    /// Be the dependency of slow_peer
    #[arg(long, hide = true, exclusive = true)]
    peer: bool,
}

/// How requests come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum LoadKind {
    Steady,
    Irregular,
}

/// What the arguments ask for.
#[derive(Debug)]
pub enum Task {
    /// Run the workload.
    Run(Config),
    /// Say which faults there are.
    ListFaults,
    /// Be the sink process.
    Sink,
    /// Be the dependency.
    Peer,
}

impl Args {
    /// What to do.
    ///
    /// # Errors
    /// A sentence, if the arguments contradict each other.
    pub fn task(self) -> Result<Task, String> {
        if self.sink {
            return Ok(Task::Sink);
        }
        if self.peer {
            return Ok(Task::Peer);
        }
        if self.list_faults {
            return Ok(Task::ListFaults);
        }
        let mut faults = self.fault;
        if self.demo_faults {
            faults.extend(FaultSpec::demo());
        }
        faults.sort_by_key(|spec| spec.start);
        let last = faults.iter().max_by_key(|spec| spec.end());
        let duration = self
            .duration
            .unwrap_or_else(|| last.map_or(DURATION, |spec| DURATION.max(spec.end().saturating_add(TAIL))));
        if let Some(spec) = last.filter(|spec| spec.end() > duration) {
            let (fault, end) = (spec.fault, spec.end());
            return Err(format!(
                "{fault} ends at {end:?}, after the run's {duration:?}: give --duration {end:?} or more"
            ));
        }
        Ok(Task::Run(Config {
            duration,
            faults,
            labels: self.labels,
            seed: self.seed,
            rate_per_s: self.rate,
            wave: self.wave,
            irregular: self.load == LoadKind::Irregular,
            n_workers: self.workers.into(),
            n_clients: self.clients.into(),
            parent_folder: self.dir,
            ready_file: self.ready_file,
        }))
    }
}

fn parse_number(text: &str, range: std::ops::RangeInclusive<f64>) -> Result<f64, String> {
    let wanted = || format!("want a number from {} to {}", range.start(), range.end());
    text.parse().ok().filter(|number| range.contains(number)).ok_or_else(wanted)
}

fn parse_rate(text: &str) -> Result<f64, String> {
    parse_number(text, 1.0..=100_000.0)
}

fn parse_wave(text: &str) -> Result<f64, String> {
    parse_number(text, 0.0..=0.9)
}

/// The table of `--list-faults`.
pub fn list_faults() -> String {
    let mut text = String::new();
    for fault in crate::workload::fault::Fault::ALL {
        text.push_str(&format!("{:18} {:9} {}\n", fault.name(), fault.thread(), fault.summary()));
    }
    text.push_str(&format!(
        "\nThe second column is the thread that does it; amounts are those of strength 1 (from {} to {}).\n",
        STRENGTHS.start(),
        STRENGTHS.end()
    ));
    text
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{Args, Task};

    fn check(args: &str, expected: &str) {
        let args = Args::try_parse_from(format!("osd-workload {args}").split_whitespace()).expect("well-formed");
        let found = match args.task() {
            Ok(Task::Run(config)) => format!("{:?}, {} faults", config.duration, config.faults.len()),
            Ok(task) => format!("{task:?}"),
            Err(error) => error,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn command_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn run_is_as_long_as_its_faults_need() {
        check("", "60s, 0 faults");
        check("--duration 3s", "3s, 0 faults");
        check("--fault cpu_burn@1s+1s", "60s, 1 faults");
        check("--demo-faults", "160s, 10 faults");
        check("--demo-faults --fault cpu_burn@200s+5sx2", "214s, 11 faults");
    }

    #[test]
    fn fault_after_the_end_is_refused() {
        check(
            "--duration 10s --fault cpu_burn@8s+3s",
            "cpu_burn ends at 11s, after the run's 10s: give --duration 11s or more",
        );
    }
}
