//! Traces: `event.rs` what a trace is made of, `in_order.rs` and `lanes.rs` which place a span has,
//! `story.rs` a recording told as one, `perfetto.rs`
//! and `chrome.rs` how it is written.

mod chrome;
mod event;
mod in_order;
mod lanes;
mod perfetto;
mod story;

pub use chrome::chrome;
pub use perfetto::perfetto;
pub use story::{Told, Trace};
