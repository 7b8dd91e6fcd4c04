//! Length of the longest common subsequence of two sequences, 64 cells of the table at a time.
//!
//! The bits of a word are a row of the table's differences; one addition goes over all of them (Crochemore et al. 2001, Hyyrö 2004). For
//! up to 128 symbols that is one operation a symbol of the other sequence.

/// A sequence, made ready to be compared with many others.
#[derive(Clone, Debug)]
pub struct Pattern {
    len: usize,
    words: usize,
    /// By symbol, then word: where in the sequence the symbol is.
    places: Vec<u64>,
}

impl Pattern {
    /// A sequence of symbols below `alphabet`.
    ///
    /// # Panics
    /// If a symbol is not.
    pub fn new(sequence: &[u16], alphabet: usize) -> Self {
        let words = sequence.len().div_ceil(64).max(1);
        let mut places = vec![0; alphabet.max(1) * words];
        for (i, symbol) in sequence.iter().enumerate() {
            places[usize::from(*symbol) * words + i / 64] |= 1 << (i % 64);
        }
        Self { len: sequence.len(), words, places }
    }

    /// Length of the longest common subsequence with `other`, whose symbols are of the same alphabet.
    ///
    /// # Panics
    /// If a symbol of `other` is not.
    pub fn lcs(&self, other: &[u16]) -> usize {
        match self.words {
            1 => self.one_word(other),
            2 => self.two_words(other),
            _ => self.many_words(other),
        }
    }

    fn one_word(&self, other: &[u16]) -> usize {
        let mut v = u64::MAX;
        for symbol in other {
            let u = v & self.places[usize::from(*symbol)];
            v = v.wrapping_add(u) | (v - u);
        }
        (!v & mask(self.len)).count_ones() as usize
    }

    fn two_words(&self, other: &[u16]) -> usize {
        let mut v = u128::MAX;
        for symbol in other {
            let at = 2 * usize::from(*symbol);
            let places = u128::from(self.places[at]) | u128::from(self.places[at + 1]) << 64;
            let u = v & places;
            v = v.wrapping_add(u) | (v - u);
        }
        let low = (!v as u64).count_ones();
        let high = (!(v >> 64) as u64 & mask(self.len - 64)).count_ones();
        (low + high) as usize
    }

    fn many_words(&self, other: &[u16]) -> usize {
        let mut v = vec![u64::MAX; self.words];
        for symbol in other {
            let at = usize::from(*symbol) * self.words;
            let mut carry = false;
            for (v, places) in v.iter_mut().zip(&self.places[at..at + self.words]) {
                let u = *v & places;
                let (sum, over) = v.overflowing_add(u);
                let (sum, more) = sum.overflowing_add(u64::from(carry));
                carry = over || more;
                *v = sum | (*v - u);
            }
        }
        let last = self.words - 1;
        let count = |(i, v): (usize, &u64)| if i == last { !v & mask(self.len - 64 * last) } else { !v }.count_ones();
        v.iter().enumerate().map(count).sum::<u32>() as usize
    }
}

fn mask(bits: usize) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}

/// The same by the textbook's table, cell by cell: what the other is tried against and measured by.
pub fn plain(a: &[u16], b: &[u16]) -> usize {
    let mut row = vec![0_usize; b.len() + 1];
    for x in a {
        let mut diagonal = 0;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if x == y { diagonal + 1 } else { above.max(row[j]) };
            diagonal = above;
        }
    }
    row[b.len()]
}

/// Which pairs of places of `a` and `b` make a longest common subsequence, in order.
pub fn align(a: &[u16], b: &[u16]) -> Vec<(usize, usize)> {
    let wide = b.len() + 1;
    let mut table = vec![0_usize; (a.len() + 1) * wide];
    for (i, x) in a.iter().enumerate().rev() {
        for (j, y) in b.iter().enumerate().rev() {
            table[i * wide + j] = if x == y {
                table[(i + 1) * wide + j + 1] + 1
            } else {
                table[(i + 1) * wide + j].max(table[i * wide + j + 1])
            };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, vec![]);
    while i < a.len() && j < b.len() {
        if a[i] == b[j] {
            out.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if table[(i + 1) * wide + j] >= table[i * wide + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_hand() {
        let (a, b) = ([0, 1, 2, 1, 3, 0, 1], [1, 3, 2, 0, 1, 0]);
        assert_eq!((plain(&a, &b), Pattern::new(&a, 4).lcs(&b)), (4, 4));
        assert_eq!((plain(&[], &b), Pattern::new(&[], 4).lcs(&b), Pattern::new(&a, 4).lcs(&[])), (0, 0, 0));
        assert_eq!(align(&[5, 1, 2], &[1, 7, 2]), [(1, 0), (2, 2)]);
    }

    proptest! {
        #[test]
        fn words_agree_with_the_table(a in prop::collection::vec(0..6_u16, 0..300), b in prop::collection::vec(0..6_u16, 0..300)) {
            let wanted = plain(&a, &b);
            prop_assert_eq!(Pattern::new(&a, 6).lcs(&b), wanted);
            prop_assert_eq!(Pattern::new(&b, 6).lcs(&a), wanted);
            prop_assert_eq!(align(&a, &b).len(), wanted);
        }
    }
}
