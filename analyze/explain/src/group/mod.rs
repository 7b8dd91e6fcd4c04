//! Windows that are alike, as groups: `describe` says what a window looks like in numbers,
//! `cluster` which are near each other, `parts` and `words` what a group is, `one` puts those of a
//! recording into groups, `across` those of many.
//!
//! A window that is like no other is in no group. One that recurs, of which the others have no window of their own, is a group by itself.

mod across;
mod cluster;
mod describe;
mod one;
mod parts;
mod words;

pub use across::across;
pub use cluster::GroupBy;
pub(crate) use one::group;

#[cfg(test)]
mod tests;
