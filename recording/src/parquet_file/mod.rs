//! The bytes of a Parquet file, and nothing about rows: `page.rs` makes pages by hand, `chunk.rs`
//! puts the pages of a column together, `data_file.rs` writes row groups of chunks one after the
//! other, `footer.rs` ends the file, `sums.rs` protects all of it, `thrift.rs` spells its numbers.
//! `unpage.rs` reads pages where a lie in one must not be a panic; all else is read by the library.

mod chunk;
mod data_file;
pub(crate) mod footer;
pub(crate) mod page;
pub(crate) mod sums;
mod thrift;
pub(crate) mod unpage;

pub(crate) use chunk::{Chunk, numbers};
pub(crate) use data_file::{DataFile, MAGIC};
