//! Scores as rows come: what [`crate::Model::score`] says online, row by row.
//!
//! The model's state begins at zero, and again after a gap as long as its window; until it has seen a window of rows nothing is judged. A
//! row that is not whole holds what the last whole one held, and is not judged either.

use crate::artifact::Model;
use crate::features::Feature;
use crate::residuals::temper;
use crate::{Normal, Result};
use osd_detect::detector::Sight;
use osd_detect::scaler::Scaler;
use osd_detect::scoring::Streaming;
use osd_lstm::{Forecaster, Stream, distance};

/// Share of a row's time that samples must cover, as in [`crate::features`].
const COVERED: f64 = 0.9;

/// A row that alarms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loud {
    /// Score over threshold.
    pub severity: f64,
    /// The metric with the largest share.
    pub metric: &'static str,
    /// What was forecast of it, in its unit.
    pub expected: f64,
    /// What it was.
    pub actual: f64,
}

/// Scores rows by a model.
pub struct Scorer {
    features: Vec<&'static Feature>,
    scaler: Scaler,
    normal: Normal,
    window: usize,
    forecaster: Forecaster,
    threshold: f64,
    interval_s: f64,
    scores: Streaming,
    run: Option<Run>,
    parts: Vec<f64>,
    total: f64,
}

/// Rows from a whole one on, without a long gap.
struct Run {
    stream: Stream,
    forecast: Vec<f32>,
    /// What forecasts of levels were off by of late.
    off: Vec<f32>,
    n_seen: f32,
    /// Rows so far, and those since the last whole one.
    rows: usize,
    gap: usize,
    held: Vec<f64>,
}

impl Scorer {
    /// A scorer that has seen nothing.
    ///
    /// # Errors
    /// If the model names a metric that this version does not know.
    pub fn new(model: &Model, false_alarms_per_hour: f64) -> Result<Self> {
        let features = model.features()?;
        let (normal, interval_s) = (model.normal.clone(), model.config.interval_ns as f64 / 1e9);
        let threshold = normal.rate(Sight::Online).threshold(false_alarms_per_hour, interval_s);
        let scores = Streaming::new(normal.recipe(), normal.moments.clone());
        let (scaler, window) = (model.scaler.clone(), model.config.window);
        let forecaster = Forecaster::new(&model.lstm);
        let (parts, run) = (vec![], None);
        Ok(Self { features, scaler, normal, window, forecaster, threshold, interval_s, scores, run, parts, total: 0.0 })
    }

    /// Whether it judges the metric.
    pub fn sees(&self, metric: &str) -> bool {
        self.features.iter().any(|f| f.name == metric)
    }

    /// Of the alarms an hour that are `allowed`, those that it may give by chance.
    pub fn rate(&self, allowed: f64) -> f64 {
        let own = self.normal.rate(Sight::Online).per_hour(self.threshold, self.interval_s);
        own.clamp(0.0, allowed)
    }

    /// The score of the last row, over time.
    pub fn total(&self) -> f64 {
        self.total
    }

    /// Begins anew, as after a long gap.
    pub fn reset(&mut self) {
        self.run = None;
    }

    /// Takes the next row: `value` by the name of a metric, the share of its time that samples cover, and whether something counted was lost
    /// in it. Says so if it alarms.
    pub fn push(&mut self, value: impl Fn(&str) -> Option<f64>, covered: f64, lossy: bool) -> Option<Loud> {
        let metrics = self.features.len();
        let row: Vec<f64> = self.features.iter().map(|f| value(f.name).unwrap_or(f64::NAN)).collect();
        let valid = covered >= COVERED && !lossy;
        let mut residuals = vec![f64::NAN; metrics];
        let mut expected = vec![f64::NAN; metrics];
        if let Some(run) = &mut self.run {
            run.gap = if valid { 0 } else { run.gap + 1 };
        }
        if self.run.as_ref().is_some_and(|run| run.gap >= self.window) {
            self.run = None;
        }
        if self.run.is_none() && valid {
            self.run = Some(Run {
                stream: self.forecaster.stream(),
                forecast: vec![0.0; self.forecaster.outputs()],
                off: vec![0.0; metrics],
                n_seen: 0.0,
                rows: 0,
                gap: 0,
                held: row.clone(),
            });
        }
        if let Some(run) = &mut self.run {
            if valid {
                run.held.clone_from(&row);
            }
            let mut actual = Vec::with_capacity(metrics);
            self.scaler.apply(&run.held, &mut actual);
            let mut forecast = actual.clone();
            if run.rows > 0 {
                forecast.iter_mut().zip(run.forecast.iter().zip(&run.off)).for_each(|(out, (f, o))| *out = f + o);
                if valid {
                    run.n_seen += 1.0;
                    let share = (1.0 - 0.5_f32.powf(1.0 / self.window.max(1) as f32)).max(1.0 / run.n_seen);
                    for (m, off) in run.off.iter_mut().enumerate().filter(|(m, _)| self.features[*m].is_level()) {
                        *off += share * (actual[m] - run.forecast[m] - *off);
                    }
                }
                let units = forecast.iter().zip(&self.scaler.0).map(|(f, scale)| scale.undo(f64::from(*f)));
                expected.iter_mut().zip(units).for_each(|(e, v)| *e = v);
            }
            self.forecaster.push(&mut run.stream, &actual, &mut run.forecast);
            if valid && run.rows >= self.window {
                distance(&actual, &forecast, &mut residuals);
                temper(&actual, &self.normal.moments, &self.normal.familiar, &mut residuals);
            }
            run.rows += 1;
        }
        self.total = self.scores.push(&residuals, &mut self.parts);
        let judged = residuals.iter().all(|r| !r.is_nan());
        if !judged || self.total < self.threshold {
            return None;
        }
        let most = (0..metrics).max_by(|a, b| self.parts[*a].total_cmp(&self.parts[*b]))?;
        let severity = self.total / self.threshold.max(f64::MIN_POSITIVE);
        Some(Loud { severity, metric: self.features[most].name, expected: expected[most], actual: row[most] })
    }
}
