//! What a trained model is, on the way from recordings to scores.
//!
//! [`features`] (a recording's samples as a regular table) → [`prepare`] (scaled, split by time, what is trained on) → an
//! [`osd_lstm::Lstm`] from whoever trains → `fit` (with its scaler, and what its errors are on normal data: a [`Model`]) →
//! [`artifact`] (a directory that PyTorch can load) → [`score`] (how strange each moment of another recording is, and
//! which metric says so) → [`table`] (the same as a Parquet file).
//!
//! Nothing here trains, prints or knows a tensor library.

mod absent;
mod alarms;
pub mod artifact;
mod error;
pub mod features;
mod fit;
mod normal;
pub mod prepare;
mod residuals;
pub mod score;
pub mod stream;
pub mod table;

pub use artifact::{Config, Model};
pub use error::{Error, Result};
pub use normal::Normal;
pub use prepare::TrainedOn;
