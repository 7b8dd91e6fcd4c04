//! A row group while it grows, and what its journal has of it. `gathered.rs` is one of rows that
//! come a few a second, with `journal.rs` for its frames; `paged.rs` one of rows that come by the
//! million; `rows.rs` is either.

mod gathered;
mod journal;
mod paged;
mod rows;

pub(crate) use rows::Rows;
