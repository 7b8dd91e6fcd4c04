//! Pure algorithms on series and counts, and the vocabulary of [`findings`].
//!
//! No I/O, no clock, no unseeded randomness: the same input gives the same output.

pub mod findings;
