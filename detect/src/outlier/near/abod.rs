//! ABOD: how much the angles under which a row sees others vary.
//!
//! By its nearest neighbours (`fast`) or by all rows (`default`), which takes the cube of their number. In training a row is among its
//! own neighbours and is left out when angles are made, as in PyOD.

use crate::data::parallel;
use crate::data::series::Table;
use crate::outlier::contract::{Detector, Error, Learnt};
use crate::outlier::entry::{Entry, Kind, entry};
use crate::outlier::parameters::{choice, parameters};
use crate::outlier::rows::neighbours::Index;

pub(crate) const ENTRY: Entry = Entry {
    name: "abod",
    about: "rows that see all others in nearly one direction",
    paper: "Kriegel, Schubert & Zimek, KDD 2008",
    parameters: "n_neighbors=5, method=fast|default",
    kind: Kind::Exact,
    ..entry!(Abod)
};

choice! {
    /// Whose angles.
    Method: "fast or default" {
        /// Of the nearest neighbours.
        Fast = "fast",
        /// Of all rows.
        Default = "default",
    }
}

parameters! {
    /// Angle-based outlier detection.
    Abod {
        /// Neighbours whose angles are taken.
        n_neighbors: usize = 5,
        /// Or all rows.
        method: Method = Method::Fast,
    }
}

impl Abod {
    fn scores(&self, index: &Index, x: &Table) -> Vec<f64> {
        let own = index.rows();
        match self.method {
            Method::Fast => {
                let nearest = index.nearest(x, self.n_neighbors);
                parallel::by_row(x.len(), 256, |row| -variance(x.row(row), own, nearest.indices(row)))
            }
            Method::Default => {
                let all: Vec<u32> = (0..own.len() as u32).collect();
                parallel::by_row(x.len(), 8, |row| -variance(x.row(row), own, &all))
            }
        }
    }
}

impl Detector for Abod {
    fn learn(&self, x: &Table) -> Result<(Vec<f64>, Box<dyn Learnt>), Error> {
        let needed = if self.method == Method::Fast { self.n_neighbors + 1 } else { 3 };
        if x.len() < needed {
            return Err(Error::TooFew { rows: x.len(), needed });
        }
        let index = Index::new(x);
        Ok((self.scores(&index, x), Box::new(Model { abod: self.clone(), index })))
    }
}

struct Model {
    abod: Abod,
    index: Index,
}

impl Learnt for Model {
    fn decision_function(&self, x: &Table) -> Result<Vec<f64>, Error> {
        Ok(self.abod.scores(&self.index, x))
    }
}

/// Of the cosines over all pairs, each divided by both lengths once more. Rows equal to this one make no angle.
fn variance(row: &[f64], own: &Table, others: &[u32]) -> f64 {
    let mut ways: Vec<f64> = Vec::with_capacity(others.len() * row.len());
    let mut squares: Vec<f64> = Vec::with_capacity(others.len());
    for other in others {
        let start = ways.len();
        ways.extend(own.row(*other as usize).iter().zip(row).map(|(a, b)| a - b));
        let square: f64 = ways[start..].iter().map(|v| v * v).sum();
        if square == 0.0 {
            ways.truncate(start);
        } else {
            squares.push(square);
        }
    }
    let way = |i: usize| &ways[i * row.len()..(i + 1) * row.len()];
    // Twice over the pairs instead of a list of them: for all rows it would not fit.
    let each = |f: &mut dyn FnMut(f64)| {
        for i in 0..squares.len() {
            for j in i + 1..squares.len() {
                let dot: f64 = way(i).iter().zip(way(j)).map(|(a, b)| a * b).sum();
                f(dot / squares[i] / squares[j]);
            }
        }
    };
    let (mut n, mut sum) = (0.0, 0.0);
    each(&mut |w| {
        n += 1.0;
        sum += w;
    });
    if n == 0.0 {
        return 0.0;
    }
    let mean = sum / n;
    let mut off = 0.0;
    each(&mut |w| off += (w - mean) * (w - mean));
    off / n
}
