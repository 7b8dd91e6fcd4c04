//! The nearest so far of one row: a heap of fixed size with the farthest on top.
//!
//! A row replaces the farthest only if it is nearer. Among rows that are equally far, which stay is decided by the order in which they
//! come and by how the heap is sifted; both are those of scikit-learn's, so that detectors of neighbours give its scores where values
//! are whole numbers and ties are common.

/// `k` rows with their squared distances.
pub(super) struct Best<'a> {
    pub(super) distance: &'a mut [f64],
    pub(super) index: &'a mut [u32],
}

impl Best<'_> {
    /// What a row has to be nearer than.
    pub(super) fn limit(&self) -> f64 {
        self.distance[0]
    }

    /// Takes a row in if it is nearer than the farthest.
    pub(super) fn push(&mut self, distance: f64, index: u32) {
        if distance >= self.distance[0] {
            return;
        }
        let size = self.distance.len();
        let mut at = 0;
        loop {
            let left = 2 * at + 1;
            let right = left + 1;
            let next = if left >= size {
                break;
            } else if right >= size || self.distance[left] >= self.distance[right] {
                left
            } else {
                right
            };
            if self.distance[next] <= distance {
                break;
            }
            self.distance[at] = self.distance[next];
            self.index[at] = self.index[next];
            at = next;
        }
        self.distance[at] = distance;
        self.index[at] = index;
    }

    /// Nearest first; of those equally far, the one of the lower index.
    pub(super) fn sort(&mut self, scratch: &mut Vec<(f64, u32)>) {
        scratch.clear();
        scratch.extend(self.distance.iter().copied().zip(self.index.iter().copied()));
        scratch.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for ((distance, index), sorted) in self.distance.iter_mut().zip(self.index.iter_mut()).zip(scratch) {
            (*distance, *index) = (sorted.0.sqrt(), sorted.1);
        }
    }
}
