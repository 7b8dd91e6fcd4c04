//! The way from recordings to scores, with recordings of which everything is known and a model that learns in a second.

mod artifact;
mod features;
mod scores;
mod server;
