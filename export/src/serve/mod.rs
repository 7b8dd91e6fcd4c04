//! `/metrics` over HTTP: `request.rs` what a client may ask, `server.rs` the sockets.
//!
//! The server is for a scraper on the same host. It is small on purpose: one path, no state of a connection, nothing that a client sends is
//! kept. A client may be slow or hostile; it gets a bounded number of reads and writes with a bounded wait each, and no more than
//! [`WORKERS`] are heard at once.

mod request;
mod server;

pub use server::{Server, WORKERS};
