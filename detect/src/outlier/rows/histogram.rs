//! Bins of equal width over what values there are, as NumPy makes them: what HBOS and LODA count
//! in.

use crate::outlier::contract::range;

pub(crate) struct Histogram {
    edges: Vec<f64>,
    counts: Vec<f64>,
    /// Bins for a unit of value.
    per_unit: f64,
}

impl Histogram {
    /// `values` are finite; there is at least one.
    pub(crate) fn new(values: &[f64], bins: usize) -> Self {
        let (mut low, mut high) = range(values);
        if low == high {
            (low, high) = (low - 0.5, high + 0.5);
        }
        let step = (high - low) / bins as f64;
        let mut edges: Vec<f64> = (0..=bins).map(|i| low + i as f64 * step).collect();
        edges[bins] = high;
        let mut out = Self { edges, counts: vec![0.0; bins], per_unit: bins as f64 / (high - low) };
        for v in values {
            let bin = out.edges_up_to(*v).clamp(1, bins) - 1;
            out.counts[bin] += 1.0;
        }
        out
    }

    pub(crate) fn edges(&self) -> &[f64] {
        &self.edges
    }

    pub(crate) fn counts(&self) -> &[f64] {
        &self.counts
    }

    /// So that the bins' areas sum to 1.
    pub(crate) fn densities(&self) -> Vec<f64> {
        let n: f64 = self.counts.iter().sum();
        self.counts.iter().zip(self.edges.windows(2)).map(|(count, edge)| count / (edge[1] - edge[0]) / n).collect()
    }

    /// Where about `value` lies: the number of edges below it, or one off.
    fn about(&self, value: f64) -> usize {
        // A cast keeps within what a usize holds.
        (((value - self.edges[0]) * self.per_unit) as usize).min(self.counts.len())
    }

    /// Edges that are less than `value`.
    pub(crate) fn edges_below(&self, value: f64) -> usize {
        let mut at = self.about(value);
        while at < self.edges.len() && self.edges[at] < value {
            at += 1;
        }
        while at > 0 && self.edges[at - 1] >= value {
            at -= 1;
        }
        at
    }

    /// Edges that are at most `value`.
    fn edges_up_to(&self, value: f64) -> usize {
        let mut at = self.about(value);
        while at < self.edges.len() && self.edges[at] <= value {
            at += 1;
        }
        while at > 0 && self.edges[at - 1] > value {
            at -= 1;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_closed_below_and_the_last_is_closed_above() {
        let bins = Histogram::new(&[0.0, 1.0, 2.0, 2.5, 4.0], 4);
        assert_eq!(bins.edges(), [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(bins.counts(), [1.0, 1.0, 2.0, 1.0]);
        assert_eq!(bins.densities(), [0.2, 0.2, 0.4, 0.2]);
        let below: Vec<usize> = [-9.0, 0.0, 0.5, 1.0, 4.0, 9.0].iter().map(|v| bins.edges_below(*v)).collect();
        assert_eq!(below, [0, 0, 1, 1, 4, 5]);
        assert_eq!(Histogram::new(&[3.0, 3.0], 2).edges(), [2.5, 3.0, 3.5]);
    }
}
