//! GMM: how improbable a row is under a mixture of normal distributions.
//!
//! With one component, PyOD's default, this is closed. With more it is expectation-maximisation from k-means. By hand: linfa-clustering
//! 0.8.1 has one that overflows on rows of many features (its issue 444), draws by `rand` and gives no densities of rows.

use crate::data::parallel;
use crate::data::series::Table;
use crate::outlier::contract::{Detector, Error, Learnt};
use crate::outlier::entry::{Entry, Kind, entry};
use crate::outlier::parameters::parameters;
use crate::outlier::rows::kmeans::KMeans;
use crate::stats::matrix::{self, Cholesky, Square};

pub(crate) const ENTRY: Entry = Entry {
    name: "gmm",
    about: "rows that are improbable under a mixture of normal distributions",
    paper: "Aggarwal, Outlier Analysis, 2017, chapter 2",
    parameters: "n_components=1, reg_covar=1e-6, max_iter=100, tol=1e-3, random_state=0",
    kind: Kind::Exact,
    ..entry!(Gmm)
};

parameters! {
    /// Gaussian mixture with full covariances.
    Gmm {
        /// Normal distributions in the mixture.
        n_components: usize = 1,
        /// Added to each variance.
        reg_covar: f64 = 1e-6,
        /// Rounds at most.
        max_iter: usize = 100,
        /// Rounds end when the mean log likelihood gains less.
        tol: f64 = 1e-3,
        /// Seed of k-means.
        random_state: u64 = 0,
    }
}

struct Component {
    log_weight: f64,
    mean: Vec<f64>,
    factor: Cholesky,
}

struct Model {
    components: Vec<Component>,
}

impl Detector for Gmm {
    fn learn(&self, x: &Table) -> Result<(Vec<f64>, Box<dyn Learnt>), Error> {
        if x.len() < self.n_components {
            return Err(Error::TooFew { rows: x.len(), needed: self.n_components });
        }
        let k = self.n_components;
        let mut shares = Table::zeros(x.len(), k);
        if k == 1 {
            (0..x.len()).for_each(|row| shares.row_mut(row)[0] = 1.0);
        } else {
            let means = KMeans { clusters: k, seed: self.random_state }.fit(x);
            means.labels(x).into_iter().enumerate().for_each(|(row, label)| shares.row_mut(row)[label] = 1.0);
        }
        let mut model = self.maximise(x, &shares)?;
        let mut before = f64::NEG_INFINITY;
        for _ in 0..if k == 1 { 0 } else { self.max_iter } {
            let logs = model.by_row(x, <[f64]>::to_vec);
            let mut total = 0.0;
            for (row, logs) in logs.iter().enumerate() {
                let all = log_sum(logs);
                total += all;
                shares.row_mut(row).iter_mut().zip(logs).for_each(|(share, log)| *share = (log - all).exp());
            }
            model = self.maximise(x, &shares)?;
            let mean = total / x.len() as f64;
            if (mean - before).abs() < self.tol {
                break;
            }
            before = mean;
        }
        Ok((model.decision_function(x)?, Box::new(model)))
    }
}

impl Gmm {
    /// Weights, means and covariances by the share that each component has in each row.
    fn maximise(&self, x: &Table, shares: &Table) -> Result<Model, Error> {
        let d = x.columns();
        let component = |c: usize| {
            let total = shares.column(c).sum::<f64>() + 10.0 * f64::EPSILON;
            let mut mean = vec![0.0; d];
            for (row, share) in x.rows().zip(shares.column(c)) {
                mean.iter_mut().zip(row).for_each(|(m, v)| *m += share * v);
            }
            mean.iter_mut().for_each(|m| *m /= total);
            let mut covariance = Square::zeros(d);
            let mut off = vec![0.0; d];
            for (row, share) in x.rows().zip(shares.column(c)) {
                if share == 0.0 {
                    continue;
                }
                off.iter_mut().zip(row).zip(&mean).for_each(|((o, v), m)| *o = v - m);
                matrix::add_square(&mut covariance.values, &off, share);
            }
            for i in 0..d {
                for j in 0..=i {
                    let v = covariance.at(i, j) / total + if i == j { self.reg_covar } else { 0.0 };
                    covariance.row_mut(i)[j] = v;
                    covariance.row_mut(j)[i] = v;
                }
            }
            let log_weight = (total / x.len() as f64).ln();
            Cholesky::of(&covariance).map(|factor| Component { log_weight, mean, factor })
        };
        let components: Option<Vec<Component>> = (0..shares.columns()).map(component).collect();
        let reason = "a component has no volume: its rows lie on a plane, and reg_covar is too small to lift them";
        components.map(|components| Model { components }).ok_or(Error::Degenerate { reason })
    }
}

impl Model {
    /// What `value` makes of the logarithms of each row's likelihood under each component, its weight included.
    fn by_row<T: Send>(&self, x: &Table, value: impl Fn(&[f64]) -> T + Sync) -> Vec<T> {
        let constant = x.columns() as f64 * std::f64::consts::TAU.ln();
        let halves: Vec<f64> = self.components.iter().map(|c| (constant + c.factor.log_determinant()) / 2.0).collect();
        let parts = parallel::in_parts(x.len(), 4_096, |rows| {
            let (mut off, mut logs) = (vec![0.0; x.columns()], vec![0.0; halves.len()]);
            let one = |row: usize| {
                for ((log, c), half) in logs.iter_mut().zip(&self.components).zip(&halves) {
                    off.iter_mut().zip(x.row(row)).zip(&c.mean).for_each(|((o, v), m)| *o = v - m);
                    *log = c.log_weight - half - c.factor.squared_length(&off) / 2.0;
                }
                value(&logs)
            };
            rows.map(one).collect::<Vec<T>>()
        });
        parts.into_iter().flatten().collect()
    }
}

impl Learnt for Model {
    fn decision_function(&self, x: &Table) -> Result<Vec<f64>, Error> {
        Ok(self.by_row(x, |logs| -log_sum(logs)))
    }
}

/// ln of the sum of what these are logarithms of.
fn log_sum(logs: &[f64]) -> f64 {
    if let [log] = logs {
        return *log;
    }
    let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    largest + logs.iter().map(|log| (log - largest).exp()).sum::<f64>().ln()
}
