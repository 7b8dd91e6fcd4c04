//! Closed recordings made of others: `join.rs` makes one of the parts of a session, `recover.rs`
//! one of what a dead recorder left, `flight.rs` one of the last moments of a flight recorder.

mod flight;
mod join;
mod recover;

pub use flight::{flight_folder, recover_flight};
pub use join::join;
pub use recover::recover;
