//! Programs in the kernel, and what they say.
//!
//! In the order of the data: `load` loads and attaches them, `probes` reads the
//! rings and maps (`tallies` the counts, `passes` stands in for passes over threads where `/proc` must), `decode` makes values of records,
//! `recorder` drives them all and makes rows, `ending` waits for the last totals of threads. `cost` says what that costs here.

pub mod cost;
pub(crate) mod decode;
mod ending;
pub(crate) mod load;
mod passes;
pub(crate) mod probes;
pub(crate) mod recorder;
mod tallies;
