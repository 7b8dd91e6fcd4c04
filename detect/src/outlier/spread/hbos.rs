//! HBOS: how rare a value is in the histogram of each feature.

use crate::data::series::Table;
use crate::outlier::contract::{Detector, Error, Learnt};
use crate::outlier::entry::{Entry, Kind, entry};
use crate::outlier::parameters::parameters;
use crate::outlier::rows::histogram::Histogram;

pub(crate) const ENTRY: Entry = Entry {
    name: "hbos",
    about: "rows whose values are rare, feature by feature",
    paper: "Goldstein & Dengel, KI 2012",
    parameters: "n_bins=10, alpha=0.1, tol=0.5",
    kind: Kind::Exact,
    ..entry!(Hbos)
};

parameters! {
    /// Histogram-based outlier score.
    Hbos {
        /// Bins of a feature, of equal width.
        n_bins: usize = 10,
        /// Added to each density.
        alpha: f64 = 0.1,
        /// Share of a bin's width by which a value may lie beyond the ends.
        tol: f64 = 0.5,
    }
}

impl Detector for Hbos {
    fn learn(&self, x: &Table) -> Result<(Vec<f64>, Box<dyn Learnt>), Error> {
        if self.n_bins < 2 {
            let value = self.n_bins.to_string();
            return Err(Error::Parameter { name: "n_bins", value, wanted: "at least 2" });
        }
        let features = (0..x.columns()).map(|c| Feature::new(self, x.column(c))).collect();
        let model = Model { features, tol: self.tol };
        Ok((model.decision_function(x)?, Box::new(model)))
    }
}

struct Model {
    features: Vec<Feature>,
    tol: f64,
}

struct Feature {
    bins: Histogram,
    /// -log2 of the density of each bin.
    rarity: Vec<f64>,
    rarest: f64,
}

impl Feature {
    fn new(hbos: &Hbos, values: impl Iterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.collect();
        let bins = Histogram::new(&values, hbos.n_bins);
        let rarity: Vec<f64> = bins.densities().iter().map(|density| -(density + hbos.alpha).log2()).collect();
        let rarest = rarity.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Self { bins, rarity, rarest }
    }

    fn score(&self, value: f64, tol: f64) -> f64 {
        let edges = self.bins.edges();
        let last = self.rarity.len();
        match self.bins.edges_below(value) {
            0 if edges[0] - value > (edges[1] - edges[0]) * tol => self.rarest,
            0 => self.rarity[0],
            bin if bin <= last => self.rarity[bin - 1],
            _ if value - edges[last] > (edges[last] - edges[last - 1]) * tol => self.rarest,
            _ => self.rarity[last - 1],
        }
    }
}

impl Learnt for Model {
    fn decision_function(&self, x: &Table) -> Result<Vec<f64>, Error> {
        let score = |row: &[f64]| row.iter().zip(&self.features).map(|(v, f)| f.score(*v, self.tol)).sum();
        Ok(x.rows().map(score).collect())
    }
}
