//! The spread of the last points against the spread while learning: chi-square of their squared
//! deviations. Noise that grows at the same mean.

use super::Reference;
use crate::detector::{Entry, Make, Online, Score};
use crate::stats::special::normal_tail;
use std::collections::VecDeque;

pub(crate) const ENTRY: Entry = Entry {
    name: "chi-square",
    about: "deviations of the last points that are too large in sum: noise that grows at the same mean",
    paper: "Ye & Chen, Quality and Reliability Engineering International 2001",
    parameters: "20 points; the probability by Wilson and Hilferty (1931)",
    cost: "O(1) a point",
    causal: true,
    make: Make::Online(|setting| {
        Box::new(ChiSquare { reference: Reference::new(setting.learn), late: VecDeque::with_capacity(POINTS + 1) })
    }),
};

/// Points that are added up.
const POINTS: usize = 20;

struct ChiSquare {
    reference: Reference,
    /// z of the last points.
    late: VecDeque<f64>,
}

impl Online for ChiSquare {
    fn push(&mut self, value: Option<f64>) -> Score {
        let Some(z) = self.reference.z(value) else { return Score::default() };
        self.late.push_back(z);
        if self.late.len() > POINTS {
            self.late.pop_front();
        }
        let n = self.late.len() as f64;
        let sum: f64 = self.late.iter().map(|z| z * z).sum();
        // The cube root of chi-square over its freedom is nearly normal; far out, where the function itself is 1 in doubles, this still tells.
        let spread = 2.0 / (9.0 * n);
        let deviations = ((sum / n).cbrt() - (1.0 - spread)) / spread.sqrt();
        let rising = self.late.iter().sum::<f64>() > 0.0;
        Score { value: normal_tail(deviations), rising, reach: self.late.len() }
    }

    fn warm_up(&self) -> usize {
        self.reference.warm_up()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::special::chi_square_cdf;

    #[test]
    fn a_probability_is_that_of_chi_square() {
        let mut chart = ChiSquare { reference: Reference::new(2), late: VecDeque::new() };
        chart.push(Some(-1.0));
        chart.push(Some(1.0));
        for (i, value) in (1..=POINTS).zip([1.0, -1.5, 2.0, 0.3, -1.2].into_iter().cycle()) {
            let said = chart.push(Some(value)).value;
            let sum: f64 = chart.late.iter().map(|z| z * z).sum();
            let exact = -(1.0 - chi_square_cdf(sum, i as f64)).log10();
            assert!(i < 3 || (said - exact).abs() < 0.03, "{i}: {said} {exact}");
        }
        let calm = (0..POINTS).map(|_| chart.push(Some(0.5)).value).last().unwrap();
        let wild = (0..POINTS).map(|i| chart.push(Some(if i % 2 == 0 { 4.0 } else { -4.0 })).value).last().unwrap();
        assert!(calm < 0.1 && wild > 40.0, "{calm} {wild}");
    }
}
