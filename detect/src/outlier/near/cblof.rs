//! CBLOF: how far a row is from the centre of the nearest large cluster.

use crate::data::parallel;
use crate::data::series::Table;
use crate::outlier::contract::{Detector, Error, Learnt};
use crate::outlier::entry::{Entry, Kind, entry};
use crate::outlier::parameters::parameters;
use crate::outlier::rows::kmeans::{Centres, KMeans};
use crate::outlier::rows::neighbours::squared;

pub(crate) const ENTRY: Entry = Entry {
    name: "cblof",
    about: "rows far from the centre of the nearest large cluster",
    paper: "He, Xu & Deng, Pattern Recognition Letters 2003",
    parameters: "n_clusters=8, alpha=0.9, beta=5, use_weights=false, random_state=0",
    kind: Kind::Seeded,
    ..entry!(Cblof)
};

parameters! {
    /// Cluster-based local outlier factor.
    Cblof {
        /// Clusters of k-means.
        n_clusters: usize = 8,
        /// Share of rows that the large clusters hold at least, 0 to 1.
        alpha: f64 = 0.9,
        /// Or how many times as large the smallest large cluster is as the next.
        beta: f64 = 5.0,
        /// Distances are multiplied by the size of the row's cluster.
        use_weights: bool = false,
        /// Seed of k-means.
        random_state: u64 = 0,
    }
}

impl Detector for Cblof {
    fn learn(&self, x: &Table) -> Result<(Vec<f64>, Box<dyn Learnt>), Error> {
        if x.len() < self.n_clusters {
            return Err(Error::TooFew { rows: x.len(), needed: self.n_clusters });
        }
        for (name, value, wrong, wanted) in [
            ("alpha", self.alpha, self.alpha >= 1.0, "a share between 0 and 1"),
            ("beta", self.beta, self.beta <= 1.0, "a number above 1"),
        ] {
            if wrong {
                return Err(Error::Parameter { name, value: value.to_string(), wanted });
            }
        }
        let centres = KMeans { clusters: self.n_clusters, seed: self.random_state }.fit(x);
        let labels = centres.labels(x);
        let mut sizes = vec![0.0_f64; self.n_clusters];
        labels.iter().for_each(|label| sizes[*label] += 1.0);
        let mut order: Vec<usize> = (0..self.n_clusters).collect();
        order.sort_by(|a, b| sizes[*b].total_cmp(&sizes[*a]));
        let held = |n: usize| order[..n].iter().map(|c| sizes[*c]).sum::<f64>() >= x.len() as f64 * self.alpha;
        let drops = |n: usize| sizes[order[n - 1]] / sizes[order[n]] >= self.beta;
        let ends = 1..self.n_clusters;
        let n_large = ends.clone().find(|n| held(*n) && drops(*n)).or_else(|| ends.clone().find(|n| held(*n)));
        let reason = "clusters do not fall into large and small ones";
        let n_large = n_large.or_else(|| ends.clone().find(|n| drops(*n))).ok_or(Error::Degenerate { reason })?;
        let mut is_large = vec![false; self.n_clusters];
        order[..n_large].iter().for_each(|c| is_large[*c] = true);
        let weights = if self.use_weights { sizes } else { vec![1.0; self.n_clusters] };
        let model = Model { centres, is_large, weights };
        Ok((model.scores(x, &labels), Box::new(model)))
    }
}

struct Model {
    centres: Centres,
    is_large: Vec<bool>,
    weights: Vec<f64>,
}

impl Model {
    fn scores(&self, x: &Table, labels: &[usize]) -> Vec<f64> {
        parallel::by_row(x.len(), 1_024, |row| {
            let (row, label) = (x.row(row), labels[row]);
            let to = |c: usize| squared(row, self.centres.0.row(c)).sqrt();
            let large = (0..self.is_large.len()).filter(|c| self.is_large[*c]);
            let distance = if self.is_large[label] { to(label) } else { large.map(to).fold(f64::INFINITY, f64::min) };
            distance * self.weights[label]
        })
    }
}

impl Learnt for Model {
    fn decision_function(&self, x: &Table) -> Result<Vec<f64>, Error> {
        Ok(self.scores(x, &self.centres.labels(x)))
    }
}
