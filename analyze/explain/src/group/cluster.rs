//! Which rows are near each other, by linfa: DBSCAN, or k-means with the number of groups by
//! silhouette.

use linfa::DatasetBase;
use linfa::prelude::{Fit, Predict, Transformer};
use linfa_clustering::{Dbscan, KMeans};
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

/// Rows up to this are near. Two that differ in the leading metric and call are 2 apart; in threads and objects only, 1.
const NEAR: f64 = 0.9;
/// Groups that are tried by k-means at most.
const MOST: usize = 12;
/// Silhouette below which a cut tells apart what belongs together (Kaufman & Rousseeuw 1990).
const LEAST_SILHOUETTE: f64 = 0.25;

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
            Dbscan::params(2).tolerance(NEAR).transform(&x).map_or_else(|_| vec![None; rows.len()], |l| l.to_vec())
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
    let groups = labels.iter().max().map_or(0, |l| l + 1);
    let one = |row: usize| {
        let (mut sums, mut sizes) = (vec![0.0; groups], vec![0.0; groups]);
        for other in (0..rows.len()).filter(|other| *other != row) {
            sums[labels[other]] += distance(&rows[row], &rows[other]);
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

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt()
}
