//! Tables: `rows.rs` gives the rows of one kind, or of all, as `osd sql` gives them; `series.rs`
//! the metrics on a regular grid; `write.rs` writes either as text or as Arrow.

mod rows;
mod series;
mod write;

pub use rows::Rows;
pub use series::Series;
pub use write::{Form, Writer};
