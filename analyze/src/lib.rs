//! From recordings to findings: a DataFusion [`Session`] over recordings for questions a person asks, and [`analyze`] for the one
//! that osd answers by itself: what was unusual, when, and which calls, threads and errors came with it.
//!
//! Nothing here prints. The same recording and [`Config`] give the same [`osd_findings::Findings`], byte for byte.

mod answers;
mod detection;
mod error;
mod evidence;
mod explain;
mod functions;
mod judged;
mod marks;
mod metrics;
mod objects;
mod pattern;
mod reading;
mod say;
mod series;
mod session;
mod shifts;
mod statements;
mod touched;

pub use error::{Error, Result};
pub use explain::{Config, analyze};
pub use marks::losses_where;
pub use session::{Answer, Session, write_parquet};
pub use statements::{Statement, is_blank, is_whole, statements};
pub use touched::Touched;
