//! The exponentially weighted mean as a control chart (Roberts 1959): small shifts that last.

use super::Reference;
use crate::detector::{Entry, Make, Online, Score};

pub(crate) const ENTRY: Entry = Entry {
    name: "ewma",
    about: "an exponentially weighted mean far from what it was while learning: small shifts that last",
    paper: "Roberts, Technometrics 1959",
    parameters: "each point counts a fifth",
    cost: "O(1) a point",
    causal: true,
    make: Make::Online(|setting| Box::new(Ewma { reference: Reference::new(setting.learn), mean: 0.0, known: 0.0 })),
};

/// What a new point counts. Montgomery, Statistical Quality Control, names 0.05 to 0.25.
const SHARE: f64 = 0.2;
/// Points after which half of the mean is old.
const REACH: usize = 4;

struct Ewma {
    reference: Reference,
    /// Of z.
    mean: f64,
    /// Share of the mean's variance that has come together: it starts narrow.
    known: f64,
}

impl Online for Ewma {
    fn push(&mut self, value: Option<f64>) -> Score {
        let Some(z) = self.reference.z(value) else { return Score::default() };
        self.mean += SHARE * (z - self.mean);
        self.known = (1.0 - SHARE).powi(2) * self.known + SHARE * SHARE;
        Score { value: self.mean.abs() / self.known.sqrt(), rising: self.mean > 0.0, reach: REACH }
    }

    fn warm_up(&self) -> usize {
        self.reference.warm_up()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let mut chart = Ewma { reference: Reference::new(2), mean: 0.0, known: 0.0 };
        // Mean 1, standard deviation 1.
        for learnt in [0.0, 2.0] {
            assert_eq!(chart.push(Some(learnt)), Score::default());
        }
        // The first is itself, whatever its share.
        let first = chart.push(Some(2.0));
        assert!((first.value - 1.0).abs() < 1e-12 && first.rising);
        // .2 * .8 + .2 = .36, variance .04 * .64 + .04 = .0656.
        assert!((chart.push(Some(2.0)).value - 0.36 / 0.0656_f64.sqrt()).abs() < 1e-12);
        let fallen = (0..50).map(|_| chart.push(Some(-9.0))).last().unwrap();
        // The limit: 10 deviations, by the variance share / (2 - share) = 1/9.
        assert!((fallen.value - 30.0).abs() < 0.01 && !fallen.rising, "{fallen:?}");
    }
}
