//! Residuals: how far each row is from its forecast, and the scores that they make.
//!
//! The model forecasts each row from all rows before it, carrying its state. The residual of a metric is the distance
//! between what was and what was forecast, in scaled units; [`osd_detect::scoring`] makes one score of them.

use crate::features::Feature;
use osd_detect::detector::Sight;
use osd_detect::scoring::{Moments, Recipe};
use osd_detect::series::Table;
use osd_lstm::{Forecaster, Segment, distance};

/// One-step forecasts of each row of a segment by the rows before it, scaled; of the first, the row itself.
///
/// A level stands elsewhere in each run of a program (what it maps, what it was given), and a forecast that is off by as much all the time
/// says nothing. So forecasts of levels are moved by what they were off of late: the mean at first, then with a half-life of a window.
pub(crate) fn forecasts(forecaster: &Forecaster, segment: &Segment, features: &[&Feature], window: usize) -> Vec<f32> {
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
pub(crate) fn residuals(
    forecaster: &Forecaster,
    segment: &Segment,
    features: &[&Feature],
    window: usize,
) -> (Table, Vec<bool>) {
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

/// Bounds the residuals of one row where its values are familiar.
pub(crate) fn temper(actual: &[f32], moments: &[Moments], familiar: &[[f64; 2]], residuals: &mut [f64]) {
    for (m, r) in residuals.iter_mut().enumerate() {
        if (familiar[m][0]..=familiar[m][1]).contains(&f64::from(actual[m])) {
            *r = r.min(moments[m].mean + FAMILIAR_SD * moments[m].sd);
        }
    }
}

/// The same for each row of a segment.
pub(crate) fn temper_all(segment: &Segment, moments: &[Moments], familiar: &[[f64; 2]], residuals: &mut Table) {
    for (at, row) in segment.values.chunks_exact(moments.len()).enumerate() {
        temper(row, moments, familiar, residuals.row_mut(at));
    }
}

/// Scores residuals, those of rows that are judged.
pub(crate) fn scores(
    residuals: &mut Table,
    judged: &[bool],
    moments: &[Moments],
    recipe: &Recipe,
    sight: Sight,
) -> osd_detect::detector::Scores {
    (0..residuals.len()).filter(|r| !judged[*r]).for_each(|r| residuals.row_mut(r).fill(f64::NAN));
    recipe.score(residuals, moments, sight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features;
    use osd_lstm::{Layer, Lstm};

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
