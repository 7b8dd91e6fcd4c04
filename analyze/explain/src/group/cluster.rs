//! Which rows are near each other, by linfa: DBSCAN, or k-means with the number of groups by
//! silhouette.
//!
//! Why linfa's OPTICS is not offered: see the test at the end and ADR 15.

use linfa::DatasetBase;
use linfa::prelude::{Fit, Predict, Transformer};
use linfa_clustering::{Dbscan, KMeans};
use linfa_nn::CommonNearestNeighbour;
use linfa_nn::distance::L2Dist;
use ndarray::Array2;

/// How windows are put into groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupBy {
    /// Those that a chain of near ones links (Ester et al., KDD 1996).
    #[default]
    Dbscan,
    /// Those near one of some centres, as many as give the best silhouette.
    KMeans,
    /// Not at all.
    Off,
}

impl GroupBy {
    /// As it is asked for.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dbscan => "dbscan",
            Self::KMeans => "kmeans",
            Self::Off => "off",
        }
    }
}

/// Rows up to this are near. Two windows that share neither metrics nor calls are at least 2 apart. Of 78 windows of ten faults at three
/// strengths (docs/evaluation.md) no two of different faults are nearer than 1.49, and half of those of one fault are nearer than 0.81.
const NEAR: f64 = 1.25;
/// Groups that are tried by k-means at most.
const MOST: usize = 24;
/// Silhouette below which a cut tells apart what belongs together (Kaufman & Rousseeuw 1990).
const LEAST_SILHOUETTE: f64 = 0.25;
/// Rows of which the silhouette is taken at most, evenly spread: it costs the square.
const MOST_JUDGED: usize = 1_000;

/// A label a row; `None` of one that is like no other.
pub(super) fn labels(rows: &[Vec<f64>], by: GroupBy) -> Vec<Option<usize>> {
    let columns = rows.first().map_or(0, Vec::len);
    if rows.len() < 2 || by == GroupBy::Off {
        return vec![None; rows.len()];
    }
    if columns == 0 {
        return vec![Some(0); rows.len()];
    }
    let Ok(x) = Array2::from_shape_vec((rows.len(), columns), rows.concat()) else { return vec![None; rows.len()] };
    match by {
        GroupBy::Off => vec![None; rows.len()],
        GroupBy::Dbscan => {
            // Some hundreds of columns: a tree would look at every row as well.
            let dbscan = Dbscan::params_with(2, L2Dist, CommonNearestNeighbour::LinearSearch);
            dbscan.tolerance(NEAR).transform(&x).map_or_else(|_| vec![None; rows.len()], |l| l.to_vec())
        }
        GroupBy::KMeans => k_means(rows, x),
    }
}

fn k_means(rows: &[Vec<f64>], x: Array2<f64>) -> Vec<Option<usize>> {
    let data = DatasetBase::from(x);
    let one = || if rows.iter().all(|r| distance(r, &rows[0]) <= NEAR) { Some(0) } else { None };
    // All of them one group, or each of its own.
    let mut best = (LEAST_SILHOUETTE, vec![one(); rows.len()]);
    for k in 2..=MOST.min(rows.len() - 1) {
        // Its own seed, which is the same each time.
        let Ok(model) = KMeans::params(k).n_runs(8).max_n_iterations(100).fit(&data) else { continue };
        let labels: Vec<usize> = model.predict(data.records()).to_vec();
        let silhouette = silhouette(rows, &labels);
        if silhouette > best.0 {
            best = (silhouette, labels.into_iter().map(Some).collect());
        }
    }
    best.1
}

/// How much nearer rows are to their own group than to the next, -1 to 1, the mean over rows; 0 of a row alone (Rousseeuw 1987).
fn silhouette(rows: &[Vec<f64>], labels: &[usize]) -> f64 {
    let step = rows.len().div_ceil(MOST_JUDGED);
    let (rows, labels): (Vec<&Vec<f64>>, Vec<usize>) = rows.iter().zip(labels.iter().copied()).step_by(step).unzip();
    let groups = labels.iter().max().map_or(0, |l| l + 1);
    let one = |row: usize| {
        let (mut sums, mut sizes) = (vec![0.0; groups], vec![0.0; groups]);
        for other in (0..rows.len()).filter(|other| *other != row) {
            sums[labels[other]] += distance(rows[row], rows[other]);
            sizes[labels[other]] += 1.0;
        }
        let own = labels[row];
        if sizes[own] == 0.0 {
            return 0.0;
        }
        let inside = sums[own] / sizes[own];
        let next = (0..groups).filter(|g| *g != own && sizes[*g] > 0.0).map(|g| sums[g] / sizes[g]);
        let next = next.fold(f64::INFINITY, f64::min);
        let most = inside.max(next);
        if most > 0.0 && most.is_finite() { (next - inside) / most } else { 0.0 }
    };
    (0..rows.len()).map(one).sum::<f64>() / rows.len() as f64
}

/// Euclid's.
pub(super) fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use linfa_clustering::Optics;

    #[test]
    fn rows_that_are_the_same_are_one_group_however_many() {
        let rows = vec![vec![0.5, 0.1, 0.0]; 300];
        for by in [GroupBy::Dbscan, GroupBy::KMeans] {
            assert_eq!(labels(&rows, by), vec![Some(0); 300], "{by:?}");
        }
    }

    #[test]
    fn a_number_of_groups_beyond_what_rows_there_are_is_not_asked_for() {
        let two = [vec![0.0], vec![9.0]];
        assert_eq!(labels(&two, GroupBy::KMeans), [None, None]);
        let three = [vec![0.0], vec![0.1], vec![9.0]];
        let found = labels(&three, GroupBy::KMeans);
        assert!(found[0] == found[1] && found[0] != found[2], "{found:?}");
    }

    /// In the order that OPTICS gives (Ankerst et al., SIGMOD 1999) the first row of a group has no reachability, and so the groups can be
    /// read from it. In linfa-clustering 0.8.1 it has its core distance, as if it were reached from the group before. When this fails,
    /// linfa has mended it, and `--group-by optics` can be had.
    #[test]
    fn optics_of_linfa_does_not_say_where_a_group_begins() {
        let rows = [0.0, 0.1, 0.2, 50.0, 50.1, 50.2];
        let x = Array2::from_shape_vec((rows.len(), 1), rows.to_vec()).unwrap();
        let order = Optics::params(2).tolerance(1.0).transform(x.view()).unwrap();
        let begins: Vec<f64> =
            order.iter().filter(|s| s.reachability_distance().is_none()).map(|s| rows[s.index()]).collect();
        assert!(begins.is_empty(), "two groups are 50 apart, and none begins");
    }
}
