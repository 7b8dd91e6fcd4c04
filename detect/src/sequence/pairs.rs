//! Distances of all pairs of many sequences, on all processors.

use super::lcs::Pattern;
use crate::data::parallel;

/// How far two sequences are apart, by the length of their longest common subsequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Distance {
    /// 1 less its share of the longer one: 0 if they are the same, 1 if they have nothing in common.
    #[default]
    Bounded,
    /// |a| / |s| + |b| / |s|: 2 if they are the same (Wang et al., Journal of Software 31(10), 2020). Nothing in common is [`FAR`].
    Published,
}

/// What stands for an infinite distance: means of infinities are no numbers.
pub const FAR: f32 = 1e6;

impl Distance {
    /// Of sequences of these lengths that have `common` symbols in common.
    pub fn of(self, common: usize, a: usize, b: usize) -> f32 {
        match self {
            _ if a == 0 && b == 0 => self.of(1, 1, 1),
            Self::Bounded => 1.0 - common as f32 / a.max(b) as f32,
            Self::Published if common == 0 => FAR,
            Self::Published => (a + b) as f32 / common as f32,
        }
    }
}

/// How many symbols there are: one more than the highest.
pub fn alphabet(sequences: &[Vec<u16>]) -> usize {
    sequences.iter().flatten().max().map_or(0, |s| usize::from(*s) + 1)
}

/// The upper triangle of the distances of all pairs, row by row: `n (n - 1) / 2` of them.
pub fn condensed(sequences: &[Vec<u16>], distance: Distance) -> Vec<f32> {
    let n = sequences.len();
    let alphabet = alphabet(sequences);
    let row = |i: usize| -> Vec<f32> {
        let pattern = Pattern::new(&sequences[i], alphabet);
        let of = |other: &Vec<u16>| distance.of(pattern.lcs(other), sequences[i].len(), other.len());
        sequences[i + 1..].iter().map(of).collect()
    };
    // Early rows are long and late ones short: each part has some of both.
    let rows: Vec<usize> = (0..n).map(|i| if i % 2 == 0 { i / 2 } else { n - 1 - i / 2 }).collect();
    let mut done: Vec<(usize, Vec<f32>)> = parallel::by_row(n, 16, |i| (rows[i], row(rows[i])));
    done.sort_by_key(|(i, _)| *i);
    let mut out = Vec::with_capacity(n * n.saturating_sub(1) / 2);
    done.into_iter().for_each(|(_, row)| out.extend(row));
    out
}

/// Where the distance of `i` and `j` is in the triangle of `n`.
pub fn at(n: usize, i: usize, j: usize) -> usize {
    let (i, j) = (i.min(j), i.max(j));
    n * i - i * (i + 1) / 2 + j - i - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_by_hand_and_in_their_places() {
        let sequences: Vec<Vec<u16>> = vec![vec![0, 1, 2, 3], vec![0, 1, 2, 3], vec![0, 9], vec![8]];
        let d = condensed(&sequences, Distance::Bounded);
        assert_eq!(d.len(), 6);
        assert_eq!((d[at(4, 0, 1)], d[at(4, 2, 0)], d[at(4, 3, 2)]), (0.0, 0.75, 1.0));
        let d = condensed(&sequences, Distance::Published);
        assert_eq!((d[at(4, 0, 1)], d[at(4, 0, 2)], d[at(4, 0, 3)]), (2.0, 6.0, FAR));
        // The paper's example: 7 / 5 + 5 / 5.
        assert!((Distance::Published.of(5, 7, 5) - 2.4).abs() < 1e-6);
        assert!(condensed(&sequences[..1], Distance::Bounded).is_empty());
    }
}
