//! When rows are due: pure arithmetic on two clocks.
//!
//! A [`Pace`] is told what time it is for whoever watches, and says how far the replay has come in recording time. It reads no clock
//! and sleeps nowhere, so tests tell it any time they like.

mod speed;
mod state;

pub use speed::Speed;
pub use state::Pace;
