//! Stacks: `clock` has them taken, `reader` says in a thread of its own what functions are on them.
//!
//! A recorder that was built without the feature `stacks` has `none` instead, and takes none.

mod clock;
#[cfg(not(feature = "stacks"))]
mod none;
#[cfg(feature = "stacks")]
mod reader;

pub(super) use clock::clock;
#[cfg(not(feature = "stacks"))]
pub(super) use none::StackReader;
#[cfg(feature = "stacks")]
pub(super) use reader::StackReader;
