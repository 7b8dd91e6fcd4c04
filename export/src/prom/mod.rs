//! Prometheus: `text.rs` is how metrics are written, `backfill.rs` a recording as OpenMetrics,
//! `live.rs` one that is being made.
//!
//! Names follow the conventions: base units, `_total` for what counts, one meaning a name. `docs/export.md` lists them.

mod backfill;
mod live;
mod text;

pub use backfill::write;
pub use live::{Live, Recorder};
