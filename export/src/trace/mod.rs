//! Traces: `event.rs` what a trace is made of, `story.rs` a recording told as one, `perfetto.rs`
//! and `chrome.rs` how it is written, `proto.rs` the bytes of Protocol Buffers.

mod chrome;
mod event;
mod lanes;
mod perfetto;
mod proto;
mod story;

pub use chrome::chrome;
pub use perfetto::perfetto;
pub use story::{Told, Trace};
