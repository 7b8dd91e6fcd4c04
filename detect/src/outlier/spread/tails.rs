//! ECOD and COPOD: how far out in its tail a row is, feature by feature.
//!
//! Both take the share of rows that are at most, and at least, as large, and look at the tail to which the feature leans. As in PyOD,
//! new rows are ranked together with those learnt from, so a score depends on the rows that it is asked with.

use crate::data::parallel;
use crate::data::series::Table;
use crate::outlier::contract::{Detector, Error, Learnt};
use crate::outlier::entry::{Entry, Kind, entry};
use crate::outlier::parameters::parameters;

pub(crate) const ECOD: Entry = Entry {
    name: "ecod",
    about: "rows far out in the tails of their features",
    paper: "Li et al., TKDE 2022",
    parameters: "none",
    kind: Kind::Exact,
    ..entry!(Ecod)
};

pub(crate) const COPOD: Entry = Entry {
    name: "copod",
    about: "rows far out in the tails of an empirical copula",
    paper: "Li, Zhao, Botta, Ionescu & Hu, ICDM 2020",
    parameters: "none",
    kind: Kind::Exact,
    ..entry!(Copod)
};

parameters! {
    /// Empirical-cumulative-distribution-based outlier detection.
    Ecod {}
}

parameters! {
    /// Copula-based outlier detection.
    Copod {}
}

/// What the two make of the tail on the left, on the right, and on the side to which the feature leans.
type Join = fn(f64, f64, f64) -> f64;

fn ecod(left: f64, right: f64, leaning: f64) -> f64 {
    left.max(right).max(leaning)
}

fn copod(left: f64, right: f64, leaning: f64) -> f64 {
    leaning.max((left + right) / 2.0)
}

impl Detector for Ecod {
    fn learn(&self, x: &Table) -> Result<(Vec<f64>, Box<dyn Learnt>), Error> {
        Ok((scores(&[x], ecod), Box::new(Model { x: x.clone(), join: ecod })))
    }
}

impl Detector for Copod {
    fn learn(&self, x: &Table) -> Result<(Vec<f64>, Box<dyn Learnt>), Error> {
        Ok((scores(&[x], copod), Box::new(Model { x: x.clone(), join: copod })))
    }
}

struct Model {
    x: Table,
    join: Join,
}

impl Learnt for Model {
    fn decision_function(&self, x: &Table) -> Result<Vec<f64>, Error> {
        Ok(scores(&[&self.x, x], self.join).split_off(self.x.len()))
    }
}

/// Of each row of all tables.
fn scores(tables: &[&Table], join: Join) -> Vec<f64> {
    let n: usize = tables.iter().map(|t| t.len()).sum();
    let columns = tables.first().map_or(0, |t| t.columns());
    // The tail of the first `count` of `n`.
    let tails: Vec<f64> = (0..=n).map(|count| -(count as f64 / n as f64).ln()).collect();
    let by_column = parallel::by_row(columns, 1, |column| {
        let mut out = vec![0.0; n];
        let values: Vec<f64> = tables.iter().flat_map(|t| t.column(column)).collect();
        let lean = lean(&values);
        let mut sorted: Vec<(u64, u32)> =
            values.iter().enumerate().map(|(row, v)| (in_order(*v), row as u32)).collect();
        sorted.sort_unstable();
        let mut from = 0;
        for equal in sorted.chunk_by(|a, b| a.0 == b.0) {
            let to = from + equal.len();
            let (left, right) = (tails[to], tails[n - from]);
            let leaning = match lean {
                l if l > 0.0 => right,
                l if l < 0.0 => left,
                _ => left + right,
            };
            let tail = join(left, right, leaning);
            equal.iter().for_each(|(_, row)| out[*row as usize] = tail);
            from = to;
        }
        out
    });
    // Summed in the order of the columns, whoever made them.
    let mut out = vec![0.0; n];
    by_column.iter().for_each(|tails| out.iter_mut().zip(tails).for_each(|(sum, v)| *sum += v));
    out
}

/// Bits in the order of the numbers; 0 and -0 are one.
fn in_order(v: f64) -> u64 {
    let bits = (v + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// The sign of the skewness: 0 of values that are all the same.
fn lean(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let (second, third) = values.iter().fold((0.0, 0.0), |(second, third), v| {
        let off = v - mean;
        (second + off * off, third + off * off * off)
    });
    let flat = (f64::EPSILON * mean).abs();
    if second / n <= flat * flat || third == 0.0 { 0.0 } else { third.signum() }
}
