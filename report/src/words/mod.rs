//! Words and numbers of the page, whoever shows them: text made printable, numbers with their
//! units.

mod text;
pub(crate) mod units;

pub(crate) use text::{clean, command, escape};
