//! Scores: how strange each moment of a recording is to a model, and which metric says so.
//!
//! Residuals (`residuals.rs`) become one score by what they are on normal data, and a score becomes an alarm by the
//! rate of false alarms that normal data give ([`osd_detect::alarm_rate`]).
//!
//! The model's state begins at zero. Until [`crate::Config::window`] rows have passed nothing is judged: at the beginning,
//! and again after a gap as long as that.

use crate::alarms;
use crate::artifact::Model;
use crate::features::{self, Feature, Series};
use crate::prepare;
use crate::residuals::{forecasts, scores, temper};
use crate::{Error, Result};
use osd_detect::alarm_rate::AlarmRate;
use osd_detect::detector::Sight;
use osd_detect::scoring::{self, Recipe};
use osd_detect::series::Table;
use osd_lstm::{Forecaster, distance};
use osd_recording::Recording;
use std::ops::Range;

/// How to score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Whether a score may know what came after it.
    pub sight: Sight,
    /// Alarms an hour that normal data may give.
    pub false_alarms_per_hour: f64,
    /// Overrides the threshold that follows from the rate.
    pub threshold: Option<f64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { sight: Sight::Offline, false_alarms_per_hour: 1.0, threshold: None }
    }
}

/// The scores of a recording, a row an interval.
#[derive(Clone, Debug)]
pub struct Scored {
    /// What was read, in units.
    pub series: Series,
    /// Columns.
    pub features: Vec<&'static Feature>,
    /// Whether the row is judged: the model has warmed up, and the row is whole.
    pub judged: Vec<bool>,
    /// Higher is stranger; where a row is not judged, what its neighbours lend it.
    pub total: Vec<f64>,
    /// The share of each metric, before the kernel.
    pub parts: Table,
    /// What was forecast, in units; NaN where nothing was.
    pub expected: Table,
    /// Scores from here on are alarms.
    pub threshold: f64,
    /// Tail of the score on normal data.
    rate: AlarmRate,
    recipe: Recipe,
    /// What was asked for.
    pub options: Options,
    /// Rows that are not judged because the model had seen too little.
    pub warm_up: usize,
}

/// A time that alarms.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    /// First to last and one.
    pub rows: Range<usize>,
    /// Largest score.
    pub peak: f64,
    /// The metric with the largest share.
    pub metric: usize,
}

impl Scored {
    /// Whether a row alarms.
    pub fn anomalous(&self, row: usize) -> bool {
        self.judged[row] && self.total[row] >= self.threshold
    }

    /// Alarms an hour that normal data give at `score` and above.
    pub fn alarms_per_hour(&self, score: f64) -> f64 {
        self.rate.per_hour(score, self.series.grid.seconds(1))
    }

    /// The alarms, in order: runs of rows that alarm, cut to what is loud; an echo is none (`alarms.rs`).
    pub fn alarms(&self) -> Vec<Alarm> {
        let quiet = scoring::quiet(self.features.len());
        let raw: Vec<f64> = (0..self.total.len())
            .map(|row| if self.judged[row] { self.parts.row(row).iter().sum() } else { quiet })
            .collect();
        let runs = (0..self.total.len()).filter(|r| self.anomalous(*r));
        let cut = alarms::Cut {
            raw: &raw,
            quiet,
            threshold: self.threshold,
            kernel: self.recipe.kernel,
            sight: self.options.sight,
        };
        let alarm = |(rows, peak): (Range<usize>, f64)| {
            let share = |m: usize| rows.clone().map(|r| self.parts.row(r)[m]).sum::<f64>();
            let metric = (0..self.features.len()).max_by(|a, b| share(*a).total_cmp(&share(*b))).unwrap_or(0);
            Alarm { rows, peak, metric }
        };
        cut.alarms(runs, &self.total).into_iter().map(alarm).collect()
    }
}

impl Model {
    /// Scores a recording.
    ///
    /// # Errors
    /// If it lacks a feature of the model, has another interval, or nothing of it can be judged.
    pub fn score(&self, recording: &Recording, options: Options) -> Result<Scored> {
        prepare::check_interval(recording, self.config.interval_ns, "the model wants")?;
        let features = self.features()?;
        let series = features::read(recording, &features)?;
        let window = self.config.window;
        let forecaster = Forecaster::new(&self.lstm);
        let metrics = features.len();
        let mut judged = vec![false; series.grid.len];
        let mut residuals = Table::zeros(series.grid.len, metrics);
        let mut expected = Table::new(metrics);
        (0..series.grid.len).for_each(|_| expected.push(&vec![f64::NAN; metrics]));
        let mut warm_up = 0;
        for rows in prepare::stretches_of(&series.valid, window) {
            let segment = prepare::scaled(&series, rows.clone(), &self.scaler);
            let forecasts = forecasts(&forecaster, &segment, &features, window);
            for (i, at) in rows.enumerate() {
                let forecast = &forecasts[i * metrics..(i + 1) * metrics];
                if i > 0 {
                    let units = forecast.iter().zip(&self.scaler.0).map(|(f, scale)| scale.undo(f64::from(*f)));
                    expected.row_mut(at).iter_mut().zip(units).for_each(|(e, v)| *e = v);
                }
                judged[at] = i >= window && segment.valid[i];
                warm_up += usize::from(i < window);
                let actual = &segment.values[i * metrics..(i + 1) * metrics];
                distance(actual, forecast, residuals.row_mut(at));
                temper(actual, &self.normal.moments, &self.normal.familiar, residuals.row_mut(at));
            }
        }
        if !judged.contains(&true) {
            let path = recording.path().to_owned();
            let (found, wanted) = (series.n_valid(), window + 1);
            return Err(Error::TooShort { path, found, wanted, interval_ns: self.config.interval_ns });
        }
        let (rate, recipe) = (self.normal.rate(options.sight), self.normal.recipe());
        let interval_s = self.config.interval_ns as f64 / 1e9;
        let threshold = options.threshold.unwrap_or_else(|| rate.threshold(options.false_alarms_per_hour, interval_s));
        let scores = scores(&mut residuals, &judged, &self.normal.moments, &recipe, options.sight);
        let (total, parts) = (scores.total, scores.parts);
        let rate = rate.clone();
        Ok(Scored { series, features, judged, total, parts, expected, threshold, rate, recipe, options, warm_up })
    }
}
