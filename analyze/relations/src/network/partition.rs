//! Groups of metrics in the network, by a hidden Markov random field; and which metric leaves its
//! own.
//!
//! After CODA (Gao et al., KDD 2010). Each metric of each window has a label: 0 for an outlier, 1 to K for a group. A group draws in what is
//! joined to its members by edges, by their weights (a Potts field). How a metric is by itself, in four numbers, is normal around what is
//! usual; a metric that is too far from that for the edges that hold it is an outlier, at an energy that few of its normal windows
//! reach (CODA takes one in twenty, which over dozens of metrics is one in every window). Labels are found by iterated conditional modes, what is usual by expectation and maximisation with hard labels.
//!
//! CODA's objects have features that tell groups apart. The four numbers here are standardised by metric: they say whether a metric is as it
//! always is, and nothing of where it belongs. So all groups share one normal, or groups of noise in the four numbers would win over groups
//! of the network. And starts are partitions of the *network*: average linkage of 1 - weight, and k-means++ on each metric's row of weights.
//! The number of groups, and the start, are those of the best silhouette in the network, the energy deciding between equals; one group, if
//! that is low.

use super::windows::{FEATURES, Features};
use crate::settings::Settings;
use kodama::{Method, linkage};
use osd_detect::rng::Rng;
use osd_detect::robust;
use osd_detect::sequence::linkage::silhouette;
use osd_detect::sequence::pairs::at;
use osd_detect::tail::Tail;
use serde::{Deserialize, Serialize};

const STARTS: usize = 10;
const SWEEPS: usize = 20;
const ROUNDS: usize = 30;
const MOST_GROUPS: usize = 8;
const LEAST_SILHOUETTE: f64 = 0.15;
/// Least variance of a feature.
const LEAST_VARIANCE: f64 = 1e-3;
/// Windows that are looked at for the groups: more say the same.
const MOST_WINDOWS: usize = 120;

/// A window as the field sees it.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    /// Standardised features by metric; none where too little is known.
    pub(crate) features: Vec<Option<Features>>,
    /// Of each metric its edges: to whom, and how strong.
    pub(crate) edges: Vec<Vec<(usize, f64)>>,
}

/// What was learnt of the groups.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Partition {
    /// How many groups there are.
    pub(crate) groups: usize,
    /// The mean of what metrics are like that are no outliers, and its variance.
    pub(crate) mean: Features,
    pub(crate) variance: Features,
    /// a_0: the energy of each metric as an outlier.
    pub(crate) outlier: Vec<f64>,
    /// λ.
    pub(crate) pull: f64,
    /// The group of each metric that is its usual one, from 1; 0 of one that is never known.
    pub(crate) home: Vec<usize>,
    /// Share of the windows in which it is there.
    pub(crate) steady: Vec<f64>,
    /// How well the groups are apart in the network, -1..=1; 0 for one group.
    pub(crate) silhouette: f64,
}

impl Partition {
    /// Labels of a window, from those of before on.
    pub(crate) fn labels(&self, scene: &Scene, start: &[usize]) -> Vec<usize> {
        let field = Field { groups: self.groups, mean: self.mean, variance: self.variance, pull: self.pull };
        let mut labels = start.to_vec();
        field.icm(scene, Some(&self.outlier), &mut labels);
        labels
    }

    /// Learns groups of windows, whose weights in the mean are `mean` of each pair of metrics (row after row of the upper triangle).
    pub(crate) fn fit(scenes: &[Scene], mean: &[f32], settings: &Settings) -> Self {
        let n = scenes.first().map_or(0, |s| s.features.len());
        let every = scenes.len().div_ceil(MOST_WINDOWS).max(1);
        let some: Vec<Scene> = scenes.iter().step_by(every).cloned().collect();
        let distances: Vec<f32> = mean.iter().map(|w| 1.0 - w).collect();
        let mut rng = Rng(settings.seed);
        let mut best: Option<(f64, Fitted)> = None;
        for k in 2..=MOST_GROUPS.min(n / 3) {
            let mut starts = vec![cut(&distances, n, k)];
            starts.extend((0..STARTS).map(|_| k_means(mean, n, k, &mut rng)));
            starts.iter_mut().for_each(|s| renumber(s));
            starts.sort();
            starts.dedup();
            for start in &starts {
                let fitted = fit(&some, start, settings);
                let apart = apart(&distances, &fitted.home(n).0);
                let is_better =
                    |(s, f): &(f64, Fitted)| apart > s + 1e-9 || (apart > s - 1e-9 && fitted.energy < f.energy);
                if apart >= LEAST_SILHOUETTE && best.as_ref().is_none_or(is_better) {
                    best = Some((apart, fitted));
                }
            }
        }
        let (silhouette, fitted) = best.unwrap_or_else(|| (0.0, fit(&some, &vec![1; n], settings)));
        let start: Vec<usize> = fitted.home(n).0.into_iter().map(|l| l.max(1)).collect();
        let field = fitted.field;
        let (mut labels, mut energies) = (vec![], vec![vec![]; n]);
        for scene in scenes {
            let mut own = start.clone();
            field.icm(scene, None, &mut own);
            for (metric, energies) in energies.iter_mut().enumerate().filter(|(m, _)| scene.features[*m].is_some()) {
                energies.push(field.energy(scene, &own, metric, own[metric]));
            }
            labels.push(own);
        }
        let outlier = energies.iter_mut().map(|energies| {
            robust::sort(energies);
            let most = energies.last().copied().unwrap_or(0.0);
            Tail::fit(energies).map_or(most, |tail| tail.level(settings.outliers)).max(most)
        });
        let outlier: Vec<f64> = outlier.collect();
        for (scene, own) in scenes.iter().zip(&mut labels) {
            field.icm(scene, Some(&outlier), own);
        }
        let (home, steady) = home(scenes, &labels, n, field.groups);
        let Field { groups, mean, variance, pull } = field;
        Self { groups, mean, variance, outlier, pull, home, steady, silhouette }
    }
}

/// How well homes are apart; -1 if they are one.
fn apart(distances: &[f32], home: &[usize]) -> f64 {
    let first = home.first().copied().unwrap_or(0);
    if home.iter().all(|l| *l == first) {
        return -1.0;
    }
    silhouette(distances, &vec![1.0; home.len()], home)
}

/// Of each metric the label that it has most often, and the share of the windows in which it has it.
fn home(scenes: &[Scene], labels: &[Vec<usize>], n: usize, groups: usize) -> (Vec<usize>, Vec<f64>) {
    let of = |metric: usize| {
        let mut counts = vec![0_usize; groups + 1];
        for (own, _) in labels.iter().zip(scenes).filter(|(_, s)| s.features[metric].is_some()) {
            counts[own[metric]] += 1;
        }
        let all: usize = counts.iter().sum();
        let usual = (1..counts.len()).max_by_key(|l| (counts[*l], usize::MAX - l)).filter(|l| counts[*l] > 0);
        usual.map_or((0, 0.0), |l| (l, counts[l] as f64 / all as f64))
    };
    (0..n).map(of).unzip()
}

/// What draws a metric into a group.
#[derive(Clone, Copy, Debug)]
struct Field {
    groups: usize,
    mean: Features,
    variance: Features,
    pull: f64,
}

/// A field as it was fitted from one start.
struct Fitted<'a> {
    field: Field,
    scenes: &'a [Scene],
    labels: Vec<Vec<usize>>,
    energy: f64,
}

impl Fitted<'_> {
    fn home(&self, n: usize) -> (Vec<usize>, Vec<f64>) {
        home(self.scenes, &self.labels, n, self.field.groups)
    }
}

fn fit<'a>(scenes: &'a [Scene], start: &[usize], settings: &Settings) -> Fitted<'a> {
    let mut labels: Vec<Vec<usize>> = vec![start.to_vec(); scenes.len()];
    let mut field = Field::estimate(scenes, &mut labels, settings);
    for _ in 0..ROUNDS {
        let before = labels.clone();
        for (scene, own) in scenes.iter().zip(&mut labels) {
            field.icm(scene, None, own);
        }
        field = Field::estimate(scenes, &mut labels, settings);
        if labels == before {
            break;
        }
    }
    let of_scene = |(scene, own): (&Scene, &Vec<usize>)| -> f64 {
        (0..own.len()).map(|metric| field.energy(scene, own, metric, own[metric])).sum()
    };
    let energy = scenes.iter().zip(&labels).map(of_scene).sum();
    Fitted { field, scenes, labels, energy }
}

impl Field {
    /// Mean and variance of all features. A group without a member is dropped, and the labels are numbered anew.
    fn estimate(scenes: &[Scene], labels: &mut [Vec<usize>], settings: &Settings) -> Self {
        let most = labels.iter().flatten().copied().max().unwrap_or(1);
        let mut seen = vec![false; most + 1];
        for (scene, own) in scenes.iter().zip(labels.iter()) {
            own.iter().zip(&scene.features).filter(|(_, f)| f.is_some()).for_each(|(l, _)| seen[*l] = true);
        }
        let mut groups = 0;
        let new: Vec<usize> = seen
            .iter()
            .map(|is| {
                groups += usize::from(*is);
                if *is { groups } else { 1 }
            })
            .collect();
        labels.iter_mut().flatten().for_each(|l| *l = new[*l]);
        let all = || scenes.iter().flat_map(|s| s.features.iter().flatten());
        let n = all().count().max(1) as f64;
        let (mut mean, mut variance) = ([0.0; FEATURES], [0.0; FEATURES]);
        all().for_each(|f| (0..FEATURES).for_each(|i| mean[i] += f[i] / n));
        all().for_each(|f| (0..FEATURES).for_each(|i| variance[i] += (f[i] - mean[i]).powi(2) / n));
        variance.iter_mut().for_each(|v| *v = v.max(LEAST_VARIANCE));
        Self { groups: groups.max(1), mean, variance, pull: settings.pull }
    }

    /// U of a metric with a label.
    fn energy(&self, scene: &Scene, labels: &[usize], metric: usize, label: usize) -> f64 {
        let Some(features) = &scene.features[metric] else { return 0.0 };
        let of = |i: usize| {
            let v = self.variance[i];
            (features[i] - self.mean[i]).powi(2) / v + (std::f64::consts::TAU * v).ln()
        };
        let own: f64 = (0..FEATURES).map(of).sum();
        let joined: f64 = scene.edges[metric].iter().filter(|(b, _)| labels[*b] == label).map(|(_, w)| w).sum();
        0.5 * own - self.pull * joined
    }

    /// Iterated conditional modes: each metric takes the label of the least energy, until none changes. A tie changes nothing.
    fn icm(&self, scene: &Scene, outlier: Option<&[f64]>, labels: &mut [usize]) {
        for _ in 0..SWEEPS {
            let mut changed = false;
            for metric in 0..labels.len() {
                if scene.features[metric].is_none() {
                    continue;
                }
                let now = labels[metric];
                let of = |label: usize| (self.energy(scene, labels, metric, label), label != now, label);
                let all = (1..=self.groups).map(of);
                let Some(least) = all.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2))) else {
                    return;
                };
                let is_outlier = outlier.and_then(|o| o.get(metric)).is_some_and(|o| *o < least.0);
                let best = if is_outlier { 0 } else { least.2 };
                changed |= now != best;
                labels[metric] = best;
            }
            if !changed {
                return;
            }
        }
    }
}

/// The network in `k` parts by average linkage; labels from 1.
fn cut(distances: &[f32], n: usize, k: usize) -> Vec<usize> {
    let mut parent: Vec<usize> = (0..2 * n).collect();
    let tree = linkage(&mut distances.to_vec(), n, Method::Average);
    for (i, step) in tree.steps().iter().take(n - k).enumerate() {
        parent[step.cluster1] = n + i;
        parent[step.cluster2] = n + i;
    }
    let root = |mut at: usize| {
        while parent[at] != at {
            at = parent[at];
        }
        at + 1
    };
    (0..n).map(root).collect()
}

/// The network in up to `k` parts by k-means on rows of weights, begun by k-means++ (Arthur & Vassilvitskii 2007).
fn k_means(mean: &[f32], n: usize, k: usize, rng: &mut Rng) -> Vec<usize> {
    let weight = |i: usize, j: usize| if i == j { 1.0 } else { f64::from(mean[at(n, i.min(j), i.max(j))]) };
    let rows: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| weight(i, j)).collect()).collect();
    let far = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    let nearest = |row: &[f64], centres: &[Vec<f64>]| {
        let all = centres.iter().enumerate().map(|(i, c)| (i, far(row, c)));
        all.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, 0.0))
    };
    let mut centres = vec![rows[rng.below(n)].clone()];
    while centres.len() < k {
        let squares: Vec<f64> = rows.iter().map(|r| nearest(r, &centres).1).collect();
        let mut left = rng.unit() * squares.iter().sum::<f64>();
        let chosen = squares.iter().position(|d| {
            left -= d;
            left < 0.0
        });
        centres.push(rows[chosen.unwrap_or(n - 1)].clone());
    }
    let mut labels = vec![0; n];
    for _ in 0..ROUNDS {
        let new: Vec<usize> = rows.iter().map(|r| nearest(r, &centres).0 + 1).collect();
        if new == labels {
            break;
        }
        labels = new;
        for (c, centre) in centres.iter_mut().enumerate() {
            let members: Vec<&Vec<f64>> =
                rows.iter().zip(&labels).filter(|(_, l)| **l == c + 1).map(|(r, _)| r).collect();
            if !members.is_empty() {
                *centre = (0..n).map(|j| members.iter().map(|m| m[j]).sum::<f64>() / members.len() as f64).collect();
            }
        }
    }
    labels
}

/// Labels by their first member: 1, 2, 3 ...
fn renumber(labels: &mut [usize]) {
    let mut seen: Vec<usize> = vec![];
    for label in labels {
        let known = seen.iter().position(|s| s == label);
        *label = 1 + known.unwrap_or_else(|| {
            seen.push(*label);
            seen.len() - 1
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `groups` cliques of `size` metrics in `windows` windows, as usual but for noise.
    fn scenes(groups: usize, size: usize, windows: usize) -> (Vec<Scene>, Vec<f32>) {
        let (n, mut rng) = (groups * size, Rng(3));
        let edges: Vec<Vec<(usize, f64)>> =
            (0..n).map(|a| (0..n).filter(|b| *b != a && a / size == b / size).map(|b| (b, 0.9)).collect()).collect();
        let mut scene = || Scene {
            features: (0..n).map(|_| Some(std::array::from_fn(|_| rng.normal()))).collect(),
            edges: edges.clone(),
        };
        let mean = (0..n).flat_map(|a| (a + 1..n).map(move |b| if a / size == b / size { 0.9 } else { 0.0 }));
        ((0..windows).map(|_| scene()).collect(), mean.collect())
    }

    #[test]
    fn groups_are_those_of_the_network_and_their_number_is_found() {
        let (scenes, mean) = scenes(3, 4, 30);
        let partition = Partition::fit(&scenes, &mean, &Settings::default());
        assert_eq!(partition.groups, 3);
        assert_eq!(partition.home, [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
        assert!(partition.silhouette > 0.8 && partition.steady.iter().all(|s| *s > 0.8), "{partition:?}");
    }

    #[test]
    fn one_clique_is_one_group_and_a_stranger_an_outlier() {
        let (mut scenes, mean) = scenes(1, 9, 30);
        let partition = Partition::fit(&scenes, &mean, &Settings::default());
        assert_eq!((partition.groups, partition.silhouette), (1, 0.0));
        scenes[0].features[4] = Some([8.0, 0.0, -6.0, -6.0]);
        let labels = partition.labels(&scenes[0], &partition.home);
        assert_eq!(labels[4], 0);
        assert!(labels.iter().filter(|l| **l == 0).count() <= 2, "{labels:?}");
        // Of nothing, nothing is said.
        scenes[0].features[4] = None;
        assert_eq!(partition.labels(&scenes[0], &partition.home)[4], 1);
    }

    #[test]
    fn the_same_seed_gives_the_same_groups() {
        let (scenes, mean) = scenes(4, 5, 20);
        let fit = || Partition::fit(&scenes, &mean, &Settings::default());
        assert_eq!(fit(), fit());
    }
}
