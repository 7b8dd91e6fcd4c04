//! What a detector is: two interfaces, and the line that each has in the registry.
//!
//! [`Batch`] learns from a part believed normal and scores many metrics at once; [`Online`] judges one metric point by point. An
//! [`Entry`] says of either what it is called, where it comes from and what it costs.

mod batch;
mod entry;
mod online;

pub use batch::{Batch, Error, MIN_TRAIN, NotLearnt, Residual, Scores, Sight, learnable, scorable};
pub use entry::{Entry, Make, Setting};
pub use online::{Online, Score};
