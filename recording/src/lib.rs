//! The waist of osd: what a recording is.
//!
//! A recording is one Parquet file, a *wide-event table*: each row has a [`Kind`], the common columns and the columns of that kind;
//! the rest are null. Row groups hold one kind each, so the statistics of `kind` and `ts` prune. The footer key [`METADATA_KEY`]
//! holds [`Metadata`] as JSON. `docs/recording-format.md` is the normative text; [`schema`] is its table.
//!
//! Each folder is a room of this crate. From top to bottom, a room uses only rooms above it:
//!
//! - `text/`, `about/`, `syscall/`, `disk/`: words for people; what a recording says about itself; names of system calls; what
//!   may be written where.
//! - `parquet_file/`: the bytes of a Parquet file, and nothing about rows.
//! - `column/`: from values to the pages of a column.
//! - `kind/`: the kinds of rows, a file each, and the table of the columns that they fill.
//! - `group/`: from rows to a row group that grows, and what its journal has of it.
//! - `unfinished/`: the folder of a recording that is being written.
//! - `write/`, `read/`: from rows to a recording, and from a recording to Arrow batches.
//! - `assemble/`: closed recordings made of others: parts joined, and what a dead recorder left.
//!
//! Nothing here knows a kernel, SQL or a tensor, and nothing here prints.

mod about;
mod assemble;
mod column;
mod disk;
mod error;
mod group;
pub mod kind;
mod parquet_file;
mod read;
pub mod syscall;
mod text;
mod unfinished;
mod write;

pub use about::{
    Budget, CallPrices, ClockPoint, ClockTable, FORMAT_VERSION, Family, Host, LossTotal, METADATA_KEY, Metadata,
    ProcId, SelfCost, StackTotals, Target, mix,
};
pub use assemble::{flight_folder, join, recover, recover_flight};
pub use disk::output;
pub use error::{Error, Result};
pub use kind as rows;
pub use kind::{Calls, Kind, Row, schema};
pub use read::{Batches, Columns, F64s, I64s, Lists, Query, Recording, RowGroup, Texts, U64s};
pub use syscall as names;
pub use text::{parse_span, visible, words};
pub use unfinished::{folder as partial_folder, is_being_written};
pub use write::{Closed, SyncList, Writer, WriterOptions};
