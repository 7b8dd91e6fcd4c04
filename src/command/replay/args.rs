//! The options of `osd replay`.

use crate::command::alarms;
use crate::times::Moment;
use osd_recording::Kind;
use osd_replay::pace::Speed;
use std::path::PathBuf;

const EXAMPLES: &str = "EXAMPLES:
  osd replay run.parquet --speed 10               as it went, ten times as fast, with a status line
  osd replay run.parquet --speed max --format ndjson --only sample,process | jq .
  osd replay run.parquet --from 30s --to 1m --format table
  osd replay web-1.parquet web-2.parquet --format ndjson    two hosts, merged by their clocks
  osd replay run.parquet --follow --format ndjson --only syscall    what is still being written, as it comes
  osd replay run.parquet --detect --speed max     what a live detector would have said
  osd replay run.parquet --detect --alarms ndjson --on-alarm 'logger \"$OSD_SENTENCE\"'
  osd replay run.parquet --tui                    a screen to go back and forth in it
  osd replay run.parquet --tui --follow           the same of what is still being written
  osd replay run.parquet --serve 127.0.0.1:9435   with /metrics for Prometheus, as it was when it was recorded
  osd replay run.parquet --loop --speed 2 --format ndjson   over and over

A row comes when it was known: a call when it returned, a sample when its interval was over. docs/replay.md says more.";

/// Play recordings again, row by row, at the pace of then or faster.
///
/// Rows go to stdout, if --format asks for them, in the order in which a live recorder met them. Of several recordings they are
/// merged by the clocks of their hosts.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Recordings, folders of them, or patterns.
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// How many times as fast as it was, such as 1, 10 or 0.5; `max` is as fast as rows can be read.
    #[arg(long, value_name = "N|max", default_value = "1", allow_negative_numbers = true, value_parser = parse_speed)]
    pub(super) speed: Speed,
    /// Only rows that begin at this time or later: RFC 3339, or a time since the start of the first recording such as 30s.
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    pub(super) from: Option<Moment>,
    /// Only rows that begin before this time.
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    pub(super) to: Option<Moment>,
    /// At the end, begin again.
    #[arg(long = "loop", conflicts_with = "follow")]
    pub(super) laps: bool,
    /// Write rows to stdout in this form.
    #[arg(long, value_enum)]
    pub(super) format: Option<Format>,
    /// Only rows of these kinds, such as sample,process.
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = parse_kind)]
    pub(super) only: Vec<Kind>,
    /// A screen to go back and forth in a recording: metrics, processes, calls, files and findings. `?` shows its keys.
    #[arg(long, conflicts_with_all = ["format", "only", "from", "to"])]
    pub(super) tui: bool,
    /// While it is replayed, serve its counts at http://ADDRESS/metrics, as `osd record --serve` did when it was made.
    #[cfg(feature = "export")]
    #[arg(long, value_name = "ADDRESS", value_parser = crate::command::serve::parse_address, conflicts_with_all = ["only", "tui", "follow"])]
    pub(super) serve: Option<std::net::SocketAddr>,
    /// Go on with a recording that is still being written, until it is closed.
    #[arg(long)]
    pub(super) follow: bool,
    #[command(flatten)]
    pub(super) alarms: alarms::Args,
    /// Write nothing but errors to stderr.
    #[arg(short, long)]
    pub(super) quiet: bool,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people: a line for each row, with what it is about.
    #[value(alias = "text")]
    Table,
    /// An array of objects.
    Json,
    /// One object a line, with the values that `osd sql` gives.
    Ndjson,
}

fn parse_speed(text: &str) -> std::result::Result<Speed, String> {
    text.parse().map_err(|e: osd_replay::Error| format!("{e}; {}", e.hint().unwrap_or_default()))
}

fn parse_kind(text: &str) -> std::result::Result<Kind, String> {
    let text = text.trim();
    let found = Kind::ALL.into_iter().find(|k| [k.name(), k.table()].contains(&text));
    found.ok_or_else(|| format!("there are {}", Kind::ALL.map(Kind::name).join(", ")))
}
