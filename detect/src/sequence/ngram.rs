//! How surprising the next symbol of a sequence is after the ones before it: a model of n-grams.
//!
//! Probabilities are those of Witten & Bell (IEEE Trans. Inf. Theory 1991): what followed a context is believed by how often, and as often
//! as something new followed it, a context one symbol shorter is asked. The shortest knows all symbols alike, one more than were seen. No
//! parameter but the length, and no symbol is impossible.

use std::collections::HashMap;

/// Longest n-grams: so many symbols fit a key.
pub const LONGEST: usize = 7;

/// What followed a context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Context {
    /// Symbols.
    n: u64,
    /// Different ones.
    kinds: u64,
}

/// A model of n-grams that learns.
#[derive(Clone, Debug)]
pub struct NGrams {
    n: usize,
    /// How often each n-gram came, of any length up to the longest.
    counts: HashMap<u128, u64>,
    contexts: HashMap<u128, Context>,
}

/// The symbols as one number, with a 1 above them, so that lengths are told apart.
fn key(symbols: &[u16]) -> u128 {
    symbols.iter().fold(1, |key, s| key << 16 | u128::from(*s))
}

impl NGrams {
    /// Of grams of `n` symbols, from 1 to [`LONGEST`].
    pub fn new(n: usize) -> Self {
        Self { n: n.clamp(1, LONGEST), counts: HashMap::new(), contexts: HashMap::new() }
    }

    /// Learns a sequence.
    pub fn learn(&mut self, sequence: &[u16]) {
        for end in 1..=sequence.len() {
            for length in 1..=self.n.min(end) {
                let gram = &sequence[end - length..end];
                let count = self.counts.entry(key(gram)).or_default();
                let context = self.contexts.entry(key(&gram[..length - 1])).or_default();
                context.n += 1;
                context.kinds += u64::from(*count == 0);
                *count += 1;
            }
        }
    }

    /// Bits of surprise at the last symbol of `gram`, after the others.
    pub fn surprise(&self, gram: &[u16]) -> f64 {
        let Some((last, before)) = gram.split_last() else { return 0.0 };
        let before = &before[before.len().saturating_sub(self.n - 1)..];
        let all = self.contexts.get(&key(&[])).copied().unwrap_or_default();
        let mut p = 1.0 / (all.kinds as f64 + 1.0);
        for length in 0..=before.len() {
            let context = &before[before.len() - length..];
            let Some(Context { n, kinds }) = self.contexts.get(&key(context)).copied() else { break };
            let count = self.counts.get(&(key(context) << 16 | u128::from(*last))).copied().unwrap_or(0);
            p = (count as f64 + kinds as f64 * p) / (n + kinds) as f64;
        }
        -p.log2()
    }

    /// Of each symbol of a sequence.
    pub fn surprises(&self, sequence: &[u16]) -> Vec<f64> {
        (1..=sequence.len()).map(|end| self.surprise(&sequence[end.saturating_sub(self.n)..end])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_hand() {
        let mut model = NGrams::new(2);
        model.learn(&[1, 2, 1, 2, 1, 3]);
        // Of all: 6 symbols of 3 kinds; p(2) = (2 + 3 * 1/4) / 9 = 11/36.
        let p2 = 2.75 / 9.0;
        assert!((model.surprise(&[2]) + f64::log2(p2)).abs() < 1e-12);
        // After 1: 3 symbols of 2 kinds, 2 twice.
        let after = (2.0 + 2.0 * p2) / 5.0;
        assert!((model.surprise(&[1, 2]) + f64::log2(after)).abs() < 1e-12);
        assert!((model.surprise(&[7, 7, 1, 2]) + f64::log2(after)).abs() < 1e-12, "no more than n - 1 are looked at");
        // After what never came, as after nothing; what never came has a place.
        assert_eq!(model.surprise(&[9, 2]), model.surprise(&[2]));
        assert!((model.surprise(&[9]) + f64::log2(0.75 / 9.0)).abs() < 1e-12);
        assert_eq!(model.surprise(&[]), 0.0);
        assert_eq!(NGrams::new(3).surprise(&[5]), 0.0, "who knows nothing is not surprised");
        // 3 symbols, 3 pairs, and the pair 2 1 is one of them.
        assert_eq!(model.counts.len(), 6);
    }

    #[test]
    fn lengths_and_zeros_are_told_apart() {
        assert_ne!(key(&[]), key(&[0]));
        assert_ne!(key(&[0]), key(&[0, 0]));
        assert_eq!(key(&[1]) << 16 | 2, key(&[1, 2]));
        let mut model = NGrams::new(99);
        model.learn(&[0; 20]);
        assert_eq!(model.n, 7);
        assert!(model.surprises(&[0; 20])[19] < 0.2);
    }

    proptest! {
        #[test]
        fn probabilities_after_any_context_sum_to_one(
            sequence in prop::collection::vec(0_u16..5, 1..60),
            context in prop::collection::vec(0_u16..6, 0..4),
            n in 1_usize..6,
        ) {
            let mut model = NGrams::new(n);
            model.learn(&sequence);
            let p = |s: u16| 2_f64.powf(-model.surprise(&[&context[..], &[s]].concat()));
            let known: std::collections::BTreeSet<u16> = sequence.iter().copied().collect();
            let sum: f64 = known.iter().map(|s| p(*s)).sum::<f64>() + p(999);
            prop_assert!((sum - 1.0).abs() < 1e-9, "{}", sum);
        }
    }
}
