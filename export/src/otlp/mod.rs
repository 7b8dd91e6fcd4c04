//! OpenTelemetry: `tree.rs` is a message, in Protocol Buffers or as their JSON, `names.rs` what the
//! semantic conventions call our metrics, `metrics.rs` recordings as metrics, `logs.rs` findings as
//! log records, `endpoint.rs` where a collector is, `tls.rs` who it is, `answer.rs` what it says,
//! `post.rs` a request to it, `sender.rs` the way to it or to a file.
//!
//! The messages are written by hand: the official crate of them comes with the SDK, and four messages deep is all that is needed. A test
//! reads them by the published definitions.

mod answer;
mod endpoint;
mod logs;
mod metrics;
mod names;
mod post;
mod sender;
#[cfg(feature = "tls")]
mod tls;
mod tree;

pub use endpoint::{Access, Endpoint};
pub use logs::logs;
pub use metrics::metrics;
pub use sender::Out;
