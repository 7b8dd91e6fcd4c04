//! The table of metrics as it grows: rows in, bins out, each when nothing more can come for it.
//!
//! It has what [`osd_signals::Table`] has of the metrics, of the same rows, and knows no later row. A bin is made of sums of whole numbers and
//! of a few products in a fixed order, so it is the same to the last bit in whatever order the rows came: that is why a live recorder and a
//! replay of what it wrote judge the same values.
//!
//! **When a bin is over.** A recorder hands over the rows of an interval when it ends, with one `system` row. A bin is given out when the
//! interval after the one that completes it has ended: by then all rows about it are there. What comes even later is counted.
//!
//! `columns.rs` says which columns of samples are summed; `spans.rs` sums them over the spans of time that they are about, `levels.rs`
//! follows each process, `failures.rs` the error numbers of calls, `counted.rs` counts threads and files in bounded memory, `bin.rs` is
//! what is given out, and `growing.rs` puts the table together.

mod bin;
mod columns;
mod counted;
mod failures;
mod growing;
mod levels;
mod life;
mod spans;

pub use bin::{Bin, CallSum, ProcessSum, Thread};
pub use columns::{Reading, columns, of_sample};
pub use counted::Counted;
pub use growing::{Call, Growing};
pub use life::Life;
