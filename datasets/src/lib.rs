//! What detectors are tried on, and how good they are there.
//!
//! [`workload`] makes labelled live data: a service with faults that can be injected (`osd-workload` is the same as a program).
//! [`corpus`] reads public data with labelled anomalies. [`evaluate`] runs detectors over them and measures what they say.
//! None of the three knows what a recording is.

pub mod corpus;
pub mod evaluate;
pub mod workload;

pub use workload::{Error, args, fault, labels, sink, stop, temp};
