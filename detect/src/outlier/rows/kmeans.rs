//! k-means, seeded: what CBLOF and mixtures start from.
//!
//! k-means++ (Arthur & Vassilvitskii, SODA 2007) and Lloyd's rounds, with a bound on each row's distance to the second nearest centre
//! that spares most comparisons (Hamerly, SDM 2010). By hand: linfa's draws by `rand`, whose sequences may change with its version, and
//! what is found would change with it.

use super::neighbours::squared;
use super::pairs::{self, Rows, STRIP, Strip};
use crate::data::parallel;
use crate::data::rng::Rng;
use crate::data::series::Table;

/// Rounds at most, as scikit-learn.
const ROUNDS: usize = 300;

pub(crate) struct KMeans {
    pub(crate) clusters: usize,
    pub(crate) seed: u64,
}

pub(crate) struct Centres(pub(crate) Table);

impl KMeans {
    /// Centres of `x`, which has at least as many rows as there shall be clusters.
    pub(crate) fn fit(&self, x: &Table) -> Centres {
        let mut centres = self.start(x);
        let mut strips = centres.strips();
        let (k, d) = (self.clusters, x.columns());
        // Of each row: its centre, at most how far that is, at least how far any other is.
        let mut at: Vec<(usize, f64, f64)> = parallel::by_row(x.len(), 4_096, |row| nearest_two(x.row(row), &strips));
        let means: Vec<f64> = crate::stats::matrix::means(x.rows(), d);
        let variance = x.rows().map(|row| squared(row, &means)).sum::<f64>() / (x.len() * d) as f64;
        for _ in 0..ROUNDS {
            let (mut sums, mut sizes) = (Table::zeros(k, d), vec![0.0; k]);
            for (row, (centre, _, _)) in x.rows().zip(&at) {
                sums.row_mut(*centre).iter_mut().zip(row).for_each(|(s, v)| *s += v);
                sizes[*centre] += 1.0;
            }
            let mut moved = vec![0.0; k];
            for c in 0..k {
                if sizes[c] > 0.0 {
                    sums.row_mut(c).iter_mut().for_each(|v| *v /= sizes[c]);
                } else {
                    // A cluster that lost its rows takes the one that is farthest from its centre.
                    let far = (0..x.len()).max_by(|a, b| {
                        let off = |row: usize| squared(x.row(row), centres.0.row(at[row].0));
                        off(*a).total_cmp(&off(*b))
                    });
                    sums.row_mut(c).copy_from_slice(x.row(far.unwrap_or(0)));
                }
                moved[c] = squared(sums.row(c), centres.0.row(c)).sqrt();
            }
            centres = Centres(sums);
            strips = centres.strips();
            // scikit-learn's rule: the squared moves together are a ten thousandth of the mean variance.
            let done = moved.iter().map(|m| m * m).sum::<f64>() <= 1e-4 * variance;
            let most = moved.iter().copied().fold(0.0, f64::max);
            at = parallel::by_row(x.len(), 4_096, |row| {
                let (centre, near, other) = at[row];
                let (near, other) = (near + moved[centre], other - most);
                if near < other { (centre, near, other) } else { nearest_two(x.row(row), &strips) }
            });
            if done {
                break;
            }
        }
        centres
    }

    /// k-means++: each next centre is a row, drawn by its squared distance to those before; of some draws the best.
    fn start(&self, x: &Table) -> Centres {
        let mut rng = Rng(self.seed);
        let mut centres = Table::new(x.columns());
        centres.push(x.row(rng.below(x.len())));
        let mut off = vec![0.0; x.len()];
        Rows::new(x).squares(centres.row(0), &mut off);
        let tries = (2 + (self.clusters as f64).ln() as usize).min(STRIP);
        while centres.len() < self.clusters {
            let total = pairs::sum(&off);
            let drawn: Vec<usize> = (0..tries)
                .map(|_| {
                    let mut left = rng.unit() * total;
                    let drawn = off.iter().position(|o| {
                        left -= o;
                        left < 0.0
                    });
                    drawn.unwrap_or_else(|| rng.below(x.len()))
                })
                .collect();
            // All tries in one pass over the rows.
            let candidates = pairs::strip(drawn.iter().map(|row| x.row(*row)), x.columns());
            let mut next = vec![[0.0; STRIP]; x.len()];
            let mut left = [0.0; STRIP];
            for ((next, row), off) in next.iter_mut().zip(x.rows()).zip(&off) {
                let squares = pairs::to_strip(&candidates, row);
                for lane in 0..STRIP {
                    next[lane] = if squares[lane] < *off { squares[lane] } else { *off };
                    left[lane] += next[lane];
                }
            }
            let best = (0..tries).min_by(|a, b| left[*a].total_cmp(&left[*b])).unwrap_or(0);
            off.iter_mut().zip(&next).for_each(|(off, next)| *off = next[best]);
            centres.push(x.row(drawn[best]));
        }
        Centres(centres)
    }
}

impl Centres {
    /// The nearest centre of each row.
    pub(crate) fn labels(&self, x: &Table) -> Vec<usize> {
        let strips = self.strips();
        parallel::by_row(x.len(), 4_096, |row| nearest_two(x.row(row), &strips).0)
    }

    fn strips(&self) -> Vec<Strip> {
        let some = |first: usize| (first..(first + STRIP).min(self.0.len())).map(|c| self.0.row(c));
        (0..self.0.len()).step_by(STRIP).map(|first| pairs::strip(some(first), self.0.columns())).collect()
    }
}

/// The nearest centre, how far it is, and how far the second is.
fn nearest_two(row: &[f64], strips: &[Strip]) -> (usize, f64, f64) {
    let (mut at, mut near, mut other) = (0, f64::INFINITY, f64::INFINITY);
    for (first, strip) in strips.iter().enumerate() {
        for (lane, square) in pairs::to_strip(strip, row).into_iter().enumerate() {
            if square < near {
                (at, near, other) = (first * STRIP + lane, square, near);
            } else if square < other {
                other = square;
            }
        }
    }
    (at, near.sqrt(), other.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_far_apart_are_found_whatever_the_seed() {
        let mut rng = Rng(3);
        let mut x = Table::new(2);
        (0..300).for_each(|i| x.push(&[f64::from(i % 3) * 20.0 + rng.normal(), rng.normal()]));
        for seed in 0..5 {
            let labels = KMeans { clusters: 3, seed }.fit(&x).labels(&x);
            assert!((0..300).all(|i| labels[i] == labels[i % 3]), "{seed}");
        }
    }

    #[test]
    fn rows_that_are_all_equal_have_centres_too() {
        let centres = KMeans { clusters: 4, seed: 1 }.fit(&Table::zeros(10, 2));
        assert!(centres.0.len() == 4 && centres.labels(&Table::zeros(3, 2)) == [0, 0, 0]);
    }
}
