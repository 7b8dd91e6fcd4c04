//! The doors of osd: what other tools read is made of recordings here, and recordings of what other
//! tools wrote.
//!
//! A room for each family of formats. A room uses only those before it:
//!
//! - `table/`: rows of one kind, or the metrics on a regular grid, as CSV, JSON or Arrow;
//! - `metric/`: the families of metrics, and recordings told as such;
//! - `prom/`: metrics for Prometheus, of a recording that is finished and of one that is being made;
//! - `serve/`: `/metrics` over HTTP;
//! - `otlp/`: metrics and findings for OpenTelemetry;
//! - `import/`: recordings made of what other tools wrote;
//! - `stack/`: stacks as profilers have them: folded, and for pprof;
//! - `trace/`: processes, threads and their calls as slices, for Perfetto and Chrome's viewer.
//!
//! `proto.rs` are the bytes of Protocol Buffers and `json.rs` is text as JSON, which two of them write.
//!
//! What is written goes to any [`std::io::Write`], piece by piece, so that memory does not grow with a recording. Nothing here
//! prints, reads a clock or opens a file to write. `docs/export.md` says what each format cannot carry.

mod error;
pub mod import;
mod json;
pub mod metric;
pub mod otlp;
pub mod prom;
mod proto;
pub mod serve;
pub mod stack;
pub mod table;
pub mod trace;

pub use error::{Error, Result};
