//! SOS: how little all other rows have to do with a row.
//!
//! Each row binds to the others by a kernel as wide as gives it the same perplexity; a row is an outlier as far as none binds to it. As
//! in PyOD distances are not squared, and new rows are judged among themselves.

use crate::data::parallel;
use crate::data::series::Table;
use crate::outlier::contract::{Detector, Error, Learnt};
use crate::outlier::entry::{Entry, Kind, entry};
use crate::outlier::parameters::parameters;
use crate::outlier::rows::pairs::{self, Rows};

pub(crate) const ENTRY: Entry = Entry {
    name: "sos",
    about: "rows to which no other row binds",
    paper: "Janssens, Huszar, Postma & van den Herik, TiCC 2012",
    parameters: "perplexity=4.5, eps=1e-5",
    kind: Kind::Exact,
    at_most: 30_000,
    ..entry!(Sos)
};

/// Rows of a run.
const RUN: usize = 512;

parameters! {
    /// Stochastic outlier selection.
    Sos {
        /// How many neighbours a row has, softly.
        perplexity: f64 = 4.5,
        /// How exactly.
        eps: f64 = 1e-5,
    }
}

impl Sos {
    fn scores(&self, x: &Table) -> Result<Vec<f64>, Error> {
        let n = x.len();
        if (n as f64) < self.perplexity + 1.0 {
            return Err(Error::TooFew { rows: n, needed: self.perplexity.ceil() as usize + 1 });
        }
        let rows = Rows::new(x);
        // By runs of rows that do not depend on the number of threads, so that sums do not.
        let runs = parallel::by_row(n.div_ceil(RUN), 1, |run| {
            let mut kept = vec![0.0; n];
            let mut binding = vec![0.0; n];
            let mut distances = vec![0.0; n];
            for row in run * RUN..((run + 1) * RUN).min(n) {
                rows.squares(x.row(row), &mut distances);
                let total = self.bind(row, &mut distances, &mut binding);
                kept.iter_mut().zip(&binding).for_each(|(kept, b)| *kept += (-b / total).ln_1p());
            }
            kept
        });
        Ok((0..n).map(|row| runs.iter().map(|kept| kept[row]).sum::<f64>().exp()).collect())
    }

    /// Fills in how strongly `row` binds to others, and returns the sum. `far` are squared distances, which it overwrites.
    fn bind(&self, row: usize, far: &mut [f64], binding: &mut [f64]) -> f64 {
        let wanted = self.perplexity.ln();
        let (mut low, mut high, mut beta) = (f64::NEG_INFINITY, f64::INFINITY, 1.0);
        // From the nearest on, so that the sum is at least 1; the entropy is the same.
        far[row] = f64::INFINITY;
        let least = far.iter().copied().fold(f64::INFINITY, f64::min).sqrt();
        far.iter_mut().for_each(|d| *d = d.sqrt() - least);
        far[row] = 0.0;
        let mut total = 0.0;
        for _ in 0..=5_000 {
            binding.copy_from_slice(far);
            pairs::exp_of(binding, -beta);
            binding[row] = 0.0;
            total = pairs::sum(binding);
            let mean = pairs::dot(binding, far);
            let off = total.ln() + beta * mean / total - wanted;
            if off.abs() <= self.eps {
                break;
            }
            if off > 0.0 {
                low = beta;
                beta = if high.is_finite() { f64::midpoint(beta, high) } else { beta * 2.0 };
            } else {
                high = beta;
                beta = if low.is_finite() { f64::midpoint(beta, low) } else { beta / 2.0 };
            }
        }
        total
    }
}

impl Detector for Sos {
    fn learn(&self, x: &Table) -> Result<(Vec<f64>, Box<dyn Learnt>), Error> {
        Ok((self.scores(x)?, Box::new(self.clone())))
    }
}

impl Learnt for Sos {
    fn decision_function(&self, x: &Table) -> Result<Vec<f64>, Error> {
        self.scores(x)
    }
}
