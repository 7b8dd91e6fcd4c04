//! From the fitness of pairs at one point to what is said of it: of each metric, of all together,
//! smoothed over time, and of windows of the network which metrics left their group.

use crate::model::Network;
use crate::network::{FEATURES, Scene, Window};

/// Which metrics each pair is of, and how fit it usually is.
#[derive(Clone, Debug)]
pub(crate) struct Pairs {
    pub(crate) n_metrics: usize,
    pub(crate) of: Vec<(usize, usize)>,
    pub(crate) usual: Vec<f64>,
}

impl Pairs {
    /// The mean fitness of each metric over its pairs, NaN if none is known; and the mean of these.
    pub(crate) fn means(&self, fitness: &[f32]) -> (Vec<f64>, Option<f64>) {
        let mut sums = vec![(0.0, 0.0); self.n_metrics];
        for ((a, b), q) in self.of.iter().zip(fitness).filter(|(_, q)| q.is_finite()) {
            for metric in [*a, *b] {
                sums[metric].0 += f64::from(*q);
                sums[metric].1 += 1.0;
            }
        }
        let means: Vec<f64> = sums.iter().map(|(sum, n)| sum / n).collect();
        let known: Vec<f64> = means.iter().copied().filter(|m| m.is_finite()).collect();
        let all = (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64);
        (means, all)
    }

    /// The weight of each metric: the usual fitness of its relations, added up.
    fn degrees(&self) -> Vec<f64> {
        let mut out = vec![0.0; self.n_metrics];
        for ((a, b), usual) in self.of.iter().zip(&self.usual) {
            out[*a] += usual;
            out[*b] += usual;
        }
        out
    }

    /// A window as the field sees it.
    pub(crate) fn scene(
        &self,
        window: &Window,
        network: (&[[f64; FEATURES]], &[[f64; FEATURES]]),
        prune: f64,
    ) -> Scene {
        let standard = |(metric, features): (usize, &Option<[f64; FEATURES]>)| {
            features.map(|f| std::array::from_fn(|i| (f[i] - network.0[metric][i]) / network.1[metric][i]))
        };
        let mut edges = vec![vec![]; self.n_metrics];
        for ((a, b), weight) in self.of.iter().zip(&window.weights) {
            if let Some(weight) = weight.filter(|w| *w >= prune) {
                edges[*a].push((*b, weight));
                edges[*b].push((*a, weight));
            }
        }
        Scene { features: window.features.iter().enumerate().map(standard).collect(), edges }
    }
}

/// An exponentially weighted mean of the median of three: one odd move, such as a level that shifts with all that follows it, is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Smooth {
    newest: f64,
    mean: Option<f64>,
    last: [Option<f64>; 2],
}

impl Smooth {
    pub(crate) fn new(newest: f64) -> Self {
        Self { newest, mean: None, last: [None; 2] }
    }

    /// From `usual` on: the first points after a gap count no more than others.
    pub(crate) fn begun(newest: f64, usual: f64) -> Self {
        Self { newest, mean: Some(usual), last: [Some(usual); 2] }
    }

    pub(crate) fn push(&mut self, value: f64) -> f64 {
        let [a, b] = self.last;
        self.last = [b, Some(value)];
        let middle = match (a, b) {
            (Some(a), Some(b)) => a.min(b).max(a.max(b).min(value)),
            _ => value,
        };
        let mean = self.mean.map_or(middle, |m| m + self.newest * (middle - m));
        self.mean = Some(mean);
        mean
    }
}

/// A metric whose usual group has it in this share of normal windows is steady: if it is elsewhere, that says something.
const STEADY: f64 = 0.8;

/// What is said of a window.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Judged {
    /// Share of the metrics that left their group, by weight, plus what is missing of the fitness.
    pub(crate) score: f64,
    /// Who left its group for two windows at least, from where and to where.
    pub(crate) moved: Vec<(usize, usize, usize)>,
}

/// Follows labels from window to window.
#[derive(Clone, Debug)]
pub(crate) struct Labels {
    away: Vec<bool>,
}

impl Labels {
    pub(crate) fn new(metrics: usize) -> Self {
        Self { away: vec![false; metrics] }
    }

    pub(crate) fn push(&mut self, pairs: &Pairs, network: &Network, window: &Window, prune: f64) -> Judged {
        let scene = pairs.scene(window, (&network.centre, &network.spread), prune);
        let partition = &network.partition;
        let labels = partition.labels(&scene, &partition.home);
        let degrees = pairs.degrees();
        let (mut moved, mut weight) = (vec![], 0.0);
        for (metric, label) in labels.iter().enumerate() {
            let home = partition.home[metric];
            let is_away = *label != home && scene.features[metric].is_some() && home > 0;
            let is_away = is_away && (*label == 0 || partition.steady[metric] > STEADY);
            if is_away && self.away[metric] {
                moved.push((metric, home, *label));
                weight += degrees[metric];
            }
            self.away[metric] = is_away;
        }
        let all: f64 = degrees.iter().sum();
        let share = if all > 0.0 { weight / all } else { 0.0 };
        Judged { score: share + 1.0 - window.fitness.unwrap_or(1.0), moved }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_leave_out_what_is_not_known() {
        let pairs = Pairs { n_metrics: 4, of: vec![(0, 1), (0, 2), (2, 3)], usual: vec![0.9; 3] };
        let (means, all) = pairs.means(&[0.5, 1.0, f32::NAN]);
        assert_eq!((means[0], means[1], means[2], all), (0.75, 0.5, 1.0, Some(0.75)));
        assert!(means[3].is_nan());
        assert_eq!(pairs.means(&[f32::NAN; 3]).1, None);
        assert_eq!(pairs.degrees(), [1.8, 0.9, 1.8, 0.9]);
    }

    #[test]
    fn a_smoothed_value_follows_two_and_not_one_and_begins_at_what_it_is_told() {
        let mut smooth = Smooth::begun(0.2, 0.9);
        assert_eq!([0.4, 0.9, 0.9].map(|q| smooth.push(q)), [0.9; 3]);
        assert_eq!(smooth.push(0.4), 0.9);
        assert!((smooth.push(0.4) - 0.8).abs() < 1e-12);
        assert_eq!(Smooth::new(0.2).push(0.4), 0.4);
    }
}
