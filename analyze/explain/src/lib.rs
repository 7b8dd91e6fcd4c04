//! From a recording to findings: what was unusual, when, and which calls, threads, errors and
//! processes came with it.
//!
//! Nothing here prints, and nothing here knows SQL. The same recording and [`Config`] give the same
//! [`osd_findings::Findings`], byte for byte.
//!
//! From the bottom up: `config` → `evidence` (what the rows say of each window) → `usual` (the same of other recordings) → `compare`
//! (with the baseline) → `pattern` (what that looks like) → `words` → `find` (where the windows are), `window` (one, explained) and
//! `group` (which are alike) →
//! [`analyze`].

mod analyze;
mod compare;
mod config;
mod error;
mod evidence;
mod find;
mod group;
mod pattern;
mod recurring;
mod second_look;
mod usual;
mod window;
mod words;

pub use analyze::{analyze, analyze_against};
pub use config::Config;
pub use error::{Error, Result};
pub use group::{GroupBy, across};
