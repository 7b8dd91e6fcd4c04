//! Several scores as one: their geometric mean, so that no score's scale outweighs another's.
//!
//! Each member's score is divided by its median in training; the logarithms are averaged, by weight. Unlike ranks this keeps what lies
//! beyond all of training in order. (On the tuning half of the corpora it did better than ranks: `docs/evaluation.md`.) A trained
//! model is one more member.
//!
//! A member that is lost counts less. One whose scores stand high over more than half of a series does not see anomalies there; what it
//! learnt does not hold any more, because a level has moved. That needs no labels. Online it is the middle of what came before.

use crate::batch::residual::{LastValue, Linear, MovingVariance, Pca, Recurrence};
use crate::batch::scoring::{Recipe, Scored};
use crate::data::series::Table;
use crate::detector::{Batch, Error, Scores, Sight};
use crate::detector::{Entry, Make};
use crate::stats::robust;

pub(crate) const ENTRY: Entry = Entry {
    name: "ensemble",
    about: "many metrics at once: steps, values unlike those of late, metrics that leave their plane, that do not follow from the past, and that \
            tremble, as one score",
    paper: "scores as Garg et al., TNNLS 2021, found best; joined by their geometric mean",
    parameters: "weights 2 : 1 : 1 : 1 : 1, less for a member whose middle is off; a cut at 100 decimal orders, a kernel of 10 points",
    cost: "the sum of its members': O(metrics x components) a point",
    causal: true,
    make: Make::Batch(|setting| Box::new(Ensemble::training_free(setting.period))),
};

/// The middle of a member's logarithms in a series may be so far above that in training: what it scores is normal is then 1.6 times as much.
/// Beyond, its weight is divided by as many times as the middle is higher. Both by hand; the sum was looked at on the tuning half.
const OFF: f64 = 0.5;

/// As far does what is taken for the middle move at a point, online, where the middle of all is not known.
const FOLLOW: f64 = 0.01;

/// A detector with its weight and the score that is its middle in training.
struct Member {
    detector: Box<dyn Batch + Send + Sync>,
    weight: f64,
    middle: f64,
}

/// The weighted geometric mean of several detectors.
pub struct Ensemble {
    name: &'static str,
    members: Vec<Member>,
}

impl Ensemble {
    /// Of nothing yet; see [`Self::with`].
    pub fn new(name: &'static str) -> Self {
        Self { name, members: vec![] }
    }

    /// Adds a detector that counts `weight`.
    #[must_use]
    pub fn with(mut self, detector: Box<dyn Batch + Send + Sync>, weight: f64) -> Self {
        self.members.push(Member { detector, weight, middle: 1.0 });
        self
    }

    /// What osd uses on many metrics without a trained model: last value (twice), recurrence, principal components, linear autoregression
    /// and moving variance, each by the recipe. `period` is the points in a day, 0 if the series is shorter or knows none.
    pub fn training_free(period: usize) -> Self {
        let recipe = Recipe::default;
        Self::new(ENTRY.name)
            .with(Box::new(Scored::new("last-value", LastValue::default(), recipe())), 2.0)
            .with(Box::new(Scored::new("recurrence", Recurrence::new(period), recipe())), 1.0)
            .with(Box::new(Scored::new("pca", Pca::default(), recipe())), 1.0)
            .with(Box::new(Scored::new("linear", Linear::default(), recipe())), 1.0)
            .with(Box::new(Scored::new("moving-variance", MovingVariance::default(), recipe())), 1.0)
    }
}

impl Ensemble {
    /// The same members, and a trained one that counts as much as `weight` says.
    pub fn with_trained(period: usize, trained: Box<dyn Batch + Send + Sync>, weight: f64) -> Self {
        let mut ensemble = Self::training_free(period).with(trained, weight);
        ensemble.name = "ensemble+lstm";
        ensemble
    }
}

impl Batch for Ensemble {
    fn name(&self) -> &'static str {
        self.name
    }

    fn fit(&mut self, train: &Table) -> Result<(), Error> {
        for member in &mut self.members {
            member.detector.fit(train)?;
            let scores = member.detector.score(train, Sight::Offline)?.total;
            member.middle = robust::median(&scores).filter(|m| *m > 0.0).unwrap_or(1.0);
        }
        Ok(())
    }

    fn score(&self, series: &Table, sight: Sight) -> Result<Scores, Error> {
        let said = self.members.iter().map(|m| m.detector.score(series, sight)).collect::<Result<Vec<_>, _>>()?;
        let log = |member: &Member, score: f64| (score / member.middle).max(1e-9).ln();
        let of_all = |(member, scores): (&Member, &Scores)| scores.total.iter().map(|s| log(member, *s)).collect();
        let logs: Vec<Vec<f64>> = self.members.iter().zip(&said).map(of_all).collect();
        let mut middles: Vec<f64> = match sight {
            Sight::Online => vec![0.0; logs.len()],
            Sight::Offline => logs.iter().map(|logs| robust::median(logs).unwrap_or(0.0)).collect(),
        };
        let mut total = Vec::with_capacity(series.len());
        let mut parts = Table::zeros(series.len(), series.columns());
        for at in 0..series.len() {
            let weight = |(member, middle): (&Member, &f64)| member.weight * (-(middle - OFF).max(0.0)).exp();
            let weights: Vec<f64> = self.members.iter().zip(&middles).map(weight).collect();
            let all: f64 = weights.iter().sum();
            let shares = weights.iter().map(|w| w / all);
            total.push(shares.clone().zip(&logs).map(|(share, logs)| share * logs[at]).sum::<f64>().exp());
            for ((share, member), scores) in shares.zip(&self.members).zip(&said) {
                let scaled = parts.row_mut(at).iter_mut().zip(scores.parts.row(at));
                scaled.for_each(|(p, v)| *p += share * v / member.middle);
            }
            if sight == Sight::Online {
                for (middle, logs) in middles.iter_mut().zip(&logs) {
                    *middle += if logs[at] > *middle { FOLLOW } else { -FOLLOW };
                }
            }
        }
        Ok(Scores { total, parts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::rng::Rng;

    /// Days of four metrics that belong together; `change` is applied to each row.
    fn series(days: usize, seed: u64, change: impl Fn(usize, &mut [f64; 4])) -> Table {
        let mut rng = Rng(seed);
        let mut table = Table::new(4);
        for i in 0..days * 288 {
            let load = 1.0 + 0.8 * (std::f64::consts::TAU * i as f64 / 288.0).sin() + 0.05 * rng.normal();
            let mut row = [load, 2.0 * load + 0.05 * rng.normal(), 100.0 - 20.0 * load + rng.normal(), 3.0];
            change(i, &mut row);
            table.push(&row);
        }
        table
    }

    fn check(what: &str, span: std::ops::Range<usize>, metric: usize, change: impl Fn(usize, &mut [f64; 4])) {
        for sight in [Sight::Online, Sight::Offline] {
            let mut detector = Ensemble::training_free(288);
            detector.fit(&series(8, 1, |_, _| ())).unwrap();
            let scores = detector.score(&series(8, 2, &change), sight).unwrap();
            let found = (300..scores.total.len()).max_by(|a, b| scores.total[*a].total_cmp(&scores.total[*b])).unwrap();
            // The kernel's width of grace.
            assert!((span.start - 15..span.end + 15).contains(&found), "{what} {sight:?}: {found}, not in {span:?}");
            let of = |m: usize| span.clone().map(|at| scores.parts.row(at)[m]).sum::<f64>();
            assert!((0..4).all(|m| m == metric || of(m) < of(metric)), "{what}: another metric is blamed");
        }
    }

    #[test]
    fn a_point_anomaly_is_found_and_its_metric_named() {
        check("point", 1_000..1_001, 2, |i, row| row[2] += if i == 1_000 { 60.0 } else { 0.0 });
    }

    #[test]
    fn a_contextual_anomaly_is_found_and_its_metric_named() {
        // A value that is common at noon, alone and at night.
        check("contextual", 1_590..1_602, 1, |i, row| row[1] = if (1_590..1_602).contains(&i) { 3.4 } else { row[1] });
    }

    #[test]
    fn a_collective_anomaly_is_found_and_its_metric_named() {
        // Each value lies in its range; that it trembles between two of them for two hours does not.
        let span = 1_200..1_224;
        let tremble = |i: usize| 100.0 - 20.0 * if i.is_multiple_of(2) { 0.6 } else { 1.4 };
        let shaken = span.clone();
        check("collective", span, 2, move |i, row| row[2] = if shaken.contains(&i) { tremble(i) } else { row[2] });
    }

    #[test]
    fn a_level_that_has_moved_does_not_hide_what_comes_after() {
        // The third metric stands elsewhere from the second day on, so a member that learnt where it lies is lost.
        let moved = |i: usize, row: &mut [f64; 4]| {
            row[2] += if i >= 288 { 400.0 } else { 0.0 };
            row[1] += if (1_500..1_510).contains(&i) { 4.0 } else { 0.0 };
        };
        let mut detector = Ensemble::training_free(288);
        detector.fit(&series(8, 1, |_, _| ())).unwrap();
        let scores = detector.score(&series(8, 2, moved), Sight::Offline).unwrap().total;
        let most = |span: std::ops::Range<usize>| scores[span].iter().copied().fold(0.0, f64::max);
        assert!(most(1_490..1_520) > 2.0 * most(700..1_450), "{} {}", most(1_490..1_520), most(700..1_450));
    }

    #[test]
    fn online_scores_know_only_what_came_before() {
        let mut detector = Ensemble::training_free(288);
        detector.fit(&series(4, 1, |_, _| ())).unwrap();
        let all = series(4, 3, |_, _| ());
        let whole = detector.score(&all, Sight::Online).unwrap();
        let first = detector.score(&all.slice(0..700), Sight::Online).unwrap();
        assert_eq!(whole.total[..700], first.total);
    }

    #[test]
    fn what_cannot_be_learnt_or_scored_says_why() {
        let mut detector = Ensemble::training_free(0);
        assert_eq!(detector.fit(&Table::zeros(10, 2)), Err(Error::TooShort { rows: 10 }));
        detector.fit(&Table::zeros(100, 2)).unwrap();
        assert_eq!(
            detector.score(&Table::zeros(5, 3), Sight::Online).map(|_| ()),
            Err(Error::Metrics { found: 3, learnt: 2 })
        );
        // All constant, in training and after: nothing is strange, and nothing is not a number.
        let scores = detector.score(&Table::zeros(50, 2), Sight::Offline).unwrap().total;
        assert!(scores.iter().all(|s| s.is_finite() && (s - scores[0]).abs() < 1e-9));
    }
}
