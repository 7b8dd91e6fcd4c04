//! Detectors over a corpus by machine: many metrics, a part to learn from, a part to be judged.
//!
//! A detector learns from the first four fifths of the training part; the last fifth, which it has not seen, gives the threshold for
//! the stated rate of false alarms; the test part is scored once. No label is looked at before the scores are there.

use super::error::Error;
use super::metrics::{self, Evaluation};
use crate::corpus::Labelled;
use osd_detect::alarm_rate::AlarmRate;
use osd_detect::detector::{self, Batch, Make, Scores, Setting, Sight};
use osd_detect::metric::Metric;
use osd_detect::registry;
use osd_detect::series::Table;

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

impl Batch for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn fit(&mut self, _: &Table) -> Result<(), detector::Error> {
        Ok(())
    }

    fn score(&self, series: &Table, _: Sight) -> Result<Scores, detector::Error> {
        let parts = Table::zeros(series.len(), series.columns());
        Ok(Scores { total: metrics::uniform(series.len()), parts })
    }
}

/// Any detector.
pub type Boxed = Box<dyn Batch + Send + Sync>;

/// All that are compared without training: a random score, then what the registry has for many metrics.
pub fn detectors(series: &Labelled) -> Vec<Boxed> {
    let setting = Setting {
        interval_s: series.interval_s,
        period: period(series),
        learn: 0,
        false_alarms_per_hour: 0.0,
        metric: Metric::UNKNOWN,
    };
    let registered = registry::all().filter_map(|entry| match entry.make {
        Make::Batch(make) => Some(make(&setting)),
        Make::Online(_) => None,
    });
    std::iter::once(Box::new(Random) as Boxed).chain(registered).collect()
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
    detector: &mut dyn Batch,
    train: &Table,
    sight: Sight,
    per_hour: f64,
    interval_s: f64,
) -> Result<Option<f64>, detector::Error> {
    detector.fit(&train.slice(0..split(train)))?;
    let normal = detector.score(&train.slice(split(train)..train.len()), sight)?.total;
    Ok(AlarmRate::fit(&normal).map(|rate| rate.threshold(per_hour, interval_s)))
}

/// Runs `detectors` over one machine.
///
/// # Errors
/// If there is nothing to learn from, or one of them cannot.
pub fn machine(series: &Labelled, sight: Sight, per_hour: f64, detectors: Vec<Boxed>) -> Result<Vec<Row>, Error> {
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
    detectors.into_iter().map(run).collect()
}
