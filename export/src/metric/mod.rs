//! Recordings as metrics, whatever format they are written in: `value.rs` is a value, `family.rs`
//! the table of metric families, `chart.rs` the values of some series over time, `walk.rs` goes
//! through recordings and tells a sink of them.

mod chart;
mod family;
mod value;
mod walk;

pub(crate) use family::{
    ALIVE, BUCKETS, CALL_DURATION, CALL_ERRORS, CALLS, Columns, EVENTS, Family, HOST, INFO, LOST, OWN_CPU, OWN_MEMORY,
    PROCESS, Type, WRITTEN, bound,
};
pub(crate) use value::{Scale, Value};
pub use walk::{Anomaly, Backfill, Written};
pub(crate) use walk::{Counted, Points, Series, Sink, Whose, tell};
