//! SQL over recordings: a DataFusion [`Session`], the functions that a recording calls for, and
//! where a statement looks.
//!
//! The only crate that sees DataFusion. From the bottom up: [`error`](Error) → functions, [`statements`](statements()),
//! reading, [`Touched`] → containers, the table, groups and how rows are grouped by them → [`Session`] → [`losses_where`].

mod containers;
mod error;
mod functions;
mod group_numbers;
mod grouping;
mod losses;
mod reading;
mod session;
mod statements;
mod table;
mod touched;

pub use error::{Error, Result};
pub use losses::losses_where;
pub use session::{Answer, Session, write_parquet};
pub use statements::{Statement, is_blank, is_whole, statements};
pub use touched::Touched;
