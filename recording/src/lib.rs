//! The waist of osd: what a recording is.
//!
//! A recording is one Parquet file, a *wide-event table*: each row has a [`Kind`], the common columns and the columns of that
//! kind; the rest are null. Row groups hold one kind each, so the statistics of `kind` and `ts` prune. The footer key
//! [`METADATA_KEY`] holds [`Metadata`] as JSON. `docs/recording-format.md` is the normative text; [`schema`] is its table.
//!
//! Data goes through this crate one way: typed [`rows`] (system calls: [`Calls`]) → [`Writer`] → file → [`Recording`] → Arrow batches.
//! Nothing here knows a kernel, SQL or a tensor, and nothing here prints.

mod batch;
mod call_group;
mod calls;
mod chunk;
mod clock;
mod column;
mod data_file;
mod disk;
mod encoded;
mod error;
mod footer;
mod frame;
mod group;
mod identity;
mod join;
mod metadata;
pub mod names;
pub mod output;
mod page;
mod partial;
mod reader;
mod recover;
pub mod rows;
pub mod schema;
mod source;
mod sums;
pub mod synth;
pub mod visible;
pub mod words;
mod writer;

pub use calls::Calls;
pub use clock::{ClockPoint, ClockTable};
pub use disk::SyncList;
pub use error::{Error, Result};
pub use identity::ProcId;
pub use join::join;
pub use metadata::{Budget, CallPrices, Family, Host, LossTotal, METADATA_KEY, Metadata, SelfCost, Target};
pub use partial::folder as partial_folder;
pub use reader::{Batches, Query, Recording, RowGroup};
pub use recover::{flight_folder, recover, recover_flight};
pub use rows::Row;
pub use schema::Kind;
pub use writer::{Closed, Writer, WriterOptions};

/// The newest recording format this crate writes, and the newest it reads.
pub const FORMAT_VERSION: u32 = 1;
