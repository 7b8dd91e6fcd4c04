//! The nearest rows of a table, exactly: what kNN, LOF, COF, ABOD, SOD, LSCP and feature bagging
//! stand on.
//!
//! Up to fifteen columns a k-d tree is asked (`tree`); beyond, where trees look everywhere anyway, all rows are compared
//! (`brute`): in `f32`, 32 rows at a time, with a bound on what rounding can hide, and exactly where that does not rule a row out.
//! Distances are Euclidean, in `f64`, each summed in a fixed order: they are the same on every processor and for any number
//! of threads.

mod best;
mod brute;
mod lanes;
mod nearest;
mod tree;

use crate::data::parallel;
use crate::data::series::Table;
use brute::Brute;
use nearest::TREE_COLUMNS;
pub(crate) use nearest::{Nearest, squared};
use tree::Tree;

/// Rows from which a thread of its own is worth it.
const LEAST: usize = 256;

/// Rows that can be asked for those nearest to others.
pub(crate) struct Index {
    x: Table,
    how: How,
}

enum How {
    Tree(Tree),
    Brute(Brute),
}

impl Index {
    pub(crate) fn new(x: &Table) -> Self {
        let how = if x.columns() <= TREE_COLUMNS { How::Tree(Tree::new(x)) } else { How::Brute(Brute::new(x)) };
        Self { x: x.clone(), how }
    }

    pub(crate) fn rows(&self) -> &Table {
        &self.x
    }

    /// The `k` rows nearest to each row of `queries`, at most as many as there are.
    pub(crate) fn nearest(&self, queries: &Table, k: usize) -> Nearest {
        let k = k.min(self.x.len());
        if k == 0 || queries.is_empty() {
            return Nearest { k: 0, ..Nearest::default() };
        }
        let parts = parallel::in_parts(queries.len(), LEAST, |rows| match &self.how {
            How::Tree(tree) => tree.nearest(queries, rows, k),
            How::Brute(brute) => brute.nearest(&self.x, queries, rows, k),
        });
        let mut out = Nearest { k, ..Nearest::default() };
        for part in parts {
            out.index.extend(part.index);
            out.distance.extend(part.distance);
        }
        out
    }

    /// The `k` rows nearest to each row, itself left out: of one more neighbour, as scikit-learn does, which decides among rows that are
    /// equally far.
    pub(crate) fn nearest_others(&self, k: usize) -> Nearest {
        let all = self.nearest(&self.x, k.min(self.x.len().saturating_sub(1)) + 1);
        let mut out = Nearest { k: all.k.saturating_sub(1), ..Nearest::default() };
        for row in 0..self.x.len() {
            // Where there are more equal rows than neighbours, the row may not be among them.
            let own = all.indices(row).iter().position(|i| *i as usize == row).unwrap_or(0);
            let others = (0..all.k).filter(|at| *at != own);
            out.index.extend(others.clone().map(|at| all.indices(row)[at]));
            out.distance.extend(others.map(|at| all.distances(row)[at]));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::rng::Rng;

    fn table(rows: usize, columns: usize, seed: u64, value: impl Fn(&mut Rng) -> f64) -> Table {
        let mut rng = Rng(seed);
        let mut out = Table::new(columns);
        for _ in 0..rows {
            let row: Vec<f64> = (0..columns).map(|_| value(&mut rng)).collect();
            out.push(&row);
        }
        out
    }

    /// By looking at everything.
    fn plain(x: &Table, queries: &Table, k: usize, others: bool) -> Vec<Vec<f64>> {
        (0..queries.len())
            .map(|q| {
                let rows = (0..x.len()).filter(|i| !others || *i != q);
                let mut all: Vec<f64> = rows.map(|i| squared(queries.row(q), x.row(i)).sqrt()).collect();
                all.sort_by(f64::total_cmp);
                all.truncate(k);
                all
            })
            .collect()
    }

    #[test]
    fn both_ways_find_what_looking_at_everything_finds() {
        for columns in [1, 2, 4, 15, 16, 38] {
            for k in [1, 5, 20] {
                let x = table(700, columns, 1, |rng| rng.normal());
                let queries = table(90, columns, 2, |rng| 1.5 * rng.normal());
                let index = Index::new(&x);
                for (found, wanted) in [
                    (index.nearest(&queries, k), plain(&x, &queries, k, false)),
                    (index.nearest_others(k), plain(&x, &x, k, true)),
                ] {
                    for (row, wanted) in wanted.iter().enumerate() {
                        assert_eq!(found.distances(row), wanted, "{columns} columns, {k} neighbours, row {row}");
                        for (i, distance) in found.of(row) {
                            let query = if found.distance.len() == 90 * k { queries.row(row) } else { x.row(row) };
                            assert_eq!(squared(query, x.row(i)).sqrt(), distance);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn rows_far_from_the_origin_and_of_very_different_scales_are_told_apart() {
        for columns in [3, 20] {
            let mut x = table(400, columns, 3, |rng| 1e9 + rng.normal());
            (0..400).for_each(|i| x.row_mut(i)[1] *= 1e-12);
            let found = Index::new(&x).nearest_others(4);
            for (row, wanted) in plain(&x, &x, 4, true).iter().enumerate() {
                assert_eq!(found.distances(row), wanted, "{columns}");
            }
        }
        // Beyond what an f32 holds.
        let x = table(100, 20, 4, |rng| 1e30 * rng.normal());
        let found = Index::new(&x).nearest_others(3);
        for (row, wanted) in plain(&x, &x, 3, true).iter().enumerate() {
            assert_eq!(found.distances(row), wanted);
        }
    }

    #[test]
    fn rows_that_are_equal_are_neighbours_of_each_other_and_never_of_themselves() {
        for columns in [2, 20] {
            let x = table(64, columns, 5, |rng| (rng.unit() * 2.0).floor());
            let index = Index::new(&x);
            let found = index.nearest_others(63);
            for row in 0..64 {
                let mut seen: Vec<u32> = found.indices(row).to_vec();
                seen.sort_unstable();
                seen.dedup();
                assert!(seen.len() == 63 && !seen.contains(&(row as u32)));
            }
            assert_eq!(index.nearest_others(1_000).k, 63);
        }
        assert_eq!(Index::new(&Table::zeros(1, 2)).nearest_others(3).k, 0);
    }
}
