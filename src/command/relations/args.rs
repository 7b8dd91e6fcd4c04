//! The arguments of `osd relations`.

use crate::format;
use std::path::PathBuf;

/// Learn how metrics move together, and find where they do not any more.
///
/// CPU follows calls, calls follow traffic. A fault changes one of them and not the other, often by less than either varies by itself.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXAMPLES: &str = "EXAMPLES:
  osd relations fit normal/*.parquet -o relations/      learn from recordings that are normal
  osd relations check -m relations/ run.parquet         what broke, when, and by which move
  osd relations check -m relations/ run.parquet --report=page
  osd relations fit --member web=web/*.parquet --member db=db/*.parquet -o relations/   two services, on one clock";

/// What to do.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Learn which metrics move together, and how.
    Fit(Fit),
    /// Find where recordings break what was learnt.
    Check(Check),
}

/// Learn which metrics move together, and how.
///
/// Every pair of metrics is screened; what is related becomes a grid of its values and the moves over it. The recordings should show the
/// loads that are normal: what was never seen is not usual. Exit status: 0, or 2 on an error, also if nothing is related.
#[derive(clap::Args)]
#[command(after_help = FIT_EXAMPLES)]
pub(super) struct Fit {
    #[command(flatten)]
    pub(super) recordings: Recordings,
    /// Folder of the model.
    #[arg(short, long, value_name = "DIR")]
    pub(super) output: PathBuf,
    /// Replace a model that is there.
    #[arg(long)]
    pub(super) force: bool,
    /// Length of a point [default: 1s, or the longest interval if that is longer].
    #[arg(long, value_name = "TIME", value_parser = format::parse_duration)]
    pub(super) step: Option<u64>,
    /// How many false alarms are allowed in what time, such as 1/h or 2/d: for single relations, and for all together, each.
    #[arg(long, value_name = "N/TIME", default_value = "1/h", value_parser = format::parse_rate)]
    pub(super) false_alarms: f64,
    /// Intervals of a metric at most, 2 to 64.
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(2..=64))]
    pub(super) intervals: usize,
    /// Relations that each metric keeps, its strongest.
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    pub(super) partners: usize,
    /// Points of a window of the network at most.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(8..=1_000_000))]
    pub(super) window: usize,
    /// Also learn metrics that follow what the rest of the host does: waiting for a processor, page faults, context switches.
    #[arg(long)]
    pub(super) all_metrics: bool,
    /// Judge moves as they were published (Gao et al. 2009), to compare: no counts smoothed by a kernel, and no regard to where a pair is.
    #[arg(long)]
    pub(super) published: bool,
    /// The seed of the groups.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
}

const FIT_EXAMPLES: &str = "EXAMPLES:
  osd relations fit normal/*.parquet -o relations/
  osd relations fit monday/ tuesday/ -o relations/ --step 10s --false-alarms 1/d
  osd relations fit --member web=web/*.parquet --member db=db/*.parquet -o relations/";

/// Find where recordings break what was learnt.
///
/// Exit status: 1 if something broke, 0 if all that could be judged holds, 2 on an error, and if nothing could be judged.
#[derive(clap::Args)]
#[command(after_help = CHECK_EXAMPLES)]
pub(super) struct Check {
    #[command(flatten)]
    pub(super) recordings: Recordings,
    /// Folder of the model, as `osd relations fit -o` wrote it.
    #[arg(short, long, value_name = "DIR")]
    pub(super) model: PathBuf,
    /// Go on learning: what is seen becomes usual, and what was learnt fades to half in about 700 points.
    #[arg(long)]
    pub(super) adapt: bool,
    /// How to print what broke.
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: Format,
    /// Also write a page: index.html, relations.png, relations.svg and relations.json in this folder.
    #[arg(long, value_name = "DIR")]
    pub(super) report: Option<PathBuf>,
    /// Replace the files of an earlier page.
    #[arg(long)]
    pub(super) force: bool,
}

const CHECK_EXAMPLES: &str = "EXAMPLES:
  osd relations check -m relations/ run.parquet
  osd relations check -m relations/ run.parquet --report=page     the network, and the grid of each broken pair
  osd relations check -m relations/ run.parquet --format json | jq '.episodes[] | [.start_ns, .sentence]'
  osd relations check -m relations/ --member web=web-now.parquet --member db=db-now.parquet";

/// Which recordings.
#[derive(clap::Args)]
pub(super) struct Recordings {
    /// Recordings, folders or patterns.
    #[arg(value_name = "FILE", required_unless_present = "member", conflicts_with = "member")]
    pub(super) files: Vec<PathBuf>,
    /// Recordings of one of several hosts or services, which are looked at together: its metrics are called NAME.cpu and so on. Repeat it
    /// for each.
    #[arg(long, value_name = "NAME=FILE", num_args = 1..)]
    pub(super) member: Vec<String>,
}

/// Output formats.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[value(alias = "table")]
    Text,
    /// One object; `docs/relations.md` describes it.
    Json,
    /// One episode a line.
    Ndjson,
}
