//! MCD: Mahalanobis distance from the half of the rows that lies closest together.
//!
//! FastMCD as scikit-learn runs it: five hundred starts on subsets of some three hundred rows, the ten best of each over a merged set,
//! and the best of those over all rows; then a correction for normal data and one reweighting.

use crate::data::parallel;
use crate::data::rng::Rng;
use crate::data::series::Table;
use crate::outlier::contract::{Detector, Error, Learnt};
use crate::outlier::entry::{Entry, Kind, entry};
use crate::outlier::parameters::parameters;
use crate::stats::matrix::{self, Lengths, Square};
use crate::stats::special::{chi_square_cdf, chi_square_quantile};

pub(crate) const ENTRY: Entry = Entry {
    name: "mcd",
    about: "rows far from the half that lies closest together, by its covariance",
    paper: "Rousseeuw & Van Driessen, Technometrics 1999",
    parameters: "support_fraction=least, random_state=0",
    kind: Kind::Seeded,
    ..entry!(Mcd)
};

parameters! {
    /// Minimum covariance determinant.
    Mcd {
        /// Share of rows that is looked for, up to 1; the least that makes sense if not given.
        support_fraction: f64 = f64::NAN,
        /// Seed of the starts.
        random_state: u64 = 0,
    }
}

/// Where rows lie, and how they spread.
#[derive(Clone)]
struct Estimate {
    mean: Vec<f64>,
    covariance: Square,
    lengths: Lengths,
}

impl Estimate {
    fn of(x: &Table, rows: &[usize]) -> Self {
        let mean = matrix::means(rows.iter().map(|row| x.row(*row)), x.columns());
        let covariance = matrix::covariance(rows.iter().map(|row| x.row(*row)), &mean);
        let lengths = Lengths::by(&covariance);
        Self { mean, covariance, lengths }
    }

    fn distances(&self, x: &Table) -> Vec<f64> {
        let parts = parallel::in_parts(x.len(), 4_096, |rows| {
            let mut off = vec![0.0; x.columns()];
            let one = |row: usize| {
                off.iter_mut().zip(x.row(row)).zip(&self.mean).for_each(|((o, v), m)| *o = v - m);
                self.lengths.squared(&off)
            };
            rows.map(one).collect::<Vec<f64>>()
        });
        parts.into_iter().flatten().collect()
    }

    /// The `h` rows that are closest.
    fn closest(&self, x: &Table, h: usize) -> Vec<usize> {
        let distances = self.distances(x);
        let mut rows: Vec<usize> = (0..x.len()).collect();
        if h < rows.len() {
            rows.select_nth_unstable_by(h, |a, b| distances[*a].total_cmp(&distances[*b]).then(a.cmp(b)));
            rows.truncate(h);
        }
        rows.sort_unstable();
        rows
    }
}

/// From `rows` on to the closest ones of what they say, until the determinant falls no more: of rows on a plane it is 0 at once, and
/// lengths are measured in that plane.
fn concentrate(x: &Table, rows: &[usize], h: usize, rounds: usize) -> (Estimate, f64) {
    let mut best = Estimate::of(x, rows);
    let mut log = best.lengths.log_determinant();
    for _ in 0..if log > f64::NEG_INFINITY { rounds } else { 0 } {
        let next = Estimate::of(x, &best.closest(x, h));
        let now = next.lengths.log_determinant();
        let falls = now < log;
        (best, log) = (next, now);
        if !falls {
            break;
        }
    }
    (best, log)
}

/// The `keep` best of some trials.
fn best(mut found: Vec<(Estimate, f64)>, keep: usize) -> Vec<Estimate> {
    found.sort_by(|a, b| a.1.total_cmp(&b.1));
    found.into_iter().take(keep).map(|(estimate, _)| estimate).collect()
}

impl Mcd {
    fn estimate(&self, x: &Table) -> Option<Estimate> {
        let (n, d) = (x.len(), x.columns());
        let least = (n + d + 1).div_ceil(2).min(n);
        let h = if self.support_fraction.is_nan() { least } else { (self.support_fraction * n as f64) as usize };
        let mut rng = Rng(self.random_state);
        let mut order: Vec<usize> = (0..n).collect();
        let mut shuffled = || {
            (0..n).for_each(|i| order.swap(i, i + rng.below(n - i)));
            order.clone()
        };
        let from = |x: &Table, starts: Vec<Estimate>, h: usize, keep: usize| {
            let trial = |start: usize| concentrate(x, &starts[start].closest(x, h), h, 30);
            best(parallel::by_row(starts.len(), 1, trial), keep)
        };
        let starts = |x: &Table, h: usize, trials: usize, seed: u64| {
            let trial = |trial: usize| {
                let mut rng = Rng(seed ^ (trial as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
                let mut rows: Vec<usize> = (0..x.len()).collect();
                (0..h).for_each(|i| rows.swap(i, i + rng.below(x.len() - i)));
                concentrate(x, &rows[..h], h, 2)
            };
            best((0..trials).map(trial).collect(), 10)
        };
        let share = h as f64 / n as f64;
        if n <= 500 {
            let seed = shuffled()[0] as u64;
            return from(x, starts(x, h, 30, seed), h, 1).into_iter().next();
        }
        let n_subsets = n / 300;
        let size = n / n_subsets;
        let order = shuffled();
        let subsets: Vec<Table> = (0..n_subsets)
            .map(|subset| {
                let mut out = Table::new(d);
                order[subset * size..(subset + 1) * size].iter().for_each(|row| out.push(x.row(*row)));
                out
            })
            .collect();
        let trials = (500 / n_subsets).max(10);
        let part = |subset: usize| {
            starts(&subsets[subset], (size as f64 * share).ceil() as usize, trials, self.random_state ^ subset as u64)
        };
        let found: Vec<Estimate> = parallel::by_row(n_subsets, 1, part).into_iter().flatten().collect();
        let merged = n.min(1_500);
        let mut some = Table::new(d);
        shuffled()[..merged].iter().for_each(|row| some.push(x.row(*row)));
        let keep = if n > 1_500 { 10 } else { 1 };
        let found = from(&some, found, (merged as f64 * share).ceil() as usize, keep);
        if n < 1_500 { found.into_iter().next() } else { from(x, found, h, 1).into_iter().next() }
    }
}

/// By how much the covariance of the central share `alpha` of normal rows is too small.
fn consistency(d: usize, alpha: f64) -> f64 {
    if alpha >= 1.0 {
        return 1.0;
    }
    alpha / chi_square_cdf(chi_square_quantile(alpha, d as f64), d as f64 + 2.0)
}

impl Detector for Mcd {
    fn learn(&self, x: &Table) -> Result<(Vec<f64>, Box<dyn Learnt>), Error> {
        let (n, d) = (x.len(), x.columns());
        if self.support_fraction > 1.0 {
            let value = self.support_fraction.to_string();
            return Err(Error::Parameter { name: "support_fraction", value, wanted: "a share, up to 1" });
        }
        if n < 2 * d + 2 {
            return Err(Error::TooFew { rows: n, needed: 2 * d + 2 });
        }
        for feature in 0..d {
            let first = x.row(0)[feature];
            if x.column(feature).all(|v| v == first) {
                return Err(Error::Constant { feature });
            }
        }
        let reason = "no row is near the half that lies closest together";
        let raw = self.estimate(x).ok_or(Error::Degenerate { reason })?;
        let h = (n + d + 1).div_ceil(2).min(n);
        let h = if self.support_fraction.is_nan() { h as f64 } else { (self.support_fraction * n as f64).floor() };
        let factor = consistency(d, h / n as f64);
        let limit = chi_square_quantile(0.975, d as f64);
        let distances = raw.distances(x);
        let near: Vec<usize> = (0..n).filter(|row| distances[*row] / factor < limit).collect();
        if near.is_empty() {
            return Err(Error::Degenerate { reason });
        }
        let mut model = Estimate::of(x, &near);
        let widen = consistency(d, 0.975);
        model.covariance.values.iter_mut().for_each(|v| *v *= widen);
        model.lengths = Lengths::by(&model.covariance);
        Ok((model.distances(x), Box::new(model)))
    }
}

impl Learnt for Estimate {
    fn decision_function(&self, x: &Table) -> Result<Vec<f64>, Error> {
        Ok(self.distances(x))
    }
}
