//! Change points of a whole series (PELT): where its mean became another, and how far each part is
//! from the mean while learning.
//!
//! The fewest changes that explain the series: the sum of squares about the mean of each part, in variances of the learning time, and a
//! penalty for each part. Killick's pruning makes the search as good as linear where there are changes, and it is quadratic where there
//! are none, so a long series is looked at in means of some points.

use crate::batch::residual::Scale;
use crate::batch::scoring::{self, Moments, Z_MAX};
use crate::data::series::Table;
use crate::detector::{Batch, Entry, Error, Make, Scores, Sight, learnable, scorable};

pub(crate) const ENTRY: Entry = Entry {
    name: "pelt",
    about: "parts of the series whose mean is another than while learning, by its change points",
    paper: "Killick, Fearnhead & Eckley, JASA 2012",
    parameters: "squared error; a penalty of 3 ln(n) a change; parts of 5 points at least; at most 4 096 points a series, else their means",
    cost: "O(points) to O(points^2) a metric",
    causal: false,
    make: Make::Batch(|_| Box::new(Pelt::default())),
};

/// The penalty of a change, in ln(n): 2 would be BIC's for independent points, which samples of a service are not.
const PENALTY: f64 = 3.0;
/// Points of a part.
const LEAST: usize = 5;
/// Points of a series that are searched.
const MOST: usize = 4_096;

/// Learns mean and standard deviation of each metric.
#[derive(Clone, Debug, Default)]
pub struct Pelt {
    scale: Scale,
    moments: Vec<Moments>,
}

/// Begins of the parts of `values`, the first 0; a change is worth `penalty`.
fn parts(values: &[f64], penalty: f64) -> Vec<usize> {
    let n = values.len();
    // About the mean, so that differences of sums of squares keep their digits.
    let middle = values.iter().sum::<f64>() / n.max(1) as f64;
    let mut sums = vec![(0.0, 0.0)];
    for v in values {
        let (sum, squares) = sums[sums.len() - 1];
        sums.push((sum + v - middle, squares + (v - middle).powi(2)));
    }
    let cost = |from: usize, to: usize| {
        let (sum, squares): (f64, f64) = (sums[to].0 - sums[from].0, sums[to].1 - sums[from].1);
        (squares - sum * sum / (to - from) as f64).max(0.0)
    };
    // Least cost of the first so many points, and where their last part begins.
    let mut best = vec![(-penalty, 0); n + 1];
    // Begins of a last part that may still be the best, and until when.
    let mut open = vec![(0, usize::MAX)];
    for to in LEAST..=n {
        open.retain(|(_, until)| to < *until);
        let costs: Vec<f64> = open.iter().map(|(from, _)| best[*from].0 + cost(*from, to) + penalty).collect();
        let (at, least) = costs.iter().copied().enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, 0.0));
        best[to] = (least, open[at].0);
        // Whoever is behind by a whole penalty stays behind what begins here, once that is long enough to be a part.
        for ((_, until), cost) in open.iter_mut().zip(costs) {
            if cost - penalty > least {
                *until = (*until).min(to + LEAST);
            }
        }
        if to + 1 >= 2 * LEAST {
            open.push((to + 1 - LEAST, usize::MAX));
        }
    }
    let mut begins = vec![];
    let mut to = n;
    while to >= LEAST {
        to = best[to].1;
        begins.push(to);
    }
    if begins.last() != Some(&0) {
        begins.push(0);
    }
    begins.reverse();
    begins
}

/// The mean of each point's part.
fn levels(values: &[f64], sd: f64) -> Vec<f64> {
    let pooled = values.len().div_ceil(MOST).max(1);
    let means: Vec<f64> = values.chunks(pooled).map(|c| c.iter().sum::<f64>() / c.len() as f64).collect();
    let penalty = PENALTY * (means.len().max(2) as f64).ln() * sd * sd / pooled as f64;
    let begins = parts(&means, penalty);
    let mut out = vec![0.0; values.len()];
    for (i, begin) in begins.iter().enumerate() {
        let end = begins.get(i + 1).map_or(values.len(), |end| end * pooled);
        let part = begin * pooled..end.min(values.len());
        let mean = values[part.clone()].iter().sum::<f64>() / part.len().max(1) as f64;
        out[part].fill(mean);
    }
    out
}

impl Batch for Pelt {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn fit(&mut self, train: &Table) -> Result<(), Error> {
        let train = learnable(train)?;
        self.scale = Scale::fit(&train);
        self.moments = scoring::moments(&self.scale.apply(&train));
        Ok(())
    }

    fn score(&self, series: &Table, _: Sight) -> Result<Scores, Error> {
        let series = self.scale.apply(&scorable(series, self.moments.len())?);
        let mut shares = Table::zeros(series.len(), series.columns());
        for (column, m) in self.moments.iter().enumerate() {
            let values: Vec<f64> = series.column(column).collect();
            for (at, level) in levels(&values, m.sd).into_iter().enumerate() {
                shares.row_mut(at)[column] = m.z(level).abs().min(Z_MAX);
            }
        }
        let total = shares.rows().map(|row| row.iter().sum::<f64>() / row.len() as f64).collect();
        Ok(Scores { total, parts: shares })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::rng::Rng;

    /// The definition, without pruning.
    fn plain(values: &[f64], penalty: f64) -> f64 {
        let cost = |part: &[f64]| {
            let mean = part.iter().sum::<f64>() / part.len() as f64;
            part.iter().map(|v| (v - mean).powi(2)).sum::<f64>()
        };
        let mut best = vec![f64::INFINITY; values.len() + 1];
        best[0] = -penalty;
        for to in LEAST..=values.len() {
            best[to] = (0..=to - LEAST)
                .map(|from| best[from] + cost(&values[from..to]) + penalty)
                .fold(f64::INFINITY, f64::min);
        }
        best[values.len()]
    }

    #[test]
    fn it_is_the_best_of_all_partitions() {
        for seed in 0..20 {
            let mut rng = Rng(seed);
            let (a, b) = (30 + (seed as usize % 7) * 5, 80 + seed as usize);
            let values: Vec<f64> =
                (0..140).map(|i| rng.normal() + if (a..b).contains(&i) { 2.0 } else { 0.0 }).collect();
            let penalty = 3.0 * 140_f64.ln();
            let begins = parts(&values, penalty);
            assert!(begins.windows(2).all(|w| w[1] - w[0] >= LEAST), "{begins:?}");
            let ends = begins[1..].iter().copied().chain([values.len()]);
            let cost = |part: &[f64]| {
                let mean = part.iter().sum::<f64>() / part.len() as f64;
                part.iter().map(|v| (v - mean).powi(2)).sum::<f64>()
            };
            let sum: f64 = begins.iter().zip(ends).map(|(from, to)| cost(&values[*from..to]) + penalty).sum();
            assert!((sum - penalty - plain(&values, penalty)).abs() < 1e-6, "{seed}: {begins:?}");
        }
    }

    #[test]
    fn edges_are_where_they_are_and_a_long_series_is_looked_at_in_means() {
        for n in [400, 50_000] {
            let mut rng = Rng(3);
            let (from, to) = (n / 2, n / 2 + n / 5);
            let value = |i: usize, rng: &mut Rng| rng.normal() + if (from..to).contains(&i) { 3.0 } else { 0.0 };
            let mut pelt = Pelt::default();
            pelt.fit(&Table::single((0..300).map(|_| rng.normal()).collect())).unwrap();
            let series = Table::single((0..n).map(|i| value(i, &mut rng)).collect());
            let scores = pelt.score(&series, Sight::Offline).unwrap().total;
            let slack = 2 + n.div_ceil(MOST);
            assert!(scores[from + slack..to - slack].iter().all(|s| (2.5..3.5).contains(s)), "{n}");
            assert!(scores[..from - slack].iter().chain(&scores[to + slack..]).all(|s| *s < 0.7), "{n}");
        }
        assert_eq!(parts(&[], 1.0), [0]);
        assert_eq!(parts(&[1.0, 5.0], 0.1), [0]);
    }
}
