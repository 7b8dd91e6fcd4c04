//! The faults, and how one is named, timed and run: the ten of the demo, and four that are harder
//! to see.
//!
//! Each is bounded in time, gives back what it took, and paces itself rather than racing: at strength 1 it stands out
//! clearly and leaves a machine of two cores usable. Their threads have the names such code has in services, not the
//! faults' names: an explanation has to come from behaviour.
//!
//! One file a fault. They know [`Site`]; [`Fault`] knows them; [`FaultSpec`] says when one is due.

mod cpu_burn;
mod eagain_storm;
mod enoent_storm;
mod fd_leak;
mod fork_burst;
mod fsync_storm;
mod kind;
mod lock_contention;
mod memory_growth;
mod metadata_storm;
mod missed_job;
mod outgoing_transfer;
mod site;
mod slow_leak;
mod slow_peer;
mod spec;
mod stall;

pub use kind::Fault;
pub use site::Site;
pub use spec::{FaultSpec, STRENGTHS};
