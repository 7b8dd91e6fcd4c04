//! What is asked of rows, however they are looked through: the nearest ones, and how far off they
//! are.

/// Columns up to which a tree rules out enough.
pub(super) const TREE_COLUMNS: usize = 15;

/// The `k` nearest of each of some rows, nearest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Nearest {
    /// Of each row.
    pub k: usize,
    /// Which rows they are, `k` a row.
    pub index: Vec<u32>,
    /// How far they are, `k` a row.
    pub distance: Vec<f64>,
}

impl Nearest {
    /// The neighbours of one row.
    pub(crate) fn of(&self, row: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let range = row * self.k..(row + 1) * self.k;
        self.index[range.clone()].iter().map(|i| *i as usize).zip(self.distance[range].iter().copied())
    }

    /// How far the neighbours of one row are.
    pub(crate) fn distances(&self, row: usize) -> &[f64] {
        &self.distance[row * self.k..(row + 1) * self.k]
    }

    /// Which the neighbours of one row are.
    pub(crate) fn indices(&self, row: usize) -> &[u32] {
        &self.index[row * self.k..(row + 1) * self.k]
    }
}

/// Squared distance, summed in a fixed order: column after column, or of many columns in four sums side by side.
pub(crate) fn squared(a: &[f64], b: &[f64]) -> f64 {
    if a.len() <= TREE_COLUMNS {
        return a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum();
    }
    let mut sums = [0.0; 4];
    let ((a, end_a), (b, end_b)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..4 {
            let off = a[lane] - b[lane];
            sums[lane] += off * off;
        }
    }
    let rest: f64 = end_a.iter().zip(end_b).map(|(x, y)| (x - y) * (x - y)).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}
