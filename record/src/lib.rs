//! The recorder: from a process to rows, through BPF.
//!
//! The way of the data, a file each: [`preflight`] says whether this host can be recorded, `roads` what of it, [`cost`] at what price;
//! `target` finds or starts the processes; `probes` is the kernel side (load, attach, drain), `call_args` what it is told about
//! arguments, `passes` stands in for its passes where `/proc` must, `kernel_tallies` reads what it counted; `decode` turns wire records into
//! typed ones, `resolve` calls into rows; `counts` tallies the calls as they are read; `ledger` keeps who is who and turns running totals into
//! per-interval rows; `losses` says what is missing, in step with the tallies; `budget` decides how much to shed and `classes` what first, `spending`
//! keeps the account; `blind_spots` says what cannot be seen; `host` reads clocks and `/proc`; `session` is the loop that drives them,
//! `writing` the thread that encodes and writes. `privilege` gives up what is not needed any more. `procfs` is the same session without
//! BPF. Nothing here prints: a caller sees [`Status`] and an [`Error`] with a hint.

mod blind_spots;
mod budget;
mod call_args;
mod classes;
mod config;
pub mod cost;
mod counts;
mod decode;
mod error;
mod host;
mod kernel_tallies;
mod labels;
mod ledger;
mod losses;
mod passes;
pub mod preflight;
mod privilege;
mod probes;
mod procfs;
mod resolve;
mod roads;
mod session;
mod shelf;
mod spending;
mod target;
mod writing;

pub use config::{Access, Backend, Config, Control, Outcome, Overhead, Status, Syscalls, What};
pub use error::{Error, Result};
pub use session::record;
pub use shelf::{Cut, flight_recorder};
