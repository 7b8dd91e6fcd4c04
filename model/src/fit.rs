//! From freshly trained weights to a model: what its errors are on normal data, and where its
//! alarms begin.

use crate::artifact::{Config, FORMAT_VERSION, Model, weights};
use crate::normal::Normal;
use crate::prepare::Prepared;
use crate::residuals::{residuals, scores, temper_all};
use crate::{Error, Result};
use osd_detect::alarm_rate::AlarmRate;
use osd_detect::detector::Sight;
use osd_detect::robust;
use osd_detect::scoring::{self, Recipe};
use osd_detect::series::Table;
use osd_lstm::{Forecaster, Lstm};
use std::path::Path;

/// Least points of normal data to fit a tail on.
const MIN_POINTS: usize = 100;

/// Halves of normal data are no longer alike if the median score is so many times the normal one.
const STRANGE: f64 = 2.0;

/// Least standard deviation of a level's residual, in spreads: how little it moved in a few runs says little of the next.
const LEVEL_SD: f64 = 0.25;

/// Rows after which half of what validation said about residuals is replaced by the stream, within bounds: a few windows (ADR 11).
const HALF_LIFE: f64 = 300.0;

/// What errors and scores are on the validation part. Each segment is run from its beginning, so that the state is warm there.
fn normal(lstm: &Lstm, prepared: &Prepared) -> Result<Normal> {
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
    /// A model of freshly trained weights: learns from the validation part what its errors are.
    ///
    /// # Errors
    /// If the weights do not fit the features, or too little is left to set a threshold by.
    pub fn new(lstm: Lstm, prepared: &Prepared, seed: u64) -> Result<Self> {
        let config = Config {
            format_version: FORMAT_VERSION,
            osd_version: env!("CARGO_PKG_VERSION").into(),
            features: prepared.features.iter().map(|f| f.name.to_owned()).collect(),
            interval_ns: prepared.interval_ns,
            window: prepared.shape.window,
            horizon: lstm.horizon,
            hidden: lstm.hidden(),
            layers: lstm.layers.len(),
            seed,
            recordings: prepared.recordings.clone(),
        };
        let unfit = |detail: String| Error::damaged(Path::new("the trained model"), detail);
        lstm.check().map_err(|e| unfit(e.to_string()))?;
        if lstm.metrics != prepared.features.len() {
            return Err(unfit(format!("{} metrics for {} features", lstm.metrics, prepared.features.len())));
        }
        let normal = normal(&lstm, prepared)?;
        let id = weights::id(&lstm);
        Ok(Self { config, lstm, scaler: prepared.scaler.clone(), normal, id })
    }

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
