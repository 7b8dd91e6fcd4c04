//! What differs between a window and its baseline, each with how sure that is.
//!
//! The baseline is all time that belongs to no window. It is cut into blocks as long as the window, so that burstiness
//! widens the intervals. One file a kind of evidence, all on [`Context`]: calls, threads, errors, metrics, processes, stacks, flows.

mod calls;
mod context;
mod errors;
mod flows;
mod metrics;
mod processes;
mod reason;
mod stacks;
mod threads;

pub(crate) use context::Context;
