//! A forecaster among the detectors: what is learnt, by whom it is learnt, and the same recipe as
//! for every other residual.

use crate::forward::Forecaster;
use crate::segment::{Learner, Segment};
use osd_detect::detector::{Batch, Error, Scores, Sight, learnable, scorable};
use osd_detect::scaler::Scaler;
use osd_detect::scoring::{self, Moments, Recipe};
use osd_detect::series::Table;

/// Scores by the residuals of a forecaster that `learner` fits.
pub struct Forecasting {
    name: &'static str,
    learner: Box<dyn Learner + Send + Sync>,
    recipe: Recipe,
    warm_up: usize,
    windowed: bool,
    learnt: Option<(Scaler, Forecaster, Vec<Moments>)>,
}

impl Forecasting {
    /// A detector that has learnt nothing. The first `warm_up` rows of what is scored only warm the state.
    pub fn new(name: &'static str, learner: Box<dyn Learner + Send + Sync>, recipe: Recipe, warm_up: usize) -> Self {
        Self { name, learner, recipe, warm_up, windowed: false, learnt: None }
    }

    /// Forecasts each row from the `warm_up` rows before it and a state of zero, as in training, instead of from all rows before: what the
    /// stream, which costs that many times less, is measured against.
    #[must_use]
    pub fn in_windows(self) -> Self {
        Self { windowed: true, ..self }
    }

    fn residuals(&self, forecaster: &Forecaster, segment: &Segment, metrics: usize) -> Table {
        let mut out = streamed(forecaster, segment, metrics);
        let window = self.warm_up.max(1);
        if self.windowed && segment.rows() > window {
            let starts: Vec<usize> = (0..segment.rows() - window).collect();
            let forecasts = forecaster.windows(&segment.values, &starts, window, 1);
            for (start, forecast) in starts.into_iter().zip(forecasts.chunks_exact(forecaster.outputs())) {
                let at = start + window;
                distance(&segment.values[at * metrics..(at + 1) * metrics], forecast, out.row_mut(at));
            }
        }
        out
    }
}

/// Least spread of a metric whose unit is not known, as a share of its range in training. By hand.
const FLOOR: f64 = 1e-3;

fn scaler(train: &Table) -> Scaler {
    let floor = |column| {
        let ends = train.column(column).fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        (FLOOR * (ends.1 - ends.0)).max(1e-9)
    };
    Scaler::fit(train, &(0..train.columns()).map(floor).collect::<Vec<_>>())
}

fn segment(table: &Table, scaler: &Scaler) -> Segment {
    let mut segment = Segment { values: vec![], valid: vec![true; table.len()] };
    table.rows().for_each(|row| scaler.apply(row, &mut segment.values));
    segment
}

/// How far a row is from its forecast, metric by metric, in the unit of both; `out` is as long as the row.
pub fn distance(row: &[f32], forecast: &[f32], out: &mut [f64]) {
    out.iter_mut().zip(row.iter().zip(forecast)).for_each(|(r, (a, f))| *r = f64::from((a - f).abs()));
}

/// Distance of each value from its forecast by the rows before, scaled; 0 in the first row.
fn streamed(forecaster: &Forecaster, segment: &Segment, metrics: usize) -> Table {
    let mut out = Table::zeros(segment.rows(), metrics);
    let mut stream = forecaster.stream();
    let mut forecast = vec![0.0; forecaster.outputs()];
    for (at, row) in segment.values.chunks_exact(metrics).enumerate() {
        if at > 0 {
            distance(row, &forecast, out.row_mut(at));
        }
        forecaster.push(&mut stream, row, &mut forecast);
    }
    out
}

impl Batch for Forecasting {
    fn name(&self) -> &'static str {
        self.name
    }

    fn fit(&mut self, train: &Table) -> Result<(), Error> {
        let train = learnable(train)?;
        let split = train.len() * 3 / 4;
        let (metrics, scaler) = (train.columns(), scaler(&train.slice(0..split)));
        let whole = segment(&train, &scaler);
        let (first, last) = (whole.slice(0..split, metrics), whole.slice(split..train.len(), metrics));
        let lstm = self.learner.learn(&[first], &[last], metrics)?;
        let forecaster = Forecaster::new(&lstm);
        let residuals = self.residuals(&forecaster, &whole, metrics);
        self.learnt = Some((scaler, forecaster, scoring::moments(&residuals.slice(split..train.len()))));
        Ok(())
    }

    fn score(&self, series: &Table, sight: Sight) -> Result<Scores, Error> {
        let none = || Error::Metrics { found: series.columns(), learnt: 0 };
        let (scaler, forecaster, moments) = self.learnt.as_ref().ok_or_else(none)?;
        let series = scorable(series, moments.len())?;
        let mut residuals = self.residuals(forecaster, &segment(&series, scaler), moments.len());
        for at in 0..self.warm_up.min(residuals.len()) {
            residuals.row_mut(at).iter_mut().zip(moments).for_each(|(r, m)| *r = m.mean);
        }
        Ok(self.recipe.score(&residuals, moments, sight))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NotLearnt, Reservoir};
    use osd_detect::rng::Rng;

    /// Two metrics with a rhythm; the second follows the first.
    fn series(rows: usize, seed: u64, change: impl Fn(usize, &mut [f64; 2])) -> Table {
        let mut rng = Rng(seed);
        let mut table = Table::new(2);
        for i in 0..rows {
            let wave = (std::f64::consts::TAU * i as f64 / 40.0).sin();
            let mut row = [10.0 + 3.0 * wave + 0.1 * rng.normal(), 500.0 + 100.0 * wave + 4.0 * rng.normal()];
            change(i, &mut row);
            table.push(&row);
        }
        table
    }

    fn check(span: std::ops::Range<usize>, metric: usize, change: impl Fn(usize, &mut [f64; 2])) {
        let recipe = Recipe { kernel: 3.0, ..Recipe::default() };
        let mut detector = Forecasting::new("lstm", Box::new(Reservoir::default()), recipe, 40);
        detector.fit(&series(2_000, 1, |_, _| ())).unwrap();
        for sight in [Sight::Online, Sight::Offline] {
            let scores = detector.score(&series(1_200, 2, &change), sight).unwrap();
            let found = (0..1_200).max_by(|a, b| scores.total[*a].total_cmp(&scores.total[*b])).unwrap();
            assert!((span.start..span.end + 10).contains(&found), "{found} is not in {span:?}");
            let of = |m: usize| span.clone().map(|at| scores.parts.row(at)[m]).sum::<f64>();
            assert!(of(metric) > of(1 - metric), "the other metric is blamed");
        }
    }

    #[test]
    fn a_point_anomaly_is_found() {
        check(700..701, 0, |i, row| row[0] += if i == 700 { 6.0 } else { 0.0 });
    }

    #[test]
    fn a_contextual_anomaly_is_found() {
        // The height of a crest, in a trough.
        check(705..713, 1, |i, row| row[1] = if (705..713).contains(&i) { 590.0 } else { row[1] });
    }

    #[test]
    fn a_collective_anomaly_is_found() {
        // Every value is usual; that it trembles between two of them is not.
        let tremble = |i: usize| if i.is_multiple_of(2) { 8.0 } else { 12.0 };
        check(700..740, 0, |i, row| row[0] = if (700..740).contains(&i) { tremble(i) } else { row[0] });
    }

    #[test]
    fn a_stream_and_windows_score_alike() {
        let with = |windowed: bool| {
            let learner = Box::new(Reservoir { layers: 2, ..Reservoir::default() });
            let detector = Forecasting::new("lstm", learner, Recipe::default(), 40);
            let mut detector = if windowed { detector.in_windows() } else { detector };
            detector.fit(&series(2_000, 1, |_, _| ())).unwrap();
            let spike = |i: usize, row: &mut [f64; 2]| row[0] += if i == 700 { 6.0 } else { 0.0 };
            detector.score(&series(1_200, 2, spike), Sight::Online).unwrap().total
        };
        let (stream, windows) = (with(false), with(true));
        let most = stream.iter().copied().fold(0.0, f64::max);
        let off = stream.iter().zip(&windows).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(off > 0.0 && off < 0.01 * most, "{off} of {most}");
    }

    #[test]
    fn what_cannot_be_learnt_says_why() {
        let recipe = Recipe::default();
        let mut detector = Forecasting::new("lstm", Box::new(Reservoir::default()), recipe, 40);
        let few = series(70, 1, |_, _| ());
        assert!(matches!(detector.fit(&few), Err(Error::NotLearnt(NotLearnt { hint: Some(_), .. }))));
        assert_eq!(detector.score(&few, Sight::Online), Err(Error::Metrics { found: 2, learnt: 0 }));
    }
}
