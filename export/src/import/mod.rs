//! The door in: recordings made of what other tools wrote.
//!
//! `strace/` reads the output of strace; `gather.rs` makes rows, tallies and samples of calls, whoever saw them. What a source does not have is
//! null, and named as a blind spot.

mod gather;
mod strace;

pub use gather::{Imported, Options};
pub use strace::import as strace;
