//! `osd eval`: how good the detectors are.

mod corpus;
#[cfg(feature = "analyze")]
mod recordings;

use crate::failure::{Failure, Result};
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
///
/// Exit status: 1 if a detector is in alarm for half of the normal time or more, whatever else it found; 2 on an error.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// nab, smd, asd, jumpstarter, a folder laid out like one of them, or recordings, folders of them and patterns.
    #[arg(required = true, value_name = "CORPUS|FILE")]
    what: Vec<PathBuf>,
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
    #[arg(long, value_name = "RATE", value_parser = crate::format::parse_rate)]
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

/// A table as CSV. Series and labels are named by files and people: what is in their names is quoted.
fn csv_text<'a, R>(rows: impl IntoIterator<Item = R>) -> Result<String>
where
    R: IntoIterator<Item = std::borrow::Cow<'a, str>>,
{
    let mut writer = csv::Writer::from_writer(vec![]);
    for row in rows {
        writer.write_record(row.into_iter().map(|cell| cell.into_owned())).map_err(Failure::new)?;
    }
    String::from_utf8(writer.into_inner().map_err(Failure::new)?).map_err(Failure::new)
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

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match args.what.as_slice() {
        [corpus] if is_corpus(corpus) => {
            refuse("of a corpus", &[("--model", args.has_model())])?;
            corpus::run(args, corpus)
        }
        files => {
            let [series, half, online] = [args.series.is_some(), args.half.is_some(), args.online];
            let given = [("--series", series), ("--half", half), ("--online", online), ("--lstm", args.has_lstm())];
            refuse("of recordings", &given)?;
            of_recordings(args, files)
        }
    }
}

/// Whether `name` is that of a corpus or its folder, and none of recordings.
fn is_corpus(name: &Path) -> bool {
    let of_recordings = |name: &Path| name.extension().is_some_and(|e| e == "parquet");
    if name.is_dir() {
        let mut entries = std::fs::read_dir(name).into_iter().flatten().flatten();
        return !name.join("index").is_file() && !entries.any(|e| of_recordings(&e.path()));
    }
    !name.is_file() && !of_recordings(name)
}

/// An option that would be passed over in silence is an error.
fn refuse(of: &str, options: &[(&str, bool)]) -> Result<()> {
    match options.iter().find(|(_, given)| *given) {
        Some((option, _)) => {
            Err(Failure::new(format!("{option} has no meaning for an evaluation {of}")).hint("leave it out"))
        }
        None => Ok(()),
    }
}

impl Args {
    fn has_model(&self) -> bool {
        #[cfg(feature = "analyze")]
        return self.model.is_some();
        #[cfg(not(feature = "analyze"))]
        false
    }

    fn has_lstm(&self) -> bool {
        #[cfg(feature = "train")]
        return self.lstm;
        #[cfg(not(feature = "train"))]
        false
    }
}

#[cfg(feature = "analyze")]
fn of_recordings(args: &Args, files: &[PathBuf]) -> Result<ExitCode> {
    recordings::run(args, &crate::inputs::recordings(files)?)
}

#[cfg(not(feature = "analyze"))]
fn of_recordings(_: &Args, _: &[PathBuf]) -> Result<ExitCode> {
    Err(Failure::new("this osd cannot judge recordings").hint("build it with the feature `analyze`"))
}
