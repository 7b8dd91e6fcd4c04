//! Programs in the kernel, and what they say.
//!
//! In the order of the data: `load` loads and attaches them and `start` says so, `probes` reads the rings and maps (`tallies` the counts,
//! `flows` the sockets, `passes` stands in for passes over threads where `/proc` must), `decode` makes values of records, `recorder` drives
//! them all and makes rows, `adopt` takes in who comes to match a rule (`adopted`: who waits for that), `objects` says what descriptors are,
//! `stacks` what functions threads are in, `ending` waits for the last totals of threads. `cost` says what all that costs here.

mod adopt;
mod adopted;
pub mod cost;
pub(crate) mod decode;
mod ending;
mod flows;
pub(crate) mod load;
mod objects;
mod passes;
pub(crate) mod probes;
pub(crate) mod recorder;
mod stacks;
mod start;
mod tallies;
