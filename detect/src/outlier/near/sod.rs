//! SOD: how far a row is from the rows it shares most neighbours with, in the features in which
//! those lie close together.
//!
//! Rows that share equally many neighbours are taken in their order. PyOD takes them as a sort that is not stable leaves them, so scores
//! differ where that matters. As there, new rows are judged among themselves.

use crate::data::parallel;
use crate::data::series::Table;
use crate::outlier::contract::{Detector, Error, Learnt};
use crate::outlier::entry::{Entry, Kind, entry};
use crate::outlier::parameters::parameters;
use crate::outlier::rows::neighbours::Index;

pub(crate) const ENTRY: Entry = Entry {
    name: "sod",
    about: "rows off the features in which their like lie close together",
    paper: "Kriegel, Kroger, Schubert & Zimek, PAKDD 2009",
    parameters: "n_neighbors=20, ref_set=10, alpha=0.8",
    kind: Kind::Seeded,
    ..entry!(Sod)
};

parameters! {
    /// Subspace outlier degree.
    Sod {
        /// Neighbours looked at.
        n_neighbors: usize = 20,
        /// Rows that share most of them.
        ref_set: usize = 10,
        /// Share of the mean variance below which a feature counts, 0 to 1.
        alpha: f64 = 0.8,
    }
}

impl Sod {
    fn scores(&self, x: &Table) -> Result<Vec<f64>, Error> {
        let (n, d) = (x.len(), x.columns());
        if n <= self.n_neighbors {
            return Err(Error::TooFew { rows: n, needed: self.n_neighbors + 1 });
        }
        if self.ref_set > self.n_neighbors {
            let value = self.ref_set.to_string();
            return Err(Error::Parameter { name: "ref_set", value, wanted: "at most n_neighbors" });
        }
        let nearest = Index::new(x).nearest_others(self.n_neighbors);
        // Whose neighbour each row is.
        let mut of: Vec<Vec<u32>> = vec![vec![]; n];
        (0..n).for_each(|row| nearest.indices(row).iter().for_each(|other| of[*other as usize].push(row as u32)));
        let parts = parallel::in_parts(n, 64, |range| {
            let mut shared = vec![0_u32; n];
            let mut out = vec![];
            for row in range {
                let mut met: Vec<u32> = vec![];
                for other in nearest.indices(row) {
                    for like in &of[*other as usize] {
                        if shared[*like as usize] == 0 {
                            met.push(*like);
                        }
                        shared[*like as usize] += 1;
                    }
                }
                met.retain(|like| *like as usize != row);
                met.sort_unstable_by_key(|like| (std::cmp::Reverse(shared[*like as usize]), *like));
                met.truncate(self.ref_set);
                // Who shares none at all comes after.
                let more = (0..n as u32).filter(|i| *i as usize != row && shared[*i as usize] == 0);
                let missing = self.ref_set - met.len();
                met.extend(more.take(missing));
                for other in nearest.indices(row) {
                    of[*other as usize].iter().for_each(|like| shared[*like as usize] = 0);
                }
                out.push(self.score(x, row, &met, d));
            }
            out
        });
        Ok(parts.into_iter().flatten().collect())
    }

    fn score(&self, x: &Table, row: usize, like: &[u32], d: usize) -> f64 {
        let n = like.len() as f64;
        let rows = || like.iter().map(|i| x.row(*i as usize));
        let mut means = vec![0.0; d];
        rows().for_each(|r| means.iter_mut().zip(r).for_each(|(m, v)| *m += v / n));
        let mut variances = vec![0.0; d];
        rows()
            .for_each(|r| variances.iter_mut().zip(r).zip(&means).for_each(|((s, v), m)| *s += (v - m) * (v - m) / n));
        let least = self.alpha * variances.iter().sum::<f64>() / d as f64;
        let close: Vec<usize> = (0..d).filter(|c| variances[*c] < least).collect();
        if close.is_empty() {
            return 0.0;
        }
        let square: f64 = close.iter().map(|c| (x.row(row)[*c] - means[*c]).powi(2)).sum();
        (square / close.len() as f64).sqrt()
    }
}

impl Detector for Sod {
    fn learn(&self, x: &Table) -> Result<(Vec<f64>, Box<dyn Learnt>), Error> {
        Ok((self.scores(x)?, Box::new(self.clone())))
    }
}

impl Learnt for Sod {
    fn decision_function(&self, x: &Table) -> Result<Vec<f64>, Error> {
        self.scores(x)
    }
}
