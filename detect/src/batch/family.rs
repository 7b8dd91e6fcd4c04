//! The outlier detectors over series: a point is a row of features, its metrics, and what is
//! strange is a row unlike those while learning.
//!
//! They know nothing of time. Metrics are scaled by what they did while learning; those that stood still are left out, since many of the
//! detectors divide by what varies, and for those that cannot bear it what is a sum of others. Of a long learning time so many rows are taken, evenly, as all detectors learn from in seconds.

use super::plain::SMOOTH;
use super::residual::Scale;
use super::scoring::{self, Moments};
use crate::data::series::Table;
use crate::detector::{Batch, Entry, Error, Make, NotLearnt, Scores, Sight, learnable, scorable};
use crate::outlier::{self, CONTAMINATION, Fitted};
use crate::stats::robust;

/// Rows that are learnt from at most.
const MOST: usize = 4_000;
/// A score so many times the middle one says no more if it is higher.
const FAR: f64 = 1e9;

/// A detector of the family that has learnt, or will.
#[derive(Debug)]
struct Rows {
    name: &'static str,
    detector: &'static outlier::Entry,
    scale: Scale,
    /// Metrics that varied, of all.
    kept: Vec<usize>,
    metrics: usize,
    moments: Vec<Moments>,
    /// Least and middle score while learning: they become 0 and 1, since some of the scores are logarithms.
    scores: (f64, f64),
    fitted: Option<Fitted>,
}

impl Rows {
    fn new(name: &'static str, detector: &'static outlier::Entry) -> Self {
        let (scale, kept, moments) = Default::default();
        Self { name, detector, scale, kept, metrics: 0, moments, scores: (0.0, 1.0), fitted: None }
    }

    /// The metrics that varied, scaled.
    fn features(&self, series: &Table) -> Table {
        let scaled = self.scale.apply(series);
        let mut out = Table::new(self.kept.len());
        let mut row = vec![0.0; self.kept.len()];
        for values in scaled.rows() {
            row.iter_mut().zip(&self.kept).for_each(|(to, column)| *to = values[*column]);
            out.push(&row);
        }
        out
    }
}

fn refused(e: &outlier::Error) -> Error {
    Error::NotLearnt(NotLearnt { reason: e.to_string(), hint: Some("osd analyze --detector list names others".into()) })
}

impl Batch for Rows {
    fn name(&self) -> &'static str {
        self.name
    }

    fn fit(&mut self, train: &Table) -> Result<(), Error> {
        let train = learnable(train)?;
        let varies = |column: &usize| {
            let (low, high) = train.column(*column).fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
            high > low
        };
        self.metrics = train.columns();
        self.scale = Scale::fit(&train);
        self.kept = (0..train.columns()).filter(varies).collect();
        if self.kept.is_empty() {
            let reason = "no metric moved while learning".to_owned();
            return Err(Error::NotLearnt(NotLearnt {
                reason,
                hint: Some("record while the target is at work".into()),
            }));
        }
        let detector = (self.detector.make)(&[]).map_err(|e| refused(&e))?;
        let fitted = loop {
            let all = self.features(&train);
            self.moments = scoring::moments(&all);
            let step = all.len().div_ceil(MOST.min(self.detector.at_most));
            let mut rows = Table::new(all.columns());
            all.rows().step_by(step).for_each(|row| rows.push(row));
            match outlier::fit(detector.as_ref(), &rows, CONTAMINATION) {
                Ok(fitted) => break fitted,
                // A metric that is the sum of others says nothing that they do not.
                Err(outlier::Error::Constant { feature }) if self.kept.len() > 1 => _ = self.kept.remove(feature),
                Err(e) => return Err(refused(&e)),
            }
        };
        let least = fitted.decision_scores.iter().copied().fold(f64::INFINITY, f64::min);
        self.scores = (least, robust::median(&fitted.decision_scores).unwrap_or(least));
        self.fitted = Some(fitted);
        Ok(())
    }

    fn score(&self, series: &Table, sight: Sight) -> Result<Scores, Error> {
        let series = scorable(series, self.metrics)?;
        let Some(fitted) = &self.fitted else { return Err(Error::Metrics { found: series.columns(), learnt: 0 }) };
        let rows = self.features(&series);
        let (least, middle) = self.scores;
        let unit = if middle > least { middle - least } else { 1.0 };
        let mut scores = fitted.decision_function(&rows).map_err(|e| refused(&e))?;
        scores.iter_mut().for_each(|score| *score = ((*score - least) / unit).clamp(0.0, FAR));
        let mut parts = Table::zeros(series.len(), series.columns());
        for (at, row) in rows.rows().enumerate() {
            for ((value, m), column) in row.iter().zip(&self.moments).zip(&self.kept) {
                parts.row_mut(at)[*column] = m.z(*value).abs().min(scoring::Z_MAX);
            }
        }
        Ok(Scores { total: scoring::mean(&scores, SMOOTH, sight), parts })
    }
}

/// A line of the registry for one of the family.
macro_rules! rows {
    ($($name:literal: $of:literal, $causal:literal, $cost:literal;)*) => {
        &[$(Entry {
            name: $name,
            about: outlier::entry_of($of).about,
            paper: outlier::entry_of($of).paper,
            parameters: outlier::entry_of($of).parameters,
            cost: $cost,
            causal: $causal,
            make: Make::Batch(|_| Box::new(Rows::new($name, outlier::entry_of($of)))),
        }),*]
    };
}

/// Those of the family that score a point in bearable time and learn from any series. The others look at all pairs, or (CBLOF) refuse rows
/// that do not fall into large and small clusters: they are for tables.
pub(crate) const ENTRIES: &[Entry] = rows! {
    // Name, of the family, whether a score knows only its own point and those before, cost.
    "rows-knn": "knn", true, "O(log rows) to O(rows) a point; 4 000 rows remembered";
    "rows-lof": "lof", true, "O(log rows) to O(rows) a point; 4 000 rows remembered";
    "rows-iforest": "iforest", true, "O(trees x depth) a point";
    "rows-eiforest": "eiforest", true, "O(trees x depth x metrics) a point";
    "rows-inne": "inne", true, "O(members x rows of each x metrics) a point";
    "rows-hbos": "hbos", true, "O(metrics) a point";
    "rows-ecod": "ecod", false, "O(rows log rows) a metric";
    "rows-copod": "copod", false, "O(rows log rows) a metric";
    "rows-loda": "loda", true, "O(projections x metrics) a point";
    "rows-pca": "pca", true, "O(metrics^2) a point";
    "rows-mcd": "mcd", true, "O(metrics^2) a point";
    "rows-gmm": "gmm", true, "O(metrics^2) a point";
    "rows-ocsvm": "ocsvm", true, "O(support vectors x metrics) a point";
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::rng::Rng;

    /// The second follows the first, the third stands still, the fourth is the sum of the first two.
    fn table(rows: usize, seed: u64) -> Table {
        let mut rng = Rng(seed);
        let mut out = Table::new(4);
        for _ in 0..rows {
            let x = rng.normal();
            let y = 2.0 * x + 0.1 * rng.normal();
            out.push(&[x, y, 5.0, x + y]);
        }
        out
    }

    #[test]
    fn each_finds_a_row_that_none_was_like_and_bears_a_metric_that_stands_still() {
        for entry in ENTRIES {
            let Make::Batch(make) = entry.make else { panic!("{}", entry.name) };
            let mut detector = make(&crate::detector::Setting {
                interval_s: 1.0,
                period: 0,
                learn: 0,
                false_alarms_per_hour: 1.0,
                metric: crate::data::metric::Metric::UNKNOWN,
            });
            detector.fit(&table(9_000, 1)).unwrap();
            let mut test = table(400, 2);
            (200..230).for_each(|at| test.row_mut(at).copy_from_slice(&[4.0, -8.0, 5.0, -4.0]));
            let scores = detector.score(&test, Sight::Online).unwrap();
            let most = |span: std::ops::Range<usize>| scores.total[span].iter().copied().fold(f64::MIN, f64::max);
            assert!(most(200..260) > most(0..200), "{}", entry.name);
            assert_eq!(scores.parts.row(210)[2], 0.0, "{}", entry.name);
            assert!(scores.parts.row(210)[1] > 1.0, "{}", entry.name);
        }
    }

    #[test]
    fn nothing_that_moves_is_an_error_with_a_way_out() {
        let mut rows = Rows::new("rows-knn", outlier::entry_of("knn"));
        let still = Table::single(vec![1.0; 100]);
        let Err(Error::NotLearnt(why)) = rows.fit(&still) else { panic!() };
        assert!(why.reason.contains("no metric moved") && why.hint.is_some());
        assert!(rows.score(&still, Sight::Online).is_err());
    }
}
