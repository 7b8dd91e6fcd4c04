//! What happened inside each window, from the rows of the recording: calls by thread, errors,
//! latency, objects, an exemplar.
//!
//! Events are read once over the recording into counters; then once more in and before each window for what is shown
//! verbatim. From the bottom up: bins → events, latency, objects → verbatim → flows.

mod bins;
mod events;
mod files;
mod flows;
mod latency;
mod objects;
mod stacks;
mod surroundings;
mod verbatim;
mod waits;

pub(crate) use bins::{Bin, Reference};
pub(crate) use events::{Events, Sparse, Thread, ThreadCalls};
pub(crate) use files::Files;
pub(crate) use flows::{End, Moved, read as read_flows};
pub(crate) use latency::Latency;
pub(crate) use objects::{By, Owned, Ranked, Topic};
pub(crate) use stacks::{Stacks, Sum};
pub(crate) use surroundings::Surroundings;
pub(crate) use verbatim::{Elsewhere, Verbatim};
pub(crate) use waits::{Of, Wait, read as read_waits};
