//! The left matrix profile: how far the last points are, as a run, from all runs before (discords,
//! as DAMP finds them).
//!
//! Two runs are compared as they are, and not less their means and over their spreads: noise has every shape, and a burst that is ten times
//! as high is not told from it by its shape. The sums of products of the newest run with all others follow from those of the run before
//! it, which is STOMP's recurrence: a point costs one pass over the past and not one for each of the run's points.

use crate::detector::{Entry, Make, Online, Score};
use std::collections::VecDeque;

pub(crate) const ENTRY: Entry = Entry {
    name: "matrix-profile",
    about: "a run of points unlike any before; made for metrics with a rhythm",
    paper: "Yeh et al., ICDM 2016; Zhu et al. (STOMP), ICDM 2016; Akbarinia & Cloez (not normalised), 2019; Lu et al. (DAMP), KDD 2022",
    parameters: "a run is an eighth of the points learnt from, 8 to 64 points; 4 096 points remembered",
    cost: "O(points remembered) a point",
    causal: true,
    make: Make::Online(|setting| Box::new(MatrixProfile::new((setting.learn / 8).clamp(8, 64), setting.learn))),
};

/// Points remembered.
const PAST: usize = 4_096;
struct MatrixProfile {
    /// Points of a run.
    points: usize,
    learn: usize,
    seen: usize,
    /// Less the first value, so that products of what is far from nothing do not drown.
    values: VecDeque<f64>,
    first: Option<f64>,
    /// Sum of the squares of the run that begins at each value, while there is a whole one.
    squares: VecDeque<f64>,
    /// Sum of the products of the newest run with each.
    products: VecDeque<f64>,
    /// Standard deviation while learning.
    unit: Option<f64>,
}

impl MatrixProfile {
    fn new(points: usize, learn: usize) -> Self {
        let learn = learn.max(4 * points);
        let (values, squares, products) = Default::default();
        Self { points, learn, seen: 0, values, first: None, squares, products, unit: None }
    }

    fn product(&self, a: usize, b: usize) -> f64 {
        let (a, b) = (self.values.range(a..a + self.points), self.values.range(b..b + self.points));
        a.zip(b).map(|(x, y)| x * y).sum()
    }

    /// Adds a value, and the run that it completes.
    fn remember(&mut self, value: f64) {
        self.values.push_back(value);
        let Some(newest) = self.values.len().checked_sub(self.points) else { return };
        self.squares.push_back(self.product(newest, newest));
        // The products of the run before with each move on by one, and the first is summed up.
        self.products.push_front(self.product(0, newest));
        for (i, product) in self.products.iter_mut().enumerate().skip(1) {
            let last = self.points - 1;
            *product +=
                self.values[i + last] * self.values[newest + last] - self.values[i - 1] * self.values[newest - 1];
        }
        if self.values.len() > PAST {
            self.values.pop_front();
            self.squares.pop_front();
            self.products.pop_front();
        }
        // Rounding would add up: each is summed up anew from time to time.
        let at = self.seen % self.products.len();
        self.products[at] = self.product(at, self.values.len() - self.points);
    }

    /// How far the newest run is from the nearest before that it does not overlap, a point on average.
    fn distance(&self) -> Option<f64> {
        let newest = self.squares.back()?;
        let before = self.squares.len().checked_sub(self.points).filter(|n| *n > 0)?;
        let far = |(squares, product): (&f64, &f64)| squares + newest - 2.0 * product;
        let least = self.squares.iter().zip(&self.products).take(before).map(far).fold(f64::INFINITY, f64::min);
        Some((least.max(0.0) / self.points as f64).sqrt())
    }

    fn spread(&self) -> f64 {
        let n = self.values.len() as f64;
        let mean = self.values.iter().sum::<f64>() / n;
        let sd = (self.values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
        let level = (mean + self.first.unwrap_or(0.0)).abs();
        sd.max(1e-3 * level).max(1e-9)
    }
}

impl Online for MatrixProfile {
    fn push(&mut self, value: Option<f64>) -> Score {
        // What is missing has no shape: the last value stands in.
        let value = value.filter(|v| v.is_finite());
        let known = value.is_some();
        let first = *self.first.get_or_insert(value.unwrap_or(0.0));
        let last = self.values.back().copied().unwrap_or(0.0);
        let value = value.map_or(last, |v| v - first);
        self.seen += 1;
        self.remember(value);
        if self.seen <= self.learn {
            return Score::default();
        }
        let unit = self.unit.unwrap_or_else(|| self.spread());
        self.unit = Some(unit);
        if !known {
            return Score::default();
        }
        let distance = self.distance().unwrap_or(0.0) / unit;
        let run = self.values.range(self.values.len() - self.points.min(self.values.len())..);
        let rising = value >= run.sum::<f64>() / self.points as f64;
        Score { value: distance, rising, reach: self.points }
    }

    fn warm_up(&self) -> usize {
        self.learn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::rng::Rng;

    /// The definition, not in units.
    fn plain(values: &[f64], points: usize, at: usize) -> f64 {
        let run = |from: usize| &values[from..from + points];
        let newest = run(at + 1 - points);
        let far = |from: usize| run(from).iter().zip(newest).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / points as f64;
        (0..=at + 1 - 2 * points).map(far).fold(f64::INFINITY, f64::min).sqrt()
    }

    #[test]
    fn it_is_the_definition_also_far_from_nothing() {
        let mut rng = Rng(6);
        let values: Vec<f64> = (0..900).map(|i| 1e6 + 10.0 * (f64::from(i) / 9.0).sin() + rng.normal()).collect();
        let mut profile = MatrixProfile::new(16, 64);
        for (i, value) in values.iter().enumerate() {
            let said = profile.push(Some(*value)).value;
            if i >= 64 && i % 7 == 0 {
                let wanted = plain(&values, 16, i) / profile.unit.unwrap();
                assert!((said - wanted).abs() < 1e-6, "{i}: {said} {wanted}");
            }
        }
    }

    #[test]
    fn a_beat_of_another_shape_is_the_discord_and_memory_is_bounded() {
        let mut rng = Rng(7);
        let mut profile = MatrixProfile::new(32, 200);
        let beat = |i: usize, odd: bool| {
            let t = (i % 40) as f64 / 40.0;
            if odd { 1.0 - t } else { t }
        };
        let scores: Vec<f64> = (0..9_000)
            .map(|i| {
                let value = beat(i, (8_000..8_040).contains(&i)) + 0.02 * rng.normal();
                profile.push(Some(value)).value
            })
            .collect();
        let most = |span: std::ops::Range<usize>| scores[span].iter().copied().fold(0.0, f64::max);
        assert!(most(8_000..8_060) > 3.0 * most(300..8_000), "{} {}", most(8_000..8_060), most(300..8_000));
        assert!(profile.values.len() <= PAST && profile.squares.len() == profile.products.len());
    }

    #[test]
    fn what_is_flat_is_like_what_is_flat() {
        let mut profile = MatrixProfile::new(8, 32);
        assert!((0..100).all(|_| profile.push(Some(5.0)).value == 0.0));
        assert!(profile.push(None) == Score::default());
        assert!((0..8).map(|i| profile.push(Some(5.0 + f64::from(i))).value).fold(0.0, f64::max) > 100.0);
    }
}
