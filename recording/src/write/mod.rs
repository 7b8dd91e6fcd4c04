//! From rows to a recording: `writer.rs` takes rows, `growing.rs` says how much waits and when a
//! row group is full, `sealing.rs` takes rows into row groups and these into the file, `sync.rs`
//! what must reach the disk, `closing.rs` ends it.

mod closing;
mod growing;
mod sealing;
mod sync;
mod writer;

pub use closing::Closed;
pub use sync::SyncList;
pub use writer::{Writer, WriterOptions};
