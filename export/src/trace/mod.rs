//! Traces: `event.rs` what a trace is made of, `story.rs` a recording told as one, `perfetto.rs`
//! and `chrome.rs` how it is written.

mod chrome;
mod event;
mod lanes;
mod perfetto;
mod story;

pub use chrome::chrome;
pub use perfetto::perfetto;
pub use story::{Told, Trace};
