//! COF: how long the chain is that links a row with its neighbours, against the chains of those.
//!
//! As in PyOD, new rows are judged among themselves, not among those learnt from; and a cost is the least distance of the next row to
//! those linked before it in the order of their distance.

use crate::data::parallel;
use crate::data::series::Table;
use crate::outlier::contract::{Detector, Error, Learnt};
use crate::outlier::entry::{Entry, Kind, entry};
use crate::outlier::parameters::parameters;
use crate::outlier::rows::neighbours::{Index, squared};

pub(crate) const ENTRY: Entry = Entry {
    name: "cof",
    about: "rows that hang on a longer chain than their neighbours",
    paper: "Tang, Chen, Fu & Cheung, PAKDD 2002",
    parameters: "n_neighbors=20",
    kind: Kind::Exact,
    ..entry!(Cof)
};

parameters! {
    /// Connectivity-based outlier factor.
    Cof {
        /// Neighbours linked.
        n_neighbors: usize = 20,
    }
}

impl Cof {
    fn scores(&self, x: &Table) -> Result<Vec<f64>, Error> {
        let k = self.n_neighbors;
        if x.len() <= k {
            return Err(Error::TooFew { rows: x.len(), needed: k + 1 });
        }
        // The first is the row itself, or one that is equal.
        let nearest = Index::new(x).nearest(x, k + 1);
        let chains = parallel::by_row(x.len(), 128, |row| {
            let path = nearest.indices(row);
            let mut sum = 0.0;
            for j in 0..k {
                let next = x.row(path[j + 1] as usize);
                let linked = path[..=j].iter().map(|other| squared(next, x.row(*other as usize)));
                let cost = linked.fold(f64::INFINITY, f64::min).sqrt();
                sum += 2.0 * (k - j) as f64 / ((k + 1) * k) as f64 * cost;
            }
            sum
        });
        let score = |row: usize| {
            let sum: f64 = nearest.indices(row)[1..].iter().map(|other| chains[*other as usize]).sum();
            let factor = chains[row] * k as f64 / sum;
            // Rows that are all equal: 0 / 0.
            if factor.is_nan() { 0.0 } else { factor.min(f64::MAX) }
        };
        Ok((0..x.len()).map(score).collect())
    }
}

impl Detector for Cof {
    fn learn(&self, x: &Table) -> Result<(Vec<f64>, Box<dyn Learnt>), Error> {
        Ok((self.scores(x)?, Box::new(self.clone())))
    }
}

impl Learnt for Cof {
    fn decision_function(&self, x: &Table) -> Result<Vec<f64>, Error> {
        self.scores(x)
    }
}
