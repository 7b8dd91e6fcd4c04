//! Programs in the kernel, and what they say.

pub(crate) mod call_args;
pub mod cost;
pub(crate) mod decode;
pub(crate) mod load;
pub(crate) mod passes;
pub(crate) mod probes;
pub(crate) mod tallies;
