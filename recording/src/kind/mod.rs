//! The kinds of rows: `schema.rs` is the table of their columns, `rows.rs` a struct for each, `calls.rs` system calls column by
//! column, `batch.rs` lays rows out in columns.

pub(crate) mod batch;
mod calls;
pub mod rows;
pub mod schema;

pub use calls::Calls;
pub use rows::Row;
pub use schema::Kind;
