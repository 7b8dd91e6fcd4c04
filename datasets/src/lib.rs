//! Labelled live workloads with fault injection, readers of labelled [`corpus`] files, and the harness that runs detectors over
//! them ([`evaluate`]).
//!
//! [`workload::run`] is a small key-value service with its own clients, all threads of one process, that behaves for as
//! long as asked and misbehaves exactly when told. Each [`Fault`](fault::Fault) writes what it did and when to a label
//! file, so a recording of the run comes with its ground truth. `osd-workload` is the same thing as a program.
//!
//! Nothing here knows what a recording is: a label line (`name`, `start_ns`, `end_ns`, `note`) is the whole interface.

pub mod args;
mod client;
pub mod corpus;
pub mod error;
pub mod evaluate;
pub mod fault;
pub mod labels;
mod rng;
mod server;
pub mod sink;
mod steady;
pub mod stop;
mod sys;
pub mod temp;
pub mod workload;

pub use error::Error;
