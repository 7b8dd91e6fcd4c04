//! The labelled live workload: a small key-value service with its own clients that misbehaves
//! exactly when told.
//!
//! [`args`] is the command line, [`run()`] the timetable. The service is `steady` (its store and log), `server` and `client`;
//! each [`fault`] writes what it did and when to [`labels`]. [`sink`] receives what the service sends away. `stop`, `sys`, `rng`,
//! [`temp`] and [`duration`] serve all of them.
//!
//! Nothing here knows what a recording is: a label line (`name`, `start_ns`, `end_ns`, `note`) is the whole interface.

pub mod args;
mod client;
pub mod duration;
mod error;
pub mod fault;
pub mod labels;
pub mod levers;
mod peer;
mod rng;
mod run;
mod server;
pub mod sink;
mod steady;
pub mod stop;
mod sys;
pub mod temp;

pub use error::Error;
pub use run::{Config, Ready, Summary, run};
