//! One recording as numbers over its seconds: what is compared, before anything is compared.
//!
//! `observed` is what that is, `metrics` are values by interval, `calls` counts and histograms by bin, `rows` counts of what event rows
//! are about, `read` all of it.

mod calls;
mod metrics;
mod observed;
mod read;
mod rows;

pub(crate) use observed::{Key, Observed};
pub(crate) use read::read;
