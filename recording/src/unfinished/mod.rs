//! A recording while it is being written, on disk: `folder.rs` says which files there are,
//! `index.rs` what is whole in the data and `journal.rs` what is still growing; both are made of
//! frames (`frame.rs`), so that they survive being cut.

mod folder;
pub(crate) mod frame;
pub(crate) mod index;
mod journal;

pub(crate) use folder::{Partial, Taken, give_room, remove};
pub use folder::{folder, is_being_written};
pub(crate) use index::Index;
pub(crate) use journal::{Journal, Journals, read_journals};
