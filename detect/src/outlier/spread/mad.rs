//! MAD: how many median absolute deviations a value is from the median. For one feature.

use crate::data::series::Table;
use crate::outlier::contract::{Detector, Error, Learnt, percentile};
use crate::outlier::entry::{Entry, Kind, entry};
use crate::outlier::parameters::parameters;

pub(crate) const ENTRY: Entry = Entry {
    name: "mad",
    about: "values many median absolute deviations from the median, of one feature",
    paper: "Iglewicz & Hoaglin, How to Detect and Handle Outliers, 1993",
    parameters: "threshold=3.5",
    kind: Kind::Exact,
    single: true,
    ..entry!(Mad)
};

parameters! {
    /// Median absolute deviation. Its threshold is a parameter and no quantile.
    Mad {
        /// Modified z-score above which a value is an outlier.
        threshold: f64 = 3.5,
    }
}

struct Model {
    median: f64,
    deviation: f64,
}

impl Detector for Mad {
    fn learn(&self, x: &Table) -> Result<(Vec<f64>, Box<dyn Learnt>), Error> {
        if x.columns() != 1 {
            return Err(Error::Features { found: x.columns(), wanted: 1 });
        }
        let values: Vec<f64> = x.column(0).collect();
        let median = percentile(&values, 0.5);
        let off: Vec<f64> = values.iter().map(|v| (v - median).abs()).collect();
        let deviation = percentile(&off, 0.5);
        if deviation <= 0.0 {
            return Err(Error::Constant { feature: 0 });
        }
        let model = Model { median, deviation };
        Ok((model.decision_function(x)?, Box::new(model)))
    }

    fn own_threshold(&self) -> Option<f64> {
        Some(self.threshold)
    }
}

impl Learnt for Model {
    fn decision_function(&self, x: &Table) -> Result<Vec<f64>, Error> {
        Ok(x.column(0).map(|v| 0.6745 * (v - self.median).abs() / self.deviation).collect())
    }
}
