//! Detectors run over a corpus and measured: what `osd eval` prints.
//!
//! By machine, a detector learns from the first four fifths of the training part; the last fifth, which it has not seen, gives the
//! threshold for the stated rate of false alarms; the test part is scored once. No label is looked at before the scores are there.
//! NAB's files have no training part: scores are made online, row by row, and NAB's own scorer takes the threshold that is best for the
//! corpus, as it does for every detector of its leaderboard.

use crate::corpus::{self, Corpus, Labelled};
use crate::evaluate::metrics::{self, Evaluation};
use crate::evaluate::nab::{self, PROFILES};
use osd_detect::alarm_rate::AlarmRate;
use osd_detect::detector::{Detector, Scores, Sight};
use osd_detect::ensemble::Ensemble;
use osd_detect::novelty::{self, Novelty};
use osd_detect::plain::Plain;
use osd_detect::residual::{LastValue, Level, Pca};
use osd_detect::series::Table;
use osd_detect::stream;

/// Why an evaluation stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The files.
    #[error(transparent)]
    Corpus(#[from] corpus::Error),
    /// A machine without training part.
    #[error("{series}: no training part")]
    NoTrain {
        /// Which.
        series: String,
    },
    /// A detector cannot learn or score this.
    #[error("{series}: {detector}: {source}")]
    Detector {
        /// Which series.
        series: String,
        /// Which detector.
        detector: &'static str,
        /// Why.
        source: osd_detect::detector::Error,
    },
    /// Nothing to measure.
    #[error("{series}: {source}")]
    Measure {
        /// Which.
        series: String,
        /// Why.
        source: metrics::Error,
    },
}

impl Error {
    /// How to fix it, where that can be said.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Corpus(e) => e.hint(),
            Self::NoTrain { .. } => Some("put a part believed normal in train/, under the same name"),
            Self::Detector { .. } | Self::Measure { .. } => None,
        }
    }
}

/// One detector on one machine.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Row {
    /// The machine.
    pub series: String,
    /// The detector.
    pub detector: &'static str,
    /// How good it was.
    #[serde(flatten)]
    pub evaluation: Evaluation,
}

/// A uniform random score: the floor under every measure.
struct Random;

impl Detector for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn fit(&mut self, _: &Table) -> Result<(), osd_detect::detector::Error> {
        Ok(())
    }

    fn score(&self, series: &Table, _: Sight) -> Result<Scores, osd_detect::detector::Error> {
        let parts = Table::zeros(series.len(), series.columns());
        Ok(Scores { total: metrics::uniform(series.len()), parts })
    }
}

/// Any detector.
pub type Boxed = Box<dyn Detector + Send + Sync>;

/// All that are compared without training, the one that osd uses last. `period` is the points in a day, 0 if unknown.
pub fn detectors(period: usize) -> Vec<Boxed> {
    vec![
        Box::new(Random),
        Box::new(Plain::new("l2", Level::default())),
        Box::new(Plain::new("pca", Pca::default())),
        Box::new(Plain::new("last-value", LastValue::default())),
        Box::new(Ensemble::training_free(period)),
    ]
}

/// Points in a day if `series` has at least two days of training, else 0.
pub fn period(series: &Labelled) -> usize {
    let day = (86_400.0 / series.interval_s).round() as usize;
    if series.train.as_ref().is_some_and(|t| t.len() >= 2 * day) { day } else { 0 }
}

/// Where training ends and the threshold's part begins.
fn split(train: &Table) -> usize {
    train.len() * 4 / 5
}

/// A detector after training, with its threshold if the scores of normal data gave one.
pub fn learn(
    detector: &mut dyn Detector,
    train: &Table,
    sight: Sight,
    per_hour: f64,
    interval_s: f64,
) -> Result<Option<f64>, osd_detect::detector::Error> {
    detector.fit(&train.slice(0..split(train)))?;
    let normal = detector.score(&train.slice(split(train)..train.len()), sight)?.total;
    Ok(AlarmRate::fit(&normal).map(|rate| rate.threshold(per_hour, interval_s)))
}

/// Runs every detector over one machine, and `more` of them, which are made for the points in a day.
pub fn machine(
    series: &Labelled,
    sight: Sight,
    per_hour: f64,
    more: &dyn Fn(usize) -> Vec<Boxed>,
) -> Result<Vec<Row>, Error> {
    let name = || series.name.clone();
    let train = series.train.as_ref().ok_or_else(|| Error::NoTrain { series: name() })?;
    let run = |mut detector: Boxed| {
        let failed = |source, detector| Error::Detector { series: name(), detector, source };
        let threshold = learn(detector.as_mut(), train, sight, per_hour, series.interval_s)
            .map_err(|e| failed(e, detector.name()))?;
        let scores = detector.score(&series.test, sight).map_err(|e| failed(e, detector.name()))?.total;
        let evaluation = metrics::evaluate(&series.labels, &scores, series.interval_s, threshold)
            .map_err(|source| Error::Measure { series: name(), source })?;
        Ok(Row { series: name(), detector: detector.name(), evaluation })
    };
    let period = period(series);
    detectors(period).into_iter().chain(more(period)).map(run).collect()
}

/// One detector on NAB.
#[derive(Clone, Debug, serde::Serialize)]
pub struct NabRow {
    /// The detector.
    pub detector: &'static str,
    /// Where the numbers are from.
    pub source: &'static str,
    /// Scores of the profiles standard, `reward_low_FP_rate`, `reward_low_FN_rate`.
    pub scores: [f64; 3],
    /// Standard score of each file, at most one a window; empty for published rows.
    pub files: Vec<(String, f64)>,
}

/// The leaderboard, from NAB's `results/final_results.json` at commit ea702d75.
pub const PUBLISHED: [(&str, [f64; 3]); 14] = [
    ("ARTime", [74.853_8, 65.154_0, 80.362_3]),
    ("Numenta HTM", [70.101_1, 63.116_8, 74.320_2]),
    ("CAD OSE", [69.899_6, 66.977_1, 73.181_7]),
    ("htm.java", [65.549_9, 53.256_9, 70.424_1]),
    ("Numenta TM", [64.553_5, 56.665_3, 69.185_1]),
    ("earthgecko Skyline", [58.200_2, 46.195_3, 63.800_1]),
    ("KNN-CAD", [57.994_3, 43.408_5, 64.812_3]),
    ("Relative Entropy", [54.642_7, 47.598_4, 58.842_3]),
    ("Random Cut Forest", [51.717_1, 38.360_8, 59.748_8]),
    ("Twitter ADVec", [47.062_0, 33.610_1, 53.501_1]),
    ("Windowed Gaussian", [39.649_5, 20.868_0, 47.410_0]),
    ("Etsy Skyline", [35.687_0, 27.081_2, 44.481_0]),
    ("Random", [16.831_8, 5.763_7, 25.876_4]),
    ("EXPoSE", [16.436_7, 3.190_9, 26.920_9]),
];

/// Scores one NAB file online with the univariate detector, which is told the length of the probation, as all of NAB's are.
pub fn novelty_scores(series: &Labelled) -> Vec<f64> {
    let learn = nab::probation(series.test.len()) / 2;
    let mut detector = Novelty::new(novelty::Config::daily(learn, series.interval_s));
    series.test.column(0).map(|v| detector.push(v)).collect()
}

/// The same with the live detector, a file's row for a tenth of a second.
fn stream_scores(series: &Labelled) -> Vec<f64> {
    let config = stream::Config { relative_floor: 0.0, fall: Some(0.0), ..stream::Config::default() };
    let mut detector = stream::Detector::new(config);
    let score = |v| detector.push(Some(v)).severity;
    // Beyond any other: the scorer orders scores, and infinity has no order to itself.
    series.test.column(0).map(score).map(|s| s.min(f64::MAX)).collect()
}

/// Runs osd's univariate detectors over the files of NAB that `wanted` takes, best first, with the leaderboard if that is all of them.
pub fn nab(corpus: &Corpus, wanted: impl Fn(usize, &str) -> bool) -> Result<Vec<NabRow>, Error> {
    let names: Vec<&String> =
        corpus.names().iter().enumerate().filter(|(i, n)| wanted(*i, n)).map(|(_, n)| n).collect();
    let mut windows = vec![];
    let mut scores = [vec![], vec![], vec![]];
    for name in &names {
        // One file in memory at a time.
        let series = corpus.read(name)?;
        scores[0].push(novelty_scores(&series));
        scores[1].push(stream_scores(&series));
        scores[2].push(vec![0.0; series.test.len()]);
        windows.push(series.windows);
    }
    let row = |detector: &'static str, scores: &[Vec<f64>]| {
        let files: Vec<nab::File<'_>> =
            windows.iter().zip(scores).map(|(windows, scores)| nab::File { windows, scores }).collect();
        let outcomes = PROFILES.map(|profile| nab::best(&profile, &files));
        let per_file = names.iter().map(|n| (*n).clone()).zip(outcomes[0].files.iter().copied());
        NabRow { detector, source: "measured", scores: outcomes.each_ref().map(|o| o.score), files: per_file.collect() }
    };
    let mut rows = vec![row("osd novelty", &scores[0]), row("osd stream", &scores[1]), row("null", &scores[2])];
    if names.len() == corpus.names().len() && names.len() == 58 {
        let published = |(detector, scores)| NabRow { detector, source: "published", scores, files: vec![] };
        rows.extend(PUBLISHED.into_iter().map(published));
    }
    rows.sort_by(|a, b| b.scores[0].total_cmp(&a.scores[0]));
    Ok(rows)
}
