//! Stacks as profilers have them: `sums.rs` adds up the rows of recordings, `folded.rs` and
//! `pprof.rs` write them.

mod folded;
mod pprof;
mod sums;

pub use folded::folded;
pub use pprof::pprof;
pub use sums::{Event, Stack, Sums};
