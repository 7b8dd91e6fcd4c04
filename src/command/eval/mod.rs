//! `osd eval`: how good the detectors are.

mod corpus;
#[cfg(feature = "analyze")]
mod recordings;

#[cfg(not(feature = "analyze"))]
use crate::failure::Failure;
use crate::failure::Result;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Measure the detectors: on public corpora with labelled anomalies, or on recordings of your own.
///
/// Beside osd's own there are always a random score and the cheap baselines. Thresholds come from normal data and the stated rate of
/// false alarms, never from labels; what did look at the labels is called oracle. Definitions, what is biased, and where to get the
/// corpora: docs/evaluation.md.
///
/// Recordings are judged as `osd analyze` and `osd score` judge them, and compared with the labels that they hold (`osd record --labels`):
/// what was found of each, how late, and how many alarms an hour were false. One without labels counts as normal.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// nab, smd, asd, jumpstarter, a folder laid out like one of them, or recordings.
    #[arg(required = true, value_name = "CORPUS|FILE")]
    what: Vec<String>,
    /// Judge recordings by this model as well.
    #[cfg(feature = "analyze")]
    #[arg(short, long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Folder that holds NAB, SMD, ASD and JumpStarter; without it OSD_DATASETS.
    #[arg(long, value_name = "DIR")]
    datasets: Option<PathBuf>,
    /// Only series whose name contains this.
    #[arg(long, value_name = "TEXT")]
    series: Option<String>,
    /// Every other series: `even` is what parameters were chosen on, `odd` the rest.
    #[arg(long, value_enum)]
    half: Option<Half>,
    /// False alarms allowed on normal data, as N/h, N/d or N/w [default: 1/d; of recordings 1/h].
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    false_alarms: Option<f64>,
    /// Scores know only what came before (NAB: always).
    #[arg(long)]
    online: bool,
    /// Time between points of a folder's series, where the files do not say.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = crate::format::parse_duration)]
    interval: u64,
    /// Also train an LSTM for each series, alone and as a member of the ensemble: a minute or so each.
    #[cfg(feature = "train")]
    #[arg(long)]
    lstm: bool,
    /// Seed of the LSTM.
    #[cfg(feature = "train")]
    #[arg(long, value_name = "N", default_value_t = 1, requires = "lstm")]
    seed: u64,
    /// How to write the answer.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

const EXAMPLES: &str = "EXAMPLES:
  osd eval nab --datasets ~/corpora          NAB's three profiles, beside the published leaderboard
  osd eval smd                               per machine and mean, beside the baselines
  osd eval asd --half odd --format csv       the machines that nothing was tuned on
  osd eval smd --lstm                        beside a trained model, too
  osd eval ./mine --interval 10s             your own: train/NAME.csv, test/NAME.csv, test_label/NAME.csv
  osd eval runs/*.parquet --model model/     recordings with labels: what was found, how late, and what was false";

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// Every measure, one line a series and detector.
    Csv,
    /// Every measure, as an object with `rows`.
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Half {
    /// The first, third, fifth ... by name.
    Even,
    /// The others.
    Odd,
}

/// `2/h` → 2 an hour.
fn parse_rate(text: &str) -> std::result::Result<f64, String> {
    let hours = |unit| match unit {
        "h" => Some(1.0),
        "d" => Some(24.0),
        "w" => Some(168.0),
        _ => None,
    };
    let parts = text.split_once('/').and_then(|(n, unit)| Some((n.trim().parse::<f64>().ok()?, hours(unit.trim())?)));
    match parts {
        Some((n, hours)) if n.is_finite() && n > 0.0 => Ok(n / hours),
        _ => Err("write how many in what time: 1/h, 2/d or 1/w".to_owned()),
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match args.what.as_slice() {
        [corpus] if !Path::new(corpus).is_file() => corpus::run(args, corpus),
        files => of_recordings(args, files),
    }
}

#[cfg(feature = "analyze")]
fn of_recordings(args: &Args, files: &[String]) -> Result<ExitCode> {
    let files: Vec<&Path> = files.iter().map(Path::new).collect();
    recordings::run(args, &files)
}

#[cfg(not(feature = "analyze"))]
fn of_recordings(_: &Args, _: &[String]) -> Result<ExitCode> {
    Err(Failure::new("this osd cannot judge recordings").hint("build it with the feature `analyze`"))
}

#[cfg(test)]
mod tests {
    use super::parse_rate;

    #[test]
    fn rates_are_read_as_written() {
        assert_eq!(parse_rate("1/h"), Ok(1.0));
        assert_eq!(parse_rate("12/d"), Ok(0.5));
        assert!(parse_rate("1").is_err() && parse_rate("0/h").is_err() && parse_rate("1/y").is_err());
    }
}
