//! Tables of metrics, a row a time: `unit.rs` what a number counts, `named.rs` which column is
//! what, `table.rs` what somebody says of them, `text.rs` fields and numbers, `survey.rs` the first
//! reading, `import.rs` the second.
//!
//! What `osd export --series` writes is read back; of any other table the columns that osd knows or is told of.

mod import;
mod named;
mod survey;
mod table;
mod text;
mod unit;

pub(super) use import::import;
pub use named::Column;
pub(super) use survey::is_header;
pub use table::Table;
