//! Programs in the kernel, and what they say.
//!
//! In the order of the data: `load` loads and attaches them, `probes` reads the
//! rings and maps (`tallies` the counts, `flows` the sockets, `passes` stands in for passes over threads where `/proc` must), `decode`
//! makes values of records, `recorder` drives them all and makes rows, `adopt` takes in who comes to match a rule (`adopted`: who waits for that), `ending` waits for the
//! last totals of threads, `sockets` tells flows, `stacks` says in a thread of its own what functions are on a stack (`perf` is the clock
//! that takes them; `no_stacks` is for recorders that take none). `cost` says what that costs here.

mod adopt;
mod adopted;
pub mod cost;
pub(crate) mod decode;
mod ending;
mod flows;
pub(crate) mod load;
#[cfg(not(feature = "stacks"))]
mod no_stacks;
mod objects;
mod passes;
mod perf;
pub(crate) mod probes;
pub(crate) mod recorder;
mod sockets;
#[cfg(feature = "stacks")]
mod stacks;
mod tallies;
