//! What `osd eval` is asked for.

use crate::failure::{Failure, Result};
use std::path::PathBuf;

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
    /// nab, smd, asd, jumpstarter, adfa-ld, petshop, a folder laid out like one of them, or recordings, folders of them and patterns.
    #[arg(required = true, value_name = "CORPUS|FILE")]
    pub(super) what: Vec<PathBuf>,
    /// Judge recordings by this model as well.
    #[cfg(feature = "analyze")]
    #[arg(short, long, value_name = "DIR")]
    pub(super) model: Option<PathBuf>,
    /// Folder that holds NAB, SMD, ASD, JumpStarter, ADFA-LD and PetShop; without it OSD_DATASETS.
    #[arg(long, value_name = "DIR")]
    pub(super) datasets: Option<PathBuf>,
    /// Only series whose name contains this.
    #[arg(long, value_name = "TEXT")]
    pub(super) series: Option<String>,
    /// Every other series: `even` is what parameters were chosen on, `odd` the rest.
    #[arg(long, value_enum)]
    pub(super) half: Option<Half>,
    /// False alarms allowed on normal data, as N/h, N/d or N/w [default: 1/d; of recordings 1/h].
    #[arg(long, value_name = "RATE", value_parser = crate::format::parse_rate)]
    pub(super) false_alarms: Option<f64>,
    /// Scores know only what came before (NAB: always).
    #[arg(long)]
    pub(super) online: bool,
    /// Time between points of a folder's series, where the files do not say.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = crate::format::parse_duration)]
    pub(super) interval: u64,
    /// Of NAB: choose parameters and threshold of the novelty detector for each file on all others, and say what that gives.
    #[arg(long)]
    pub(super) left_out: bool,
    /// Also train an LSTM for each series, alone and as a member of the ensemble: a minute or so each; of traces, one that learns which call
    /// comes next: some minutes.
    #[cfg(feature = "train")]
    #[arg(long)]
    pub(super) lstm: bool,
    /// Seed of the LSTM.
    #[cfg(feature = "train")]
    #[arg(long, value_name = "N", default_value_t = 1, requires = "lstm")]
    pub(super) seed: u64,
    /// How to write the answer.
    #[arg(long, value_enum, default_value = "table")]
    pub(super) format: Format,
}

const EXAMPLES: &str = "EXAMPLES:
  osd eval nab --datasets ~/corpora          NAB's three profiles, beside the published leaderboard
  osd eval nab --left-out                    what is left where no file's labels choose anything for it
  osd eval smd                               per machine and mean, beside the baselines
  osd eval asd --half odd --format csv       the machines that nothing was tuned on
  osd eval smd --lstm                        beside a trained model, too
  osd eval adfa-ld                           system calls of processes, attacked or not
  osd eval adfa-ld --lstm                    beside a network that learns which call comes next
  osd eval petshop                           which component caused an issue: among the first 1, 3, 5
  osd eval ./mine --interval 10s             your own: train/NAME.csv, test/NAME.csv, test_label/NAME.csv
  osd eval runs/*.parquet --model model/     recordings with labels: what was found, how late, and what was false";

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people.
    Table,
    /// Every measure, one line a series and detector.
    Csv,
    /// Every measure, as an object with `rows`.
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Half {
    /// The first, third, fifth ... by name.
    Even,
    /// The others.
    Odd,
}

impl Args {
    /// Whether the option was given, where there is one.
    pub(super) fn has_model(&self) -> bool {
        #[cfg(feature = "analyze")]
        return self.model.is_some();
        #[cfg(not(feature = "analyze"))]
        false
    }

    /// The options that are about series of values, and whether they were given.
    pub(super) fn of_series(&self) -> [(&'static str, bool); 6] {
        [
            ("--series", self.series.is_some()),
            ("--half", self.half.is_some()),
            ("--online", self.online),
            ("--left-out", self.left_out),
            ("--lstm", self.has_lstm()),
            ("--false-alarms", self.false_alarms.is_some()),
        ]
    }

    /// Whether the option was given, where there is one.
    pub(super) fn has_lstm(&self) -> bool {
        #[cfg(feature = "train")]
        return self.lstm;
        #[cfg(not(feature = "train"))]
        false
    }
}

/// An option that would be passed over in silence is an error.
pub(super) fn refuse(of: &str, options: &[(&str, bool)]) -> Result<()> {
    match options.iter().find(|(_, given)| *given) {
        Some((option, _)) => {
            Err(Failure::new(format!("{option} has no meaning for an evaluation {of}")).hint("leave it out"))
        }
        None => Ok(()),
    }
}
