//! LOF: how much thinner it is around a row than around its neighbours.

use crate::data::parallel;
use crate::data::series::Table;
use crate::outlier::contract::{Detector, Error, Learnt};
use crate::outlier::entry::{Entry, Kind, entry};
use crate::outlier::parameters::parameters;
use crate::outlier::rows::neighbours::{Index, Nearest};

pub(crate) const ENTRY: Entry = Entry {
    name: "lof",
    about: "rows where it is thinner than around their neighbours",
    paper: "Breunig, Kriegel, Ng & Sander, SIGMOD 2000",
    parameters: "n_neighbors=20",
    kind: Kind::Exact,
    ..entry!(Lof)
};

parameters! {
    /// Local outlier factor.
    Lof {
        /// Neighbours looked at.
        n_neighbors: usize = 20,
    }
}

impl Detector for Lof {
    fn learn(&self, x: &Table) -> Result<(Vec<f64>, Box<dyn Learnt>), Error> {
        if x.len() <= self.n_neighbors {
            return Err(Error::TooFew { rows: x.len(), needed: self.n_neighbors + 1 });
        }
        let index = Index::new(x);
        let nearest = index.nearest_others(self.n_neighbors);
        let reach: Vec<f64> = (0..x.len()).map(|row| nearest.distances(row)[nearest.k - 1]).collect();
        let density = densities(&nearest, &reach, x.len());
        let scores = factors(&nearest, &density, &density);
        Ok((scores, Box::new(Model { index, reach, density, n_neighbors: self.n_neighbors })))
    }
}

struct Model {
    index: Index,
    /// Distance of each row to the farthest of its neighbours.
    reach: Vec<f64>,
    density: Vec<f64>,
    n_neighbors: usize,
}

impl Learnt for Model {
    fn decision_function(&self, x: &Table) -> Result<Vec<f64>, Error> {
        let nearest = self.index.nearest(x, self.n_neighbors);
        Ok(factors(&nearest, &densities(&nearest, &self.reach, x.len()), &self.density))
    }
}

/// One over the mean reachability: the distance to a neighbour, but no less than to the farthest of its own neighbours.
fn densities(nearest: &Nearest, reach: &[f64], rows: usize) -> Vec<f64> {
    parallel::by_row(rows, 4_096, |row| {
        let sum: f64 = nearest.of(row).map(|(other, distance)| distance.max(reach[other])).sum();
        // As scikit-learn: rows that are all equal have a density, too.
        1.0 / (sum / nearest.k as f64 + 1e-10)
    })
}

/// Mean density of the neighbours over that of the row.
fn factors(nearest: &Nearest, own: &[f64], others: &[f64]) -> Vec<f64> {
    parallel::by_row(own.len(), 4_096, |row| {
        nearest.indices(row).iter().map(|other| others[*other as usize] / own[row]).sum::<f64>() / nearest.k as f64
    })
}
