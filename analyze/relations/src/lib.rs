//! How metrics move together: a model of every related pair, and where and when a pair does not
//! move so any more.
//!
//! CPU follows calls, calls follow traffic, memory follows threads. A fault changes one of them and not the other, often by less than either
//! varies by itself. After Gao, Jiang, Chen & Han (ICDCS 2009) and Gao et al. (KDD 2010): each pair of metrics is a walk over a grid, each
//! move has a fitness, the fitness of pairs makes a network, and a metric that leaves its group in it is an anomaly.
//!
//! From the bottom up: `error`, [`Settings`] and [`History`] (plain numbers) → `pair/` (intervals of a metric, which pairs are related, how
//! they move) and `network/` (what all of them are over a window of time, and the groups in it) → [`Model`] and its file →
//! `judge` (from pairs to what is said of all) → [`learn`], and [`Watch`] (one point at a time) → [`check`] (a whole history, in findings).
//! Beside them [`read`] makes a history of recordings. Nothing here reads a clock, prints, or is random without a seed.

mod check;
mod error;
mod history;
mod judge;
mod learn;
mod model;
mod network;
mod pair;
mod read;
mod settings;
#[cfg(test)]
mod tests;
mod watch;
mod words;

pub use check::check;
pub use error::{Error, Result};
pub use history::{History, Named, Stretch};
pub use learn::learn;
pub use model::{FILE, MODEL_VERSION, Model};
pub use read::{Member, read};
pub use settings::Settings;
pub use watch::{Moment, Watch};
pub use words::quantity;
