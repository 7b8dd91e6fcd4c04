//! Feature bagging: LOF on random halves or more of the features, averaged.

use crate::data::rng::Rng;
use crate::data::series::Table;
use crate::outlier::combination;
use crate::outlier::contract::{Detector, Error, Learnt};
use crate::outlier::entry::{Entry, Kind, entry};
use crate::outlier::near::lof::Lof;
use crate::outlier::parameters::{choice, parameters};

pub(crate) const ENTRY: Entry = Entry {
    name: "feature-bagging",
    about: "rows where it is thin by many random choices of features",
    paper: "Lazarevic & Kumar, KDD 2005",
    parameters: "n_estimators=10, n_neighbors=20, combination=average|max, random_state=0",
    kind: Kind::Seeded,
    ..entry!(FeatureBagging)
};

choice! {
    /// How scores are joined.
    Combination: "average or max" {
        /// Their mean.
        Average = "average",
        /// The largest.
        Max = "max",
    }
}

parameters! {
    /// Feature bagging.
    FeatureBagging {
        /// Choices of features.
        n_estimators: usize = 10,
        /// Neighbours of each LOF.
        n_neighbors: usize = 20,
        /// How scores are joined.
        combination: Combination = Combination::Average,
        /// Seed of the choices.
        random_state: u64 = 0,
    }
}

struct Model {
    members: Vec<(Vec<usize>, Box<dyn Learnt>)>,
    combination: Combination,
}

/// Some columns of `x`.
pub(crate) fn columns(x: &Table, features: &[usize]) -> Table {
    let mut out = Table::new(features.len());
    let mut picked = vec![0.0; features.len()];
    for row in x.rows() {
        picked.iter_mut().zip(features).for_each(|(p, f)| *p = row[*f]);
        out.push(&picked);
    }
    out
}

/// At least `least` and at most `most` of `d` features, drawn without replacement.
pub(crate) fn draw(rng: &mut Rng, d: usize, least: usize, most: usize) -> Vec<usize> {
    let n = (least + rng.below(most - least + 1)).max(1);
    let mut features: Vec<usize> = (0..d).collect();
    (0..n).for_each(|i| features.swap(i, i + rng.below(d - i)));
    features.truncate(n);
    features
}

fn join(scores: &[Vec<f64>], how: Combination) -> Vec<f64> {
    match how {
        Combination::Average => combination::average(scores),
        Combination::Max => combination::maximum(scores),
    }
}

impl Detector for FeatureBagging {
    fn learn(&self, x: &Table) -> Result<(Vec<f64>, Box<dyn Learnt>), Error> {
        let d = x.columns();
        if d < 2 {
            return Err(Error::Features { found: d, wanted: 2 });
        }
        let mut rng = Rng(self.random_state);
        let lof = Lof { n_neighbors: self.n_neighbors };
        let (mut scores, mut members) = (vec![], vec![]);
        for _ in 0..self.n_estimators {
            let features = draw(&mut rng, d, d / 2, d);
            let (own, learnt) = lof.learn(&columns(x, &features))?;
            scores.push(own);
            members.push((features, learnt));
        }
        Ok((join(&scores, self.combination), Box::new(Model { members, combination: self.combination })))
    }
}

impl Learnt for Model {
    fn decision_function(&self, x: &Table) -> Result<Vec<f64>, Error> {
        let score =
            |(features, learnt): &(Vec<usize>, Box<dyn Learnt>)| learnt.decision_function(&columns(x, features));
        let scores: Result<Vec<_>, Error> = self.members.iter().map(score).collect();
        Ok(join(&scores?, self.combination))
    }
}
