//! KDE: how thin rows lie around a row, by a normal kernel.

use crate::data::series::Table;
use crate::outlier::contract::{Detector, Error, Learnt};
use crate::outlier::entry::{Entry, Kind, entry};
use crate::outlier::parameters::parameters;
use crate::outlier::rows::pairs;

pub(crate) const ENTRY: Entry = Entry {
    name: "kde",
    about: "rows where the density of rows is low",
    paper: "Latecki, Lazarevic & Pokrajac, MLDM 2007",
    parameters: "bandwidth=1",
    kind: Kind::Exact,
    at_most: 50_000,
    ..entry!(Kde)
};

parameters! {
    /// Kernel density estimate.
    Kde {
        /// Standard deviation of the kernel.
        bandwidth: f64 = 1.0,
    }
}

struct Model {
    bandwidth: f64,
    x: pairs::Rows,
}

impl Detector for Kde {
    fn learn(&self, x: &Table) -> Result<(Vec<f64>, Box<dyn Learnt>), Error> {
        let model = Model { bandwidth: self.bandwidth, x: pairs::Rows::new(x) };
        Ok((model.decision_function(x)?, Box::new(model)))
    }
}

impl Learnt for Model {
    fn decision_function(&self, x: &Table) -> Result<Vec<f64>, Error> {
        let scale = -0.5 / (self.bandwidth * self.bandwidth);
        let d = x.columns() as f64;
        let normal = (self.x.len() as f64).ln() + d * (self.bandwidth.ln() + std::f64::consts::TAU.ln() / 2.0);
        // The sum of kernels over that of the nearest row, which is 1, so that nothing is too small for a number.
        let density = |squares: &mut [f64]| {
            let least = squares.iter().copied().fold(f64::INFINITY, f64::min);
            squares.iter_mut().for_each(|s| *s = (*s - least) * scale);
            normal - least * scale - pairs::sum_of_exp(squares).ln()
        };
        Ok(self.x.by_row(x, density))
    }
}
