//! Sequences that never came (STIDE: Forrest, Hofmeyr, Somayaji & Longstaff, IEEE S&P 1996).

use std::collections::HashSet;

/// All runs of `n` symbols that were met.
#[derive(Clone, Debug)]
pub struct Stide {
    n: usize,
    met: HashSet<Box<[u16]>>,
}

impl Stide {
    /// Of runs of `n` symbols, at least one.
    pub fn new(n: usize) -> Self {
        Self { n: n.max(1), met: HashSet::new() }
    }

    /// Learns a sequence.
    pub fn learn(&mut self, sequence: &[u16]) {
        for run in sequence.windows(self.n) {
            if !self.met.contains(run) {
                self.met.insert(run.into());
            }
        }
    }

    /// Of each symbol of a sequence: 1 if the run that ends there never came, else 0; also where there is no whole run yet.
    pub fn mismatches(&self, sequence: &[u16]) -> Vec<f64> {
        let first = (self.n - 1).min(sequence.len());
        let runs = sequence.windows(self.n).map(|run| if self.met.contains(run) { 0.0 } else { 1.0 });
        std::iter::repeat_n(0.0, first).chain(runs).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let mut stide = Stide::new(3);
        stide.learn(&[1, 2, 3, 1, 2, 3]);
        stide.learn(&[1, 2]);
        assert_eq!(stide.met.len(), 3);
        assert_eq!(stide.mismatches(&[1, 2, 3, 4, 1, 2, 3]), [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0]);
        assert_eq!(stide.mismatches(&[1, 2]), [0.0, 0.0]);
        assert_eq!(stide.mismatches(&[]), [0.0; 0]);
    }
}
