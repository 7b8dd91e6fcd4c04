//! From values to the pages of a column: `writer.rs` is a column that grows, its dictionary and its
//! pages, `coding.rs` makes one page of it, `quick_hash.rs` hashes numbers for the dictionary,
//! `fields.rs` spells numbers and texts, `types.rs` says what a column is for.

mod coding;
mod fields;
mod quick_hash;
mod types;
mod writer;

pub(crate) use coding::{Coding, Scratch};
pub(crate) use fields::{Fields, put, spell_text, spell_u32, spell_u64};
pub use types::{NO_DURATION, NO_RESULT, Type};
pub(crate) use writer::{ColumnWriter, Encoded};
