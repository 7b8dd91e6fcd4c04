//! The recorder: from a process to rows, through BPF or `/proc`.
//!
//! A room for each step, lowest first; a room uses those before it and none after:
//!
//! - `host`: the host and its processes as anybody sees them, what this process may do, what the kernel offers;
//! - `output`: the thread that encodes and writes, and which file it writes;
//! - `family`: the families of probes, a file each, and which of them this kernel lets us attach;
//! - `budget`: how much to shed, what first, and the account of it;
//! - `account`: what was read becomes rows, and nothing counts twice or goes missing;
//! - `source`: where rows come from, programs in the kernel or `/proc`;
//! - `session`: the one loop over either source, its beginning and its end.
//!
//! [`preflight`] says whether this host can be recorded and how, [`cost`] at what price. Nothing here prints: a caller sees [`Status`] and
//! an [`Error`] with a hint.

mod account;
mod budget;
mod config;
mod error;
mod family;
mod host;
mod output;
pub mod preflight;
mod session;
mod source;

pub use config::{Access, Backend, Config, Control, Outcome, Overhead, Status, Syscalls, ValidConfig, What};
pub use error::{Error, Result};
pub use output::flight::flight_recorder;
pub use output::rotation::Cut;
pub use session::record;
pub use source::bpf::cost;
