//! The trained forecaster: an LSTM with a linear head, as numbers, and what it learns from.
//!
//! The layout is PyTorch's: `torch.nn.LSTM` and `torch.nn.Linear` load these matrices as they are. Each layer has its four gates in one
//! matrix, rows in the order input, forget, cell, output:
//!
//! ```text
//! i, f, g, o = w_ih x(t) + b_ih + w_hh h(t-1) + b_hh
//! c(t) = sigmoid(f) c(t-1) + sigmoid(i) tanh(g)        h(t) = sigmoid(o) tanh(c(t))
//! forecast = head_weight h + head_bias                 h of the last layer
//! ```
//!
//! Training is elsewhere, behind [`Learner`]; nothing here knows a tensor library.

mod detector;
mod forward;
mod lanes;
mod model;
mod reservoir;
mod segment;
mod symbols;

pub use detector::{Forecasting, distance};
pub use forward::{Forecaster, Path, Stream};
pub use model::{Layer, Lstm, MOST, MOST_LAYERS, MOST_WEIGHT, Unfit};
pub use osd_detect::detector::NotLearnt;
pub use reservoir::Reservoir;
pub use segment::{Learner, Segment};
pub use symbols::Symbols;
