//! From rows to a recording: `writer.rs` takes rows, `waiting.rs` holds them until they make a batch or a page, `growing.rs` says when a
//! row group is full, `sync.rs` what must reach the disk, `closing.rs` ends it.

mod closing;
mod growing;
mod sync;
mod waiting;
mod writer;

pub use closing::Closed;
pub use sync::SyncList;
pub use writer::{Writer, WriterOptions};
