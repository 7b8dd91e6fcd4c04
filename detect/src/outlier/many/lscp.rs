//! LSCP: for each row the detectors that are good where it lies.
//!
//! Around a row are the rows that are among its nearest by most of twenty random choices of features. There each detector is compared with the
//! strictest of all: those that go with it are asked about the row.

use super::bagging::{columns, draw};
use crate::data::parallel;
use crate::data::rng::Rng;
use crate::data::series::Table;
use crate::outlier::contract::{Detector, Error, Learnt};
use crate::outlier::entry::{Entry, Kind, entry};
use crate::outlier::near::lof::Lof;
use crate::outlier::parameters::parameters;
use crate::outlier::rows::neighbours::Index;

pub(crate) const ENTRY: Entry = Entry {
    name: "lscp",
    about: "what those of several LOFs say that are good where the row lies",
    paper: "Zhao, Nasrullah, Hryniewicki & Li, SDM 2019",
    parameters: "local_region_size=30, n_bins=10, random_state=0; four LOFs of 15, 20, 25 and 35 neighbours",
    kind: Kind::Seeded,
    ..entry!(Lscp)
};

/// Choices of features, and of how many a row has to be among the nearest.
const CHOICES: usize = 20;

parameters! {
    /// Locally selective combination in parallel outlier ensembles.
    Lscp {
        /// Nearest rows of each choice of features.
        local_region_size: usize = 30,
        /// Bins of the correlations, of which the fullest is asked; at most as many as there are detectors.
        n_bins: usize = 10,
        /// Seed of the choices.
        random_state: u64 = 0,
    }
}

/// Neighbours of the members.
const MEMBERS: [usize; 4] = [15, 20, 25, 35];

struct Model {
    lscp: Lscp,
    members: Vec<Box<dyn Learnt>>,
    /// Mean and deviation of each member's scores in training.
    scales: Vec<(f64, f64)>,
    /// Standardised, a list a member.
    scores: Vec<Vec<f64>>,
    strictest: Vec<f64>,
    choices: Vec<(Vec<usize>, Index)>,
}

impl Detector for Lscp {
    fn learn(&self, x: &Table) -> Result<(Vec<f64>, Box<dyn Learnt>), Error> {
        let needed = self.local_region_size.max(MEMBERS[MEMBERS.len() - 1] + 1);
        if x.len() < needed {
            return Err(Error::TooFew { rows: x.len(), needed });
        }
        let (mut members, mut scores, mut scales) = (vec![], vec![], vec![]);
        for n_neighbors in MEMBERS {
            let (own, learnt) = Lof { n_neighbors }.learn(x)?;
            let n = own.len() as f64;
            let mean = own.iter().sum::<f64>() / n;
            let deviation = (own.iter().map(|s| (s - mean) * (s - mean)).sum::<f64>() / n).sqrt();
            let scale = if deviation > 0.0 { deviation } else { 1.0 };
            scores.push(own.iter().map(|s| (s - mean) / scale).collect::<Vec<f64>>());
            scales.push((mean, scale));
            members.push(learnt);
        }
        let d = x.columns();
        let mut rng = Rng(self.random_state);
        let choice = |_| {
            let features = if d < 2 { vec![0] } else { draw(&mut rng, d, d / 2, d - 1) };
            let index = Index::new(&columns(x, &features));
            (features, index)
        };
        let choices = (0..CHOICES).map(choice).collect();
        let strictest = crate::outlier::combination::maximum(&scores);
        let model = Model { lscp: self.clone(), members, scales, scores, strictest, choices };
        Ok((model.decision_function(x)?, Box::new(model)))
    }
}

impl Model {
    /// Rows around each row of `x`.
    fn regions(&self, x: &Table) -> Vec<Vec<u32>> {
        let near: Vec<_> = self
            .choices
            .iter()
            .map(|(features, index)| index.nearest(&columns(x, features), self.lscp.local_region_size))
            .collect();
        parallel::by_row(x.len(), 256, |row| {
            let mut all: Vec<u32> = near.iter().flat_map(|n| n.indices(row).iter().copied()).collect();
            all.sort_unstable();
            let count = |more_than: usize| {
                all.chunk_by(|a, b| a == b).filter(|c| c.len() > more_than).map(|c| c[0]).collect::<Vec<u32>>()
            };
            // Less is asked for until there are two to compare.
            (0..=CHOICES / 2).rev().map(count).find(|rows| rows.len() >= 2).unwrap_or_default()
        })
    }

    /// The detectors whose correlation with the strictest falls into the fullest bin, the first of those equally full.
    fn competent(&self, region: &[u32]) -> Vec<usize> {
        let of = |scores: &[f64]| region.iter().map(|row| scores[*row as usize]).collect::<Vec<f64>>();
        let wanted = of(&self.strictest);
        let correlations: Vec<f64> = self.scores.iter().map(|scores| pearson(&wanted, &of(scores))).collect();
        let bins =
            crate::outlier::rows::histogram::Histogram::new(&correlations, self.lscp.n_bins.min(correlations.len()));
        let fullest = bins.counts().iter().copied().fold(0.0, f64::max);
        let bin = bins.counts().iter().rposition(|count| *count == fullest).unwrap_or(0);
        let (low, high) = (bins.edges()[bin], bins.edges()[bin + 1]);
        (0..correlations.len()).filter(|i| (low..=high).contains(&correlations[*i])).collect()
    }
}

impl Learnt for Model {
    fn decision_function(&self, x: &Table) -> Result<Vec<f64>, Error> {
        let asked: Result<Vec<_>, Error> = self.members.iter().map(|m| m.decision_function(x)).collect();
        let asked = asked?;
        let regions = self.regions(x);
        Ok(parallel::by_row(x.len(), 64, |row| {
            let competent = self.competent(&regions[row]);
            let score = |i: &usize| (asked[*i][row] - self.scales[*i].0) / self.scales[*i].1;
            competent.iter().map(score).sum::<f64>() / competent.len() as f64
        }))
    }
}

/// Correlation; 0 where one does not vary.
fn pearson(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (mean_a, mean_b) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let (mut both, mut only_a, mut only_b) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        let (x, y) = (x - mean_a, y - mean_b);
        both += x * y;
        only_a += x * x;
        only_b += y * y;
    }
    if only_a > 0.0 && only_b > 0.0 { (both / (only_a * only_b).sqrt()).clamp(-1.0, 1.0) } else { 0.0 }
}
