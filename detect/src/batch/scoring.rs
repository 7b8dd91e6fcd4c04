//! From residuals of many metrics to one score, keeping the share of each.
//!
//! The recipe that Garg et al. (TNNLS 2021) found best over seven data sets, with what streams need:
//! 1. z of each residual by mean and standard deviation on *validation* data, which drift with the stream ("Gauss-D"), a little;
//! 2. s = -log10 of the normal tail beyond z, cut, so that one metric alone does not decide;
//! 3. their sum over metrics, the parts kept;
//! 4. a kernel over time ("-K"): centred and Gaussian offline, exponential and causal online.

use crate::data::series::Table;
use crate::detector::{Batch, Error, Residual, Scores, Sight, learnable, scorable};
use crate::stats::special::normal_tail as tail;
use std::collections::VecDeque;

/// Where z is cut in plain scores: beyond, more is not stranger. By hand; no corpus was looked at.
pub const Z_MAX: f64 = 50.0;

/// Mean and standard deviation of one metric's residuals.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Moments {
    /// Mean.
    pub mean: f64,
    /// Standard deviation, floored so that a metric that never moved divides nothing by nothing.
    pub sd: f64,
}

impl Moments {
    /// Standard deviations above the mean.
    pub fn z(&self, residual: f64) -> f64 {
        (residual - self.mean) / self.sd
    }
}

/// Least standard deviation: residuals of [`crate::batch::residual`] are in ranges of training, and a thousandth of it matters to nobody. By hand.
const SD_FLOOR: f64 = 1e-3;

/// Of each column.
pub fn moments(residuals: &Table) -> Vec<Moments> {
    let n = residuals.len().max(1) as f64;
    let of = |column: usize| {
        let mean = residuals.column(column).sum::<f64>() / n;
        let variance = residuals.column(column).map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        Moments { mean, sd: variance.sqrt().max(SD_FLOOR) }
    };
    (0..residuals.columns()).map(of).collect()
}

/// How far a mean may drift from what validation said, in standard deviations of validation. Chosen on live recordings: ADR 11.
const MEAN_DRIFT: f64 = 0.5;

/// By what factor a standard deviation may drift, up or down. Likewise.
const SD_DRIFT: f64 = 1.25;

/// What drifts with the stream: runs of one program differ a little in what their residuals are, and a threshold for a rate of false alarms
/// is wrong by a multiple where all scores stand a tenth higher. More than a little is no drift but an anomaly, and so is what scores as one:
/// neither is learnt.
struct Drift<'a> {
    now: Vec<Moments>,
    validation: &'a [Moments],
    keep: f64,
    /// The total of late, what a row counts in it, and from where on nothing is learnt: an order of magnitude above what is normal.
    late: f64,
    share: f64,
    most: f64,
}

impl<'a> Drift<'a> {
    fn new(validation: &'a [Moments], recipe: &Recipe) -> Self {
        let quiet = quiet(validation.len());
        let keep = 0.5_f64.powf(1.0 / recipe.half_life);
        let share = causal_share(recipe.kernel);
        Self { now: validation.to_vec(), validation, keep, late: quiet, share, most: quiet + 1.0 }
    }

    /// Learns from a row that scored `total`.
    fn learn(&mut self, residuals: &[f64], total: f64) {
        self.late += self.share * (total - self.late);
        if self.keep >= 1.0 || self.late > self.most {
            return;
        }
        let of_each = residuals.iter().zip(&mut self.now).zip(self.validation);
        for ((residual, m), validation) in of_each {
            let off = (residual - m.mean).clamp(-3.0 * m.sd, 3.0 * m.sd);
            let (mean, sd) = (validation.mean, validation.sd);
            m.mean = (m.mean + (1.0 - self.keep) * off).clamp(mean - MEAN_DRIFT * sd, mean + MEAN_DRIFT * sd);
            let spread = (self.keep * (m.sd * m.sd + (1.0 - self.keep) * off * off)).sqrt();
            m.sd = spread.clamp(sd / SD_DRIFT, sd * SD_DRIFT);
        }
    }
}

/// The score of so many metrics on average in normal rows: -log10 of a probability is 1/ln 10 on average.
pub fn quiet(metrics: usize) -> f64 {
    metrics as f64 / std::f64::consts::LN_10
}

/// How residuals become scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// Points after which half of what validation said is replaced by the stream, within narrow bounds; infinite to keep it.
    pub half_life: f64,
    /// Largest share of one metric, in decimal orders of the tail.
    pub cut: f64,
    /// Standard deviation of the kernel, points; 0 for none.
    pub kernel: f64,
}

/// Cut and kernel were chosen on half of the machines of `docs/evaluation.md`, "What was tuned on what".
impl Default for Recipe {
    fn default() -> Self {
        Self { half_life: f64::INFINITY, cut: 100.0, kernel: 10.0 }
    }
}

impl Recipe {
    /// Scores residuals by what they were in validation. A row with a NaN is not judged: it says neither good nor bad, and teaches nothing.
    pub fn score(&self, residuals: &Table, validation: &[Moments], sight: Sight) -> Scores {
        let mut drift = Drift::new(validation, self);
        let mut parts = residuals.clone();
        let mut total = Vec::with_capacity(residuals.len());
        for (at, row) in residuals.rows().enumerate() {
            let scored = parts.row_mut(at);
            let judged = row.iter().all(|r| !r.is_nan());
            if judged {
                scored.iter_mut().zip(&drift.now).for_each(|(value, m)| *value = tail(m.z(*value)).min(self.cut));
            } else {
                scored.fill(tail(0.0));
            }
            let sum = scored.iter().sum();
            if judged {
                drift.learn(row, sum);
            }
            total.push(sum);
        }
        Scores { total: smooth(&total, self.kernel, sight), parts }
    }
}

/// The recipe as a stream: row by row what [`Recipe::score`] says online of all of them.
#[derive(Clone, Debug)]
pub struct Streaming {
    recipe: Recipe,
    validation: Vec<Moments>,
    now: Vec<Moments>,
    late: Option<f64>,
    smooth: Option<f64>,
}

impl Streaming {
    /// Has seen nothing.
    pub fn new(recipe: Recipe, validation: Vec<Moments>) -> Self {
        Self { recipe, now: validation.clone(), validation, late: None, smooth: None }
    }

    /// Scores the next row: the total over time, and the share of each metric before the kernel, into `parts`. A row with a NaN is not judged.
    pub fn push(&mut self, residuals: &[f64], parts: &mut Vec<f64>) -> f64 {
        let mut drift = Drift::new(&self.validation, &self.recipe);
        std::mem::swap(&mut drift.now, &mut self.now);
        drift.late = self.late.unwrap_or(drift.late);
        let judged = residuals.iter().all(|r| !r.is_nan());
        parts.clear();
        let cut = self.recipe.cut;
        match judged {
            true => parts.extend(residuals.iter().zip(&drift.now).map(|(r, m)| tail(m.z(*r)).min(cut))),
            false => parts.resize(residuals.len(), tail(0.0)),
        }
        let sum = parts.iter().sum();
        if judged {
            drift.learn(residuals, sum);
        }
        self.late = Some(drift.late);
        self.now = drift.now;
        if self.recipe.kernel <= 0.0 {
            return sum;
        }
        let state = self.smooth.get_or_insert(sum);
        *state += causal_share(self.recipe.kernel) * (sum - *state);
        *state
    }
}

/// A residual scored by the recipe: the last quarter of training is validation.
#[derive(Clone, Debug)]
pub struct Scored<R> {
    name: &'static str,
    residual: R,
    recipe: Recipe,
    moments: Vec<Moments>,
}

impl<R: Residual> Scored<R> {
    /// A detector that has learnt nothing.
    pub fn new(name: &'static str, residual: R, recipe: Recipe) -> Self {
        Self { name, residual, recipe, moments: vec![] }
    }
}

impl<R: Residual> Batch for Scored<R> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn fit(&mut self, train: &Table) -> Result<(), Error> {
        let train = learnable(train)?;
        let split = train.len() * 3 / 4;
        self.residual.fit(&train.slice(0..split));
        self.moments = moments(&self.residual.residuals(&train.slice(split..train.len())));
        Ok(())
    }

    fn score(&self, series: &Table, sight: Sight) -> Result<Scores, Error> {
        let series = scorable(series, self.moments.len())?;
        Ok(self.recipe.score(&self.residual.residuals(&series), &self.moments, sight))
    }
}

/// What the newest point counts in an exponential kernel of standard deviation `sd` points: with mean age a it is sqrt(a (a + 1)).
fn causal_share(sd: f64) -> f64 {
    1.0 / ((sd * sd + 0.25).sqrt() + 0.5)
}

/// A kernel of standard deviation `sd` points over time: Gaussian and centred offline; online an exponential one of the same spread.
pub fn smooth(values: &[f64], sd: f64, sight: Sight) -> Vec<f64> {
    if sd <= 0.0 {
        return values.to_vec();
    }
    match sight {
        Sight::Online => {
            let share = causal_share(sd);
            let mut state = values.first().copied().unwrap_or(0.0);
            values
                .iter()
                .map(|v| {
                    state += share * (v - state);
                    state
                })
                .collect()
        }
        Sight::Offline => {
            let reach = (3.0 * sd).ceil() as usize;
            let kernel: Vec<f64> = (0..=reach).map(|d| (-0.5 * (d as f64 / sd).powi(2)).exp()).collect();
            let at = |i: usize| {
                let from = i.saturating_sub(reach);
                let near = values[from..(i + reach + 1).min(values.len())].iter().enumerate();
                let (sum, weight) = near.fold((0.0, 0.0), |(s, w), (j, v)| {
                    let k = kernel[(from + j).abs_diff(i)];
                    (s + k * v, w + k)
                });
                sum / weight
            };
            (0..values.len()).map(at).collect()
        }
    }
}

/// Mean over `width` points: centred offline, trailing online; over fewer at the edges.
pub fn mean(values: &[f64], width: usize, sight: Sight) -> Vec<f64> {
    let ahead = if sight == Sight::Offline { width / 2 } else { 0 };
    let mut inside: VecDeque<f64> = VecDeque::new();
    let mut sum = 0.0;
    let mut next = values.iter();
    (0..values.len())
        .map(|i| {
            let due = if i == 0 { ahead + 1 } else { 1 };
            for v in next.by_ref().take(due) {
                inside.push_back(*v);
                sum += v;
            }
            let entered = (i + ahead + 1).min(values.len());
            while inside.len() > entered.saturating_sub((i + ahead + 1).saturating_sub(width)) {
                sum -= inside.pop_front().unwrap_or(0.0);
            }
            sum / inside.len().max(1) as f64
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::rng::Rng;

    #[test]
    fn means_are_means_of_what_is_there() {
        let values: Vec<f64> = (0..50).map(|i| f64::from(i * i % 17)).collect();
        for sight in [Sight::Online, Sight::Offline] {
            let ahead = if sight == Sight::Offline { 3 } else { 0 };
            for (i, m) in mean(&values, 7, sight).into_iter().enumerate() {
                let (from, to) = ((i + ahead + 1).saturating_sub(7), (i + ahead + 1).min(50));
                let wanted = values[from..to].iter().sum::<f64>() / (to - from) as f64;
                assert!((m - wanted).abs() < 1e-9, "{sight:?} {i}");
            }
        }
    }

    #[test]
    fn row_by_row_the_recipe_says_online_what_it_says_of_all() {
        let mut rng = Rng(7);
        let recipe = Recipe { half_life: 50.0, ..Recipe::default() };
        let validation = vec![Moments { mean: 1.0, sd: 0.3 }; 3];
        let mut table = Table::new(3);
        for at in 0..400 {
            let far = if (200..210).contains(&at) { 9.0 } else { 0.0 };
            let gap = if (300..303).contains(&at) { f64::NAN } else { 0.0 };
            table.push(&[1.0 + 0.3 * rng.normal(), 1.2 + far, 0.9 + 0.3 * rng.normal() + gap]);
        }
        let all = recipe.score(&table, &validation, Sight::Online);
        let mut stream = Streaming::new(recipe, validation);
        let mut parts = vec![];
        for (at, row) in table.rows().enumerate() {
            assert_eq!(stream.push(row, &mut parts), all.total[at], "{at}");
            assert_eq!(parts, all.parts.row(at), "{at}");
        }
    }

    #[test]
    fn kernels_keep_the_mass_and_the_causal_one_looks_back_only() {
        let mut spike = vec![0.0; 400];
        spike[200] = 1.0;
        let (on, off) = (smooth(&spike, 8.0, Sight::Online), smooth(&spike, 8.0, Sight::Offline));
        assert!((on.iter().sum::<f64>() - 1.0).abs() < 1e-6 && (off.iter().sum::<f64>() - 1.0).abs() < 1e-6);
        assert!(on[..200].iter().all(|v| *v == 0.0) && off[190] > 0.0);
        let spread = |v: &[f64]| {
            let mean: f64 = v.iter().enumerate().map(|(i, v)| i as f64 * v).sum();
            v.iter().enumerate().map(|(i, v)| (i as f64 - mean).powi(2) * v).sum::<f64>().sqrt()
        };
        assert!((spread(&on) - 8.0).abs() < 0.1 && (spread(&off) - 8.0).abs() < 0.2);
    }

    /// Half-normal residuals of seven metrics with `factor` times the standard deviation, and what they are said to be.
    fn residuals(n: usize, factor: f64) -> (Table, Vec<Moments>) {
        let mut rng = Rng(5);
        let mut table = Table::new(7);
        (0..n).for_each(|_| table.push(&std::array::from_fn::<f64, 7, _>(|_| factor * rng.normal().abs())));
        (table, vec![Moments { mean: 0.8, sd: 0.6 }; 7])
    }

    #[test]
    fn a_run_that_stands_a_little_elsewhere_scores_as_the_others_and_one_that_stands_far_off_does_not() {
        let fixed = Recipe::default();
        let drifting = Recipe { half_life: 600.0, ..fixed.clone() };
        let mean = |recipe: &Recipe, factor: f64| {
            let (table, validation) = residuals(20_000, factor);
            let total = recipe.score(&table, &validation, Sight::Online).total;
            total[5_000..].iter().sum::<f64>() / 15_000.0
        };
        let normal = mean(&drifting, 1.0);
        let (followed, not) = (mean(&drifting, 1.2), mean(&fixed, 1.2));
        assert!((followed - normal).abs() < 0.2 * (not - normal), "{normal} {followed} {not}");
        // Within narrow bounds only.
        let (far, not) = (mean(&drifting, 3.0), mean(&fixed, 3.0));
        assert!(far > normal + 0.5 * (not - normal), "{normal} {far} {not}");
    }

    #[test]
    fn an_anomaly_of_any_length_does_not_become_normal() {
        let (mut table, validation) = residuals(20_000, 1.0);
        // One metric of seven, for two minutes at ten rows a second: twenty times what it is.
        (10_000..11_200).for_each(|at| table.row_mut(at)[3] *= 20.0);
        for half_life in [300.0, 600.0] {
            let recipe = Recipe { half_life, ..Recipe::default() };
            let total = recipe.score(&table, &validation, Sight::Online).total;
            let mean = |rows: std::ops::Range<usize>| total[rows.clone()].iter().sum::<f64>() / rows.len() as f64;
            assert!(mean(11_100..11_200) > 0.9 * mean(10_100..10_200), "its end scores as its beginning");
            assert!((mean(11_300..12_000) - mean(9_000..10_000)).abs() < 0.2, "and nothing of it stays");
        }
    }

    #[test]
    fn rows_that_are_not_judged_say_nothing_and_teach_nothing() {
        let (table, validation) = residuals(3_000, 1.0);
        let mut gap = table.clone();
        (1_000..2_000).for_each(|at| gap.row_mut(at)[0] = f64::NAN);
        let recipe = Recipe { half_life: 300.0, kernel: 0.0, ..Recipe::default() };
        let scores = recipe.score(&gap, &validation, Sight::Online);
        assert!(scores.total[1_000..2_000].iter().all(|t| (t - 7.0 * tail(0.0)).abs() < 1e-9));
        // What comes after the gap is scored as if it came at once.
        let mut without = Table::new(7);
        (0..3_000).filter(|at| !(1_000..2_000).contains(at)).for_each(|at| without.push(table.row(at)));
        let at_once = recipe.score(&without, &validation, Sight::Online);
        assert_eq!(scores.total[2_000..], at_once.total[1_000..]);
    }
}
