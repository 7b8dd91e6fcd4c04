//! LOCI: how few rows there are near a row, against the rows around it, at any radius.
//!
//! PyOD counts for each radius over a matrix of all distances, O(n^4). Here rows of the matrix are sorted once and counts move on with the
//! radius. It still takes the cube of the number of rows.

use crate::data::parallel;
use crate::data::series::Table;
use crate::outlier::contract::{Detector, Error, Learnt};
use crate::outlier::entry::{Entry, Kind, entry};
use crate::outlier::parameters::parameters;
use crate::outlier::rows::pairs::Rows;

pub(crate) const ENTRY: Entry = Entry {
    name: "loci",
    about: "rows near which there are fewer rows than near those around, at some radius",
    paper: "Papadimitriou, Kitagawa, Gibbons & Faloutsos, ICDE 2003",
    parameters: "alpha=0.5, k=3",
    kind: Kind::Exact,
    at_most: 2_000,
    ..entry!(Loci)
};

parameters! {
    /// Local correlation integral.
    Loci {
        /// The radius near a row over the radius around it, 0 to 1.
        alpha: f64 = 0.5,
        /// Deviations from which a row is one at once.
        k: f64 = 3.0,
    }
}

impl Loci {
    fn scores(&self, x: &Table) -> Vec<f64> {
        let n = x.len();
        let rows = Rows::new(x);
        // Distances of each row, and the same in order.
        let distances = rows.by_row(x, |squares| squares.iter().map(|s| s.sqrt()).collect::<Vec<f64>>());
        let sorted = parallel::by_row(n, 8, |row| {
            let mut sorted = distances[row].clone();
            sorted.sort_unstable_by(f64::total_cmp);
            sorted
        });
        let farthest = sorted.iter().filter_map(|s| s.last()).copied().fold(0.0, f64::max) / self.alpha;
        parallel::by_row(n, 4, |row| self.score(&distances[row], &sorted, row, farthest))
    }

    fn score(&self, distances: &[f64], sorted: &[Vec<f64>], row: usize, farthest: f64) -> f64 {
        let n = distances.len();
        let own = distances.iter().filter(|d| **d > 0.0 && **d <= farthest);
        let mut radii: Vec<f64> = own.flat_map(|d| [*d, d / self.alpha]).collect();
        radii.sort_unstable_by(f64::total_cmp);
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_unstable_by(|a, b| distances[*a].total_cmp(&distances[*b]));
        // Of each row, how many are nearer than alpha times the radius.
        let mut near = vec![0_usize; n];
        let (mut around, mut score) = (0, 0.0);
        for radius in radii {
            while around < n && distances[order[around]] <= radius {
                around += 1;
            }
            let inner = radius * self.alpha;
            let (mut sum, mut squares) = (0_u64, 0_u64);
            for other in &order[..around] {
                let count = &mut near[*other];
                while *count < n && sorted[*other][*count] < inner {
                    *count += 1;
                }
                let count = *count as u64;
                sum += count;
                squares += count * count;
            }
            let m = around as f64;
            let mean = sum as f64 / m;
            if mean < 20.0 {
                continue;
            }
            while near[row] < n && sorted[row][near[row]] < inner {
                near[row] += 1;
            }
            // Whole numbers until here, so nothing is lost by the difference.
            let variance = (squares as f64 * m - (sum as f64) * (sum as f64)).max(0.0) / (m * m);
            let (less, deviation) = (1.0 - near[row] as f64 / mean, variance.sqrt() / mean);
            score = if deviation > 0.0 { less / deviation } else { 0.0 };
            if less > self.k * deviation {
                break;
            }
        }
        score
    }
}

impl Detector for Loci {
    fn learn(&self, x: &Table) -> Result<(Vec<f64>, Box<dyn Learnt>), Error> {
        if self.alpha >= 1.0 {
            let value = self.alpha.to_string();
            return Err(Error::Parameter { name: "alpha", value, wanted: "a share between 0 and 1" });
        }
        Ok((self.scores(x), Box::new(self.clone())))
    }
}

impl Learnt for Loci {
    fn decision_function(&self, x: &Table) -> Result<Vec<f64>, Error> {
        Ok(self.scores(x))
    }
}
