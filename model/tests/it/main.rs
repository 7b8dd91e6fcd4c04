//! The way from recordings to scores, with recordings of which everything is known and a model that
//! learns in a second.

#![expect(clippy::unwrap_used, reason = "tests")]

mod artifact;
mod calibration;
mod features;
mod scores;
mod server;
mod stream;
