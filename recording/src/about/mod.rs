//! What a recording says about itself: `metadata.rs` is the JSON of its footer, `clock.rs` how its
//! clocks stood to one another, `identity.rs` how a process is named in it.

mod clock;
mod identity;
mod metadata;

pub use clock::{ClockPoint, ClockTable};
pub use identity::{ProcId, mix};
pub use metadata::{
    Budget, CallPrices, FORMAT_VERSION, Family, Host, LossTotal, METADATA_KEY, Metadata, SelfCost, StackTotals, Target,
};
