//! From a file to rows: `source.rs` is its bytes, checked, `types.rs` the Arrow types of its
//! columns, `remains.rs` what an unfinished recording holds, `recording.rs` an open recording and
//! how it is asked, `columns.rs` the columns of the batches that it gives, `decoded.rs` rows for
//! those who recover and join.

mod columns;
mod decoded;
mod recording;
mod remains;
mod source;
mod types;

pub use columns::{Columns, F64s, I64s, Lists, Texts, U64s};
pub use recording::{Batches, Query, Recording, RowGroup};
pub(crate) use remains::Remains;
