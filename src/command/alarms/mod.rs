//! Alarms as they are said, by `osd record --detect` and `osd replay --detect`: a line on stderr,
//! or JSON on stdout, and a command that somebody wants to be run.
//!
//! Nothing here holds up who watches: what is slow happens in a thread of its own, and what does not get through is counted and said.

mod announcer;
mod args;
mod hook;
#[cfg(feature = "record")]
mod watching;

pub(crate) use announcer::Announcer;
pub(crate) use args::Args;
#[cfg(feature = "record")]
pub(crate) use watching::Watching;
