//! Prometheus: `text.rs` is how metrics are written, `backfill.rs` a recording as OpenMetrics,
//! `counts.rs` what is counted of one that is being made or replayed, `live.rs` that as metrics.
//!
//! Names follow the conventions: base units, `_total` for what counts, one meaning a name. `docs/export.md` lists them.

mod backfill;
mod counts;
mod live;
mod text;

pub use backfill::write;
pub use live::{Live, Recorder};
