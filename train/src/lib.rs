//! Learns what is normal: an LSTM that forecasts the next samples, trained with
//! [Burn](https://burn.dev).
//!
//! The only crate that sees Burn. It takes [segments](osd_lstm::Segment) and gives an [`osd_lstm::Lstm`], which scoring
//! uses without any of this; of sequences of symbols likewise ([`Trainer::train_symbols`]). [`Trainer`] is the loop, [`choose`] the device;
//! `source` is what batches are taken from, by `windows` of metrics or `spans` of symbols, `run` a step of the optimiser. Below lie `network` (the module, by Burn's own layers and by
//! osd's operation), `op` (the operation in Burn's dispatch), and what it does: `kernel` on a CPU, `gpu` on a GPU.

mod device;
mod find_gpu;
#[cfg(feature = "wgpu")]
mod gpu;
mod kernel;
mod learn;
mod network;
mod no_gpu;
mod op;
mod progress;
mod run;
mod source;
mod spans;
mod windows;

#[cfg(test)]
mod tests;

pub use device::{Chosen, Wanted, choose};
pub use learn::Trainer;
pub use no_gpu::{Card, NoGpu};
pub use progress::{Config, Epoch, MIN_WINDOWS, Outcome, Progress};
