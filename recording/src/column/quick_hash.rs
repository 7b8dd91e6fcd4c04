//! A quick hash of numbers for the dictionaries of calls.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// Seeded, since a recorded program chooses what its calls return.
#[derive(Clone, Copy)]
pub(super) struct Seed(u64);

impl Seed {
    pub(super) fn new() -> Self {
        Self(RandomState::new().build_hasher().finish())
    }
}

impl BuildHasher for Seed {
    type Hasher = Mix;

    fn build_hasher(&self) -> Mix {
        Mix(self.0)
    }
}

/// Multiplies and folds the halves of the product together, as wyhash does.
pub(super) struct Mix(u64);

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.write_u64(u64::from(*b)));
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        let product = u128::from(value ^ self.0) * u128::from(0x9e37_79b9_7f4a_7c15_u64);
        self.0 = product as u64 ^ (product >> 64) as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
