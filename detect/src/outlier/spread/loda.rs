//! LODA: how rare a row is in histograms of random projections.

use crate::data::parallel;
use crate::data::rng::Rng;
use crate::data::series::Table;
use crate::outlier::contract::{Detector, Error, Learnt};
use crate::outlier::entry::{Entry, Kind, entry};
use crate::outlier::parameters::parameters;
use crate::outlier::rows::histogram::Histogram;
use std::ops::Range;

pub(crate) const ENTRY: Entry = Entry {
    name: "loda",
    about: "rows that are rare in histograms of random projections",
    paper: "Pevny, Machine Learning 2016",
    parameters: "n_bins=10, n_random_cuts=100, random_state=0",
    kind: Kind::Seeded,
    ..entry!(Loda)
};

parameters! {
    /// Lightweight on-line detector of anomalies.
    Loda {
        /// Bins of a histogram.
        n_bins: usize = 10,
        /// Projections.
        n_random_cuts: usize = 100,
        /// Seed of the projections.
        random_state: u64 = 0,
    }
}

/// Rows scored together: their columns stay in a near cache.
const BLOCK: usize = 512;

struct Cut {
    /// Feature and its factor: the square root of their number, as in the paper.
    parts: Vec<(usize, f64)>,
    bins: Histogram,
    /// -ln of the share of each bin.
    rarity: Vec<f64>,
}

struct Model {
    cuts: Vec<Cut>,
}

/// Some rows along a projection, of columns that hold these rows.
fn project(parts: &[(usize, f64)], columns: &[Vec<f64>], rows: Range<usize>, out: &mut Vec<f64>) {
    out.clear();
    out.resize(rows.len(), 0.0);
    for (feature, factor) in parts {
        out.iter_mut().zip(&columns[*feature][rows.clone()]).for_each(|(sum, v)| *sum += v * factor);
    }
}

fn columns(x: &Table) -> Vec<Vec<f64>> {
    (0..x.columns()).map(|c| x.column(c).collect()).collect()
}

impl Cut {
    fn score(&self, at: f64) -> f64 {
        // PyOD's: of the edges all but the last two are looked at, the first included, so a bin is one to the right.
        self.rarity[self.bins.edges_below(at).min(self.rarity.len() - 1)]
    }
}

impl Detector for Loda {
    fn learn(&self, x: &Table) -> Result<(Vec<f64>, Box<dyn Learnt>), Error> {
        let d = x.columns();
        let used = ((d as f64).sqrt() as usize).max(1);
        let mut rng = Rng(self.random_state);
        let drawn: Vec<Vec<(usize, f64)>> = (0..self.n_random_cuts)
            .map(|_| {
                let mut features: Vec<usize> = (0..d).collect();
                (0..used).for_each(|i| features.swap(i, i + rng.below(d - i)));
                features[..used].iter().map(|feature| (*feature, rng.normal())).collect()
            })
            .collect();
        let columns = columns(x);
        let made = parallel::by_row(drawn.len(), 4, |cut| {
            let parts = &drawn[cut];
            let mut at = vec![];
            project(parts, &columns, 0..x.len(), &mut at);
            let bins = Histogram::new(&at, self.n_bins);
            let total = at.len() as f64 + self.n_bins as f64 * 1e-12;
            let rarity = bins.counts().iter().map(|count| -((count + 1e-12) / total).ln()).collect();
            Cut { parts: parts.clone(), bins, rarity }
        });
        let model = Model { cuts: made };
        Ok((model.decision_function(x)?, Box::new(model)))
    }
}

impl Learnt for Model {
    fn decision_function(&self, x: &Table) -> Result<Vec<f64>, Error> {
        // PyOD divides by the number of cuts twice.
        let n = (self.cuts.len() * self.cuts.len()) as f64;
        let columns = columns(x);
        let parts = parallel::in_parts(x.len(), 256, |rows| {
            let (mut sums, mut at) = (vec![0.0; rows.len()], vec![]);
            for start in (0..rows.len()).step_by(BLOCK) {
                let block = start..(start + BLOCK).min(rows.len());
                for cut in &self.cuts {
                    project(&cut.parts, &columns, rows.start + block.start..rows.start + block.end, &mut at);
                    sums[block.clone()].iter_mut().zip(&at).for_each(|(sum, at)| *sum += cut.score(*at));
                }
            }
            sums.iter_mut().for_each(|sum| *sum /= n);
            sums
        });
        Ok(parts.into_iter().flatten().collect())
    }
}
