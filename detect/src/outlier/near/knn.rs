//! kNN: how far the nearest others are.

use crate::data::series::Table;
use crate::outlier::contract::{Detector, Error, Learnt};
use crate::outlier::entry::{Entry, Kind, entry};
use crate::outlier::parameters::{choice, parameters};
use crate::outlier::rows::neighbours::{Index, Nearest};

pub(crate) const ENTRY: Entry = Entry {
    name: "knn",
    about: "rows far from their nearest others",
    paper: "Ramaswamy, Rastogi & Shim, SIGMOD 2000; Angiulli & Pizzuti, PKDD 2002",
    parameters: "n_neighbors=5, method=largest|mean|median",
    kind: Kind::Exact,
    ..entry!(Knn)
};

choice! {
    /// What is made of the distances.
    Method: "largest, mean or median" {
        /// That of the farthest of the neighbours.
        Largest = "largest",
        /// Their mean.
        Mean = "mean",
        /// Their median.
        Median = "median",
    }
}

parameters! {
    /// kNN.
    Knn {
        /// Neighbours looked at.
        n_neighbors: usize = 5,
        /// What is made of their distances.
        method: Method = Method::Largest,
    }
}

impl Knn {
    fn scores(&self, nearest: &Nearest, rows: usize) -> Vec<f64> {
        let score = |row| {
            let d = nearest.distances(row);
            match self.method {
                Method::Largest => d[d.len() - 1],
                Method::Mean => d.iter().sum::<f64>() / d.len() as f64,
                Method::Median => (d[(d.len() - 1) / 2] + d[d.len() / 2]) / 2.0,
            }
        };
        (0..rows).map(score).collect()
    }
}

impl Detector for Knn {
    fn learn(&self, x: &Table) -> Result<(Vec<f64>, Box<dyn Learnt>), Error> {
        if x.len() <= self.n_neighbors {
            return Err(Error::TooFew { rows: x.len(), needed: self.n_neighbors + 1 });
        }
        let index = Index::new(x);
        let scores = self.scores(&index.nearest_others(self.n_neighbors), x.len());
        Ok((scores, Box::new(Model { knn: self.clone(), index })))
    }
}

struct Model {
    knn: Knn,
    index: Index,
}

impl Learnt for Model {
    fn decision_function(&self, x: &Table) -> Result<Vec<f64>, Error> {
        Ok(self.knn.scores(&self.index.nearest(x, self.knn.n_neighbors), x.len()))
    }
}
