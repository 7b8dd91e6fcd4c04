//! INNE: how large the spheres are that hold a row, each around a row of a small sample as far as
//! its nearest neighbour in the sample.

use crate::data::parallel;
use crate::data::rng::Rng;
use crate::data::series::Table;
use crate::outlier::contract::{Detector, Error, Learnt};
use crate::outlier::entry::{Entry, Kind, entry};
use crate::outlier::parameters::parameters;
use crate::outlier::rows::neighbours::squared;
use crate::outlier::rows::pairs::{self, STRIP, Strip};

pub(crate) const ENTRY: Entry = Entry {
    name: "inne",
    about: "rows outside the spheres of small samples, or in large ones",
    paper: "Bandaragoda et al., Computational Intelligence 2018",
    parameters: "n_estimators=200, max_samples=8, random_state=0",
    kind: Kind::Seeded,
    ..entry!(Inne)
};

parameters! {
    /// Isolation by nearest-neighbour ensembles.
    Inne {
        /// Samples drawn.
        n_estimators: usize = 200,
        /// Rows of a sample.
        max_samples: usize = 8,
        /// Seed of the samples.
        random_state: u64 = 0,
    }
}

/// Some spheres of a sample.
struct Spheres {
    centres: Strip,
    /// Squared, smallest first over the whole sample.
    radius: [f64; STRIP],
    /// One less the share that the nearest sphere's radius has of it.
    ratio: [f64; STRIP],
}

struct Model {
    /// Sample after sample.
    samples: Vec<Vec<Spheres>>,
}

impl Detector for Inne {
    fn learn(&self, x: &Table) -> Result<(Vec<f64>, Box<dyn Learnt>), Error> {
        let size = self.max_samples.min(x.len());
        if size < 2 {
            return Err(Error::Parameter { name: "max_samples", value: size.to_string(), wanted: "at least 2" });
        }
        let mut rng = Rng(self.random_state);
        let mut rows: Vec<usize> = (0..x.len()).collect();
        let mut model = Model { samples: vec![] };
        for _ in 0..self.n_estimators {
            (0..size).for_each(|i| rows.swap(i, i + rng.below(x.len() - i)));
            let sample = &rows[..size];
            let nearest = |of: usize| {
                let others = (0..size).filter(|other| *other != of);
                let off = others.map(|other| (squared(x.row(sample[of]), x.row(sample[other])), other));
                off.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((0.0, of))
            };
            let near: Vec<(f64, usize)> = (0..size).map(nearest).collect();
            let ratio = |i: usize| 1.0 - (near[near[i].1].0 + f64::EPSILON) / (near[i].0 + f64::EPSILON);
            let mut order: Vec<usize> = (0..size).collect();
            order.sort_by(|a, b| near[*a].0.total_cmp(&near[*b].0));
            let spheres = |some: &[usize]| {
                let centres = pairs::strip(some.iter().map(|i| x.row(sample[*i])), x.columns());
                let mut out = Spheres { centres, radius: [f64::NEG_INFINITY; STRIP], ratio: [0.0; STRIP] };
                for (lane, i) in some.iter().enumerate() {
                    (out.radius[lane], out.ratio[lane]) = (near[*i].0, ratio(*i));
                }
                out
            };
            model.samples.push(order.chunks(STRIP).map(spheres).collect());
        }
        Ok((model.decision_function(x)?, Box::new(model)))
    }
}

impl Learnt for Model {
    fn decision_function(&self, x: &Table) -> Result<Vec<f64>, Error> {
        Ok(parallel::by_row(x.len(), 64, |row| {
            let score = |spheres: &Vec<Spheres>| spheres.iter().find_map(|s| holds(s, x.row(row))).unwrap_or(1.0);
            self.samples.iter().map(score).sum::<f64>() / self.samples.len() as f64
        }))
    }
}

/// The ratio of the smallest sphere that holds the row.
fn holds(spheres: &Spheres, row: &[f64]) -> Option<f64> {
    let squares = pairs::to_strip(&spheres.centres, row);
    let lane = (0..STRIP).find(|lane| squares[*lane] <= spheres.radius[*lane])?;
    Some(spheres.ratio[lane])
}
