//! The bytes of a Parquet file, and nothing about rows: `page.rs` makes pages by hand, `chunk.rs` puts the pages of a column
//! together, `data_file.rs` writes row groups of chunks one after the other, `footer.rs` ends the file, `sums.rs` protects all
//! of it, `thrift.rs` spells its numbers. Only what is written is here: pages are read by the library.

mod chunk;
mod data_file;
pub(crate) mod footer;
pub(crate) mod page;
pub(crate) mod sums;
mod thrift;

pub(crate) use chunk::{Chunk, numbers};
pub(crate) use data_file::{DataFile, MAGIC};
