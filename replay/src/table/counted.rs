//! How often each of many things was seen, in bounded memory, and the same in whatever order they
//! came.
//!
//! When there are too many, only those are kept whose hash is below a limit, which is halved until the rest fits. A thing that is kept was
//! counted from the beginning, and which are kept depends on the set alone (adaptive sampling: Flajolet, Computing 1990).

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Things that are counted at once.
const MOST: usize = 16 << 10;

/// Counts by thing.
#[derive(Clone, Debug)]
pub struct Counted<T> {
    counts: HashMap<T, u64>,
    /// Hashes from here on are not kept.
    limit: u64,
}

impl<T> Default for Counted<T> {
    fn default() -> Self {
        Self { counts: HashMap::new(), limit: u64::MAX }
    }
}

/// The same in every run and every process.
fn hash<T: Hash + ?Sized>(thing: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    thing.hash(&mut hasher);
    hasher.finish()
}

impl<T: Hash + Eq + Ord + Clone> Counted<T> {
    /// Counts `n` of `thing`, which need not be owned to be looked for.
    pub fn add<Q>(&mut self, thing: &Q, n: u64)
    where
        T: std::borrow::Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = T> + ?Sized,
    {
        if let Some(count) = self.counts.get_mut(thing) {
            *count = count.saturating_add(n);
        } else if self.limit == u64::MAX || hash(thing) < self.limit {
            self.counts.insert(thing.to_owned(), n);
            while self.counts.len() > MOST {
                self.limit /= 2;
                let limit = self.limit;
                self.counts.retain(|thing, _| hash(thing) < limit);
            }
        }
    }

    /// Adds what another has counted.
    pub fn add_all(&mut self, other: &Self)
    where
        T: ToOwned<Owned = T>,
    {
        if other.limit < self.limit {
            self.limit = other.limit;
            let limit = self.limit;
            self.counts.retain(|thing, _| hash(thing) < limit);
        }
        other.counts.iter().for_each(|(thing, n)| self.add(thing, *n));
    }

    /// Those seen most often, and how often.
    pub fn top(&self, n: usize) -> Vec<(T, u64)> {
        let mut all: Vec<(&T, u64)> = self.counts.iter().map(|(thing, n)| (thing, *n)).collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        all.into_iter().take(n).map(|(thing, n)| (thing.clone(), n)).collect()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_are_thinned_out_to_the_same_ones_in_any_order_and_with_whole_counts() {
        let things: Vec<String> = (0..50_000).map(|i| format!("/tmp/{i}")).collect();
        let counted = |order: &mut dyn Iterator<Item = &String>| {
            let mut counted: Counted<String> = Counted::default();
            order.for_each(|thing| counted.add(thing.as_str(), 1));
            counted
        };
        let forth = counted(&mut things.iter().chain(&things));
        let back = counted(&mut things.iter().rev().chain(&things));
        let halves = {
            let mut first = counted(&mut things[..25_000].iter().chain(&things[..25_000]));
            first.add_all(&counted(&mut things[25_000..].iter().chain(&things[25_000..])));
            first
        };
        assert!(forth.counts.len() <= MOST && forth.counts.len() > MOST / 4);
        assert_eq!(forth.top(20_000), back.top(20_000));
        assert_eq!(forth.top(20_000), halves.top(20_000));
        assert!(forth.top(20_000).iter().all(|(_, n)| *n == 2));
    }

    #[test]
    fn a_few_are_all_there() {
        let mut counted: Counted<u32> = Counted::default();
        [3, 5, 3, 9].iter().for_each(|n| counted.add(n, 1));
        assert_eq!(counted.top(2), [(3, 2), (5, 1)]);
    }
}
