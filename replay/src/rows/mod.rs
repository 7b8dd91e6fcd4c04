//! The rows of recordings in the order in which they were known.
//!
//! A call is known when it returns, a sample when its interval is over: at `ts + dur_ns`. In that order a live recorder met them, and
//! in it they come here, over all kinds and all recordings. `clocks.rs` says what two recordings' times have to do with each other,
//! `stream.rs` puts the rows of one kind of one recording into order, `cursor.rs` merges streams.
//!
//! What is in memory is what is in flight: of each stream a batch and the rows that may have to wait for the next one. A row group is
//! opened when its time has come, and closed when it has been read.

mod clocks;
mod cursor;
mod stream;
mod wanted;

pub use clocks::{Clock, apart, clocks};
pub use cursor::{Block, Cursor};
pub use wanted::Wanted;
