//! Isolation forests: how few random cuts part a row from the rest.
//!
//! `iforest` cuts across one feature at a time, as scikit-learn's does. `eiforest` cuts along planes of any direction, so that rows
//! between the axes are no less strange than rows along them.

use crate::data::parallel;
use crate::data::rng::Rng;
use crate::data::series::Table;
use crate::outlier::contract::{Detector, Error, Learnt, percentile};
use crate::outlier::entry::{Entry, Kind, entry};
use crate::outlier::parameters::parameters;
use crate::outlier::rows::scaled::Scaled;
use std::ops::Range;

pub(crate) const IFOREST: Entry = Entry {
    name: "iforest",
    about: "rows that few random cuts part from the rest",
    paper: "Liu, Ting & Zhou, ICDM 2008",
    parameters: "n_estimators=100, max_samples=256, random_state=0",
    kind: Kind::Seeded,
    ..entry!(IForest)
};

pub(crate) const EIFOREST: Entry = Entry {
    name: "eiforest",
    about: "rows that few cuts along random planes part from the rest",
    paper: "Hariri, Kind & Brunner, TKDE 2021",
    parameters: "n_estimators=100, max_samples=256, extension_level=all, random_state=0",
    kind: Kind::Own,
    ..entry!(EiForest)
};

parameters! {
    /// Isolation forest.
    IForest {
        /// Trees.
        n_estimators: usize = 100,
        /// Rows of a tree.
        max_samples: usize = 256,
        /// Seed of samples and cuts.
        random_state: u64 = 0,
    }
}

parameters! {
    /// Extended isolation forest, over standardised features.
    EiForest {
        /// Trees.
        n_estimators: usize = 100,
        /// Rows of a tree.
        max_samples: usize = 256,
        /// Features of a plane less one; at most one less than there are.
        extension_level: usize = usize::MAX,
        /// Seed of samples and cuts.
        random_state: u64 = 0,
    }
}

/// A plane, or a single feature: a row goes left if its sum is at most `at`.
#[derive(Clone, Copy)]
struct Node {
    feature: u32,
    /// The left child; the right one is the next. Of a leaf itself.
    child: u32,
    /// Nothing is above that of a leaf.
    at: f64,
}

struct Tree {
    nodes: Vec<Node>,
    /// What a leaf stands for.
    depth: Vec<f64>,
    /// Steps to the deepest leaf.
    steps: u32,
    /// Of planes: a vector a node.
    planes: Vec<f64>,
}

struct Forest {
    trees: Vec<Tree>,
    scaled: Option<Scaled>,
    /// Mean depth of a row in a tree of so many.
    usual: f64,
    offset: f64,
}

/// Mean depth of an unsuccessful search in a binary search tree of `n` rows.
fn mean_depth(n: usize) -> f64 {
    const EULER: f64 = 0.577_215_664_901_532_9;
    match n {
        0 | 1 => 0.0,
        2 => 1.0,
        _ => 2.0 * (((n - 1) as f64).ln() + EULER) - 2.0 * (n - 1) as f64 / n as f64,
    }
}

struct Grower<'a> {
    x: &'a Table,
    rng: Rng,
    /// Features of a plane, `None` for cuts across one feature.
    planes: Option<usize>,
    deepest: u32,
    tree: Tree,
}

impl Grower<'_> {
    fn grow(&mut self, at: usize, rows: &mut [u32], depth: u32) {
        let cut = if rows.len() > 1 && depth < self.deepest { self.cut(rows) } else { None };
        let Some((feature, plane, threshold)) = cut else {
            self.tree.depth[at] = f64::from(depth) + mean_depth(rows.len());
            self.tree.steps = self.tree.steps.max(depth);
            return;
        };
        let goes_left = |row: u32| match &plane {
            None => self.x.row(row as usize)[feature] <= threshold,
            Some(plane) => along(self.x.row(row as usize), plane) <= threshold,
        };
        let mut n_left = 0;
        for i in 0..rows.len() {
            if goes_left(rows[i]) {
                rows.swap(i, n_left);
                n_left += 1;
            }
        }
        let child = self.tree.nodes.len();
        self.tree.nodes.extend([leaf(child), leaf(child + 1)]);
        self.tree.depth.extend([0.0, 0.0]);
        self.tree.nodes[at] = Node { feature: feature as u32, child: child as u32, at: threshold };
        if let Some(plane) = plane {
            let d = plane.len();
            self.tree.planes.resize((child + 2) * d, 0.0);
            self.tree.planes[at * d..(at + 1) * d].copy_from_slice(&plane);
        }
        let (left, right) = rows.split_at_mut(n_left);
        self.grow(child, left, depth + 1);
        self.grow(child + 1, right, depth + 1);
    }

    /// Between the least and the largest value of a feature, or along a plane; `None` if all rows are equal.
    fn cut(&mut self, rows: &[u32]) -> Option<(usize, Option<Vec<f64>>, f64)> {
        let d = self.x.columns();
        let bounds = |value: &dyn Fn(&[f64]) -> f64| {
            rows.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), row| {
                let v = value(self.x.row(*row as usize));
                (low.min(v), high.max(v))
            })
        };
        let Some(used) = self.planes else {
            // Features in random order, the first that varies.
            let mut features: Vec<usize> = (0..d).collect();
            for i in 0..d {
                features.swap(i, i + self.rng.below(d - i));
                let feature = features[i];
                let (low, high) = bounds(&|row| row[feature]);
                if low < high {
                    let at = low + self.rng.unit() * (high - low);
                    // Rounding must not put all rows on one side.
                    return Some((feature, None, if at >= high { low } else { at }));
                }
            }
            return None;
        };
        // A direction along which all are equal is drawn again, unless all are equal.
        for _ in 0..8 {
            let mut plane: Vec<f64> = (0..d).map(|_| self.rng.normal()).collect();
            let mut features: Vec<usize> = (0..d).collect();
            (0..d).for_each(|i| features.swap(i, i + self.rng.below(d - i)));
            features[used..].iter().for_each(|feature| plane[*feature] = 0.0);
            let (low, high) = bounds(&|row| along(row, &plane));
            if low < high {
                // A point of the box that holds the rows, as in the paper, and so beyond all rows at times.
                let point = |feature: usize, rng: &mut Rng| {
                    let (low, high) = bounds(&|row| row[feature]);
                    low + rng.unit() * (high - low)
                };
                let mut rng = self.rng.clone();
                let at: f64 = (0..d).map(|f| plane[f] * point(f, &mut rng)).sum();
                self.rng = rng;
                return Some((0, Some(plane), at));
            }
        }
        None
    }
}

fn along(row: &[f64], plane: &[f64]) -> f64 {
    row.iter().zip(plane).map(|(v, p)| v * p).sum()
}

fn leaf(at: usize) -> Node {
    Node { feature: 0, child: at as u32, at: f64::INFINITY }
}

/// Rows that go down a tree side by side, so that the processor need not wait for one.
const ABREAST: usize = 8;

impl Tree {
    /// Adds the depth of each of `rows`.
    fn add_depths(&self, x: &Table, rows: Range<usize>, depths: &mut [f64]) {
        let first = rows.start;
        for start in rows.clone().step_by(ABREAST) {
            let n = (rows.end - start).min(ABREAST);
            let row: [&[f64]; ABREAST] = std::array::from_fn(|i| x.row(start + i.min(n - 1)));
            let mut at = [0_usize; ABREAST];
            for _ in 0..self.steps {
                for (at, row) in at.iter_mut().zip(row) {
                    let node = self.nodes[*at];
                    let value = match self.planes.get(*at * row.len()..(*at + 1) * row.len()) {
                        Some(plane) if !plane.is_empty() => along(row, plane),
                        _ => row[node.feature as usize],
                    };
                    *at = node.child as usize + usize::from(value > node.at);
                }
            }
            depths[start - first..start - first + n].iter_mut().zip(at).for_each(|(d, at)| *d += self.depth[at]);
        }
    }
}

impl Forest {
    fn grow(x: &Table, trees: usize, samples: usize, planes: Option<usize>, seed: u64) -> Result<Self, Error> {
        let scaled = planes.map(|_| Scaled::fit(x));
        let at = scaled.as_ref().map(|s| s.apply(x));
        let at = at.as_ref().unwrap_or(x);
        let samples = samples.min(x.len());
        if samples < 2 {
            return Err(Error::Parameter { name: "max_samples", value: samples.to_string(), wanted: "at least 2" });
        }
        let deepest = (samples as f64).log2().ceil() as u32;
        let mut seeds = Rng(seed);
        let seeds: Vec<u64> = (0..trees).map(|_| seeds.bits()).collect();
        let trees = parallel::by_row(trees, 8, |tree| {
            let mut rng = Rng(seeds[tree]);
            let mut rows: Vec<u32> = (0..x.len() as u32).collect();
            (0..samples).for_each(|i| rows.swap(i, i + rng.below(x.len() - i)));
            let tree = Tree { nodes: vec![leaf(0)], depth: vec![0.0], steps: 0, planes: vec![] };
            let mut grower = Grower { x: at, rng, planes, deepest, tree };
            grower.grow(0, &mut rows[..samples], 0);
            grower.tree
        });
        Ok(Self { trees, scaled, usual: mean_depth(samples), offset: 0.0 })
    }

    /// 2 to the power of minus the mean depth over the usual one: near 1 of what is parted at once, .5 of what is like the rest.
    fn scores(&self, x: &Table) -> Vec<f64> {
        let at = self.scaled.as_ref().map(|s| s.apply(x));
        let at = at.as_ref().unwrap_or(x);
        let over = 1.0 / (self.usual * self.trees.len() as f64);
        // Tree after tree over a run of rows: a tree stays in the cache.
        let parts = parallel::in_parts(x.len(), 256, |rows| {
            let mut depths = vec![0.0; rows.len()];
            for tree in &self.trees {
                tree.add_depths(at, rows.clone(), &mut depths);
            }
            depths.iter_mut().for_each(|depth| *depth = (-*depth * over).exp2());
            depths
        });
        parts.into_iter().flatten().collect()
    }
}

/// PyOD's scores are relative to that of the share believed to be outliers.
fn learnt(mut forest: Forest, x: &Table) -> (Vec<f64>, Box<dyn Learnt>) {
    let mut scores = forest.scores(x);
    forest.offset = percentile(&scores, 1.0 - crate::outlier::contract::CONTAMINATION);
    scores.iter_mut().for_each(|s| *s -= forest.offset);
    (scores, Box::new(forest))
}

impl Detector for IForest {
    fn learn(&self, x: &Table) -> Result<(Vec<f64>, Box<dyn Learnt>), Error> {
        Ok(learnt(Forest::grow(x, self.n_estimators, self.max_samples, None, self.random_state)?, x))
    }
}

impl Detector for EiForest {
    fn learn(&self, x: &Table) -> Result<(Vec<f64>, Box<dyn Learnt>), Error> {
        let used = self.extension_level.saturating_add(1).min(x.columns());
        Ok(learnt(Forest::grow(x, self.n_estimators, self.max_samples, Some(used), self.random_state)?, x))
    }
}

impl Learnt for Forest {
    fn decision_function(&self, x: &Table) -> Result<Vec<f64>, Error> {
        let mut scores = self.scores(x);
        scores.iter_mut().for_each(|s| *s -= self.offset);
        Ok(scores)
    }
}
