//! Scores: how strange each moment of a recording is to a model, and which metric says so.
//!
//! The model forecasts each row from all rows before it, carrying its state; the residual of a metric is the distance between what was
//! and what was forecast, in scaled units. Residuals become one score by [`osd_detect::scoring`], by what they are on normal data, and
//! a score becomes an alarm by the rate of false alarms that normal data give ([`osd_detect::alarm_rate`]).
//!
//! The state begins at zero. Until [`crate::Config::window`] rows have passed nothing is judged: at the beginning, and again after a gap
//! as long as that.

use crate::alarms;
use crate::artifact::Model;
use crate::features::{self, Feature, Series};
use crate::prepare::{self, Prepared};
use crate::{Error, Result};
use osd_detect::alarm_rate::AlarmRate;
use osd_detect::detector::Sight;
use osd_detect::robust;
use osd_detect::scoring::{self, Moments, Recipe};
use osd_detect::series::Table;
use osd_lstm::{Forecaster, Lstm, Segment, distance};
use osd_recording::Recording;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// What errors and scores are on normal data: `threshold.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normal {
    /// Of each feature's residual in the validation part.
    pub moments: Vec<Moments>,
    /// Least and largest value of each feature in the training part, scaled.
    pub familiar: Vec<[f64; 2]>,
    /// Rows after which half of that is replaced by the stream; none to keep it.
    pub half_life: Option<f64>,
    /// Largest share of one metric in the score.
    pub cut: f64,
    /// Standard deviation of the kernel over time, rows.
    pub kernel: f64,
    /// Tail of the score, by what it may know.
    pub online: AlarmRate,
    /// The same for scores that may look ahead.
    pub offline: AlarmRate,
    /// Points that the tails were fitted on.
    pub points: usize,
}

/// Least points of normal data to fit a tail on.
const MIN_POINTS: usize = 100;

impl Normal {
    fn recipe(&self) -> Recipe {
        Recipe { half_life: self.half_life.unwrap_or(f64::INFINITY), cut: self.cut, kernel: self.kernel }
    }

    /// Whether it can be used for `features` features.
    pub(crate) fn check(&self, features: usize) -> std::result::Result<(), String> {
        for n in [self.moments.len(), self.familiar.len()] {
            if n != features {
                return Err(format!("it is about {n} features, and the model sees {features}"));
            }
        }
        let moments = self.moments.iter().all(|m| m.mean.is_finite() && m.sd.is_finite() && m.sd > 0.0)
            && self.familiar.iter().flatten().all(|v| v.is_finite());
        let numbers = [self.cut, self.kernel].iter().all(|v| v.is_finite() && *v >= 0.0)
            && self.kernel <= 10_000.0
            && self.half_life.is_none_or(|h| h.is_finite() && h >= 1.0);
        if moments && numbers && self.online.is_finite() && self.offline.is_finite() {
            Ok(())
        } else {
            Err("it holds values that no threshold can be made of".into())
        }
    }

    fn rate(&self, sight: Sight) -> &AlarmRate {
        match sight {
            Sight::Online => &self.online,
            Sight::Offline => &self.offline,
        }
    }
}

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
            return Err(Error::TooShort { path, found: series.n_valid(), wanted: window + 1 });
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

/// One-step forecasts of each row of a segment by the rows before it, scaled; of the first, the row itself.
///
/// A level stands elsewhere in each run of a program (what it maps, what it was given), and a forecast that is off by as much all the time
/// says nothing. So forecasts of levels are moved by what they were off of late: the mean at first, then with a half-life of a window.
fn forecasts(forecaster: &Forecaster, segment: &Segment, features: &[&Feature], window: usize) -> Vec<f32> {
    let metrics = features.len();
    let mut out = segment.values.clone();
    let mut stream = forecaster.stream();
    let mut forecast = vec![0.0; forecaster.outputs()];
    let mut off = vec![0.0; metrics];
    let least_share = 1.0 - 0.5_f32.powf(1.0 / window.max(1) as f32);
    let mut n_seen = 0.0;
    for (at, row) in segment.values.chunks_exact(metrics).enumerate() {
        if at > 0 {
            let moved = forecast.iter().zip(&off).map(|(f, o)| f + o);
            out[at * metrics..(at + 1) * metrics].iter_mut().zip(moved).for_each(|(out, f)| *out = f);
            if segment.valid[at] {
                n_seen += 1.0;
                let share = least_share.max(1.0 / n_seen);
                for (m, off) in off.iter_mut().enumerate().filter(|(m, _)| features[*m].is_level()) {
                    *off += share * (row[m] - forecast[m] - *off);
                }
            }
        }
        forecaster.push(&mut stream, row, &mut forecast);
    }
    out
}

/// How far each row of a segment is from its forecast, and which rows are judged.
fn residuals(forecaster: &Forecaster, segment: &Segment, features: &[&Feature], window: usize) -> (Table, Vec<bool>) {
    let metrics = features.len();
    let forecasts = forecasts(forecaster, segment, features, window);
    let mut residuals = Table::zeros(segment.rows(), metrics);
    let pairs = segment.values.chunks_exact(metrics).zip(forecasts.chunks_exact(metrics));
    pairs.enumerate().for_each(|(at, (actual, forecast))| distance(actual, forecast, residuals.row_mut(at)));
    let judged = (0..segment.rows()).map(|at| at >= window && segment.valid[at]).collect();
    (residuals, judged)
}

/// A value that training has seen is surprising where it is not expected, but not beyond all bounds: one row of it says little, and many do.
const FAMILIAR_SD: f64 = 3.72;

fn temper(actual: &[f32], moments: &[Moments], familiar: &[[f64; 2]], residuals: &mut [f64]) {
    for (m, r) in residuals.iter_mut().enumerate() {
        if (familiar[m][0]..=familiar[m][1]).contains(&f64::from(actual[m])) {
            *r = r.min(moments[m].mean + FAMILIAR_SD * moments[m].sd);
        }
    }
}

fn temper_all(segment: &Segment, moments: &[Moments], familiar: &[[f64; 2]], residuals: &mut Table) {
    for (at, row) in segment.values.chunks_exact(moments.len()).enumerate() {
        temper(row, moments, familiar, residuals.row_mut(at));
    }
}

/// Scores residuals, those of rows that are judged.
fn scores(
    residuals: &mut Table,
    judged: &[bool],
    moments: &[Moments],
    recipe: &Recipe,
    sight: Sight,
) -> osd_detect::detector::Scores {
    (0..residuals.len()).filter(|r| !judged[*r]).for_each(|r| residuals.row_mut(r).fill(f64::NAN));
    recipe.score(residuals, moments, sight)
}

/// Halves of normal data are no longer alike if the median score is so many times the normal one.
const STRANGE: f64 = 2.0;

/// Least standard deviation of a level's residual, in spreads: how little it moved in a few runs says little of the next.
const LEVEL_SD: f64 = 0.25;

/// Rows after which half of what validation said about residuals is replaced by the stream, within bounds: a few windows (ADR 11).
const HALF_LIFE: f64 = 300.0;

/// What errors and scores are on the validation part. Each segment is run from its beginning, so that the state is warm there.
pub(crate) fn normal(lstm: &Lstm, prepared: &Prepared) -> Result<Normal> {
    let (metrics, features) = (lstm.metrics, prepared.features.as_slice());
    let window = prepared.shape.window;
    let forecaster = Forecaster::new(lstm);
    let mut pooled = Table::new(metrics);
    let mut parts: Vec<(Table, Vec<bool>, usize)> = vec![];
    for (segment, split) in &prepared.whole {
        let (residuals, judged) = residuals(&forecaster, segment, features, window);
        (*split..segment.rows()).filter(|at| judged[*at]).for_each(|at| pooled.push(residuals.row(at)));
        parts.push((residuals, judged, *split));
    }
    let too_few = |points| Error::NoThreshold { points, needed: MIN_POINTS };
    if pooled.len() < MIN_POINTS {
        return Err(too_few(pooled.len()));
    }
    let mut moments = scoring::moments(&pooled);
    for (moments, _) in moments.iter_mut().zip(features).filter(|(_, f)| f.is_level()) {
        moments.sd = moments.sd.max(LEVEL_SD);
    }
    let mut familiar = vec![[f64::INFINITY, f64::NEG_INFINITY]; metrics];
    for (segment, split) in &prepared.whole {
        for row in segment.values.chunks_exact(metrics).take(*split) {
            let values = row.iter().map(|v| f64::from(*v));
            familiar.iter_mut().zip(values).for_each(|([low, high], v)| (*low, *high) = (low.min(v), high.max(v)));
        }
    }
    for ((segment, _), (residuals, ..)) in prepared.whole.iter().zip(&mut parts) {
        temper_all(segment, &moments, &familiar, residuals);
    }
    let recipe = Recipe { half_life: HALF_LIFE, ..Recipe::default() };
    let fit = |sight| {
        let mut totals = vec![];
        for (residuals, judged, split) in &parts {
            let total = scores(&mut residuals.clone(), judged, &moments, &recipe, sight).total;
            totals.extend((*split..total.len()).filter(|at| judged[*at]).map(|at| total[at]));
        }
        AlarmRate::fit(&totals).ok_or_else(|| too_few(totals.len()))
    };
    let (online, offline) = (fit(Sight::Online)?, fit(Sight::Offline)?);
    Ok(Normal {
        half_life: Some(recipe.half_life),
        cut: recipe.cut,
        kernel: recipe.kernel,
        points: pooled.len(),
        moments,
        familiar,
        online,
        offline,
    })
}

impl Model {
    /// Fits the tails of normal scores anew, on scores of rows that the scoring model has never seen: each of `lstms` was learnt from one
    /// of `halves` ([`Prepared::halves`]) and scores the other. That is all of the data, where the validation part is a quarter and
    /// has already said when to stop; what is rarer than a minute apart shows in no quarter of a few minutes.
    ///
    /// Whether it was done: one half may be of a night and the other of a day, and no model of one can tell what is normal in the other.
    ///
    /// # Errors
    /// If the weights do not fit, or too little is left to fit on; then nothing has changed.
    pub fn calibrate(&mut self, halves: &[Prepared; 2], lstms: [Lstm; 2]) -> Result<bool> {
        let recipe = self.normal.recipe();
        let mut totals: [Vec<f64>; 2] = Default::default();
        let [first, second] = lstms;
        for (lstm, half, other) in [(first, &halves[0], &halves[1]), (second, &halves[1], &halves[0])] {
            let model = Self::new(lstm, half, self.config.seed)?;
            // What never changes in this half and does in the other: it would be the whole score and upset every forecast, and the model of
            // both knows better. So it is not shown here.
            let frozen = (0..half.features.len()).filter(|m| half.constant.contains(&half.features[*m].name));
            let frozen: Vec<(usize, f32)> = frozen.map(|m| (m, model.normal.familiar[m][0] as f32)).collect();
            let forecaster = Forecaster::new(&model.lstm);
            for stretch in &other.stretches {
                let mut segment = stretch.scaled(&model.scaler);
                for row in segment.values.chunks_exact_mut(half.features.len()) {
                    frozen.iter().for_each(|(m, value)| row[*m] = *value);
                }
                let (mut residuals, judged) = residuals(&forecaster, &segment, &half.features, half.shape.window);
                temper_all(&segment, &model.normal.moments, &model.normal.familiar, &mut residuals);
                for (sight, totals) in [Sight::Online, Sight::Offline].into_iter().zip(&mut totals) {
                    let scores = scores(&mut residuals.clone(), &judged, &model.normal.moments, &recipe, sight).total;
                    totals.extend(scores.into_iter().zip(&judged).filter(|(_, judged)| **judged).map(|(s, _)| s));
                }
            }
        }
        let [online, offline] = totals;
        let points = online.len();
        let median = robust::median(&online).unwrap_or(f64::INFINITY);
        if median > STRANGE * scoring::quiet(self.lstm.metrics) {
            return Ok(false);
        }
        let fit = |totals: &[f64]| AlarmRate::fit(totals).ok_or(Error::NoThreshold { points, needed: MIN_POINTS });
        (self.normal.online, self.normal.offline) = (fit(&online)?, fit(&offline)?);
        self.normal.points = points;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use osd_lstm::Layer;

    /// Forecasts zero, whatever it sees.
    fn zero(metrics: usize) -> Forecaster {
        let (w_ih, w_hh, bias) = (vec![0.0; 4 * metrics], vec![0.0; 4], vec![0.0; 4]);
        let layer = Layer { input: metrics, hidden: 1, w_ih, w_hh, b_ih: bias.clone(), b_hh: bias };
        Forecaster::new(&Lstm::new(vec![layer], vec![0.0; metrics], vec![0.0; metrics], metrics, 1).unwrap())
    }

    #[test]
    fn what_training_has_seen_is_surprising_up_to_a_bound_and_the_rest_without() {
        let moments = [Moments { mean: 1.0, sd: 0.5 }; 2];
        let familiar = [[-1.0, 4.0]; 2];
        let mut residuals = [9.0, 9.0];
        temper(&[4.0, 4.1], &moments, &familiar, &mut residuals);
        assert_eq!(residuals, [1.0 + FAMILIAR_SD * 0.5, 9.0]);
        let mut small = [0.3, 0.3];
        temper(&[4.0, 4.1], &moments, &familiar, &mut small);
        assert_eq!(small, [0.3, 0.3], "what is expected stays so");
    }

    #[test]
    fn a_level_that_stands_elsewhere_is_expected_there_and_a_rate_is_not() {
        let features = features::named(&["rss", "cpu"]).unwrap();
        // Both stand at 5 where the model expects 0; at row 200 both jump by 1.
        let rows = (0..400).flat_map(|at| [5.0 + f32::from(at >= 200); 2]).collect();
        let segment = Segment { values: rows, valid: vec![true; 400] };
        let forecasts = forecasts(&zero(2), &segment, &features, 80);
        let of = |at: usize| (forecasts[2 * at], forecasts[2 * at + 1]);
        assert!(of(100) == (5.0, 0.0) && of(200) == (5.0, 0.0), "{:?} {:?}", of(100), of(200));
        assert!((of(280).0 - 5.5).abs() < 0.01, "half of the jump after a window: {:?}", of(280));
    }
}
