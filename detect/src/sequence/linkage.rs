//! Which things belong together, by the distances of all pairs: average linkage by kodama, cut
//! where the silhouette is best.

use super::pairs::at;
use kodama::{Method, linkage};

/// Cuts that are tried: those above the largest steps between merges.
const CUTS: usize = 12;
/// Groups at most.
const MOST: usize = 64;
/// Silhouette below which a cut tells apart what belongs together (Kaufman & Rousseeuw 1990).
const LEAST_SILHOUETTE: f64 = 0.25;

/// The things in groups.
#[derive(Clone, Debug, PartialEq)]
pub struct Partition {
    /// The group of each.
    pub labels: Vec<usize>,
    /// Of each group the member with the least sum of distances to the others.
    pub medoids: Vec<usize>,
    /// How well the groups are apart, -1..=1; 0 for one group.
    pub silhouette: f64,
}

/// Partitions `n` things whose distances are `condensed` (see [`super::pairs`]), each of which stands for `weights` equal ones.
///
/// Things up to `alike` apart in the mean are one group whatever the silhouette says, and groups that are more than `far` apart are never
/// put together.
///
/// # Panics
/// If there are not as many distances as pairs, or weights as things.
pub fn partition(condensed: &[f32], weights: &[f64], (alike, far): (f32, f32)) -> Partition {
    let n = weights.len();
    assert_eq!(condensed.len(), n * n.saturating_sub(1) / 2, "a distance a pair");
    if n < 2 {
        return Partition { labels: vec![0; n], medoids: (0..n).collect(), silhouette: 0.0 };
    }
    let mut distances = condensed.to_vec();
    let tree = linkage(&mut distances, n, Method::Average);
    let steps = tree.steps();
    let height = |merges: usize| if merges == 0 { 0.0 } else { steps[merges - 1].dissimilarity };
    // After so many merges there are n - merges groups.
    let mut cuts: Vec<usize> =
        (n.saturating_sub(MOST)..n - 1).filter(|m| steps[*m].dissimilarity > alike && height(*m) <= far).collect();
    cuts.sort_by(|a, b| (height(b + 1) - height(*b)).total_cmp(&(height(a + 1) - height(*a))).then(a.cmp(b)));
    cuts.truncate(CUTS);
    // Without a good cut: what is alike.
    let merges = steps.iter().take_while(|s| s.dissimilarity <= alike).count();
    let merged = |merges: usize| labels(n, steps.iter().take(merges).map(|s| (s.cluster1, s.cluster2)));
    let mut best = (LEAST_SILHOUETTE, merged(merges), 0.0);
    for cut in cuts {
        let labels = merged(cut);
        let silhouette = silhouette(condensed, weights, &labels);
        if silhouette > best.0 {
            best = (silhouette, labels, silhouette);
        }
    }
    let medoids = medoids(condensed, weights, &best.1);
    Partition { labels: best.1, medoids, silhouette: best.2 }
}

/// Groups after these merges, numbered by their first member. Merge `i` makes cluster `n + i`.
fn labels(n: usize, merges: impl Iterator<Item = (usize, usize)>) -> Vec<usize> {
    let mut parent: Vec<usize> = (0..n).collect();
    for (i, (a, b)) in merges.enumerate() {
        parent.push(n + i);
        parent[a] = n + i;
        parent[b] = n + i;
    }
    let root = |mut at: usize| {
        while parent[at] != at {
            at = parent[at];
        }
        at
    };
    let mut seen: Vec<usize> = vec![];
    (0..n)
        .map(|i| {
            let root = root(i);
            seen.iter().position(|s| *s == root).unwrap_or_else(|| {
                seen.push(root);
                seen.len() - 1
            })
        })
        .collect()
}

/// How much nearer things are to their own group than to the next, the mean over things; 0 of one alone (Rousseeuw 1987).
pub fn silhouette(condensed: &[f32], weights: &[f64], labels: &[usize]) -> f64 {
    let n = labels.len();
    let groups = labels.iter().max().map_or(0, |l| l + 1);
    let mut sums = vec![0.0; n * groups];
    let mut sizes = vec![0.0; groups];
    labels.iter().zip(weights).for_each(|(label, weight)| sizes[*label] += weight);
    let mut next = condensed.iter();
    for i in 0..n {
        for (j, d) in (i + 1..n).zip(&mut next) {
            sums[i * groups + labels[j]] += f64::from(*d) * weights[j];
            sums[j * groups + labels[i]] += f64::from(*d) * weights[i];
        }
    }
    let (mut sum, mut all) = (0.0, 0.0);
    for i in 0..n {
        let own = labels[i];
        all += weights[i];
        if sizes[own] <= 1.0 {
            continue;
        }
        let inside = sums[i * groups + own] / (sizes[own] - 1.0);
        let others = (0..groups).filter(|g| *g != own).map(|g| sums[i * groups + g] / sizes[g]);
        let near = others.fold(f64::INFINITY, f64::min);
        let most = inside.max(near);
        if most > 0.0 && most.is_finite() {
            sum += weights[i] * (near - inside) / most;
        }
    }
    if all > 0.0 { sum / all } else { 0.0 }
}

/// Of each group the member with the least sum of distances to the others; of several the first.
fn medoids(condensed: &[f32], weights: &[f64], labels: &[usize]) -> Vec<usize> {
    let n = labels.len();
    let groups = labels.iter().max().map_or(0, |l| l + 1);
    let mut members: Vec<Vec<usize>> = vec![vec![]; groups];
    labels.iter().enumerate().for_each(|(i, label)| members[*label].push(i));
    let of_group = |members: Vec<usize>| {
        let sum = |i: usize| -> f64 {
            let others = members.iter().filter(|j| **j != i);
            others.map(|j| f64::from(condensed[at(n, i, *j)]) * weights[*j]).sum()
        };
        members.iter().map(|i| (*i, sum(*i))).min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(i, _)| i)
    };
    members.into_iter().map(of_group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::pairs::{Distance, condensed};

    fn some() -> Vec<Vec<u16>> {
        vec![vec![0, 1, 0, 1, 2], vec![0, 1, 0, 1], vec![0, 1, 0, 1, 3], vec![7, 8, 9, 7], vec![7, 8, 9], vec![5, 6]]
    }

    #[test]
    fn what_is_alike_is_together_and_the_middle_one_stands_for_it() {
        let d = condensed(&some(), Distance::Bounded);
        let p = partition(&d, &[1.0; 6], (0.3, 0.6));
        assert_eq!(p.labels, [0, 0, 0, 1, 1, 2]);
        assert_eq!((p.medoids[0], p.medoids[2]), (0, 5), "of several equally near the first");
        assert!(p.silhouette > 0.5, "{p:?}");
    }

    #[test]
    fn all_the_same_or_one_or_none_is_no_more_than_one_group() {
        let d = condensed(&vec![vec![1, 2, 3]; 5], Distance::Bounded);
        assert_eq!(partition(&d, &[1.0; 5], (0.3, 0.6)).labels, [0; 5]);
        assert_eq!(partition(&[], &[1.0], (0.3, 0.6)).medoids, [0]);
        assert_eq!(partition(&[], &[], (0.3, 0.6)).labels, []);
    }

    #[test]
    fn what_has_little_in_common_is_never_one_group_however_good_a_cut_it_would_be() {
        // Two pairs far from each other, and a crowd farther still.
        let mut all = vec![vec![1], vec![1, 2], vec![5], vec![5, 6]];
        all.extend((0..6).map(|i| vec![30, 31, 32, 33, 34, 35 + i]));
        let p = partition(&condensed(&all, Distance::Bounded), &[1.0; 10], (0.34, 0.6));
        assert!(p.labels[0] == p.labels[1] && p.labels[2] == p.labels[3] && p.labels[0] != p.labels[2], "{p:?}");
    }

    #[test]
    fn silhouette_by_hand() {
        // 0 and 1 are 1 apart, 2 and 3 too, and the pairs 3: (3 - 1) / 3.
        let d = [1.0, 3.0, 3.0, 3.0, 3.0, 1.0];
        assert!((silhouette(&d, &[1.0; 4], &[0, 0, 1, 1]) - 2.0 / 3.0).abs() < 1e-12);
    }
}
