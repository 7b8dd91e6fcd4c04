//! What a program may be kept to, by what recordings of it show.
//!
//! From the bottom up: `error` → `coverage` (what a recording cannot show, and so no profile may rest on) → `processes` (who was
//! started, and when its program began) → `run` (the calls of one recording, from then on) → `calls` (those of all runs) →
//! `runtime` (what a container runtime calls under the filter that it has just set) → `profile` (the document that runtimes read,
//! merged and compared). `capabilities` is what the kernel was asked whether a process may. Nothing here prints.
//!
//! A profile rests on `tally` rows, which the kernel counts: they are whole whatever events were shed. What they lack is a reason
//! to refuse, never a shorter profile.

mod calls;
mod capabilities;
mod coverage;
mod error;
mod processes;
mod profile;
mod run;
mod runtime;

pub use calls::{Calls, Config, Phase, Seen, calls};
pub use capabilities::{Asked, Capabilities, capabilities};
pub use coverage::Gap;
pub use error::{Error, Result};
pub use profile::{Action, Difference, Profile, systemd};
pub use runtime::Runtime;
