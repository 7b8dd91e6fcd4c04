//! The registry's detectors of one metric over the Numenta Anomaly Benchmark, beside its published
//! leaderboard.
//!
//! NAB's files have no training part: scores are made online, row by row, and NAB's own scorer takes the threshold that is best for the
//! corpus, as it does for every detector of its leaderboard.

use super::error::Error;
use super::metrics::{VUS_WINDOW, auc, vus};
use super::nab::{self, PROFILES};
use crate::corpus::{Corpus, Labelled};
use osd_detect::detector::{Make, Online, Setting};
use osd_detect::metric::Metric;
use osd_detect::registry;

/// One detector on NAB.
#[derive(Clone, Debug, serde::Serialize)]
pub struct NabRow {
    /// The detector.
    pub detector: String,
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

/// The live detector is made for samples of tenths of a second.
const ROW_S: f64 = 0.1;

/// Scores one file with a detector that knows the length of the probation, as all of NAB's do. To one that counts time in seconds a row
/// is a tenth of one; its own limit is not looked at.
pub fn online_scores(make: fn(&Setting) -> Box<dyn Online + Send>, series: &Labelled) -> Vec<f64> {
    let mut detector = make(&Setting {
        interval_s: ROW_S,
        period: (86_400.0 / series.interval_s).round() as usize,
        learn: nab::probation(series.test.len()) / 2,
        false_alarms_per_hour: 1.0,
        metric: Metric::UNKNOWN,
    });
    series.test.column(0).map(|v| detector.push(Some(v)).value).collect()
}

/// How good scores of files are: as NAB says, and point by point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NabQuality {
    /// Of the profile `standard`.
    pub standard: f64,
    /// Mean over the files that have a window.
    pub vus_pr: f64,
    /// Likewise.
    pub auc_pr: f64,
}

/// How good the `scores` of each of these files are. `None` if no file has a window.
pub fn quality_on_nab(series: &[Labelled], scores: &[Vec<f64>]) -> Option<NabQuality> {
    let files: Vec<nab::File<'_>> =
        series.iter().zip(scores).map(|(s, scores)| nab::File { windows: &s.windows, scores }).collect();
    let labelled = series.iter().zip(scores).filter(|(s, _)| !s.windows.is_empty());
    let areas: Vec<(f64, f64)> = labelled
        .map(|(s, scores)| {
            let volume = vus::volume(&s.labels, scores, VUS_WINDOW, vus::THRESHOLDS);
            (volume.pr, auc::Curve::new(&s.labels, scores).average_precision())
        })
        .collect();
    let mean = |of: fn(&(f64, f64)) -> f64| areas.iter().map(of).sum::<f64>() / areas.len() as f64;
    let standard = nab::best(&PROFILES[0], &files).score;
    (!areas.is_empty()).then(|| NabQuality { standard, vus_pr: mean(|a| a.0), auc_pr: mean(|a| a.1) })
}

/// Runs the detectors over the files of NAB that `wanted` takes, best first, with the leaderboard if that is all of them.
///
/// # Errors
/// If a file cannot be read.
pub fn on_nab(corpus: &Corpus, wanted: impl Fn(usize, &str) -> bool) -> Result<Vec<NabRow>, Error> {
    let names: Vec<&String> =
        corpus.names().iter().enumerate().filter(|(i, n)| wanted(*i, n)).map(|(_, n)| n).collect();
    let makers: Vec<_> = registry::all()
        .filter_map(|entry| match entry.make {
            Make::Online(make) => Some((format!("osd {}", entry.name), make)),
            Make::Batch(_) => None,
        })
        .collect();
    let mut all: Vec<(String, Vec<Vec<f64>>)> = makers.iter().map(|(name, _)| (name.clone(), vec![])).collect();
    all.push(("null".to_owned(), vec![]));
    let mut windows = vec![];
    for name in &names {
        // One file in memory at a time.
        let series = corpus.read(name)?;
        let scored = makers.iter().map(|(_, make)| online_scores(*make, &series));
        let null = std::iter::once(vec![0.0; series.test.len()]);
        all.iter_mut().zip(scored.chain(null)).for_each(|((_, of_all), of_file)| of_all.push(of_file));
        windows.push(series.windows);
    }
    let row = |(detector, scores): (String, Vec<Vec<f64>>)| {
        let files: Vec<nab::File<'_>> =
            windows.iter().zip(&scores).map(|(windows, scores)| nab::File { windows, scores }).collect();
        let outcomes = PROFILES.map(|profile| nab::best(&profile, &files));
        let per_file = names.iter().map(|n| (*n).clone()).zip(outcomes[0].files.iter().copied());
        NabRow { detector, source: "measured", scores: outcomes.each_ref().map(|o| o.score), files: per_file.collect() }
    };
    let mut rows: Vec<NabRow> = all.into_iter().map(row).collect();
    if names.len() == corpus.names().len() && names.len() == 58 {
        let published = |(name, scores): (&str, _)| NabRow {
            detector: name.to_owned(),
            source: "published",
            scores,
            files: vec![],
        };
        rows.extend(PUBLISHED.into_iter().map(published));
    }
    rows.sort_by(|a, b| b.scores[0].total_cmp(&a.scores[0]));
    Ok(rows)
}
