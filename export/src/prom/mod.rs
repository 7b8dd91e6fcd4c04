//! Prometheus: `value.rs` is a value, `family.rs` the table of metric families, `text.rs` how they
//! are written, `chart.rs` the values of some series over time, `backfill.rs` a recording as
//! OpenMetrics, `live.rs` one that is being made.
//!
//! Names follow the conventions: base units, `_total` for what counts, one meaning a name. `docs/export.md` lists them.

mod backfill;
mod chart;
mod family;
mod live;
mod text;
mod value;

pub use backfill::{Anomaly, Backfill, write};
pub use live::{Live, Recorder};
pub use text::Written;
