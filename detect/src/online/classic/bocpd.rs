//! Bayesian change points as they come (Adams & MacKay 2007): how long ago did the metric last
//! become another?
//!
//! Points are normal with a mean and a variance that nobody knows (a normal-gamma prior, in standard deviations of the learning time), until
//! they are normal with others. For each number of points since then there is a probability; a new point multiplies it by how likely
//! that past makes the point (Student's t), and each may end here. The score is -log10 of the probability that *nothing* changed in the
//! last points.

use super::Reference;
use crate::detector::{Entry, Make, Online, Score};

pub(crate) const ENTRY: Entry = Entry {
    name: "bocpd",
    about: "a mean or a spread that has become another: Bayesian change points",
    paper: "Adams & MacKay, arXiv:0710.3742 (2007)",
    parameters: "a change every 250 points; prior of mean 0 (1 point's worth) and variance 1 (1 point's worth); the last 10 points",
    cost: "O(300) a point",
    causal: true,
    make: Make::Online(|setting| Box::new(Bocpd::new(setting.learn))),
};

/// Points between changes, on average: what the authors take.
const EVERY: f64 = 250.0;
/// A change within so many points is news.
const NEWS: usize = 10;
/// Pasts that are kept: the most probable ones, and always the news.
const MOST: usize = 300;
/// -log10 of the least probability that is told.
const SURE: f64 = 300.0;

/// One past: so many points since the change, its probability, and what was learnt in it.
#[derive(Clone, Copy, Debug)]
struct Past {
    points: usize,
    /// Natural logarithm.
    log: f64,
    mean: f64,
    beta: f64,
}

/// Of the prior: how many points its mean and its variance are worth.
const KAPPA: f64 = 1.0;
const ALPHA: f64 = 1.0;
const BETA: f64 = 1.0;

impl Past {
    const NONE: Self = Self { points: 0, log: 0.0, mean: 0.0, beta: BETA };

    fn kappa(&self) -> f64 {
        KAPPA + self.points as f64
    }

    fn alpha(&self) -> f64 {
        ALPHA + self.points as f64 / 2.0
    }

    /// Natural logarithm of the density of `z` after this past, but for what all have in common.
    fn predicts(&self, z: f64, gamma: f64) -> f64 {
        let (kappa, alpha) = (self.kappa(), self.alpha());
        let scale = self.beta * (kappa + 1.0) / (alpha * kappa);
        let freedom = 2.0 * alpha;
        gamma - 0.5 * (freedom * scale).ln() - (alpha + 0.5) * ((z - self.mean).powi(2) / (freedom * scale)).ln_1p()
    }

    fn with(self, z: f64) -> Self {
        let kappa = self.kappa();
        Self {
            points: self.points + 1,
            mean: (kappa * self.mean + z) / (kappa + 1.0),
            beta: self.beta + kappa * (z - self.mean).powi(2) / (2.0 * (kappa + 1.0)),
            ..self
        }
    }
}

struct Bocpd {
    reference: Reference,
    /// By number of points, the fewest first.
    pasts: Vec<Past>,
    /// ln of gamma(alpha + 1/2) / gamma(alpha), by the number of points.
    gammas: Vec<f64>,
    last: f64,
}

impl Bocpd {
    fn new(learn: usize) -> Self {
        Self { reference: Reference::new(learn), pasts: vec![Past::NONE], gammas: vec![], last: 0.0 }
    }

    fn gamma(&mut self, points: usize) -> f64 {
        while self.gammas.len() <= points {
            let alpha = ALPHA + self.gammas.len() as f64 / 2.0;
            self.gammas.push(libm::lgamma(alpha + 0.5) - libm::lgamma(alpha));
        }
        self.gammas[points]
    }

    fn take(&mut self, z: f64) {
        let most = self.pasts.last().map_or(0, |p| p.points);
        self.gamma(most);
        let weights: Vec<f64> = self.pasts.iter().map(|p| p.log + p.predicts(z, self.gammas[p.points])).collect();
        let changed = log_sum(&weights) - EVERY.ln();
        let goes_on = (1.0 - 1.0 / EVERY).ln();
        let older = self.pasts.iter().zip(&weights).map(|(p, w)| Past { log: w + goes_on, ..p.with(z) });
        let mut pasts: Vec<Past> = std::iter::once(Past { log: changed, ..Past::NONE }).chain(older).collect();
        if pasts.len() > MOST {
            // The least probable of those that are no news.
            let least = pasts.iter().enumerate().skip(NEWS).min_by(|a, b| a.1.log.total_cmp(&b.1.log));
            if let Some(at) = least.map(|(at, _)| at) {
                pasts.remove(at);
            }
        }
        let all = log_sum(&pasts.iter().map(|p| p.log).collect::<Vec<_>>());
        pasts.iter_mut().for_each(|p| p.log -= all);
        self.pasts = pasts;
    }
}

/// ln of the sum of exponentials.
fn log_sum(logs: &[f64]) -> f64 {
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if most.is_finite() { most + logs.iter().map(|l| (l - most).exp()).sum::<f64>().ln() } else { most }
}

impl Online for Bocpd {
    fn push(&mut self, value: Option<f64>) -> Score {
        let Some(z) = self.reference.z(value) else { return Score::default() };
        // Far out a double has no room for squares.
        let z = z.clamp(-1e6, 1e6);
        let rising = z > self.last;
        self.last += 0.1 * (z - self.last);
        self.take(z);
        let older: Vec<f64> = self.pasts.iter().filter(|p| p.points > NEWS).map(|p| p.log).collect();
        // At first there is no older past, which is no change.
        if older.is_empty() {
            return Score::default();
        }
        let orders = (-log_sum(&older) / std::f64::consts::LN_10).clamp(0.0, SURE);
        let likely = self.pasts.iter().max_by(|a, b| a.log.total_cmp(&b.log)).map_or(1, |p| p.points.max(1));
        Score { value: orders, rising, reach: likely.min(NEWS + 1) }
    }

    fn warm_up(&self) -> usize {
        self.reference.warm_up() + NEWS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::rng::Rng;

    #[test]
    fn the_density_is_students() {
        // No past: t of 2 degrees, scale sqrt(2): f(0) = gamma(1.5) / (sqrt(2 pi) * sqrt 2) = .25.
        let mut bocpd = Bocpd::new(2);
        let gamma = bocpd.gamma(0);
        let density = |z: f64| (Past::NONE.predicts(z, gamma) - 0.5 * std::f64::consts::PI.ln()).exp();
        assert!((density(0.0) - 0.25).abs() < 1e-12, "{}", density(0.0));
        let step = 1e-2;
        let whole: f64 = (-2_000_000..2_000_000).map(|i| density(f64::from(i) * step) * step).sum();
        assert!((whole - 1.0).abs() < 1e-6, "{whole}");
    }

    #[test]
    fn a_step_is_found_within_some_points_and_how_long_ago_it_was() {
        let mut rng = Rng(4);
        let mut bocpd = Bocpd::new(100);
        let mut quiet = 0.0_f64;
        for i in 0..600 {
            let said = bocpd.push(Some(rng.normal() + if i >= 500 { 4.0 } else { 0.0 }));
            match i {
                0..500 => quiet = quiet.max(said.value),
                504 => {
                    assert!(said.value > quiet.max(2.0), "{quiet} {said:?}");
                    assert!((4..=6).contains(&said.reach) && said.rising, "{said:?}");
                }
                540.. => assert!(said.value < 2.0, "it is no news any more: {i} {said:?}"),
                _ => {}
            }
            let sum: f64 = bocpd.pasts.iter().map(|p| p.log.exp()).sum();
            assert!((sum - 1.0).abs() < 1e-9 && bocpd.pasts.len() <= MOST);
        }
        assert!(quiet < 2.0, "{quiet}");
    }
}
